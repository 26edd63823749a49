//! The engine: runs IR, knows no architecture except in `guests`.

pub mod cli;
pub mod code_cache;
pub mod debug;
pub mod exec;
pub mod guests;
pub mod host;
pub mod isa_coverage;
pub mod linux;
pub mod loader;
pub mod log;
pub mod main_program;
pub mod mem;
pub mod rules;
