//! What the arguments of system calls are.
//!
//! From an argument's kind follow which paths are looked up in the sysroot, which descriptors must not be ours, what
//! the kernel may write, and how a trace line shows it.

use super::commands::Commands;
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
    /// Where in a file a mapping starts.
    Offset,
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
    /// What kind of file, and its permissions (`mknod`); a device's number is next.
    NodeMode,
    /// A device's number.
    Device,
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
    /// An array of addresses of structures that it reads; the count is the argument before it.
    EachAt(Shape),
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
    /// The same of which only the number is shown.
    Environment,
    /// A command, which says what the arguments after it are.
    By(&'static Commands),
    /// What the kernel does not look at.
    Unused,
    /// A string that it writes, of no more than 256 bytes.
    GivesText,
    /// A buffer that it fills with directory entries (`linux_dirent64`, or the older one, whose lengths stand at the same
    /// place); the length is next.
    Entries,
    /// A pointer to the length of what the argument before it points to: the room before the call, what is there
    /// after it.
    Length,
    /// The address of a time that is waited for; what is left of it is written there.
    Timeout(Shape),
    /// The address where a wait that a signal ends leaves what is left of it.
    Remaining(Shape),
    /// `struct pollfd`s; the count is next.
    Polled,
    /// An `fd_set`; how many descriptors it is about is the first argument.
    FdSet,
    /// A set of processors that the kernel reads; its length is the argument before it.
    TakesCpus,
    /// One that it writes; the result is how many bytes.
    GivesCpus,
    /// A key of System V IPC.
    Key,
    /// A key or keyring of the kernel's.
    Keyring,
    /// An error's number.
    Errno,
    /// `futex`'s operation on the second word.
    WakeOp,
    /// A thread's name: 15 bytes of a string.
    Name,
    /// A buffer that the kernel writes a string to; its size is next.
    OutText,
    /// A buffer that it fills with random bytes; the length is next.
    Random,
    /// A structure that it reads, as far as the length that is next goes.
    TakesMeasured(Shape),
    /// One that it writes; a pointer to its length is next.
    GivesMeasured(Shape),
    /// `struct msgbuf` that it reads, and one that it writes; the text's length is next.
    TakesMessage,
    GivesMessage,
    /// `ioprio`: a class and a priority.
    IoPriority,
    /// `personality`: a system, and its bugs.
    Personality,
    /// A protocol of the family that is the first argument.
    Protocol,
    /// Group numbers that the kernel reads; the count is the argument before it.
    Groups,
    /// A command of `quotactl`, and whose quota.
    Quota,
    /// An argument that counts if the one before it has any of these bits.
    When(u64, &'static Kind),
    /// In a command's form: a structure, read or written as the row says.
    Value(Shape),
    /// In a command's form: as the row says.
    Rest,
    /// Flags of `clone`; with all that comes after them.
    Birth,
    /// `struct clone_args`, of which its flags say what there is.
    Births,
}

/// What a call's result is.
#[derive(Clone, Copy)]
pub enum Returns {
    Number,
    /// A descriptor, if not something else.
    Descriptor,
    Hex,
    Octal,
    /// Nothing: the call does not return.
    Never,
    /// A number that has these bits, with words before their names.
    Flags(&'static str, Names),
    /// The same of `open`'s flags.
    OpenFlags,
    /// A number with a name.
    Named(Names),
    /// A signal.
    Signal,
    /// How many of the descriptors in the first argument are ready.
    Polled,
    /// How many of those in the sets are.
    Selected,
    /// A child.
    Birth,
    /// A moment, in seconds.
    Moment,
    /// How many; what is left of the time in the last argument is told.
    TimeLeft,
    /// A class and a priority.
    IoPriority,
    Personality,
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
            || matches!(self, Self::Hex | Self::Strings | Self::Environment | Self::TakesCpus)
            || matches!(
                self,
                Self::OutVec
                    | Self::Name
                    | Self::TakesMeasured(_)
                    | Self::TakesMessage
                    | Self::Groups
                    | Self::Births
                    | Self::EachAt(_)
            )
            || self.is_filled()
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
                | Self::GivesText
                | Self::Entries
                | Self::Length
                | Self::Remaining(_)
                | Self::GivesCpus
                | Self::OutText
                | Self::Random
                | Self::GivesMeasured(_)
                | Self::GivesMessage
                | Self::Birth
                | Self::Births
        )
    }

    /// Whether it is a buffer that the kernel fills, whose length is the next argument.
    #[must_use]
    pub const fn is_filled(self) -> bool {
        matches!(self, Self::Out | Self::OutText | Self::Random | Self::GivesMessage | Self::Entries)
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
                | Self::GivesText
                | Self::Length
                | Self::Timeout(_)
                | Self::Remaining(_)
                | Self::Polled
                | Self::FdSet
                | Self::GivesCpus
                | Self::GivesMeasured(_)
        )
    }

    /// What docs/syscalls.md calls it.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Int
            | Self::Quota
            | Self::IoPriority
            | Self::Personality
            | Self::Protocol
            | Self::WakeOp
            | Self::Errno => "int",
            Self::Long => "long",
            Self::Size => "size",
            Self::Hex => "bits",
            Self::Offset => "offset",
            Self::Groups => "groups",
            Self::Births => "struct clone_args",
            Self::Place | Self::Verbatim => "place",
            Self::Address => "address",
            Self::Fd | Self::ChangedFd => "fd",
            Self::DirFd => "directory fd",
            Self::Mode | Self::NodeMode => "mode",
            Self::Device => "device",
            Self::OpenFlags | Self::DescriptorFlags => "open flags",
            Self::Signal => "signal",
            Self::Str | Self::GivesText | Self::Name => "string",
            Self::Path => "path",
            Self::In => "buffer, read",
            Self::Out | Self::OutText | Self::Random => "buffer, written",
            Self::InVec => "iovec, read",
            Self::OutVec => "iovec, written",
            Self::Bits(_) | Self::Birth => "flags",
            Self::OneOf(_) | Self::Choice(..) | Self::By(_) => "choice",
            Self::Unused => "unused",
            Self::Entries => "directory entries",
            Self::Length => "length",
            Self::Timeout(shape) | Self::Remaining(shape) => shape.title(),
            Self::Polled => "struct pollfd",
            Self::FdSet => "fd_set",
            Self::TakesCpus | Self::GivesCpus => "processors",
            Self::Key | Self::Keyring => "key",
            Self::TakesMeasured(shape) | Self::GivesMeasured(shape) | Self::Value(shape) => shape.title(),
            Self::TakesMessage | Self::GivesMessage => "struct msgbuf",
            Self::Rest => "rest",
            Self::When(_, kind) => kind.title(),
            Self::Takes(shape) | Self::Gives(shape) | Self::Both(shape) => shape.title(),
            Self::EachAt(shape) | Self::Each(shape) | Self::BothEach(shape) | Self::GivesEach(shape) => {
                shape.title()
            }
            Self::TakesAddress | Self::GivesAddress => "struct sockaddr",
            Self::Strings | Self::Environment => "strings",
        }
    }
}

/// An argument.
#[derive(Clone, Copy)]
pub struct Param {
    pub name: &'static str,
    pub kind: Kind,
}
