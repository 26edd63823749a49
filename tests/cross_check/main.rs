//! Our decoders against independent ones, over real binaries: iced-x86 against yaxpeax-x86, the A64 table against
//! yaxpeax-arm.
//!
//! Where they differ one is wrong. The differences that are known to be the other's errors are listed in `*.txt`, each
//! with an example and both readings: a difference that is not listed fails, and so does a listed one that is gone, so
//! that an upgrade of either tells.
//!
//! By default a few of each form in some programs of the machine are looked at; `CROSS_CHECK_FILES`
//! (colon-separated) and `CROSS_CHECK_EACH` (how many of each form and file) say otherwise. `CROSS_CHECK_WRITE` prints
//! the list as it would be now.
#![allow(clippy::unwrap_used)] // a test's own failures

mod aarch64;
mod binaries;
mod known;
mod reading;
mod x86_64;
