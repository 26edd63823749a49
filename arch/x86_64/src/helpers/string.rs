//! Repeated string instructions, in bulk.
//!
//! Each step works on elements that lie in one page on either side, so that an access that faults has
//! done nothing, and the registers say how far the instruction has come.

use super::write_whole;
use crate::state::{DF, EFLAGS_REST, RAX, RCX, RDI, RSI, eflags};
use guest::helper::{HelperContext, HelperExit};
use guest::ir::flags::FlagRecord;
use guest::ir::{FlagKind, Width};
use guest::state::{GuestState, Slot, vector_slot};
use guest::{Fault, GuestAddr};

type Outcome = Result<u64, HelperExit>;

const PAGE: u64 = 4096;
/// Steps of at most a page that one call does before it returns to let signals in.
const STEPS_PER_CALL: usize = 256;

/// What the instruction asks for, as the lifter passes it.
#[derive(Clone, Copy)]
pub(crate) struct How {
    pub size: Width,
    pub address32: bool,
    /// `REPE` rather than `REPNE`.
    pub while_equal: bool,
}

impl How {
    pub(crate) fn encode(self) -> u64 {
        u64::from(self.size.bytes()) | u64::from(self.address32) << 8 | u64::from(self.while_equal) << 9
    }

    fn decode(code: u64) -> Self {
        Self {
            size: Width::from_bytes((code & 0xff) as usize).unwrap_or(Width::W8),
            address32: code & 0x100 != 0,
            while_equal: code & 0x200 != 0,
        }
    }

    fn mask(self) -> u64 {
        if self.address32 { Width::W32.mask() } else { u64::MAX }
    }

    fn bytes(self) -> u64 {
        u64::from(self.size.bytes())
    }
}

/// One call's view of the machine.
struct Run<'a> {
    cx: &'a mut dyn HelperContext,
    how: How,
    /// Segment base of the source.
    base: u64,
}

impl<'a> Run<'a> {
    fn new(cx: &'a mut dyn HelperContext, how: u64, base: u64) -> Self {
        Self { cx, how: How::decode(how), base }
    }

    fn state(&mut self) -> &mut GuestState {
        self.cx.state()
    }

    fn register(&mut self, slot: Slot) -> u64 {
        let mask = self.how.mask();
        self.state().u64(slot) & mask
    }

    fn backwards(&mut self) -> bool {
        self.state().u64(DF) != 0
    }

    fn source(&mut self) -> u64 {
        let rsi = self.register(RSI);
        self.base.wrapping_add(rsi)
    }

    fn count(&mut self) -> u64 {
        self.register(RCX)
    }

    /// Elements from `addr` on, in the direction of travel, that lie whole in its page: at least 1.
    fn in_page(&mut self, addr: u64) -> u64 {
        let (size, offset) = (self.how.bytes(), addr % PAGE);
        let room = if self.backwards() { offset / size + 1 } else { (PAGE - offset) / size };
        // Backwards, the first element may reach into the next page: then it goes alone.
        let straddles = offset + size > PAGE;
        if straddles { 1 } else { room.max(1) }
    }

    /// Elements before the register itself would wrap around.
    fn before_wrap(&mut self, slot: Slot) -> u64 {
        let (value, mask, size) = (self.register(slot), self.how.mask(), self.how.bytes());
        let room = if self.backwards() { value / size + 1 } else { (mask - value) / size + 1 };
        room.max(1)
    }

    /// The lowest address of `n` elements that start at `addr`.
    fn lowest(&mut self, addr: u64, n: u64) -> GuestAddr {
        let back = if self.backwards() { (n - 1) * self.how.bytes() } else { 0 };
        GuestAddr(addr.wrapping_sub(back))
    }

    /// Moves `slot` by `n` elements.
    fn advance(&mut self, slot: Slot, n: u64) {
        let by = n.wrapping_mul(self.how.bytes());
        let old = self.register(slot);
        let new = if self.backwards() { old.wrapping_sub(by) } else { old.wrapping_add(by) };
        let mask = self.how.mask();
        self.state().set_u64(slot, new & mask);
    }

    fn count_down(&mut self, n: u64) {
        let left = self.count() - n;
        self.state().set_u64(RCX, left);
    }

    fn read(&self, addr: GuestAddr, out: &mut [u8]) -> Result<(), Fault> {
        self.cx.memory().read(addr, out)
    }

    /// Writes what lies in one page, or an element across two: all of it or nothing.
    fn write(&mut self, addr: GuestAddr, data: &[u8]) -> Result<(), Fault> {
        write_whole(self.cx, addr.0, data)
    }

    fn element(bytes: &[u8]) -> u64 {
        let mut whole = [0; 8];
        whole[..bytes.len()].copy_from_slice(bytes);
        u64::from_le_bytes(whole)
    }
}

/// Runs `step` until the count is 0, it says to stop, or enough is done: one element, if each is to be trapped (SDM
/// vol. 3B, 17.3.1.4). Gives 1 where the instruction is complete.
fn repeat(run: &mut Run<'_>, mut step: impl FnMut(&mut Run<'_>, u64) -> Result<Next, HelperExit>) -> Outcome {
    let stepped = run.state().u64(EFLAGS_REST) & eflags::TF != 0;
    for _ in 0..if stepped { 1 } else { STEPS_PER_CALL } {
        let left = run.count();
        if left == 0 {
            return Ok(1);
        }
        if step(run, if stepped { 1 } else { left })? == Next::Stop {
            return Ok(1);
        }
    }
    Ok(u64::from(run.count() == 0))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    More,
    Stop,
}

/// `REP MOVS`
pub(super) fn rep_movs(cx: &mut dyn HelperContext, how: u64, base: u64, _c: u64) -> Outcome {
    let mut run = Run::new(cx, how, base);
    repeat(&mut run, |run, left| {
        let (from, to) = (run.source(), run.register(RDI));
        let mut n = left.min(run.in_page(from)).min(run.in_page(to));
        n = n.min(run.before_wrap(RSI)).min(run.before_wrap(RDI)).min(run.apart(from, to));
        let mut buffer = [0; PAGE as usize];
        let bytes = &mut buffer[..(n * run.how.bytes()) as usize];
        let from = run.lowest(from, n);
        run.read(from, bytes)?;
        let to = run.lowest(to, n);
        run.write(to, bytes)?;
        run.advance(RSI, n);
        run.advance(RDI, n);
        run.count_down(n);
        Ok(Next::More)
    })
}

impl Run<'_> {
    /// Elements that can be copied at once before the source would show what has been written.
    fn apart(&mut self, from: u64, to: u64) -> u64 {
        let ahead = if self.backwards() { from.wrapping_sub(to) } else { to.wrapping_sub(from) };
        match ahead {
            0 => u64::MAX,
            distance => (distance / self.how.bytes()).max(1),
        }
    }
}

/// `REP STOS`
pub(super) fn rep_stos(cx: &mut dyn HelperContext, how: u64, base: u64, _c: u64) -> Outcome {
    let mut run = Run::new(cx, how, base);
    let value = run.state().u64(RAX).to_le_bytes();
    let mut buffer = [0; PAGE as usize];
    let size = run.how.bytes() as usize;
    for element in buffer.chunks_mut(size) {
        element.copy_from_slice(&value[..size]);
    }
    repeat(&mut run, |run, left| {
        let to = run.register(RDI);
        let n = left.min(run.in_page(to)).min(run.before_wrap(RDI));
        let to = run.lowest(to, n);
        run.write(to, &buffer[..n as usize * size])?;
        run.advance(RDI, n);
        run.count_down(n);
        Ok(Next::More)
    })
}

/// `REP LODS`: only the last element stays, but every one is read.
pub(super) fn rep_lods(cx: &mut dyn HelperContext, how: u64, base: u64, _c: u64) -> Outcome {
    let mut run = Run::new(cx, how, base);
    repeat(&mut run, |run, left| {
        let from = run.source();
        let n = left.min(run.in_page(from)).min(run.before_wrap(RSI));
        let mut buffer = [0; PAGE as usize];
        let size = run.how.bytes() as usize;
        let bytes = &mut buffer[..n as usize * size];
        let lowest = run.lowest(from, n);
        run.read(lowest, bytes)?;
        let last = if run.backwards() { &bytes[..size] } else { &bytes[bytes.len() - size..] };
        let value = Run::element(last);
        run.set_acc(value);
        run.advance(RSI, n);
        run.count_down(n);
        Ok(Next::More)
    })
}

impl Run<'_> {
    fn set_acc(&mut self, value: u64) {
        let (w, old) = (self.how.size, self.state().u64(RAX));
        let kept = if matches!(w, Width::W8 | Width::W16) { old & !w.mask() } else { 0 };
        self.state().set_u64(RAX, kept | value);
    }

    fn set_compare_flags(&mut self, a: u64, b: u64) {
        let w = self.how.size;
        let r = a.wrapping_sub(b) & w.mask();
        FlagRecord { kind: FlagKind::Sub, w, a, b, r }.store(self.state());
    }

    /// Where the comparison ends: after the first element whose equality is not the one wanted.
    fn compared(&mut self, pairs: impl Iterator<Item = (u64, u64)>) -> (u64, Next) {
        let (mut done, mut last, mut next) = (0, (0, 0), Next::More);
        for (a, b) in pairs {
            (done, last) = (done + 1, (a, b));
            if (a == b) != self.how.while_equal {
                next = Next::Stop;
                break;
            }
        }
        self.set_compare_flags(last.0, last.1);
        (done, next)
    }
}

/// Elements of `bytes` in the direction of travel.
fn elements(bytes: &[u8], size: usize, backwards: bool) -> impl Iterator<Item = u64> {
    let count = bytes.len() / size;
    (0..count).map(move |i| {
        let place = if backwards { count - 1 - i } else { i };
        Run::element(&bytes[place * size..][..size])
    })
}

/// Runs a comparison; at a fault the flags are those from before the instruction (SDM, `REP`).
fn keeping_flags(
    cx: &mut dyn HelperContext,
    how: u64,
    base: u64,
    compare: fn(&mut Run<'_>) -> Outcome,
) -> Outcome {
    let before = FlagRecord::load(cx.state());
    let outcome = compare(&mut Run::new(cx, how, base));
    if outcome.is_err() {
        before.store(cx.state());
    }
    outcome
}

/// `REPE CMPS`, `REPNE CMPS`
pub(super) fn rep_cmps(cx: &mut dyn HelperContext, how: u64, base: u64, _c: u64) -> Outcome {
    keeping_flags(cx, how, base, compare_runs)
}

fn compare_runs(run: &mut Run<'_>) -> Outcome {
    repeat(run, |run, left| {
        let (from, to) = (run.source(), run.register(RDI));
        let mut n = left.min(run.in_page(from)).min(run.in_page(to));
        n = n.min(run.before_wrap(RSI)).min(run.before_wrap(RDI));
        let size = run.how.bytes() as usize;
        let (mut a, mut b) = ([0; PAGE as usize], [0; PAGE as usize]);
        let (a, b) = (&mut a[..n as usize * size], &mut b[..n as usize * size]);
        let (from, to) = (run.lowest(from, n), run.lowest(to, n));
        run.read(from, a)?;
        run.read(to, b)?;
        let backwards = run.backwards();
        let pairs = elements(a, size, backwards).zip(elements(b, size, backwards));
        let (done, next) = run.compared(pairs);
        run.advance(RSI, done);
        run.advance(RDI, done);
        run.count_down(done);
        Ok(next)
    })
}

/// `REPE SCAS`, `REPNE SCAS`
pub(super) fn rep_scas(cx: &mut dyn HelperContext, how: u64, base: u64, _c: u64) -> Outcome {
    keeping_flags(cx, how, base, scan)
}

fn scan(run: &mut Run<'_>) -> Outcome {
    let acc = run.state().u64(RAX) & run.how.size.mask();
    repeat(run, |run, left| {
        let to = run.register(RDI);
        let n = left.min(run.in_page(to)).min(run.before_wrap(RDI));
        let size = run.how.bytes() as usize;
        let mut buffer = [0; PAGE as usize];
        let bytes = &mut buffer[..n as usize * size];
        let lowest = run.lowest(to, n);
        run.read(lowest, bytes)?;
        let backwards = run.backwards();
        let (done, next) = run.compared(elements(bytes, size, backwards).map(|b| (acc, b)));
        run.advance(RDI, done);
        run.count_down(done);
        Ok(next)
    })
}

/// `MASKMOVDQU`: bytes of vector register `register` whose bit is set in `mask`.
pub(super) fn masked_store(cx: &mut dyn HelperContext, addr: u64, mask: u64, register: u64) -> Outcome {
    let bytes = cx.state().u128(vector_slot(register as u16)).to_le_bytes();
    store_masked(cx, addr, mask, &bytes)
}

/// `MASKMOVQ`: the same for the bytes of `value`.
pub(super) fn masked_store64(cx: &mut dyn HelperContext, addr: u64, mask: u64, value: u64) -> Outcome {
    store_masked(cx, addr, mask, &value.to_le_bytes())
}

fn store_masked(cx: &mut dyn HelperContext, addr: u64, mask: u64, bytes: &[u8]) -> Outcome {
    for (i, byte) in bytes.iter().enumerate().filter(|(i, _)| mask >> i & 1 != 0) {
        cx.memory().write(GuestAddr(addr.wrapping_add(i as u64)), &[*byte])?;
    }
    Ok(0)
}
