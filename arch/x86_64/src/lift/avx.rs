//! AVX and AVX2: what has no SSE form. Broadcasts, moves between the halves of a register, permutations,
//! shifts by lanes, masked moves and gathers.

use super::operand::address_width;
use super::vex::gathers_apart;
use super::{Handler, Lifter};
use crate::helpers::{id, masked};
use guest::ir::{FSize, IntCc, Lane, Val, VecLen, Width};
use guest::state::vector_slot;
use iced_x86::{Instruction, Mnemonic as M, OpKind, Register};

const X1: VecLen = VecLen::X1;
const X2: VecLen = VecLen::X2;

pub(super) fn lookup(insn: &Instruction) -> Option<Handler> {
    use Lane::{B, D, H, S};
    Some(match insn.mnemonic() {
        M::Vbroadcastss | M::Vpbroadcastd => |l| l.broadcast(S),
        M::Vbroadcastsd | M::Vpbroadcastq => |l| l.broadcast(D),
        M::Vpbroadcastb => |l| l.broadcast(B),
        M::Vpbroadcastw => |l| l.broadcast(H),
        M::Vbroadcastf128 | M::Vbroadcasti128 => Lifter::broadcast_unit,
        M::Vextractf128 | M::Vextracti128 => Lifter::extract_unit,
        M::Vinsertf128 | M::Vinserti128 => Lifter::insert_unit,
        M::Vperm2f128 | M::Vperm2i128 => Lifter::permute_units,
        M::Vpermilps => |l| l.permute_in_lane(S),
        M::Vpermilpd => |l| l.permute_in_lane(D),
        M::Vpermd | M::Vpermps => Lifter::vpermd,
        M::Vpermq | M::Vpermpd => Lifter::vpermq,
        M::Vpblendd => |l| l.blend(S),
        M::Vpsllvd => |l| l.shift_by_lanes(|l, a, b| l.ir.vshlv(l.n, S, a, b)),
        M::Vpsllvq => |l| l.shift_by_lanes(|l, a, b| l.ir.vshlv(l.n, D, a, b)),
        M::Vpsrlvd => |l| l.shift_by_lanes(|l, a, b| l.ir.vshrv(l.n, S, a, b)),
        M::Vpsrlvq => |l| l.shift_by_lanes(|l, a, b| l.ir.vshrv(l.n, D, a, b)),
        M::Vpsravd => |l| l.shift_by_lanes(|l, a, b| l.ir.vsarv(l.n, S, a, b)),
        M::Vmaskmovps | M::Vpmaskmovd => |l| l.masked_move(S),
        M::Vmaskmovpd | M::Vpmaskmovq => |l| l.masked_move(D),
        M::Vtestps => |l| l.test_signs(S),
        M::Vtestpd => |l| l.test_signs(D),
        M::Vzeroupper => |l| l.clear_registers(Clear::Upper),
        M::Vzeroall => |l| l.clear_registers(Clear::All),
        M::Vcvtph2ps => |l| l.widen_floats(FSize::F16),
        M::Vcvtps2ph => Lifter::vcvtps2ph,
        _ => return gather(insn),
    })
}

fn gather(insn: &Instruction) -> Option<Handler> {
    use Lane::{D, S};
    let handler: Handler = match insn.mnemonic() {
        M::Vgatherdps | M::Vpgatherdd => |l| l.gather(S, S),
        M::Vgatherqps | M::Vpgatherqd => |l| l.gather(S, D),
        M::Vgatherdpd | M::Vpgatherdq => |l| l.gather(D, S),
        M::Vgatherqpd | M::Vpgatherqq => |l| l.gather(D, D),
        _ => return None,
    };
    gathers_apart(insn).then_some(handler)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Clear {
    Upper,
    All,
}

impl Lifter {
    /// `VBROADCASTSS`, `VPBROADCASTB` and their kin.
    fn broadcast(&mut self, lane: Lane) {
        let value = self.read_low(1, lane.width());
        let r = self.ir.vsplat(self.n, lane, value);
        self.write_vec(r);
    }

    /// 16 bytes of an XMM register or of memory.
    fn read_unit(&mut self, op: u32) -> Val {
        if !self.is_mem(op) {
            return self.read_xmm(self.reg(op));
        }
        let mem = self.address();
        self.ir.vload(X1, mem.addr, mem.off)
    }

    /// `VBROADCASTF128`, `VBROADCASTI128`
    fn broadcast_unit(&mut self) {
        let unit = self.read_unit(1);
        let r = self.ir.vjoin(X2, unit, unit);
        self.write_vec(r);
    }

    /// `VEXTRACTF128`, `VEXTRACTI128`
    fn extract_unit(&mut self) {
        let whole = self.read_vector(self.reg(1));
        let unit = self.unit_of(whole, self.last_immediate() as usize & 1);
        if self.is_mem(0) {
            let mem = self.address();
            return self.ir.vstore(X1, mem.addr, mem.off, unit);
        }
        self.write_vec(unit);
    }

    /// `VINSERTF128`, `VINSERTI128`
    fn insert_unit(&mut self) {
        let unit = self.read_unit(2);
        let whole = self.read_vector(self.reg(1));
        let upper = self.last_immediate() & 1 != 0;
        let kept = self.unit_of(whole, usize::from(!upper));
        let r = if upper { self.ir.vjoin(X2, kept, unit) } else { self.ir.vjoin(X2, unit, kept) };
        self.write_vec(r);
    }

    /// `VPERM2F128`, `VPERM2I128`: two bits of the immediate pick a unit of either source, a third clears.
    fn permute_units(&mut self) {
        let (a, b) = self.read_sources();
        let imm = self.last_immediate();
        let r = self.by_unit(|l, unit| match imm >> (4 * unit) & 15 {
            8.. => l.ir.vimm(X1, 0),
            pick => l.unit_of(if pick & 2 == 0 { a } else { b }, pick as usize & 1),
        });
        self.write_vec(r);
    }

    /// `VPERMILPS`, `VPERMILPD`: by an immediate or by the lanes of a vector, within each unit.
    fn permute_in_lane(&mut self, lane: Lane) {
        if self.insn.op_kind(2) == OpKind::Immediate8 {
            let a = self.read_vec(1);
            let r = if lane == Lane::S {
                self.pick_lanes(lane, a, a, &self.selectors())
            } else {
                self.permute_doubles(a)
            };
            return self.write_vec(r);
        }
        let (a, control) = self.read_sources();
        let indices = if lane == Lane::S {
            let three = self.ir.vimm(self.n, repeated(lane, 3));
            let picks = self.ir.vand(self.n, control, three);
            self.lane_byte_indices(picks)
        } else {
            self.double_byte_indices(control)
        };
        let r = self.ir.vshuffle(self.n, a, a, indices);
        self.write_vec(r);
    }

    /// A bit of the immediate for every lane.
    fn permute_doubles(&mut self, a: Val) -> Val {
        let imm = self.last_immediate() as u8;
        self.by_unit(|l, unit| {
            let (x, bits) = (l.unit_of(a, unit), imm >> (2 * unit));
            l.pick_lanes_of(X1, Lane::D, x, x, &[bits & 1, bits >> 1 & 1])
        })
    }

    /// From the index of a 32-bit lane to those of its bytes.
    fn lane_byte_indices(&mut self, picks: Val) -> Val {
        let four_times = self.ir.vimm(self.n, repeated(Lane::S, 0x0404_0404));
        let bytes = self.ir.vimm(self.n, repeated(Lane::S, 0x0302_0100));
        let first = self.ir.vmul(self.n, Lane::S, picks, four_times);
        self.ir.vadd(self.n, Lane::S, first, bytes)
    }

    /// From bit 1 of each 64-bit lane to the byte indices of the lane it picks.
    fn double_byte_indices(&mut self, control: Val) -> Val {
        let (n, up, zero) = (self.n, self.ir.imm(62), self.ir.vimm(self.n, 0));
        let signs = self.ir.vshl(n, Lane::D, control, up);
        let high = self.ir.vicmp(n, Lane::D, IntCc::Slt, signs, zero);
        let eight = self.ir.vimm(n, repeated(Lane::B, 8));
        let bytes = self.ir.vimm(n, repeated(Lane::D, 0x0706_0504_0302_0100));
        let offset = self.ir.vand(n, high, eight);
        self.ir.vor(n, offset, bytes)
    }

    /// `VPERMD`, `VPERMPS`: any 32-bit lane of the second source, by the low bits of the first.
    fn vpermd(&mut self) {
        let (picks, a) = self.read_sources();
        let seven = self.ir.vimm(self.n, repeated(Lane::S, 7));
        let picks = self.ir.vand(self.n, picks, seven);
        let indices = self.lane_byte_indices(picks);
        let (lo, hi) = (self.unit_of(a, 0), self.unit_of(a, 1));
        let (lo, hi) = (self.ir.vjoin(X2, lo, lo), self.ir.vjoin(X2, hi, hi));
        let r = self.ir.vshuffle(self.n, lo, hi, indices);
        self.write_vec(r);
    }

    /// `VPERMQ`, `VPERMPD`: any 64-bit lane, by two bits of the immediate each.
    fn vpermq(&mut self) {
        let a = self.read_vec(1);
        let [w, x, y, z] = self.selectors();
        let (lo, hi) = (self.unit_of(a, 0), self.unit_of(a, 1));
        let r = self.by_unit(|l, unit| {
            let picks = if unit == 0 { [w, x] } else { [y, z] };
            l.pick_lanes_of(X1, Lane::D, lo, hi, &picks)
        });
        self.write_vec(r);
    }

    /// `VPSLLVD` and its kin.
    fn shift_by_lanes(&mut self, op: fn(&mut Self, Val, Val) -> Val) {
        let (a, b) = self.read_sources();
        let r = op(self, a, b);
        self.write_vec(r);
    }

    /// `VTESTPS`, `VTESTPD`: `PTEST` on the lanes' signs.
    fn test_signs(&mut self, lane: Lane) {
        let (b, signs) = (self.read_vec(1), self.ir.vimm(self.n, repeated(lane, lane.width().sign_bit())));
        let a = self.read_vec(0);
        let common = self.ir.vand(self.n, a, b);
        let outside = self.ir.vandnot(self.n, b, a);
        let (common, outside) = (self.ir.vand(self.n, common, signs), self.ir.vand(self.n, outside, signs));
        self.put_test_flags(common, outside);
    }

    /// `VZEROUPPER`, `VZEROALL`
    fn clear_registers(&mut self, what: Clear) {
        let zero = self.ir.vimm(X1, 0);
        for n in 0..16 {
            if what == Clear::All {
                self.ir.vput(X1, vector_slot(n), zero);
            }
            self.ir.vput(X1, vector_slot(n).plus(16), zero);
        }
    }

    /// `VMASKMOVPS`, `VPMASKMOVD` and the 64-bit forms: lanes whose mask is off are not accessed.
    fn masked_move(&mut self, lane: Lane) {
        let mask = self.read_vector(self.reg(1));
        let mask = self.ir.vmovmask(self.n, lane, mask);
        let mem = self.address();
        let addr = self.flat(mem);
        let (helper, reg) = if self.is_mem(0) {
            (id::MASKED_STORE_LANES, self.reg(2))
        } else {
            (id::MASKED_LOAD_LANES, self.reg(0))
        };
        let how = masked::Move { register: reg.number() as u16, lane }.encode();
        let how = self.ir.imm(how);
        self.call_state(helper, addr, mask, how);
    }

    /// `VGATHERDPS` and its kin: lanes of size `lane`, indices of size `index`.
    fn gather(&mut self, lane: Lane, index: Lane) {
        let insn = self.insn;
        let how = masked::Gather {
            to: insn.op_register(0).number() as u16,
            mask: insn.op_register(2).number() as u16,
            index: insn.memory_index().number() as u16,
            lane,
            index_lane: index,
            log_scale: insn.memory_index_scale().trailing_zeros() as u8,
            count: self.gathered(lane, index),
            address32: address_width(&insn) == Width::W32,
        };
        let disp = self.ir.imm(insn.memory_displacement64());
        let base = match insn.memory_base() {
            Register::None => disp,
            reg => {
                let base = self.read_reg_clean(reg);
                self.ir.add(Width::W64, base, disp)
            }
        };
        let segment = self.segment_base();
        let segment = segment.unwrap_or_else(|| self.ir.imm(0));
        let how = self.ir.imm(how.encode());
        self.call_state(id::GATHER, base, how, segment);
    }

    /// How many lanes are gathered: as many as both the destination and the index register hold.
    fn gathered(&self, lane: Lane, index: Lane) -> u8 {
        let lanes = |reg: Register, lane: Lane| reg.size() / lane.bytes();
        lanes(self.reg(0), lane).min(lanes(self.insn.memory_index(), index)) as u8
    }
}

/// A unit with the value in every lane.
pub(super) fn repeated(lane: Lane, value: u64) -> u128 {
    (0..16 / lane.bytes()).fold(0, |unit, i| unit | u128::from(value) << (i as u32 * lane.bits()))
}
