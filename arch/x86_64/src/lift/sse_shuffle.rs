//! SSE shuffles: interleaving, permuting, blending, inserting, extracting, widening. Nearly all of them
//! are one byte shuffle with a constant.

use super::{Handler, Lifter};
use crate::helpers::id;
use crate::state::RDI;
use guest::ir::{Half, IntCc, Lane, Sign, Val, VecLen, Width};
use iced_x86::{Mnemonic as M, OpKind, Register};

const X1: VecLen = VecLen::X1;
/// A byte index that gives 0.
pub(super) const ZERO: u8 = 0xff;

pub(super) fn lookup(mnemonic: M) -> Option<Handler> {
    permute(mnemonic).or_else(|| rarer(mnemonic))
}

fn permute(mnemonic: M) -> Option<Handler> {
    use Half::{High, Low};
    use Lane::{B, D, H, S};
    Some(match mnemonic {
        M::Punpcklbw => |l| l.interleave(B, Low),
        M::Punpcklwd => |l| l.interleave(H, Low),
        M::Punpckldq | M::Unpcklps => |l| l.interleave(S, Low),
        M::Punpcklqdq | M::Unpcklpd => |l| l.interleave(D, Low),
        M::Punpckhbw => |l| l.interleave(B, High),
        M::Punpckhwd => |l| l.interleave(H, High),
        M::Punpckhdq | M::Unpckhps => |l| l.interleave(S, High),
        M::Punpckhqdq | M::Unpckhpd => |l| l.interleave(D, High),
        M::Pshufd => Lifter::pshufd,
        M::Pshuflw => |l| l.shuffle_words(0),
        M::Pshufhw => |l| l.shuffle_words(4),
        M::Shufps => Lifter::shufps,
        M::Shufpd => Lifter::shufpd,
        M::Pshufb => Lifter::pshufb,
        M::Palignr => Lifter::palignr,
        M::Pslldq => |l| l.shift_bytes(Half::High),
        M::Psrldq => |l| l.shift_bytes(Half::Low),
        M::Movddup => Lifter::movddup,
        M::Movsldup => |l| l.duplicate_lanes(&[0, 0, 2, 2]),
        M::Movshdup => |l| l.duplicate_lanes(&[1, 1, 3, 3]),
        _ => return None,
    })
}

fn rarer(mnemonic: M) -> Option<Handler> {
    use Lane::{B, D, H, S};
    use Sign::{Signed as I, Unsigned as U};
    Some(match mnemonic {
        M::Pmovzxbw => |l| l.widen(B, H, U),
        M::Pmovzxbd => |l| l.widen(B, S, U),
        M::Pmovzxbq => |l| l.widen(B, D, U),
        M::Pmovzxwd => |l| l.widen(H, S, U),
        M::Pmovzxwq => |l| l.widen(H, D, U),
        M::Pmovzxdq => |l| l.widen(S, D, U),
        M::Pmovsxbw => |l| l.widen(B, H, I),
        M::Pmovsxbd => |l| l.widen(B, S, I),
        M::Pmovsxbq => |l| l.widen(B, D, I),
        M::Pmovsxwd => |l| l.widen(H, S, I),
        M::Pmovsxwq => |l| l.widen(H, D, I),
        M::Pmovsxdq => |l| l.widen(S, D, I),
        M::Pextrb => |l| l.extract_lane(B),
        M::Pextrw => |l| l.extract_lane(H),
        M::Pextrd | M::Extractps => |l| l.extract_lane(S),
        M::Pextrq => |l| l.extract_lane(D),
        M::Pinsrb => |l| l.insert_lane(B),
        M::Pinsrw => |l| l.insert_lane(H),
        M::Pinsrd => |l| l.insert_lane(S),
        M::Pinsrq => |l| l.insert_lane(D),
        M::Insertps => Lifter::insertps,
        M::Blendps => |l| l.blend(S),
        M::Blendpd => |l| l.blend(D),
        M::Pblendw => |l| l.blend(H),
        M::Blendvps => |l| l.blend_variable(S),
        M::Blendvpd => |l| l.blend_variable(D),
        M::Pblendvb => |l| l.blend_variable(B),
        M::Maskmovdqu => Lifter::maskmovdqu,
        _ => return None,
    })
}

/// The byte indices that gather `lanes` (counted through a, then b).
fn lane_indices(lane: Lane, lanes: &[u8]) -> [u8; 16] {
    let size = lane.bytes();
    let mut bytes = [ZERO; 16];
    for (place, byte) in bytes.iter_mut().enumerate() {
        if let Some(&from) = lanes.get(place / size) {
            *byte = from * size as u8 + (place % size) as u8;
        }
    }
    bytes
}

impl Lifter {
    /// The same shuffle of every unit.
    fn shuffle(&mut self, a: Val, b: Val, indices: [u8; 16]) -> Val {
        self.shuffle_of(self.n, a, b, indices)
    }

    fn shuffle_of(&mut self, n: VecLen, a: Val, b: Val, indices: [u8; 16]) -> Val {
        let indices = self.ir.vimm(n, u128::from_le_bytes(indices));
        self.ir.vshuffle(n, a, b, indices)
    }

    /// In every unit, the named lanes of a, then b; what is not named is 0.
    pub(super) fn pick_lanes(&mut self, lane: Lane, a: Val, b: Val, lanes: &[u8]) -> Val {
        self.pick_lanes_of(self.n, lane, a, b, lanes)
    }

    /// The same for vectors that are not as long as the instruction's.
    pub(super) fn pick_lanes_of(&mut self, n: VecLen, lane: Lane, a: Val, b: Val, lanes: &[u8]) -> Val {
        self.shuffle_of(n, a, b, lane_indices(lane, lanes))
    }

    /// `PUNPCK*`, `UNPCK*`
    fn interleave(&mut self, lane: Lane, half: Half) {
        let (a, b) = self.read_sources();
        let count = (16 / lane.bytes()) as u8;
        let used = if self.mmx { count / 2 } else { count };
        let first = if half == Half::High { used / 2 } else { 0 };
        let lanes: Vec<u8> = (0..used).map(|i| first + i / 2 + if i % 2 == 1 { count } else { 0 }).collect();
        let r = self.pick_lanes(lane, a, b, &lanes);
        self.write_vec(r);
    }

    /// Two bits of the immediate for each of four lanes.
    pub(super) fn selectors(&self) -> [u8; 4] {
        let imm = self.last_immediate() as u8;
        [imm & 3, imm >> 2 & 3, imm >> 4 & 3, imm >> 6 & 3]
    }

    /// `PSHUFD`
    fn pshufd(&mut self) {
        let a = self.read_vec(1);
        let r = self.pick_lanes(Lane::S, a, a, &self.selectors());
        self.write_vec(r);
    }

    /// `PSHUFLW`, `PSHUFHW`: four words from `first` on.
    fn shuffle_words(&mut self, first: u8) {
        let a = self.read_vec(1);
        let mut lanes = [0, 1, 2, 3, 4, 5, 6, 7];
        for (place, selector) in self.selectors().into_iter().enumerate() {
            lanes[usize::from(first) + place] = first + selector;
        }
        let r = self.pick_lanes(Lane::H, a, a, &lanes);
        self.write_vec(r);
    }

    /// `SHUFPS`: two lanes of the destination, two of the source.
    fn shufps(&mut self) {
        let (a, b) = self.read_sources();
        let [w, x, y, z] = self.selectors();
        let r = self.pick_lanes(Lane::S, a, b, &[w, x, y + 4, z + 4]);
        self.write_vec(r);
    }

    /// `SHUFPD`
    fn shufpd(&mut self) {
        let (a, b) = self.read_sources();
        let imm = self.last_immediate() as u8;
        let r = self.by_unit(|l, unit| {
            let (x, y, bits) = (l.unit_of(a, unit), l.unit_of(b, unit), imm >> (2 * unit));
            l.pick_lanes_of(X1, Lane::D, x, y, &[bits & 1, 2 + (bits >> 1 & 1)])
        });
        self.write_vec(r);
    }

    /// `PSHUFB`: index bits 4 to 6 do not count, bit 7 clears.
    fn pshufb(&mut self) {
        let (a, indices) = self.read_sources();
        let mask = self.ir.vimm(self.n, u128::from_le_bytes([if self.mmx { 0x87 } else { 0x8f }; 16]));
        let indices = self.ir.vand(self.n, indices, mask);
        let r = self.ir.vshuffle(self.n, a, a, indices);
        self.write_vec(r);
    }

    /// `PALIGNR`: 16 bytes of destination:source from byte `imm` on.
    fn palignr(&mut self) {
        let (high, low) = self.read_sources();
        let first = self.last_immediate() as u16;
        let size = if self.mmx { 8 } else { 16 };
        let indices = std::array::from_fn(|i| match first + i as u16 {
            from if from < size => from as u8,
            from if from < 2 * size => (from - size) as u8 + 16,
            _ => ZERO,
        });
        let r = self.shuffle(low, high, indices);
        self.write_vec(r);
    }

    /// `PSLLDQ` (towards the high half), `PSRLDQ`
    fn shift_bytes(&mut self, towards: Half) {
        let a = self.read_vec(self.sources().0);
        let by = (self.last_immediate() as u8).min(16);
        let indices = std::array::from_fn(|i| match towards {
            Half::High => (i as u8).checked_sub(by).unwrap_or(ZERO),
            Half::Low if i as u8 + by < 16 => i as u8 + by,
            Half::Low => ZERO,
        });
        let r = self.shuffle(a, a, indices);
        self.write_vec(r);
    }

    /// `MOVDDUP`: only 8 bytes are read for one unit.
    fn movddup(&mut self) {
        let a = if self.n == X1 { self.read_vec_low(1, Width::W64) } else { self.read_vec(1) };
        let r = self.pick_lanes(Lane::D, a, a, &[0, 0]);
        self.write_vec(r);
    }

    /// `MOVSLDUP`, `MOVSHDUP`
    fn duplicate_lanes(&mut self, lanes: &[u8]) {
        let a = self.read_vec(1);
        let r = self.pick_lanes(Lane::S, a, a, lanes);
        self.write_vec(r);
    }

    /// `PMOVZX*`, `PMOVSX*`: the memory form reads only what it widens.
    fn widen(&mut self, from: Lane, to: Lane, sign: Sign) {
        let mut value = self.read_narrow(16 * self.n.units() * from.bytes() / to.bytes());
        let mut lane = from;
        while let Some(wider) = lane.wider().filter(|&wider| wider != to) {
            value = self.ir.vwiden(X1, lane, sign, Half::Low, value);
            lane = wider;
        }
        let r = self.by_unit(|l, unit| {
            let half = if unit == 0 { Half::Low } else { Half::High };
            l.ir.vwiden(X1, lane, sign, half, value)
        });
        self.write_vec(r);
    }

    /// A source of at most 16 bytes.
    fn read_narrow(&mut self, bytes: usize) -> Val {
        match Width::from_bytes(bytes) {
            Some(w) => self.read_vec_low(1, w),
            None if self.is_mem(1) => {
                let mem = self.address();
                self.ir.vload(X1, mem.addr, mem.off)
            }
            None => self.read_xmm(self.reg(1)),
        }
    }

    fn lane_index(&self, op: u32, lane: Lane) -> u8 {
        let size = if self.mmx { 8 } else { 16 };
        self.insn.immediate(op) as u8 & (size / lane.bytes() - 1) as u8
    }

    /// `PEXTR*`, `EXTRACTPS`: registers get the lane zero-extended, memory just the lane.
    fn extract_lane(&mut self, lane: Lane) {
        let vector = self.read_vec(1);
        let value = self.lane_of(lane, self.lane_index(2, lane), vector);
        if self.is_mem(0) {
            let mem = self.address();
            self.store(lane.width(), mem, value);
        } else {
            self.write_reg(self.reg(0), value);
        }
    }

    /// `PINSR*`
    fn insert_lane(&mut self, lane: Lane) {
        let (first, second) = self.sources();
        let value = match self.insn.op_kind(second) {
            OpKind::Memory => self.load_operand(lane.width()),
            _ => self.read(second),
        };
        let a = self.read_vec(first);
        let r = self.ir.vinsert(X1, lane, self.lane_index(second + 1, lane), a, value);
        self.write_vec(r);
    }

    /// `INSERTPS`: a lane of the source (memory holds just one) into a lane; then lanes are cleared.
    fn insertps(&mut self) {
        let imm = self.last_immediate() as u8;
        let (first, second) = self.sources();
        let from = if self.is_mem(second) { 0 } else { imm >> 6 };
        let b = self.read_vec_low(second, Width::W32);
        let a = self.read_vec(first);
        let mut lanes = [0, 1, 2, 3];
        lanes[usize::from(imm >> 4 & 3)] = 4 + from;
        let mut indices = lane_indices(Lane::S, &lanes);
        for (place, byte) in indices.iter_mut().enumerate() {
            if imm >> (place / 4) & 1 != 0 {
                *byte = ZERO;
            }
        }
        let r = self.shuffle(a, b, indices);
        self.write_vec(r);
    }

    /// `BLENDPS`, `BLENDPD`, `PBLENDW`, `VPBLENDD`: a set bit takes the second source's lane.
    pub(super) fn blend(&mut self, lane: Lane) {
        let (a, b) = self.read_sources();
        let imm = self.last_immediate();
        let mask = self.by_unit(|l, unit| {
            // Eight words fill a unit; both have the same immediate then.
            let bits = if lane == Lane::H { imm } else { imm >> (unit * 16 / lane.bytes()) };
            let mask = std::array::from_fn(|i| if bits >> (i / lane.bytes()) & 1 != 0 { 0xff } else { 0 });
            l.ir.vimm(X1, u128::from_le_bytes(mask))
        });
        let r = self.ir.vbitsel(self.n, mask, b, a);
        self.write_vec(r);
    }

    /// `BLENDVPS`, `BLENDVPD`, `PBLENDVB`: where the lane's top bit is set in xmm0 (under VEX, in a register of
    /// its own), the second source's.
    fn blend_variable(&mut self, lane: Lane) {
        let (a, b) = self.read_sources();
        let mask = self.read_vector(if self.vex { self.reg(3) } else { Register::XMM0 });
        let zero = self.ir.vimm(self.n, 0);
        let mask = self.ir.vicmp(self.n, lane, IntCc::Slt, mask, zero);
        let r = self.ir.vbitsel(self.n, mask, b, a);
        self.write_vec(r);
    }

    /// `MASKMOVDQU`: stores the bytes whose mask has its top bit set.
    fn maskmovdqu(&mut self) {
        let mask = self.read_xmm(self.reg(2));
        let mask = self.ir.vmovmask(X1, Lane::B, mask);
        let narrow = self.insn.op_kinds().any(|kind| kind == OpKind::MemorySegEDI);
        let rdi = self.ir.read_slot(RDI);
        let mut addr = if narrow { self.ir.zext(Width::W32, rdi) } else { rdi };
        if let Some(base) = self.segment_base() {
            addr = self.ir.add(Width::W64, base, addr);
        }
        let register = self.ir.imm(self.reg(1).number() as u64);
        self.call_state(id::MASKED_STORE, addr, mask, register);
    }
}
