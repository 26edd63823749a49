//! Sets of descriptors and of processors, and what `poll` and `select` found ready.

use super::structures::{read, value};
use super::values::{bits, number};
use crate::linux::table::names as n;
use crate::mem::Memory;
use guest::GuestAddr;

/// `struct pollfd`s and what is waited for.
pub fn polled(addr: u64, count: u64) -> String {
    let one = |index: u64| {
        let bytes = read(addr.wrapping_add(8 * index), 8)?;
        let (fd, events) = (value(&bytes, 0, 4) as i32, value(&bytes, 4, 2));
        // Those of no descriptor are not looked at.
        let events = if fd < 0 { String::new() } else { format!(", events={}", bits(n::POLL, events)) };
        Some(format!("{{fd={fd}{events}}}"))
    };
    let texts: Option<Vec<_>> = (0..count.min(super::values::ELEMENTS)).map(one).collect();
    let more = if count > super::values::ELEMENTS { ", ..." } else { "" };
    texts.map_or_else(|| number(addr), |texts| format!("[{}{more}]", texts.join(", ")))
}

/// Those that have something.
pub fn ready(addr: u64, count: u64) -> String {
    let one = |index: u64| {
        let bytes = read(addr.wrapping_add(8 * index), 8)?;
        let (fd, found) = (value(&bytes, 0, 4) as i32, value(&bytes, 6, 2));
        (found != 0).then(|| format!("{{fd={fd}, revents={}}}", bits(n::POLL, found)))
    };
    let texts: Vec<_> = (0..count.min(1 << 16)).filter_map(one).collect();
    format!("[{}]", texts.join(", "))
}

/// The numbers whose bits are set in `size` bytes there.
fn members(addr: u64, size: usize) -> Option<Vec<usize>> {
    let mut bytes = [0; 1024];
    let size = size.min(bytes.len());
    if Memory.read_prefix(GuestAddr(addr), &mut bytes[..size]) < size {
        return None;
    }
    Some((0..8 * size).filter(|bit| bytes[bit / 8] >> (bit % 8) & 1 != 0).collect())
}

fn list(addr: u64, numbers: Option<Vec<usize>>) -> String {
    let text = |numbers: Vec<usize>| numbers.iter().map(usize::to_string).collect::<Vec<_>>().join(" ");
    numbers.map_or_else(|| number(addr), |numbers| format!("[{}]", text(numbers)))
}

/// The descriptors below `limit` in an `fd_set`; the kernel reads whole words.
pub fn members_below(addr: u64, limit: u64) -> Option<Vec<usize>> {
    let limit = (limit as i32).max(0) as usize;
    let numbers = members(addr, limit.div_ceil(64) * 8)?;
    Some(numbers.into_iter().filter(|&fd| fd < limit).collect())
}

pub fn descriptors(addr: u64, limit: u64) -> String {
    list(addr, members_below(addr, limit))
}

/// The processors in a set of `size` bytes.
pub fn processors(addr: u64, size: u64) -> String {
    list(addr, members(addr, usize::try_from(size).unwrap_or(usize::MAX)))
}

/// `select`'s sets after it, as far as there is something in them.
pub fn selected(args: &[u64; 6]) -> Vec<String> {
    let sets = ["in", "out", "except"].iter().zip(&args[1..4]);
    let texts = sets.filter(|(_, addr)| **addr != 0).filter_map(|(name, &addr)| {
        let found = members_below(addr, args[0]).filter(|found| !found.is_empty());
        found.map(|found| format!("{name} {}", list(addr, Some(found))))
    });
    texts.collect()
}
