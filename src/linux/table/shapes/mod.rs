//! Structures that system calls take and give, as far as a trace line shows them.
//!
//! Every shape is a list of fields with their offsets; those that differ between architectures, or whose fields say which
//! others there are, have a name of their own.

use super::kinds::Names;

/// How a field of a structure is shown.
#[derive(Clone, Copy)]
pub enum Field {
    I16,
    U16,
    I32,
    U32,
    I64,
    U64,
    Hex32,
    Hex64,
    /// An address.
    Pointer,
    /// Seconds since 1970.
    Moment,
    /// Processor time.
    Ticks,
    /// A socket address of 16 bytes.
    SocketAddress,
    /// A limit of `setrlimit`.
    Limit,
    /// Kind of file and permissions, in 16 or 32 bits.
    Mode,
    /// Permissions, and more that has names.
    Permissions(Names),
    Signal,
    /// A set of signals, 64 bits.
    SignalSet,
    /// The address of one.
    SignalSetAt,
    /// Text of up to so many bytes, ended by NUL.
    Text(u16),
    /// So many bytes.
    Bytes(u16),
    /// An IPv4 address, and an IPv6 address.
    Inet,
    Inet6,
    /// Bits with names, of 16, 32 or 64 bits.
    Bits16(Names),
    Bits32(Names),
    Bits64(Names),
    /// Flags of `open`, 64 bits.
    OpenFlags,
    /// One of some values, of 16 or 32 bits.
    OneOf16(Names),
    OneOf32(Names),
    /// Bits numbered by the names: capabilities, in a structure's three words and the next one's.
    Capabilities,
    /// A structure within.
    Inner(&'static [Member]),
    /// What is not shown where it is 0, of 64 bits.
    Unless0(&'static Field),
    /// So many of them.
    Array(u16, u16, &'static Field),
    /// More that is not shown.
    More,
}

/// A field: its name, offset in bytes, and kind.
pub type Member = (&'static str, u16, Field);

/// A structure.
#[derive(Clone, Copy)]
pub enum Shape {
    /// The same on all architectures: name, size in bytes, fields.
    Same(&'static str, u16, &'static [Member]),
    /// A value without a name, of that many bytes, in brackets.
    Single(u16, &'static Field),
    /// Several in brackets: their count and size.
    Row(u16, &'static Shape),
    /// A value of a socket option that no more is known of: an `int`, if it is as long as one.
    Option,
    /// A byte as a string.
    Character,
    /// What `wait` says of a child's end.
    Status,
    /// `struct stat`, whose layout differs.
    Stat,
    /// `struct epoll_event`, whose layout differs.
    EpollEvent,
    /// `struct sigaction` of the kernel.
    SignalAction,
    /// `siginfo_t`, whose fields depend on the signal and its code.
    SignalInfo,
    /// `struct sigevent`, whose fields depend on what it is to do.
    SignalEvent,
    /// `struct termios`.
    Termios,
    /// Times of a file: in nanoseconds or microseconds.
    FileTimes(Fraction),
    /// `struct iovec`, with what it points to.
    Iovec,
    /// `struct msghdr`: buffers are shown if they are read.
    Message,
    /// `struct mmsghdr`: the same with a length.
    MessageOfMany,
    /// `struct semid64_ds`, whose layout differs.
    Semaphores,
    /// What `IPC_SET` takes of it.
    SemaphoresSet,
}

/// What a second is divided into.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Fraction {
    Nanoseconds,
    Microseconds,
}

impl Shape {
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Same(name, ..) => name,
            Self::Single(..) => "number",
            Self::Row(..) => "array",
            Self::Option => "value",
            Self::Character => "character",
            Self::Status => "wait status",
            Self::Stat => "struct stat",
            Self::EpollEvent => "struct epoll_event",
            Self::SignalAction => "struct sigaction",
            Self::SignalInfo => "siginfo_t",
            Self::SignalEvent => "struct sigevent",
            Self::Termios => "struct termios",
            Self::FileTimes(_) => "times",
            Self::Iovec => "struct iovec",
            Self::Message => "struct msghdr",
            Self::MessageOfMany => "struct mmsghdr",
            Self::Semaphores | Self::SemaphoresSet => "struct semid_ds",
        }
    }
}

const fn same(name: &'static str, size: u16, fields: &'static [Member]) -> Shape {
    Shape::Same(name, size, fields)
}

pub const INT: Shape = Shape::Single(4, &Field::I32);
pub const LONG: Shape = Shape::Single(8, &Field::I64);
pub const POINTER: Shape = Shape::Single(8, &Field::Pointer);
pub const TWO_INTS: Shape = Shape::Row(2, &INT);

mod files;
mod processes;
mod signals;
mod sockets;
mod system;

pub use files::*;
pub use processes::*;
pub use signals::*;
pub use sockets::*;
pub use system::*;
