//! The system call table: each call once, by its kernel name.
//!
//! From a row follow how the call is made, which of its arguments are paths and descriptors, what of guest memory the
//! kernel may write (pages with translations are released first), how a trace line shows it, and its line in
//! docs/syscalls.md. Names of arguments are the kernel's.
//!
//! What is mounted and where the root is are the host's business: those paths are `Str`, not `Path`.

pub mod commands;
mod document;
mod files;
pub mod kinds;
mod memory;
pub mod names;
mod processes;
pub mod shapes;
mod signals;
mod sockets;
mod system;

use super::thread::Thread;
use kinds::{Param, Returns};

/// How a system call ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Done {
    /// It returned: a value or `-errno`.
    Value(i64),
    /// A signal came first: the call is to be made again after the handler.
    Interrupted,
    /// The thread's registers are as they shall be (`rt_sigreturn`, `execve`).
    Replaced,
    /// The thread is over.
    Exited,
}

impl From<Result<u64, i32>> for Done {
    fn from(result: Result<u64, i32>) -> Self {
        match result {
            Ok(value) => Self::Value(value as i64),
            Err(errno) => Self::Value(-i64::from(errno)),
        }
    }
}

impl Done {
    #[must_use]
    pub const fn errno(errno: i32) -> Self {
        Self::Value(-(errno as i64))
    }

    /// What the raw call gave.
    #[must_use]
    pub const fn raw(result: i64) -> Self {
        if result == crate::host::sys::INTERRUPTED { Self::Interrupted } else { Self::Value(result) }
    }
}

pub type Handler = fn(&mut Thread, &[u64; 6]) -> Done;

/// What the engine does with a call.
#[derive(Clone, Copy)]
pub enum How {
    /// Hands it to the host kernel as it is; it does not block.
    Pass,
    /// The same, for calls that may block.
    Block,
    /// The same, after background threads of ours were stopped: the call wants a single-threaded process
    /// or acts on all threads.
    Alone,
    /// Makes the host's call with something changed.
    Translate(Handler),
    /// Does itself what the call is for.
    Emulate(Handler),
    /// Not available; with this errno.
    Refuse(i32),
}

/// One row.
pub struct Row {
    pub name: &'static str,
    pub how: How,
    pub params: &'static [Param],
    pub returns: Returns,
    /// What is changed, or why it is not to be had; ends the row's line in docs/syscalls.md.
    pub note: &'static str,
}

/// Declares a family's rows: how a call is made, its name, its arguments, and its result, where that is not just a
/// number. What is not simply handed on says why.
macro_rules! rows {
    ($table:ident: $(
        $(#[doc = $note:literal])*
        $how:ident $(($detail:expr))? $name:ident($($param:ident: $kind:expr),* $(,)?) $(-> $returns:expr)?;
    )*) => {
        pub static $table: &[$crate::linux::table::Row] = &[$(
            $crate::linux::table::Row {
                name: stringify!($name),
                how: $crate::linux::table::rows!(@how $how $($detail)?),
                params: &[$(
                    $crate::linux::table::kinds::Param { name: stringify!($param), kind: $kind }
                ),*],
                returns: $crate::linux::table::rows!(@returns $($returns)?),
                note: concat!($($note),*),
            }
        ),*];
    };
    (@returns) => { $crate::linux::table::kinds::Returns::Number };
    (@returns $returns:expr) => { { use $crate::linux::table::kinds::Returns::*; $returns } };
    (@how pass) => { $crate::linux::table::How::Pass };
    (@how block) => { $crate::linux::table::How::Block };
    (@how alone) => { $crate::linux::table::How::Alone };
    (@how translate $handler:expr) => { $crate::linux::table::How::Translate($handler) };
    (@how emulate $handler:expr) => { $crate::linux::table::How::Emulate($handler) };
    (@how refuse $errno:expr) => { $crate::linux::table::How::Refuse({ use libc::*; $errno }) };
}
use rows;

/// Every call, by family; a name that is not here is ENOSYS, with one log line.
pub static FAMILIES: &[(&str, &[Row])] = &[
    ("Files", files::FILES),
    ("Memory", memory::MEMORY),
    ("Processes and threads", processes::PROCESSES),
    ("Signals", signals::SIGNALS),
    ("Time", signals::TIME),
    ("Waiting for descriptors", sockets::WAITING),
    ("Sockets", sockets::SOCKETS),
    ("Messages, keys, asynchronous i/o", system::IPC),
    ("The system", system::SYSTEM),
];

/// The row of a name.
#[must_use]
pub fn row(name: &str) -> Option<&'static Row> {
    let at = |place: u16| &FAMILIES[usize::from(place >> 8)].1[usize::from(place & 0xff)];
    let sorted = &BY_NAME.places[..BY_NAME.count];
    let index = sorted.binary_search_by(|&place| at(place).name.cmp(name)).ok()?;
    Some(at(sorted[index]))
}

const MOST_ROWS: usize = 512;

/// Where rows are, in the order of their names: the number of the family, and in it. Each process looks for some.
struct ByName {
    count: usize,
    places: [u16; MOST_ROWS],
}

static BY_NAME: ByName = by_name(FAMILIES);

const fn by_name(families: &[(&str, &[Row])]) -> ByName {
    let mut all = ByName { count: 0, places: [0; MOST_ROWS] };
    let mut family = 0;
    while family < families.len() {
        let mut number = 0;
        while number < families[family].1.len() {
            let name = families[family].1[number].name;
            let mut at = all.count;
            while at > 0 {
                let before = all.places[at - 1];
                if !is_before(name, families[(before >> 8) as usize].1[(before & 0xff) as usize].name) {
                    break;
                }
                all.places[at] = before;
                at -= 1;
            }
            all.places[at] = (family << 8 | number) as u16;
            all.count += 1;
            number += 1;
        }
        family += 1;
    }
    all
}

const fn is_before(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut at = 0;
    while at < a.len() && at < b.len() && a[at] == b[at] {
        at += 1;
    }
    at < b.len() && (at == a.len() || a[at] < b[at])
}

/// Every row.
pub fn all() -> impl Iterator<Item = &'static Row> {
    FAMILIES.iter().flat_map(|(_, rows)| rows.iter())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_found_by_name() {
        for wanted in all() {
            assert!(row(wanted.name).is_some_and(|found| std::ptr::eq(found, wanted)), "{}", wanted.name);
        }
        assert!(row("").is_none() && row("read_").is_none() && row("zzz").is_none());
    }
}
