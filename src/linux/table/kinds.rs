//! What the arguments of system calls are.
//!
//! From an argument's kind follow which paths are looked up in the sysroot, which descriptors must not be ours, what
//! the kernel may write, and how a trace line shows it.

use super::shapes::Shape;

/// Names of an argument's values: for bits each name is a mask, else it is a value.
pub type Names = &'static [(u64, &'static str)];

/// What an argument is.
#[derive(Clone, Copy)]
pub enum Kind {
    /// A number (`int`).
    Int,
    /// A number of 64 bits, signed.
    Long,
    /// A number of bytes, or another that is never negative.
    Size,
    /// Bits without names, or what may be an address (`ioctl`).
    Hex,
    /// An address that names a place only: the kernel does not access it.
    Place,
    /// An address where something shall be, or another number that no tag is taken off.
    Verbatim,
    /// A guest address of which no more is said; the kernel may write there.
    Address,
    /// A file descriptor.
    Fd,
    /// One whose file the call may change the content of.
    ChangedFd,
    /// A descriptor of a directory, or AT_FDCWD: where the path in the next argument starts.
    DirFd,
    /// Permission bits.
    Mode,
    /// Flags of `open(2)`, whose values differ between architectures.
    OpenFlags,
    /// The same without an access mode (`pipe2`, `dup3`).
    DescriptorFlags,
    /// A signal's number.
    Signal,
    /// A string that is no path of the file system, or one that is never looked up in the sysroot.
    Str,
    /// A path that is looked up in the sysroot too.
    Path,
    /// A buffer that the kernel reads; its length is the next argument.
    In,
    /// A buffer that it writes; the length is next.
    Out,
    /// An `iovec` array of buffers that it reads; the count is next.
    InVec,
    /// An `iovec` array of buffers that it writes; the count is next.
    OutVec,
    /// Any of these bits.
    Bits(Names),
    /// One of these values.
    OneOf(Names),
    /// One of the first values, with any of the second's bits.
    Choice(Names, Names),
    /// The address of a structure that the kernel reads.
    Takes(Shape),
    /// The address of a structure that it writes.
    Gives(Shape),
    /// The address of a structure that it reads and writes.
    Both(Shape),
    /// The address of an array that it reads (and may write); the count is the next argument.
    Each(Shape),
    /// The same, of which what the kernel has written matters.
    BothEach(Shape),
    /// The address of an array that it writes; the call's result is the count.
    GivesEach(Shape),
    /// A socket address that it reads; its length is next.
    TakesAddress,
    /// A socket address that it writes; a pointer to its length is next.
    GivesAddress,
    /// NULL-terminated strings, as `execve` takes them.
    Strings,
}

impl Kind {
    #[must_use]
    pub const fn is_descriptor(self) -> bool {
        matches!(self, Self::Fd | Self::ChangedFd | Self::DirFd)
    }

    /// Whether it is, or may be, an address that the kernel accesses.
    #[must_use]
    pub const fn is_pointer(self) -> bool {
        matches!(self, Self::Str | Self::Path | Self::In | Self::InVec | Self::Takes(_) | Self::TakesAddress)
            || matches!(self, Self::Hex | Self::Out | Self::OutVec | Self::Strings)
            || self.is_written()
    }

    /// Whether its text can only be made after the call.
    #[must_use]
    pub const fn is_result(self) -> bool {
        matches!(
            self,
            Self::Out
                | Self::Gives(_)
                | Self::Both(_)
                | Self::BothEach(_)
                | Self::GivesEach(_)
                | Self::GivesAddress
                | Self::OutVec
        )
    }

    /// Whether the kernel may write a small structure at this address.
    #[must_use]
    pub const fn is_written(self) -> bool {
        matches!(
            self,
            Self::Address
                | Self::Gives(_)
                | Self::Both(_)
                | Self::Each(_)
                | Self::BothEach(_)
                | Self::GivesEach(_)
                | Self::GivesAddress
        )
    }

    /// What docs/syscalls.md calls it.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Int => "int",
            Self::Long => "long",
            Self::Size => "size",
            Self::Hex => "bits",
            Self::Place | Self::Verbatim => "place",
            Self::Address => "address",
            Self::Fd | Self::ChangedFd => "fd",
            Self::DirFd => "directory fd",
            Self::Mode => "mode",
            Self::OpenFlags | Self::DescriptorFlags => "open flags",
            Self::Signal => "signal",
            Self::Str => "string",
            Self::Path => "path",
            Self::In => "buffer, read",
            Self::Out => "buffer, written",
            Self::InVec => "iovec, read",
            Self::OutVec => "iovec, written",
            Self::Bits(_) => "flags",
            Self::OneOf(_) | Self::Choice(..) => "choice",
            Self::Takes(shape) | Self::Gives(shape) | Self::Both(shape) => shape.title(),
            Self::Each(shape) | Self::BothEach(shape) | Self::GivesEach(shape) => shape.title(),
            Self::TakesAddress | Self::GivesAddress => "struct sockaddr",
            Self::Strings => "strings",
        }
    }
}

/// An argument.
#[derive(Clone, Copy)]
pub struct Param {
    pub name: &'static str,
    pub kind: Kind,
}
