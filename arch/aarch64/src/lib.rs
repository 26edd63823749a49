//! The AArch64 guest: decoder, lifter, registers and kernel ABI.
//!
//! Everything the engine knows about the architecture it learns through [`AARCH64`]. Words become IR in
//! two steps: [`decode`] finds the encoding's row in a table of bit patterns, and the row names the
//! method of `lift` that gives its meaning.
#![forbid(unsafe_code)]

mod arch;
mod decode;
mod disasm;
pub mod features;
mod fpenv;
mod guarded;
mod helpers;
mod lift;
mod linux;
mod regs;
mod state;

pub use arch::{AARCH64, AArch64};
pub use decode::{Encoding, encoding_name, encodings};
