//! The x86-64 guest: decode, lift, registers and the Linux ABI.
//!
//! Decoding is iced-x86's; everything an instruction means stands in [`lift`], once, as IR. What is too
//! rare or too long for IR is a helper in [`helpers`].
#![forbid(unsafe_code)]

mod arch;
pub mod cpu;
pub mod helpers;
mod jump;
pub mod lift;
pub mod linux;
pub mod regs;
pub mod state;

pub use arch::{Arch, X86_64};
