//! The host machine: with `exec/jit`'s code memory and entry, everything that needs `unsafe`.

pub mod crypto;
pub mod entry;
pub mod fault_table;
pub mod files;
pub mod fp;
pub mod guest_access;
pub mod guest_strings;
pub mod heap;
pub mod hidden_fd;
pub mod kept;
pub mod layout;
pub mod lua;
pub mod mapped_file;
pub mod priority;
pub mod random;
pub mod rounding;
pub mod rule_stop;
pub mod shared;
pub mod signals;
pub mod spawn;
pub mod startup;
pub mod sys;
pub mod tsc;
pub mod x87;
