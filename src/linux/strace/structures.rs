//! Structures of the guest as text.

use super::values::{
    self, ELEMENTS, bits, buffer, choice, moment, number, octal, one_of, open_flags, pointer, quoted,
    quoted_hex,
};
use super::{show, signals, sockets, terminals};
use crate::linux::table::kinds::Names;
use crate::linux::table::names as n;
use crate::linux::table::shapes::{self as s, Field, Fraction, Member, Shape};
use crate::linux::{read_guest, read_word};
use crate::mem::Memory;
use guest::GuestAddr;
use guest::linux::{KernelLayout, StatLayout};
use std::net::{Ipv4Addr, Ipv6Addr};

/// The most bytes that are read of a structure.
const MAX: usize = 512;

pub fn read(addr: u64, size: usize) -> Option<[u8; MAX]> {
    let mut bytes = [0; MAX];
    (Memory.read_prefix(GuestAddr(addr), &mut bytes[..size]) == size).then_some(bytes)
}

/// The little-endian value of `size` bytes there.
pub fn value(bytes: &[u8], at: usize, size: usize) -> u64 {
    bytes[at..at + size].iter().rev().fold(0, |all, &byte| all << 8 | u64::from(byte))
}

/// A length that is pointed to; 0 where there is none.
pub fn length(addr: u64) -> u64 {
    read_guest(addr).map_or(0, |bytes| u64::from(u32::from_le_bytes(bytes)))
}

/// A structure at an address; the address where it cannot be read.
pub fn structure(layout: &KernelLayout, shape: Shape, addr: u64) -> String {
    read(addr, size_of(layout, shape)).map_or_else(|| pointer(addr), |bytes| text(layout, shape, &bytes))
}

/// A structure of which there are so many bytes: its fields as far as they go, or bytes.
pub fn measured(layout: &KernelLayout, shape: Shape, addr: u64, len: u64) -> String {
    match shape {
        _ if len == 0 => pointer(addr),
        Shape::Option if len == 4 => structure(layout, s::INT, addr),
        Shape::Option => buffer(addr, len),
        Shape::Same(_, size, fields) if len < u64::from(size) && len >= 4 => {
            let Some(bytes) = read(addr, len as usize) else { return pointer(addr) };
            let there: Vec<Member> =
                fields.iter().filter(|(_, at, _)| u64::from(*at) + 4 <= len).copied().collect();
            members(layout, &there, &bytes, 0)
        }
        _ if len < size_of(layout, shape) as u64 => buffer(addr, len),
        _ => structure(layout, shape, addr),
    }
}

/// The first of `count` structures.
pub fn array(layout: &KernelLayout, shape: Shape, addr: u64, count: u64) -> String {
    let size = size_of(layout, shape) as u64;
    let one = |index: u64| structure(layout, shape, addr.wrapping_add(index * size));
    let texts: Vec<_> = (0..count.min(ELEMENTS)).map(one).collect();
    format!("[{}{}]", texts.join(", "), if count > ELEMENTS { ", ..." } else { "" })
}

/// The first of `count` numbers.
pub fn numbers(addr: u64, count: u64) -> String {
    let one = |index: u64| read_guest(addr.wrapping_add(4 * index)).ok().map(u32::from_le_bytes);
    let texts: Option<Vec<_>> =
        (0..count.min(ELEMENTS)).map(|index| one(index).map(|n| n.to_string())).collect();
    let more = if count > ELEMENTS { ", ..." } else { "" };
    texts.map_or_else(|| pointer(addr), |texts| format!("[{}{more}]", texts.join(", ")))
}

/// Structures whose addresses stand in an array of so many.
pub fn array_of_addresses(layout: &KernelLayout, shape: Shape, addr: u64, count: u64) -> String {
    let one = |index: u64| Some(structure(layout, shape, read_word(addr.wrapping_add(8 * index)).ok()?));
    let texts: Option<Vec<_>> = (0..count.min(ELEMENTS)).map(one).collect();
    let more = if count > ELEMENTS { ", ..." } else { "" };
    texts.map_or_else(|| pointer(addr), |texts| format!("[{}{more}]", texts.join(", ")))
}

/// How many directory entries there are.
pub fn entries(addr: u64, len: u64) -> String {
    // The length of an entry stands behind its number and position, 8 bytes each, in both forms.
    const LENGTH: u64 = 16;
    let (mut at, mut count) = (0, 0);
    while at < len {
        let Ok(size) = read_guest(addr.wrapping_add(at + LENGTH)).map(u16::from_le_bytes) else { break };
        if size == 0 {
            break;
        }
        (at, count) = (at + u64::from(size), count + 1);
    }
    format!("{addr:#x} /* {count} {} */", if count == 1 { "entry" } else { "entries" })
}

/// `struct msgbuf`, with so many bytes of text.
pub fn queued_message(addr: u64, len: u64) -> String {
    match read_word(addr) {
        Ok(kind) => format!("{{mtype={}, mtext={}}}", kind as i64, buffer(addr.wrapping_add(8), len)),
        Err(_) => pointer(addr),
    }
}

fn size_of(layout: &KernelLayout, shape: Shape) -> usize {
    match shape {
        Shape::Same(_, size, _) | Shape::Single(size, _) => usize::from(size),
        Shape::Row(count, shape) => usize::from(count) * size_of(layout, *shape),
        Shape::Character | Shape::Option => 1,
        Shape::Status => 4,
        Shape::Stat if layout.stat == StatLayout::X86_64 => 144,
        Shape::Stat => 128,
        Shape::EpollEvent => layout.epoll_event_size,
        Shape::SignalAction | Shape::FileTimes(_) => 32,
        Shape::SignalInfo => 128,
        Shape::SignalEvent => 64,
        Shape::Termios => 36,
        Shape::Iovec => 16,
        Shape::Message => 56,
        Shape::MessageOfMany => 64,
        Shape::Semaphores | Shape::SemaphoresSet if layout.stat == StatLayout::X86_64 => 104,
        Shape::Semaphores | Shape::SemaphoresSet => 88,
    }
}

fn text(layout: &KernelLayout, shape: Shape, bytes: &[u8]) -> String {
    match shape {
        // A structure of one field without a name is that field.
        Shape::Same(_, _, [("", at, kind)]) => field(layout, *kind, bytes, usize::from(*at)),
        Shape::Same(_, _, fields) => members(layout, fields, bytes, 0),
        Shape::Single(_, kind) => format!("[{}]", field(layout, *kind, bytes, 0)),
        Shape::Row(count, shape) => {
            let size = size_of(layout, *shape);
            let one = |index| text(layout, *shape, &bytes[usize::from(index) * size..]);
            let inner = |text: String| text.trim_start_matches('[').trim_end_matches(']').to_owned();
            format!("[{}]", (0..count).map(one).map(inner).collect::<Vec<_>>().join(", "))
        }
        Shape::Character | Shape::Option => quoted(&bytes[..1]),
        Shape::Status => format!("[{}]", signals::status(value(bytes, 0, 4) as i32)),
        Shape::Stat => stat(layout, bytes),
        Shape::EpollEvent => {
            let (events, data) = (value(bytes, 0, 4), value(bytes, layout.epoll_data_offset, 8));
            format!("{{events={}, data={{u32={}, u64={data}}}}}", bits(n::EPOLL, events), data as u32)
        }
        Shape::SignalAction => signals::action(bytes),
        Shape::SignalInfo => signals::info(bytes),
        Shape::SignalEvent => signals::event(bytes),
        Shape::Termios => terminals::modes(bytes),
        Shape::FileTimes(fraction) => {
            format!("[{}, {}]", file_time(bytes, 0, fraction), file_time(bytes, 16, fraction))
        }
        Shape::Iovec => {
            format!("{{iov_base={}, iov_len={}}}", pointer(value(bytes, 0, 8)), value(bytes, 8, 8))
        }
        Shape::Message => sockets::message(bytes, None, u64::MAX),
        Shape::MessageOfMany => {
            let len = value(bytes, 56, 4);
            format!("{{msg_hdr={}, msg_len={len}}}", sockets::message(bytes, None, len))
        }
        Shape::Semaphores if layout.stat == StatLayout::X86_64 => {
            members(layout, s::SEMAPHORES_X86_64, bytes, 0)
        }
        Shape::Semaphores => members(layout, s::SEMAPHORES_GENERIC, bytes, 0),
        Shape::SemaphoresSet => members(layout, s::SEMAPHORES_SET, bytes, 0),
    }
}

fn members(layout: &KernelLayout, fields: &[Member], bytes: &[u8], base: usize) -> String {
    let one = |(name, at, kind): &Member| {
        let text = field(layout, *kind, bytes, base + usize::from(*at));
        if name.is_empty() { text } else { format!("{name}={text}") }
    };
    let shown = |(_, at, kind): &&Member| {
        !matches!(kind, Field::Unless0(_)) || value(bytes, base + usize::from(*at), 8) != 0
    };
    format!("{{{}}}", fields.iter().filter(shown).map(one).collect::<Vec<_>>().join(", "))
}

fn field(layout: &KernelLayout, kind: Field, bytes: &[u8], at: usize) -> String {
    let word = |size| value(bytes, at, size);
    match kind {
        Field::I16 => (word(2) as i16).to_string(),
        Field::U16 => word(2).to_string(),
        Field::I32 => (word(4) as i32).to_string(),
        Field::U32 => word(4).to_string(),
        Field::I64 => (word(8) as i64).to_string(),
        Field::U64 => word(8).to_string(),
        Field::Hex32 => number(word(4)),
        Field::Hex64 => number(word(8)),
        Field::Pointer => pointer(word(8)),
        Field::Moment => format!("{} /* {} */", word(8) as i64, moment(word(8) as i64, 0, 9)),
        Field::Ticks => values::ticks(word(8) as i64),
        Field::SocketAddress => sockets::text(&bytes[at..at + 16]),
        Field::Limit => limit(word(8)),
        Field::Mode => mode(word(2)),
        Field::Permissions(table) => choice(&[], table, word(4)),
        Field::Signal => values::signal(word(4) as i32),
        Field::SignalSet => signals::set(word(8)),
        Field::SignalSetAt => show::signal_set_at(word(8)),
        Field::Text(max) => {
            let text = &bytes[at..at + usize::from(max)];
            quoted(&text[..text.iter().position(|&byte| byte == 0).unwrap_or(text.len())])
        }
        Field::Bytes(size) => quoted_hex(&bytes[at..at + usize::from(size)]),
        Field::Inet => {
            format!("inet_addr(\"{}\")", Ipv4Addr::from(std::array::from_fn::<u8, 4, _>(|i| bytes[at + i])))
        }
        Field::Inet6 => {
            let host = Ipv6Addr::from(std::array::from_fn::<u8, 16, _>(|i| bytes[at + i]));
            format!("inet_pton(AF_INET6, \"{host}\")")
        }
        Field::Bits16(table) => bits(table, word(2)),
        Field::Bits32(table) => bits(table, word(4)),
        Field::Bits64(table) => bits(table, word(8)),
        Field::OpenFlags => open_flags(layout, word(8)),
        Field::OneOf16(table) => one_of(table, word(2)),
        Field::OneOf32(table) => one_of(table, word(4)),
        Field::Capabilities => capabilities(word(4), value(bytes, at + 12, 4)),
        Field::Unless0(kind) => field(layout, *kind, bytes, at),
        Field::Inner(fields) => members(layout, fields, bytes, at),
        Field::Array(count, size, kind) => {
            let one = |index: u16| field(layout, *kind, bytes, at + usize::from(index * size));
            format!("[{}]", (0..count).map(one).collect::<Vec<_>>().join(", "))
        }
        Field::More => "...".to_owned(),
    }
}

/// A limit: large ones are multiples of 1024.
fn limit(value: u64) -> String {
    match value {
        u64::MAX => "RLIM64_INFINITY".to_owned(),
        _ if value > 1024 && value.is_multiple_of(1024) => format!("{}*1024", value / 1024),
        _ => value.to_string(),
    }
}

/// Capabilities: the lower and the upper word.
fn capabilities(low: u64, high: u64) -> String {
    let all = high << 32 | low;
    let named = n::CAPABILITY.iter().filter(|(bit, _)| all >> bit & 1 != 0);
    let texts: Vec<_> = named.map(|(_, name)| format!("1<<{name}")).collect();
    if texts.is_empty() { number(all) } else { texts.join("|") }
}

/// The kind of a file and its permissions.
pub fn mode(mode: u64) -> String {
    const KINDS: Names = &[
        (0o010_000, "S_IFIFO"),
        (0o020_000, "S_IFCHR"),
        (0o040_000, "S_IFDIR"),
        (0o060_000, "S_IFBLK"),
        (0o100_000, "S_IFREG"),
        (0o120_000, "S_IFLNK"),
        (0o140_000, "S_IFSOCK"),
    ];
    match KINDS.iter().find(|(kind, _)| *kind == mode & 0o170_000) {
        Some((_, name)) => format!("{name}{}|{}", special(mode), octal(mode & 0o777)),
        None => octal(mode),
    }
}

/// Set-id and sticky bits.
fn special(mode: u64) -> String {
    const NAMES: Names = &[(0o4000, "|S_ISUID"), (0o2000, "|S_ISGID"), (0o1000, "|S_ISVTX")];
    NAMES.iter().filter(|(bit, _)| mode & bit != 0).map(|(_, name)| *name).collect()
}

/// `struct stat`: what kind of file, and its size or which device it is.
fn stat(layout: &KernelLayout, bytes: &[u8]) -> String {
    let (mode_at, device_at) = match layout.stat {
        StatLayout::X86_64 => (24, 40),
        StatLayout::Generic => (16, 32),
    };
    let kind = value(bytes, mode_at, 4);
    let device = value(bytes, device_at, 8);
    let what = match kind as u32 & libc::S_IFMT {
        libc::S_IFCHR | libc::S_IFBLK => {
            let (major, minor) = (u64::from(libc::major(device)), u64::from(libc::minor(device)));
            format!("st_rdev=makedev({}, {})", number(major), number(minor))
        }
        _ => format!("st_size={}", value(bytes, 48, 8) as i64),
    };
    format!("{{st_mode={}, {what}, ...}}", mode(kind))
}

/// A time that a file shall get.
fn file_time(bytes: &[u8], at: usize, fraction: Fraction) -> String {
    let (seconds, parts) = (value(bytes, at, 8) as i64, value(bytes, at + 8, 8) as i64);
    let (name, digits) = match fraction {
        Fraction::Nanoseconds if parts == libc::UTIME_NOW => return "UTIME_NOW".to_owned(),
        Fraction::Nanoseconds if parts == libc::UTIME_OMIT => return "UTIME_OMIT".to_owned(),
        Fraction::Nanoseconds => ("tv_nsec", 9),
        Fraction::Microseconds => ("tv_usec", 6),
    };
    format!("{{tv_sec={seconds}, {name}={parts}}} /* {} */", moment(seconds, parts, digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_have_a_kind() {
        assert_eq!(mode(0o100_644), "S_IFREG|0644");
        assert_eq!(mode(0o041_777), "S_IFDIR|S_ISVTX|0777");
    }

    #[test]
    fn limits_are_multiples() {
        assert_eq!([0, 1000, 1024, 8 << 20].map(limit), ["0", "1000", "1024", "8192*1024"]);
        assert_eq!(limit(u64::MAX), "RLIM64_INFINITY");
    }
}
