//! The x86-64 Linux ABI.

mod abi;
pub(crate) mod exception;
mod numbers;
mod signal_frame;
mod vdso;

pub(crate) use abi::LINUX;
