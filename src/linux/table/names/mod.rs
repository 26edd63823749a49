//! Names of the values that system calls take, for traces, by subject.
//!
//! Where names stand for bits, those of several bits come before the bits that they contain.

use super::kinds::Names;

macro_rules! names {
    ($($table:ident: $($name:ident $(= $value:literal)?)*;)*) => {
        $( pub const $table: Names = &[$( (names!(@value $name $($value)?), stringify!($name)) ),*]; )*
    };
    (@value $name:ident $value:literal) => { $value };
    // The type differs from table to table; negative values are of 32 bits.
    (@value $name:ident) => { libc::$name as i64 as u64 & 0xffff_ffff };
}
pub(super) use names;

mod files;
mod memory;
mod options;
mod processes;
mod signals;
mod sockets;
mod system;
mod terminals;

pub use files::*;
pub use memory::*;
pub use options::*;
pub use processes::*;
pub use signals::*;
pub use sockets::*;
pub use system::*;
pub use terminals::*;
