//! Guest memory accesses as the interpreter, helpers and system calls make them.
//!
//! A failed access to a tagged AArch64 address gets a second chance without the tag; where that fails too, the
//! fault names the address with it. A write into a page
//! that is protected because code was translated from it comes back as a fault here: the run loop releases
//! the page and repeats the instruction alone, so that code which patches its own next instruction is
//! right. System calls and signal frames, which are no instructions, release the page themselves.

use crate::host::guest_access as raw;
use crate::mem::{ignores_top_byte, release_code, untagged};
use guest::ir::{RmwOp, Width};
use guest::{Fault, FaultKind, GuestAddr, GuestMemory};
use std::sync::atomic::{AtomicU32, Ordering};

/// Runs the access, again after each recovery.
#[inline(always)]
fn retried<T>(addr: GuestAddr, access: impl Fn(GuestAddr) -> Result<T, Fault>) -> Result<T, Fault> {
    match access(addr) {
        Ok(value) => Ok(value),
        Err(fault) => retry(addr, fault, access),
    }
}

#[cold]
fn retry<T>(
    addr: GuestAddr,
    fault: Fault,
    access: impl Fn(GuestAddr) -> Result<T, Fault>,
) -> Result<T, Fault> {
    match untagged(addr) {
        Some(plain) if fault.kind != FaultKind::Interrupted => {
            TAGGED.fetch_add(1, Ordering::Relaxed);
            access(plain).map_err(|fault| as_the_guest_has_it(addr, fault))
        }
        _ => Err(as_the_guest_has_it(addr, fault)),
    }
}

/// Runs the access until no signal interrupts it: for those who are no instructions and cannot be run again. After the
/// first signal the others are blocked.
fn to_its_end<T>(mut access: impl FnMut() -> Result<T, Fault>) -> Result<T, Fault> {
    loop {
        match access() {
            Err(Fault { kind: FaultKind::Interrupted, .. }) => {}
            done => return done,
        }
    }
}

/// Accesses that failed for their tags.
static TAGGED: AtomicU32 = AtomicU32::new(0);

/// Whether so many accesses have failed for their tags that code had better take them off.
pub fn tags_are_frequent() -> bool {
    const MANY: u32 = 64;
    TAGGED.load(Ordering::Relaxed) > MANY
}

/// The fault of an access at `addr`. Where tags are ignored, what the host cannot form is just not mapped.
#[cold]
fn as_the_guest_has_it(addr: GuestAddr, fault: Fault) -> Fault {
    const TAG: u64 = 0xff << 56;
    if !ignores_top_byte() {
        return fault;
    }
    match fault.kind {
        FaultKind::NonCanonical => Fault { addr, kind: FaultKind::Unmapped, ..fault },
        _ => Fault { addr: GuestAddr(fault.addr.raw() | addr.raw() & TAG), ..fault },
    }
}

/// Loads `w` bits, zero-extended.
#[inline(always)]
pub fn load(w: Width, addr: GuestAddr) -> Result<u64, Fault> {
    match w {
        Width::W8 => retried(addr, raw::load_u8).map(u64::from),
        Width::W16 => retried(addr, raw::load_u16).map(u64::from),
        Width::W32 => retried(addr, raw::load_u32).map(u64::from),
        Width::W64 => retried(addr, raw::load_u64),
    }
}

/// Stores the low `w` bits.
#[inline(always)]
pub fn store(w: Width, addr: GuestAddr, value: u64) -> Result<(), Fault> {
    match w {
        Width::W8 => retried(addr, |a| raw::store_u8(a, value as u8)),
        Width::W16 => retried(addr, |a| raw::store_u16(a, value as u16)),
        Width::W32 => retried(addr, |a| raw::store_u32(a, value as u32)),
        Width::W64 => retried(addr, |a| raw::store_u64(a, value)),
    }
}

#[inline(always)]
pub fn load128(addr: GuestAddr) -> Result<u128, Fault> {
    retried(addr, raw::load_u128)
}

#[inline(always)]
pub fn store128(addr: GuestAddr, value: u128) -> Result<(), Fault> {
    retried(addr, |a| raw::store_u128(a, value))
}

/// Faults as a store of `size` bytes at `addr` would: each page is touched by an atomic addition of 0.
pub fn probe_write(addr: GuestAddr, size: u64) -> Result<(), Fault> {
    retried(addr, |a| raw::xadd_u8(a, 0))?;
    let last = addr.offset(size.saturating_sub(1) as i64);
    if last.page() == addr.page() { Ok(()) } else { retried(last.page(), |a| raw::xadd_u8(a, 0)).map(drop) }
}

/// Compare and swap of `w` bits; the old value.
pub fn cas(w: Width, addr: GuestAddr, expected: u64, new: u64) -> Result<u64, Fault> {
    match w {
        Width::W8 => retried(addr, |a| raw::cas_u8(a, expected as u8, new as u8)).map(u64::from),
        Width::W16 => retried(addr, |a| raw::cas_u16(a, expected as u16, new as u16)).map(u64::from),
        Width::W32 => retried(addr, |a| raw::cas_u32(a, expected as u32, new as u32)).map(u64::from),
        Width::W64 => retried(addr, |a| raw::cas_u64(a, expected, new)),
    }
}

/// 16-byte compare and swap; the address must be aligned.
pub fn cas128(addr: GuestAddr, expected: u128, new: u128) -> Result<u128, Fault> {
    retried(addr, |a| raw::cas_u128(a, expected, new))
}

/// Atomic read-modify-write of `w` bits; the old value.
pub fn rmw(op: RmwOp, w: Width, addr: GuestAddr, value: u64) -> Result<u64, Fault> {
    match op {
        RmwOp::Xchg => xchg(w, addr, value),
        RmwOp::Add => xadd(w, addr, value),
        RmwOp::Sub => xadd(w, addr, value.wrapping_neg()),
        _ => rmw_by_cas(op, w, addr, value),
    }
}

fn xchg(w: Width, addr: GuestAddr, value: u64) -> Result<u64, Fault> {
    match w {
        Width::W8 => retried(addr, |a| raw::xchg_u8(a, value as u8)).map(u64::from),
        Width::W16 => retried(addr, |a| raw::xchg_u16(a, value as u16)).map(u64::from),
        Width::W32 => retried(addr, |a| raw::xchg_u32(a, value as u32)).map(u64::from),
        Width::W64 => retried(addr, |a| raw::xchg_u64(a, value)),
    }
}

fn xadd(w: Width, addr: GuestAddr, value: u64) -> Result<u64, Fault> {
    match w {
        Width::W8 => retried(addr, |a| raw::xadd_u8(a, value as u8)).map(u64::from),
        Width::W16 => retried(addr, |a| raw::xadd_u16(a, value as u16)).map(u64::from),
        Width::W32 => retried(addr, |a| raw::xadd_u32(a, value as u32)).map(u64::from),
        Width::W64 => retried(addr, |a| raw::xadd_u64(a, value)),
    }
}

fn rmw_by_cas(op: RmwOp, w: Width, addr: GuestAddr, value: u64) -> Result<u64, Fault> {
    // The first access is a write, so that a read-only page faults as the atomic would.
    let mut old = xadd(w, addr, 0)?;
    loop {
        let seen = cas(w, addr, old, rmw_result(op, w, old, value))?;
        if seen == old {
            return Ok(old);
        }
        old = seen;
    }
}

/// What a read-modify-write stores.
#[must_use]
pub fn rmw_result(op: RmwOp, w: Width, old: u64, value: u64) -> u64 {
    let signed = |v| w.sign_extend(v) as i64;
    let (uo, uv) = (old & w.mask(), value & w.mask());
    match op {
        RmwOp::Xchg => value,
        RmwOp::Add => old.wrapping_add(value),
        RmwOp::Sub => old.wrapping_sub(value),
        RmwOp::And => old & value,
        RmwOp::Or => old | value,
        RmwOp::Xor => old ^ value,
        RmwOp::AndNot => old & !value,
        RmwOp::Smin => signed(old).min(signed(value)) as u64,
        RmwOp::Smax => signed(old).max(signed(value)) as u64,
        RmwOp::Umin => uo.min(uv),
        RmwOp::Umax => uo.max(uv),
    }
}

/// The guest's memory, for helpers, signal frames and rules.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory;

impl Memory {
    /// Copies into `out`; how many bytes were readable.
    pub fn read_prefix(self, addr: GuestAddr, out: &mut [u8]) -> usize {
        let addr = untagged(addr).unwrap_or(addr);
        let mut done = 0;
        while let Err((copied, fault)) = raw::copy_in(&mut out[done..], addr.offset(done as i64)) {
            done += copied;
            if fault.kind != FaultKind::Interrupted {
                return done;
            }
        }
        out.len()
    }

    /// Copies `data` to the guest; how many bytes were writable, and why not more.
    pub fn write_prefix(self, addr: GuestAddr, data: &[u8]) -> (usize, Option<Fault>) {
        let addr = untagged(addr).unwrap_or(addr);
        let mut done = 0;
        while let Err((copied, fault)) = raw::copy_out(addr.offset(done as i64), &data[done..]) {
            done += copied;
            if fault.kind != FaultKind::Interrupted && !release_code(&fault) {
                return (done, Some(fault));
            }
        }
        (data.len(), None)
    }
}

impl GuestMemory for Memory {
    fn read(&self, addr: GuestAddr, out: &mut [u8]) -> Result<(), Fault> {
        to_its_end(|| read_by_instruction(addr, out))
    }

    fn write(&self, addr: GuestAddr, data: &[u8]) -> Result<(), Fault> {
        match self.write_prefix(addr, data) {
            (_, None) => Ok(()),
            (_, Some(fault)) => Err(as_the_guest_has_it(addr, fault)),
        }
    }

    fn is_present(&self, addr: GuestAddr) -> bool {
        super::is_present(addr)
    }
}

/// Operands of helpers are mostly of these sizes: one access (two for an extended float), as the instruction makes it.
fn copy_in(out: &mut [u8], addr: GuestAddr) -> Result<(), Fault> {
    match out.len() {
        4 => out.copy_from_slice(&raw::load_u32(addr)?.to_le_bytes()),
        8 => out.copy_from_slice(&raw::load_u64(addr)?.to_le_bytes()),
        10 => {
            out[..8].copy_from_slice(&raw::load_u64(addr)?.to_le_bytes());
            out[8..].copy_from_slice(&raw::load_u16(addr.offset(8))?.to_le_bytes());
        }
        16 => out.copy_from_slice(&raw::load_u128(addr)?.to_le_bytes()),
        0..=64 => return small_in(out, addr),
        _ => return raw::copy_in(out, addr).map_err(|(_, fault)| fault),
    }
    Ok(())
}

/// Reads as an instruction does: a signal may come first.
pub fn read_by_instruction(addr: GuestAddr, out: &mut [u8]) -> Result<(), Fault> {
    copy_in(out, untagged(addr).unwrap_or(addr)).map_err(|fault| as_the_guest_has_it(addr, fault))
}

/// Writes as an instruction does: a page with translations faults, and a signal may come first.
pub fn write_by_instruction(addr: GuestAddr, data: &[u8]) -> Result<(), Fault> {
    let plain = untagged(addr).unwrap_or(addr);
    copy_out(plain, data).map_err(|fault| as_the_guest_has_it(addr, fault))
}

/// As [`copy_in`], the other way.
fn copy_out(addr: GuestAddr, data: &[u8]) -> Result<(), Fault> {
    match *data {
        [a, b, c, d] => raw::store_u32(addr, u32::from_le_bytes([a, b, c, d])),
        [a, b, c, d, e, f, g, h] => raw::store_u64(addr, u64::from_le_bytes([a, b, c, d, e, f, g, h])),
        [a, b, c, d, e, f, g, h, i, j] => {
            raw::store_u64(addr, u64::from_le_bytes([a, b, c, d, e, f, g, h]))?;
            raw::store_u16(addr.offset(8), u16::from_le_bytes([i, j]))
        }
        _ if data.len() <= 64 => small_out(addr, data),
        _ => raw::copy_out(addr, data).map_err(|(_, fault)| fault),
    }
}

/// The bytes there, of which there are enough.
fn bytes_at<const N: usize>(data: &[u8], at: usize) -> [u8; N] {
    data[at..].first_chunk().copied().unwrap_or([0; N])
}

/// Writes up to 64 bytes by accesses that may overlap: string instructions of the host take their time to start.
fn small_out(addr: GuestAddr, data: &[u8]) -> Result<(), Fault> {
    let there = |at: usize| addr.offset(at as i64);
    let four = |at| raw::store_u32(there(at), u32::from_le_bytes(bytes_at(data, at)));
    let eight = |at| raw::store_u64(there(at), u64::from_le_bytes(bytes_at(data, at)));
    let sixteen = |at| raw::store_u128(there(at), u128::from_le_bytes(bytes_at(data, at)));
    match data.len() {
        0..4 => data.iter().enumerate().try_for_each(|(at, &byte)| raw::store_u8(there(at), byte)),
        len @ 4..8 => [0, len - 4].into_iter().try_for_each(four),
        len @ 8..16 => [0, len - 8].into_iter().try_for_each(eight),
        16 => sixteen(0),
        len @ 17..=32 => [0, len - 16].into_iter().try_for_each(sixteen),
        len => [0, 16, len - 32, len - 16].into_iter().try_for_each(sixteen),
    }
}

/// As [`small_out`], the other way.
fn small_in(out: &mut [u8], addr: GuestAddr) -> Result<(), Fault> {
    let there = |at: usize| addr.offset(at as i64);
    let len = out.len();
    let mut put = |at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
    match len {
        0..4 => (0..len).try_for_each(|at| raw::load_u8(there(at)).map(|byte| put(at, &[byte]))),
        4..8 => [0, len - 4]
            .into_iter()
            .try_for_each(|at| raw::load_u32(there(at)).map(|value| put(at, &value.to_le_bytes()))),
        8..16 => [0, len - 8]
            .into_iter()
            .try_for_each(|at| raw::load_u64(there(at)).map(|value| put(at, &value.to_le_bytes()))),
        _ => {
            let places = [0, 16, len.saturating_sub(32), len - 16];
            let needed = if len <= 32 { &[places[0], places[3]][..] } else { &places };
            needed
                .iter()
                .try_for_each(|&at| raw::load_u128(there(at)).map(|value| put(at, &value.to_le_bytes())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_of_all_small_lengths_touch_their_bytes_only() {
        for len in 0..=70 {
            let from: Vec<u8> = (0..len as u8).map(|byte| byte ^ 0x5a).collect();
            let mut to = vec![0xee; len + 2];
            let at = GuestAddr(to.as_mut_ptr() as u64 + 1);
            copy_out(at, &from).unwrap();
            assert_eq!((to[0], to[len + 1], &to[1..=len]), (0xee, 0xee, &from[..]));
            let mut back = vec![0; len];
            copy_in(&mut back, at).unwrap();
            assert_eq!(back, from);
        }
    }
}
