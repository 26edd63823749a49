//! The arm64 kernel ABI.

mod abi;
mod faults;
mod numbers;
mod signal_frame;
mod vdso;

pub use abi::LINUX;
