//! Lua 5.4 through its raw C interface.
//!
//! A rule runs on every call of its name, so the way in and out is counted in nanoseconds: the raw
//! interface costs about half of what safe closures do. It is also the only way to arm a hook from a signal
//! handler, to give Lua an allocator of ours and to unwind a rule that must not go on.
//!
//! Lua raises errors with `longjmp`. Every callback therefore keeps to one discipline: arguments are taken
//! without raising, Rust code that could panic runs inside `catch_unwind`, and only then, with nothing
//! alive that has a destructor, are results pushed or an error raised.
#![allow(unsafe_code)] // Lua's C interface: see above. `stack` wraps it; the callbacks are built on that.

mod alloc;
mod api;
mod context;
mod coroutine;
mod files;
mod process;
mod stack;
mod stdlib;
mod stop;
mod thread;
mod vm;

pub use context::Services;
pub use stop::StopCell;
pub use thread::{Job, Joiner, Spawn, become_private, spawn_quiet};
pub use vm::{Failure, Function, Value, Vm, check_syntax};
