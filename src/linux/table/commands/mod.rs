//! Commands: arguments that say what the arguments after them are.
//!
//! For each command, what follows, and what the call then gives, where the row of the call is not right for it.

use super::kinds::{Kind, Names, Returns};

/// Commands that are alike.
pub struct Form {
    pub names: Names,
    /// What follows the command.
    pub follows: &'static [Kind],
    /// The call's result, if it is not what the row says.
    pub returns: Option<Returns>,
}

/// All commands of an argument.
pub struct Commands {
    /// What names of unknown commands would start with.
    pub prefix: &'static str,
    pub forms: &'static [Form],
    /// Bits beside the command: with their names, or as an ending of the command's.
    pub flags: Names,
    pub ending: Option<(u64, &'static str)>,
}

/// A command found.
pub struct Found {
    pub name: &'static str,
    pub form: &'static Form,
}

impl Commands {
    /// The command in an argument, without the bits beside it.
    fn command(&self, value: u64) -> u64 {
        let beside = self.flags.iter().fold(0, |all, (bit, _)| all | bit);
        value & 0xffff_ffff & !beside & !self.ending.map_or(0, |(bit, _)| bit)
    }

    #[must_use]
    pub fn find(&self, value: u64) -> Option<Found> {
        let command = self.command(value);
        self.forms.iter().find_map(|form| {
            let (_, name) = form.names.iter().find(|(known, _)| *known == command)?;
            Some(Found { name, form })
        })
    }
}

macro_rules! commands {
    ($($table:ident($prefix:literal $(, $flags:expr, $ending:expr)?): $(
        [$($name:ident $(= $value:literal)?)*] ($($kind:expr),* $(,)?) $(-> $returns:expr)?;
    )*)*) => { $(
        pub static $table: $crate::linux::table::commands::Commands = $crate::linux::table::commands::Commands {
            prefix: $prefix,
            flags: commands!(@flags $($flags)?),
            ending: commands!(@ending $($ending)?),
            forms: &[$(
                $crate::linux::table::commands::Form {
                    names: &[$(
                        ($crate::linux::table::names::names!(@value $name $($value)?), stringify!($name))
                    ),*],
                    follows: &[$($kind),*],
                    returns: commands!(@returns $($returns)?),
                }
            ),*],
        };
    )* };
    (@flags) => { &[] };
    (@flags $flags:expr) => { $flags };
    (@ending) => { None };
    (@ending $ending:expr) => { Some($ending) };
    (@returns) => { None };
    (@returns $returns:expr) => { { use $crate::linux::table::kinds::Returns::*; Some($returns) } };
}

mod files;
mod processes;
mod sockets;
mod system;

pub use files::*;
pub use processes::*;
pub use sockets::*;
pub use system::*;
