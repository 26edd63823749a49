//! `LD1`..`LD4`, `ST1`..`ST4`: interleaved structures.
//!
//! Memory is moved in 16-byte units (and one of 8 where the total is odd); the lanes change places in
//! byte shuffles of pairs of units, whose index vectors are worked out here.

use super::{Lifter, X1};
use crate::decode::{Insn, lane};
use crate::state::x;
use guest::ir::{Lane, Order, Val, Width};

/// Interleaved elements and repetitions of the multiple-structure opcodes.
const fn shape(opcode: u32) -> Option<(usize, usize)> {
    match opcode {
        0b0000 => Some((4, 1)),
        0b0010 => Some((1, 4)),
        0b0100 => Some((3, 1)),
        0b0110 => Some((1, 3)),
        0b0111 => Some((1, 1)),
        0b1000 => Some((2, 1)),
        0b1010 => Some((1, 2)),
        _ => None,
    }
}

pub fn multiple_is_allocated(insn: Insn) -> bool {
    shape(insn.bits(12, 4)).is_some()
}

pub fn single_is_allocated(insn: Insn) -> bool {
    single_lane(insn).is_some()
}

/// Lane size and index of a single-structure access.
fn single_lane(insn: Insn) -> Option<(Lane, u8)> {
    let (q, s, size) = (insn.bits(30, 1), insn.bits(12, 1), insn.bits(10, 2));
    let (lane, index) = match (insn.bits(14, 2), size) {
        (0, _) => (Lane::B, q << 3 | s << 2 | size),
        (1, 0 | 2) => (Lane::H, q << 2 | s << 1 | size >> 1),
        (2, 0) => (Lane::S, q << 1 | s),
        (2, 1) if s == 0 => (Lane::D, q),
        _ => return None,
    };
    Some((lane, index as u8))
}

/// One byte's place: which register or memory unit, and which byte of it.
#[derive(Clone, Copy)]
struct Byte {
    unit: usize,
    at: usize,
}

/// How the bytes of `count` registers of `len` bytes lie interleaved in memory by `lane`.
#[derive(Clone, Copy)]
struct Interleave {
    count: usize,
    len: usize,
    lane: usize,
}

impl Interleave {
    /// Where memory byte `m` lives in the registers.
    const fn register_byte(self, m: usize) -> Byte {
        let element = m / self.lane;
        Byte { unit: element % self.count, at: element / self.count * self.lane + m % self.lane }
    }

    /// Where register byte `at` of register `r` lies in memory.
    const fn memory_byte(self, r: usize, at: usize) -> Byte {
        let m = (at / self.lane * self.count + r) * self.lane + at % self.lane;
        Byte { unit: m / 16, at: m % 16 }
    }
}

impl Lifter {
    fn register(insn: Insn, index: usize) -> u16 {
        (insn.rd() + index as u16) % 32
    }

    /// Advances the base register by Rm, or by the bytes moved, where the form is post-indexed.
    fn post_index(&mut self, insn: Insn, bytes: usize) -> Option<Val> {
        if !insn.bit(23) {
            return None;
        }
        let base = self.x_or_sp(insn.rn());
        if insn.rm() == 31 {
            return Some(self.ir.add_imm(base, bytes as i64));
        }
        let step = self.x(insn.rm());
        Some(self.ir.add(Width::W64, base, step))
    }

    fn finish_post_index(&mut self, insn: Insn, moved: Option<Val>) {
        if let Some(moved) = moved {
            self.ir.write_slot(x(insn.rn()), moved);
        }
    }

    pub fn multiple_structures(&mut self, insn: Insn) {
        let Some((interleaved, repeats)) = shape(insn.bits(12, 4)) else { return };
        let len = if insn.q() { 16 } else { 8 };
        let moved = self.post_index(insn, interleaved * repeats * len);
        let layout = Interleave { count: interleaved, len, lane: lane(insn.bits(10, 2)).bytes() };
        match (insn.bit(22), interleaved) {
            (true, 1) => self.load_plain(insn, repeats, len),
            (false, 1) => self.store_plain(insn, repeats, len),
            (true, _) => self.load_interleaved(insn, layout),
            (false, _) => self.store_interleaved(insn, layout),
        }
        self.finish_post_index(insn, moved);
    }

    /// Loads `len` bytes (16 or 8) as a vector, zeros above.
    fn load_unit(&mut self, addr: Val, off: usize, len: usize) -> Val {
        if len == 16 {
            return self.ir.vload(X1, addr, off as i32);
        }
        let (low, zero) = (self.ir.load(Width::W64, Order::Relaxed, addr, off as i32), self.imm(0));
        self.ir.vpair(X1, low, zero)
    }

    fn store_unit(&mut self, addr: Val, off: usize, len: usize, value: Val) {
        if len == 16 {
            return self.ir.vstore(X1, addr, off as i32, value);
        }
        let low = self.ir.vextract(X1, Lane::D, 0, value);
        self.ir.store(Width::W64, Order::Relaxed, addr, off as i32, low);
    }

    fn load_plain(&mut self, insn: Insn, repeats: usize, len: usize) {
        let addr = self.x_or_sp(insn.rn());
        let loaded: Vec<Val> = (0..repeats).map(|r| self.load_unit(addr, r * len, len)).collect();
        for (r, value) in loaded.into_iter().enumerate() {
            self.set_v(Self::register(insn, r), value);
        }
    }

    fn store_plain(&mut self, insn: Insn, repeats: usize, len: usize) {
        let addr = self.x_or_sp(insn.rn());
        for r in 0..repeats {
            let value = self.v(Self::register(insn, r));
            self.store_unit(addr, r * len, len, value);
        }
    }

    /// Lengths of the memory units that `total` bytes are moved in.
    fn units(total: usize) -> impl Iterator<Item = (usize, usize)> {
        (0..total.div_ceil(16)).map(move |u| (16 * u, if total - 16 * u >= 16 { 16 } else { 8 }))
    }

    fn load_interleaved(&mut self, insn: Insn, layout: Interleave) {
        let addr = self.x_or_sp(insn.rn());
        let units: Vec<Val> =
            Self::units(layout.count * layout.len).map(|(off, len)| self.load_unit(addr, off, len)).collect();
        let registers: Vec<Val> = (0..layout.count)
            .map(|r| self.gather(&units, |at| (at < layout.len).then(|| layout.memory_byte(r, at))))
            .collect();
        for (r, value) in registers.into_iter().enumerate() {
            self.set_v(Self::register(insn, r), value);
        }
    }

    fn store_interleaved(&mut self, insn: Insn, layout: Interleave) {
        let addr = self.x_or_sp(insn.rn());
        let registers: Vec<Val> = (0..layout.count).map(|r| self.v(Self::register(insn, r))).collect();
        let total = layout.count * layout.len;
        for (off, len) in Self::units(total) {
            let from = |at: usize| (at < len).then(|| layout.register_byte(off + at));
            let value = self.gather(&registers, from);
            self.store_unit(addr, off, len, value);
        }
    }

    /// The vector whose byte `at` is byte `from(at)` of `sources`, zero for `None`.
    fn gather(&mut self, sources: &[Val], from: impl Fn(usize) -> Option<Byte>) -> Val {
        let mut result = None;
        for (pair, vectors) in sources.chunks(2).enumerate() {
            let mut index = [0xffu8; 16];
            for (at, slot) in index.iter_mut().enumerate() {
                if let Some(byte) = from(at).filter(|byte| byte.unit / 2 == pair) {
                    *slot = (byte.unit % 2 * 16 + byte.at) as u8;
                }
            }
            if index == [0xff; 16] {
                continue;
            }
            let index = self.vector_constant(u128::from_le_bytes(index));
            let second = vectors.get(1).copied().unwrap_or(vectors[0]);
            let picked = self.ir.vshuffle(X1, vectors[0], second, index);
            result = Some(match result {
                None => picked,
                Some(others) => self.ir.vor(X1, others, picked),
            });
        }
        result.unwrap_or_else(|| self.vector_constant(0))
    }

    /// Loads or stores one lane of one to four registers.
    pub fn single_structure(&mut self, insn: Insn) {
        let Some((lane, index)) = single_lane(insn) else { return };
        let count = Self::structure_count(insn);
        let moved = self.post_index(insn, count * lane.bytes());
        let addr = self.x_or_sp(insn.rn());
        if insn.bit(22) {
            let loaded = self.load_elements(addr, lane, count);
            for (r, element) in loaded.into_iter().enumerate() {
                let n = Self::register(insn, r);
                let old = self.v(n);
                let new = self.ir.vinsert(X1, lane, index, old, element);
                self.set_v(n, new);
            }
        } else {
            for r in 0..count {
                let whole = self.v(Self::register(insn, r));
                let element = self.ir.vextract(X1, lane, index, whole);
                self.ir.store(lane.width(), Order::Relaxed, addr, (r * lane.bytes()) as i32, element);
            }
        }
        self.finish_post_index(insn, moved);
    }

    /// Registers of a single-structure access: `opcode<0>:R`, less one.
    const fn structure_count(insn: Insn) -> usize {
        (insn.bits(13, 1) << 1 | insn.bits(21, 1)) as usize + 1
    }

    fn load_elements(&mut self, addr: Val, lane: Lane, count: usize) -> Vec<Val> {
        (0..count)
            .map(|r| self.ir.load(lane.width(), Order::Relaxed, addr, (r * lane.bytes()) as i32))
            .collect()
    }

    /// `LD1R`..`LD4R`: one element into every lane.
    pub fn replicate_structure(&mut self, insn: Insn) {
        let (lane, count) = (lane(insn.bits(10, 2)), Self::structure_count(insn));
        let moved = self.post_index(insn, count * lane.bytes());
        let addr = self.x_or_sp(insn.rn());
        for (r, element) in self.load_elements(addr, lane, count).into_iter().enumerate() {
            let whole = self.ir.vsplat(X1, lane, element);
            let bytes = if insn.q() { u128::MAX } else { u128::from(u64::MAX) };
            let whole = self.cut(whole, bytes);
            self.set_v(Self::register(insn, r), whole);
        }
        self.finish_post_index(insn, moved);
    }
}
