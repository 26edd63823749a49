//! An argument as text.

use super::values::{self, number, octal, pointer};
use super::{births, sets, signals, sockets, structures};
use crate::linux::dispatch::Entry;
use crate::linux::table::commands::Commands;
use crate::linux::table::kinds::{Kind, Returns};
use crate::linux::table::names as n;
use crate::linux::table::shapes::Shape;
use guest::linux::{GuestLinux, KernelLayout};

/// A call, before or after it was made.
pub struct Call<'a> {
    pub args: &'a [u64; 6],
    pub linux: &'static dyn GuestLinux,
    /// What it gave, once it has.
    pub result: Option<i64>,
    /// The lengths that pointers to lengths pointed to before it.
    pub rooms: &'a [u32; 6],
}

/// What the arguments of a call are, and its result, where commands among them have said it.
pub fn kinds(entry: &Entry, args: &[u64; 6]) -> (Vec<Kind>, Returns) {
    let mut kinds: Vec<Kind> = entry.params.iter().map(|param| param.kind).collect();
    let mut returns = entry.returns;
    let mut index = 0;
    while index < kinds.len() {
        match kinds[index] {
            Kind::By(commands) => {
                if let Some(found) = commands.find(args[index]) {
                    let rest = kinds.split_off(index + 1);
                    kinds.extend(following(found.form.follows, &rest));
                    returns = found.form.returns.unwrap_or(returns);
                }
            }
            // Permissions are for files that `open` makes, device numbers for devices.
            Kind::When(bits, kind) if args[index - 1] & bits != 0 => kinds[index] = *kind,
            Kind::When(..) => kinds[index] = Kind::Unused,
            Kind::OpenFlags if !creates(args[index]) && matches!(kinds.get(index + 1), Some(Kind::Mode)) => {
                kinds.truncate(index + 1);
            }
            Kind::NodeMode if !is_device(args[index]) => kinds.truncate(index + 1),
            Kind::Birth => kinds.truncate(index + 1),
            _ => {}
        }
        index += 1;
    }
    kinds.truncate(args.len());
    (kinds, returns)
}

/// What follows a command, of what the row says.
fn following(form: &[Kind], row: &[Kind]) -> Vec<Kind> {
    let mut kinds = Vec::new();
    for (index, kind) in form.iter().enumerate() {
        let in_row = row.get(index).copied();
        match *kind {
            Kind::Rest if index + 1 == form.len() => kinds.extend(row.iter().skip(index)),
            Kind::Rest => kinds.extend(in_row),
            Kind::Value(shape) if in_row.is_some_and(Kind::is_result) => {
                kinds.push(Kind::GivesMeasured(shape))
            }
            Kind::Value(shape) => kinds.push(Kind::TakesMeasured(shape)),
            kind => kinds.push(kind),
        }
    }
    kinds
}

const fn creates(flags: u64) -> bool {
    flags & (libc::O_CREAT as u64 | 0o20_000_000) != 0
}

const fn is_device(mode: u64) -> bool {
    matches!(mode as u32 & libc::S_IFMT, libc::S_IFCHR | libc::S_IFBLK)
}

impl Call<'_> {
    pub fn layout(&self) -> KernelLayout {
        self.linux.layout()
    }

    fn arg(&self, index: usize) -> u64 {
        self.args.get(index).copied().unwrap_or(0)
    }

    /// What the call gave: how many, nothing if it failed or is not over.
    pub fn count(&self) -> u64 {
        self.result.map_or(0, |result| result.max(0) as u64)
    }

    fn failed(&self) -> bool {
        self.result.is_some_and(|result| result < 0)
    }

    /// Argument `index`; `None` if it is not shown.
    pub fn text(&self, index: usize, kind: Kind) -> Option<String> {
        let value = self.args[index];
        let text = match kind {
            Kind::Unused | Kind::Rest | Kind::Value(_) | Kind::When(..) => return None,
            Kind::Int | Kind::Fd | Kind::ChangedFd => (value as i32).to_string(),
            Kind::Long => (value as i64).to_string(),
            Kind::Size => value.to_string(),
            Kind::DirFd if value as i32 == libc::AT_FDCWD => "AT_FDCWD".to_owned(),
            Kind::DirFd => (value as i32).to_string(),
            Kind::Mode => octal(value & 0xffff),
            Kind::NodeMode => structures::mode(value & 0xffff),
            Kind::Device => device(value),
            Kind::OpenFlags => values::open_flags(&self.layout(), value & 0xffff_ffff),
            Kind::DescriptorFlags => values::descriptor_flags(&self.layout(), value & 0xffff_ffff),
            Kind::Signal => values::signal(value as i32),
            Kind::Bits(table) if value >> 32 == 0xffff_ffff => values::bits(table, value & 0xffff_ffff),
            Kind::Bits(table) => values::bits(table, value),
            Kind::OneOf(table) => values::one_of(table, value),
            Kind::Choice(values, flags) => values::choice(values, flags, value),
            Kind::By(commands) => command(commands, value),
            Kind::Key if value as u32 == 0 => "IPC_PRIVATE".to_owned(),
            Kind::Key => number(value & 0xffff_ffff),
            Kind::Keyring => values::name_of(n::KEYRING, value)
                .map_or_else(|| (value as i32).to_string(), |name| (*name).to_owned()),
            Kind::Errno => crate::linux::errno::name(value as i32).to_owned(),
            Kind::WakeOp => values::wake_operation(value as u32),
            Kind::IoPriority => io_priority(value),
            Kind::Quota => quota(value),
            Kind::Personality if value as u32 == u32::MAX => number(value & 0xffff_ffff),
            Kind::Personality => values::choice(n::PERSONALITY, n::PERSONALITY_FLAGS, value),
            Kind::Protocol => self.protocol(value),
            Kind::Hex | Kind::Offset => number(value),
            Kind::Birth => births::clone(self),
            kind => return Some(self.pointed_to(index, kind)),
        };
        Some(text)
    }

    /// An argument that is an address.
    fn pointed_to(&self, index: usize, kind: Kind) -> String {
        let (value, layout) = (self.args[index], self.layout());
        let (before, next) = (self.arg(index.wrapping_sub(1)), self.arg(index + 1));
        match kind {
            _ if value == 0 => "NULL".to_owned(),
            Kind::Length => self.length(index),
            Kind::Births => births::clone3(self, value, next),
            Kind::Remaining(shape) if self.result == Some(-i64::from(libc::EINTR)) => {
                structures::structure(&layout, shape, value)
            }
            Kind::Remaining(_) => number(value),
            Kind::Gives(Shape::Message) if self.failed() => {
                format!("{{msg_namelen={}}}", self.rooms[index])
            }
            Kind::OutVec if self.failed() => sockets::iovec(value, next, None),
            _ if self.failed() && kind.is_result() && !matches!(kind, Kind::Both(_)) => number(value),
            // No child has ended.
            Kind::Gives(Shape::Status) if self.result == Some(0) => number(value),
            Kind::Str => values::string(value, values::SHOWN),
            Kind::Path => values::path(value),
            Kind::GivesText => values::string(value, 255),
            Kind::Name => values::string(value, 15),
            Kind::Strings => values::strings(value),
            Kind::Environment => values::variables(value),
            Kind::In => values::buffer(value, next),
            Kind::Out => values::buffer(value, self.count().min(next)),
            Kind::OutText => values::buffer(value, self.count().min(next).saturating_sub(1)),
            Kind::Random => values::buffer_hex(value, self.count().min(next)),
            Kind::TakesMessage => structures::queued_message(value, next),
            Kind::GivesMessage => structures::queued_message(value, self.count()),
            Kind::InVec => sockets::iovec(value, next, Some(u64::MAX)),
            Kind::OutVec => sockets::iovec(value, next, Some(self.count())),
            Kind::Entries => structures::entries(value, self.count()),
            Kind::Gives(Shape::Message) => sockets::received(value, self.rooms[index], self.count()),
            Kind::Takes(shape) | Kind::Gives(shape) | Kind::Both(shape) | Kind::Timeout(shape) => {
                structures::structure(&layout, shape, value)
            }
            Kind::TakesMeasured(shape) => structures::measured(&layout, shape, value, next),
            Kind::GivesMeasured(shape) => {
                structures::measured(&layout, shape, value, structures::length(next))
            }
            Kind::EachAt(shape) => structures::array_of_addresses(&layout, shape, value, before),
            Kind::Each(shape) => structures::array(&layout, shape, value, next),
            Kind::GivesEach(shape) | Kind::BothEach(shape) => {
                structures::array(&layout, shape, value, self.count())
            }
            Kind::Groups => structures::numbers(value, before),
            Kind::TakesAddress => sockets::address(value, next),
            Kind::GivesAddress => self.given_address(index),
            Kind::Polled => sets::polled(value, next),
            Kind::FdSet => sets::descriptors(value, self.args[0]),
            Kind::TakesCpus => sets::processors(value, before),
            Kind::GivesCpus => sets::processors(value, self.count()),
            _ => pointer(value),
        }
    }

    fn protocol(&self, value: u64) -> String {
        match self.args[0] as i32 {
            libc::AF_INET | libc::AF_INET6 => values::one_of(n::IP_PROTOCOL, value),
            libc::AF_NETLINK => values::one_of(n::NETLINK_PROTOCOL, value),
            _ => (value as i32).to_string(),
        }
    }

    /// A length's room before the call, and what there was to put there after it.
    fn length(&self, index: usize) -> String {
        if crate::linux::read_guest::<4>(self.args[index]).is_err() {
            return number(self.args[index]);
        }
        let room = self.rooms[index] as i32;
        let after = structures::length(self.args[index]) as i32;
        if self.failed() || room == after { format!("[{room}]") } else { format!("[{room} => {after}]") }
    }

    /// A socket address that the kernel wrote, as far as there was room.
    fn given_address(&self, index: usize) -> String {
        let there = structures::length(self.arg(index + 1));
        let room = self.rooms.get(index + 1).copied().unwrap_or(0);
        match there.min(u64::from(room)) {
            0 => number(self.args[index]),
            len => sockets::address(self.args[index], len),
        }
    }
}

/// The name of a command, with the bits beside it.
fn command(commands: &Commands, value: u64) -> String {
    let Some(found) = commands.find(value) else {
        return match commands.prefix {
            "_IOC" => request(value as u32),
            prefix if value as u32 == 0 => format!("0 /* {prefix}??? */"),
            prefix => values::unknown(prefix, value & 0xffff_ffff),
        };
    };
    let ending = commands.ending.filter(|(bit, _)| value & bit != 0).map_or("", |(_, ending)| ending);
    let all = commands.flags.iter().fold(0, |all, (bit, _)| all | bit);
    let flags = (value & all != 0).then(|| values::bits(commands.flags, value & all));
    let name = format!("{}{ending}", found.name);
    std::iter::once(name).chain(flags).collect::<Vec<_>>().join("|")
}

/// A request of `ioctl` that has no name: its parts (include/uapi/asm-generic/ioctl.h).
fn request(value: u32) -> String {
    let direction = match value >> 30 {
        0 => "_IOC_NONE",
        1 => "_IOC_WRITE",
        2 => "_IOC_READ",
        _ => "_IOC_READ|_IOC_WRITE",
    };
    let part = |shift: u32, mask: u32| number(u64::from(value >> shift & mask));
    format!("_IOC({direction}, {}, {}, {})", part(8, 0xff), part(0, 0xff), part(16, 0x3fff))
}

/// A device's number in the kernel's encoding of 32 bits.
fn device(value: u64) -> String {
    let major = value >> 8 & 0xfff;
    let minor = value & 0xff | value >> 12 & 0xfff00;
    format!("makedev({}, {})", number(major), number(minor))
}

fn quota(value: u64) -> String {
    let (command, kind) = (value >> 8 & 0xff_ffff, value & 0xff);
    format!("QCMD({}, {})", values::one_of(n::QUOTA, command), values::one_of(n::QUOTA_TYPE, kind))
}

pub fn io_priority(value: u64) -> String {
    let (class, level) = (value >> 13 & 7, value & 0x1fff);
    format!("IOPRIO_PRIO_VALUE({}, {level})", values::one_of(n::IO_CLASS, class))
}

/// What a signal set's address in a structure leads to.
pub fn signal_set_at(addr: u64) -> String {
    match crate::linux::read_word(addr) {
        _ if addr == 0 => "NULL".to_owned(),
        Ok(set) => signals::set(set),
        Err(_) => number(addr),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linux::table::commands as c;

    #[test]
    fn commands_have_endings_and_bits_beside_them() {
        assert_eq!(command(&c::FUTEX, 0x189), "FUTEX_WAIT_BITSET_PRIVATE|FUTEX_CLOCK_REALTIME");
        assert_eq!(command(&c::FUTEX, 1), "FUTEX_WAKE");
        assert_eq!(command(&c::FCNTL, 99), "0x63 /* F_??? */");
        assert_eq!(command(&c::IOCTL, 0x8008_5678), "_IOC(_IOC_READ, 0x56, 0x78, 0x8)");
    }

    #[test]
    fn a_form_takes_from_the_row_what_it_does_not_say() {
        let row = [Kind::Int, Kind::GivesMeasured(Shape::Option), Kind::Length];
        let found = c::LEVEL.find(1).unwrap();
        let kinds = following(found.form.follows, &row);
        assert!(matches!(kinds[..], [Kind::By(_), Kind::GivesMeasured(Shape::Option), Kind::Length]));
        let found = c::OF_SOCKETS.find(13).unwrap();
        assert!(matches!(
            following(found.form.follows, &row[1..])[..],
            [Kind::GivesMeasured(_), Kind::Length]
        ));
    }

    #[test]
    fn devices_have_two_numbers() {
        assert_eq!(device(0x103), "makedev(0x1, 0x3)");
    }
}
