//! The rule engine end to end: real guest programs of both architectures under rules.
#![allow(clippy::unwrap_used)] // tests, but clippy knows only those marked as such

#[path = "../guests/harness.rs"]
#[allow(dead_code)] // shared with the suite of plain guests, which uses more of it
mod harness;

mod fixture;

/// Declares a test for each case, on both architectures.
macro_rules! on_both {
    ($($(#[$meta:meta])* $name:ident($arch:ident) $body:block)*) => {
        $( $(#[$meta])* fn $name($arch: crate::harness::Arch) $body )*
        mod x86_64 { $( #[test] fn $name() { super::$name(crate::harness::Arch::X86_64) } )* }
        mod aarch64 { $( #[test] fn $name() { super::$name(crate::harness::Arch::Aarch64) } )* }
    };
}

mod api;
mod endings;
mod errors;
mod examples;
mod logs;
mod processes;
mod reload;
