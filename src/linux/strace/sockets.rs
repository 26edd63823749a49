//! Socket addresses, messages and what goes beside them.

use super::structures::{length, read, value};
use super::values::{ELEMENTS, bits, buffer, name_of, number, one_of, pointer, quoted, quoted_hex, unknown};
use crate::linux::table::commands as c;
use crate::linux::table::names as n;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Buffers of an iovec array; of their contents `filled` bytes are shown, or their addresses.
pub fn iovec(addr: u64, count: u64, filled: Option<u64>) -> String {
    let mut left = filled.unwrap_or(0);
    let mut texts = Vec::new();
    for index in 0..count.min(ELEMENTS) {
        let Some(bytes) = read(addr.wrapping_add(16 * index), 16) else { return pointer(addr) };
        let (base, len) = (value(&bytes, 0, 8), value(&bytes, 8, 8));
        let shown = len.min(left);
        left -= shown;
        let base = if filled.is_some() { buffer(base, shown) } else { pointer(base) };
        texts.push(format!("{{iov_base={base}, iov_len={len}}}"));
    }
    format!("[{}{}]", texts.join(", "), if count > ELEMENTS { ", ..." } else { "" })
}

/// `struct msghdr`; of its buffers `filled` bytes are shown. The name's length before the call, where the call set it.
pub fn message(bytes: &[u8], room: Option<u32>, filled: u64) -> String {
    let word = |at| value(bytes, at, 8);
    let len = value(bytes, 8, 4);
    let name = match (word(0), len) {
        (name, 0) => pointer(name),
        (name, len) => address(name, len),
    };
    let len = match room {
        Some(room) if u64::from(room) != len => format!("{} => {}", room as i32, len as i32),
        _ => (len as i32).to_string(),
    };
    let (control, room_of_control) = (word(32), word(40));
    let control = match control_messages(control, room_of_control) {
        Some(text) => format!("msg_control={text}, "),
        None => String::new(),
    };
    format!(
        "{{msg_name={name}, msg_namelen={len}, msg_iov={}, msg_iovlen={}, {control}msg_controllen={room_of_control}, \
         msg_flags={}}}",
        iovec(word(16), word(24), Some(filled)),
        word(24),
        bits(n::MESSAGE, value(bytes, 48, 4)),
    )
}

/// A message that was received: `room` is what its name had.
pub fn received(addr: u64, room: u32, filled: u64) -> String {
    read(addr, 56).map_or_else(|| pointer(addr), |bytes| message(&bytes, Some(room), filled))
}

/// `struct cmsghdr`s.
fn control_messages(addr: u64, len: u64) -> Option<String> {
    const HEADER: u64 = 16;
    if addr == 0 || len == 0 {
        return None;
    }
    let mut texts = Vec::new();
    let mut at = 0;
    while texts.len() < ELEMENTS as usize && len.saturating_sub(at) >= HEADER {
        let Some(header) = read(addr.wrapping_add(at), 16) else { break };
        let size = value(&header, 0, 8);
        texts.push(control(addr.wrapping_add(at), &header, size.min(len - at)));
        if size < HEADER {
            break;
        }
        at = at.saturating_add(size.next_multiple_of(8).max(HEADER));
    }
    Some(if texts.is_empty() { pointer(addr) } else { format!("[{}]", texts.join(", ")) })
}

/// One of them, of `size` bytes with its header.
fn control(addr: u64, header: &[u8], size: u64) -> String {
    let (level, kind) = (value(header, 8, 4), value(header, 12, 4));
    let (data, len) = (addr.wrapping_add(16), size.saturating_sub(16));
    let level_name = c::LEVEL.find(level).map_or_else(|| number(level), |found| found.name.to_owned());
    let own = level as i32 == libc::SOL_SOCKET;
    let kind_name = match own {
        true => one_of(n::CONTROL, kind),
        false => number(kind),
    };
    let text = match (own, kind as i32) {
        _ if len == 0 => None,
        (true, libc::SCM_RIGHTS) => Some(super::structures::numbers(data, len / 4)),
        (true, libc::SCM_CREDENTIALS) if len >= 12 => read(data, 12).map(|bytes| {
            let word = |at| value(&bytes, at, 4);
            format!("{{pid={}, uid={}, gid={}}}", word(0), word(4), word(8))
        }),
        _ => {
            let shown = (len as usize).min(super::values::SHOWN);
            read(data, shown).map(|bytes| quoted_hex(&bytes[..shown]))
        }
    };
    let text = text.map_or_else(String::new, |text| format!(", cmsg_data={text}"));
    let size = value(header, 0, 8);
    format!("{{cmsg_len={size}, cmsg_level={level_name}, cmsg_type={kind_name}{text}}}")
}

/// A socket address of `len` bytes.
pub fn address(addr: u64, len: u64) -> String {
    let size = (len as i32).clamp(0, 128) as usize;
    let Some(bytes) = read(addr, size).filter(|_| size >= 2) else { return pointer(addr) };
    text(&bytes[..size])
}

/// One that was read.
pub fn text(bytes: &[u8]) -> String {
    let family = value(bytes, 0, 2);
    let named = name_of(n::DOMAIN, family).map_or_else(|| unknown("AF_", family), str::to_owned);
    format!("{{sa_family={named}{}}}", of_family(family as i32, bytes))
}

/// What comes behind the family.
fn of_family(family: i32, bytes: &[u8]) -> String {
    let size = bytes.len();
    let port = || u16::from_be_bytes([bytes[2], bytes[3]]);
    match family {
        _ if size == 2 => String::new(),
        libc::AF_UNIX if bytes[2] == 0 => format!(", sun_path=@{}", quoted(&bytes[3..])),
        libc::AF_UNIX => {
            let path = &bytes[2..];
            let end = path.iter().position(|&byte| byte == 0).unwrap_or(path.len());
            format!(", sun_path={}", quoted(&path[..end]))
        }
        libc::AF_INET if size >= 8 => {
            let host = Ipv4Addr::new(bytes[4], bytes[5], bytes[6], bytes[7]);
            format!(", sin_port=htons({}), sin_addr=inet_addr(\"{host}\")", port())
        }
        libc::AF_INET6 if size >= 24 => {
            let host = Ipv6Addr::from(std::array::from_fn::<u8, 16, _>(|index| bytes[8 + index]));
            let flow = u32::from_be_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
            let scope =
                if size >= 28 { format!(", sin6_scope_id={}", value(bytes, 24, 4)) } else { String::new() };
            format!(
                ", sin6_port=htons({}), sin6_flowinfo=htonl({flow}), inet_pton(AF_INET6, \"{host}\", &sin6_addr){scope}",
                port()
            )
        }
        libc::AF_NETLINK if size >= 12 => {
            format!(", nl_pid={}, nl_groups={:#08x}", value(bytes, 4, 4) as i32, value(bytes, 8, 4))
        }
        _ => format!(", sa_data={}", quoted(&bytes[2..])),
    }
}

/// The room that a message has for its sender's name.
pub fn room_of(message: u64) -> u32 {
    length(message.wrapping_add(8)) as u32
}
