//! The rule engine against a fake guest thread: every function, every error, every reload mode.
#![allow(unsafe_code)] // fork, and the request to stop that a signal handler would make
#![allow(clippy::unwrap_used)] // tests, but clippy knows only those marked as such

mod api;
mod errors;
mod examples;
mod fake;
mod isolation;
mod reload;
