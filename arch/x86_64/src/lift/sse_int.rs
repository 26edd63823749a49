//! SSE arithmetic on integer lanes.

use super::{Handler, Lifter};
use crate::helpers::id;
use guest::ir::{Half, IntCc, Lane, Narrow, Sign, Val, VecLen, Width, flag};
use iced_x86::{Mnemonic as M, OpKind};

pub(super) fn lookup(mnemonic: M) -> Option<Handler> {
    add_or_compare(mnemonic).or_else(|| multiply_or_shift(mnemonic)).or_else(|| rarer(mnemonic))
}

fn add_or_compare(mnemonic: M) -> Option<Handler> {
    use Lane::{B, D, H, S};
    use Sign::{Signed as I, Unsigned as U};
    Some(match mnemonic {
        M::Paddb => |l| l.lanes(|l, a, b| l.ir.vadd(l.n, B, a, b)),
        M::Paddw => |l| l.lanes(|l, a, b| l.ir.vadd(l.n, H, a, b)),
        M::Paddd => |l| l.lanes(|l, a, b| l.ir.vadd(l.n, S, a, b)),
        M::Paddq => |l| l.lanes(|l, a, b| l.ir.vadd(l.n, D, a, b)),
        M::Psubb => |l| l.lanes(|l, a, b| l.ir.vsub(l.n, B, a, b)),
        M::Psubw => |l| l.lanes(|l, a, b| l.ir.vsub(l.n, H, a, b)),
        M::Psubd => |l| l.lanes(|l, a, b| l.ir.vsub(l.n, S, a, b)),
        M::Psubq => |l| l.lanes(|l, a, b| l.ir.vsub(l.n, D, a, b)),
        M::Paddsb => |l| l.lanes(|l, a, b| l.ir.vaddsat(l.n, B, I, a, b)),
        M::Paddsw => |l| l.lanes(|l, a, b| l.ir.vaddsat(l.n, H, I, a, b)),
        M::Paddusb => |l| l.lanes(|l, a, b| l.ir.vaddsat(l.n, B, U, a, b)),
        M::Paddusw => |l| l.lanes(|l, a, b| l.ir.vaddsat(l.n, H, U, a, b)),
        M::Psubsb => |l| l.lanes(|l, a, b| l.ir.vsubsat(l.n, B, I, a, b)),
        M::Psubsw => |l| l.lanes(|l, a, b| l.ir.vsubsat(l.n, H, I, a, b)),
        M::Psubusb => |l| l.lanes(|l, a, b| l.ir.vsubsat(l.n, B, U, a, b)),
        M::Psubusw => |l| l.lanes(|l, a, b| l.ir.vsubsat(l.n, H, U, a, b)),
        M::Pcmpeqb => |l| l.compare(B, IntCc::Eq),
        M::Pcmpeqw => |l| l.compare(H, IntCc::Eq),
        M::Pcmpeqd => |l| l.compare(S, IntCc::Eq),
        M::Pcmpeqq => |l| l.compare(D, IntCc::Eq),
        M::Pcmpgtb => |l| l.compare(B, IntCc::Sgt),
        M::Pcmpgtw => |l| l.compare(H, IntCc::Sgt),
        M::Pcmpgtd => |l| l.compare(S, IntCc::Sgt),
        M::Pcmpgtq => |l| l.compare(D, IntCc::Sgt),
        M::Pminub => |l| l.lanes(|l, a, b| l.ir.vmin(l.n, B, U, a, b)),
        M::Pminuw => |l| l.lanes(|l, a, b| l.ir.vmin(l.n, H, U, a, b)),
        M::Pminud => |l| l.lanes(|l, a, b| l.ir.vmin(l.n, S, U, a, b)),
        M::Pminsb => |l| l.lanes(|l, a, b| l.ir.vmin(l.n, B, I, a, b)),
        M::Pminsw => |l| l.lanes(|l, a, b| l.ir.vmin(l.n, H, I, a, b)),
        M::Pminsd => |l| l.lanes(|l, a, b| l.ir.vmin(l.n, S, I, a, b)),
        M::Pmaxub => |l| l.lanes(|l, a, b| l.ir.vmax(l.n, B, U, a, b)),
        M::Pmaxuw => |l| l.lanes(|l, a, b| l.ir.vmax(l.n, H, U, a, b)),
        M::Pmaxud => |l| l.lanes(|l, a, b| l.ir.vmax(l.n, S, U, a, b)),
        M::Pmaxsb => |l| l.lanes(|l, a, b| l.ir.vmax(l.n, B, I, a, b)),
        M::Pmaxsw => |l| l.lanes(|l, a, b| l.ir.vmax(l.n, H, I, a, b)),
        M::Pmaxsd => |l| l.lanes(|l, a, b| l.ir.vmax(l.n, S, I, a, b)),
        M::Pavgb => |l| l.lanes(|l, a, b| l.ir.vrhadd(l.n, B, U, a, b)),
        M::Pavgw => |l| l.lanes(|l, a, b| l.ir.vrhadd(l.n, H, U, a, b)),
        _ => return None,
    })
}

fn multiply_or_shift(mnemonic: M) -> Option<Handler> {
    use Lane::{D, H, S};
    use Sign::{Signed as I, Unsigned as U};
    Some(match mnemonic {
        M::Pmullw => |l| l.lanes(|l, a, b| l.ir.vmul(l.n, H, a, b)),
        M::Pmulld => |l| l.lanes(|l, a, b| l.ir.vmul(l.n, S, a, b)),
        M::Pmulhw => |l| l.lanes(|l, a, b| l.ir.vmulh(l.n, H, I, a, b)),
        M::Pmulhuw => |l| l.lanes(|l, a, b| l.ir.vmulh(l.n, H, U, a, b)),
        M::Pmuludq => |l| l.lanes(|l, a, b| l.multiply_even(U, a, b)),
        M::Pmuldq => |l| l.lanes(|l, a, b| l.multiply_even(I, a, b)),
        M::Pmaddwd => |l| l.lanes(|l, a, b| l.ir.vmaddw(l.n, a, b)),
        M::Psadbw => |l| l.lanes(|l, a, b| l.ir.vsad(l.n, a, b)),
        M::Psllw => |l| l.shift_lanes(|l, a, c| l.ir.vshl(l.n, H, a, c)),
        M::Pslld => |l| l.shift_lanes(|l, a, c| l.ir.vshl(l.n, S, a, c)),
        M::Psllq => |l| l.shift_lanes(|l, a, c| l.ir.vshl(l.n, D, a, c)),
        M::Psrlw => |l| l.shift_lanes(|l, a, c| l.ir.vshr(l.n, H, a, c)),
        M::Psrld => |l| l.shift_lanes(|l, a, c| l.ir.vshr(l.n, S, a, c)),
        M::Psrlq => |l| l.shift_lanes(|l, a, c| l.ir.vshr(l.n, D, a, c)),
        M::Psraw => |l| l.shift_lanes(|l, a, c| l.ir.vsar(l.n, H, a, c)),
        M::Psrad => |l| l.shift_lanes(|l, a, c| l.ir.vsar(l.n, S, a, c)),
        _ => return None,
    })
}

fn rarer(mnemonic: M) -> Option<Handler> {
    use Lane::{B, H, S};
    Some(match mnemonic {
        M::Packsswb => |l| l.pack(H, Narrow::Signed),
        M::Packssdw => |l| l.pack(S, Narrow::Signed),
        M::Packuswb => |l| l.pack(H, Narrow::SignedToUnsigned),
        M::Packusdw => |l| l.pack(S, Narrow::SignedToUnsigned),
        M::Pabsb => |l| l.absolute(B),
        M::Pabsw => |l| l.absolute(H),
        M::Pabsd => |l| l.absolute(S),
        M::Psignb => |l| l.lanes(|l, a, b| l.sign_lanes(B, a, b)),
        M::Psignw => |l| l.lanes(|l, a, b| l.sign_lanes(H, a, b)),
        M::Psignd => |l| l.lanes(|l, a, b| l.sign_lanes(S, a, b)),
        M::Phaddw => |l| l.adjacent(H, |l, a, b| l.ir.vadd(l.n, H, a, b)),
        M::Phaddd => |l| l.adjacent(S, |l, a, b| l.ir.vadd(l.n, S, a, b)),
        M::Phaddsw => |l| l.adjacent(H, |l, a, b| l.ir.vaddsat(l.n, H, Sign::Signed, a, b)),
        M::Phsubw => |l| l.adjacent(H, |l, a, b| l.ir.vsub(l.n, H, a, b)),
        M::Phsubd => |l| l.adjacent(S, |l, a, b| l.ir.vsub(l.n, S, a, b)),
        M::Phsubsw => |l| l.adjacent(H, |l, a, b| l.ir.vsubsat(l.n, H, Sign::Signed, a, b)),
        M::Pmaddubsw => |l| l.lanes(|l, a, b| l.ir.vmaddub(l.n, a, b)),
        M::Pmulhrsw => |l| l.lanes(|l, a, b| l.ir.vmulhrs(l.n, a, b)),
        M::Mpsadbw => Lifter::mpsadbw,
        M::Phminposuw => Lifter::phminposuw,
        M::Ptest => Lifter::ptest,
        _ => return None,
    })
}

impl Lifter {
    /// An operation on destination and source.
    fn lanes(&mut self, op: fn(&mut Self, Val, Val) -> Val) {
        let (a, b) = self.read_sources();
        let r = op(self, a, b);
        self.write_vec(r);
    }

    /// `PCMPEQ*`, `PCMPGT*`; comparing a register with itself is how all ones are made.
    fn compare(&mut self, lane: Lane, cc: IntCc) {
        if cc == IntCc::Eq && self.same_regs(self.sources().0, self.sources().1) {
            let ones = self.ir.vimm(self.n, u128::MAX);
            return self.write_vec(ones);
        }
        let (a, b) = self.read_sources();
        let r = self.ir.vicmp(self.n, lane, cc, a, b);
        self.write_vec(r);
    }

    /// `PMULUDQ`, `PMULDQ`: the even 32-bit lanes' whole products.
    fn multiply_even(&mut self, sign: Sign, a: Val, b: Val) -> Val {
        let a = self.pick_lanes(Lane::S, a, a, &[0, 2, 1, 3]);
        let b = self.pick_lanes(Lane::S, b, b, &[0, 2, 1, 3]);
        self.ir.vmull(self.n, Lane::S, sign, Half::Low, a, b)
    }

    /// `PSLL*`, `PSRL*`, `PSRA*`: the count is an immediate or the low 64 bits of the source.
    fn shift_lanes(&mut self, op: fn(&mut Self, Val, Val) -> Val) {
        let (first, second) = self.sources();
        let count = match self.insn.op_kind(second) {
            OpKind::Register => self.read_low(second, Width::W64),
            OpKind::Memory => self.read_count(),
            _ => self.ir.imm(self.last_immediate()),
        };
        let a = self.read_vec(first);
        let r = op(self, a, count);
        self.write_vec(r);
    }

    /// A shift count in memory: the low half of 16 bytes, whatever the length of the vectors.
    fn read_count(&mut self) -> Val {
        if self.mmx {
            return self.load_operand(Width::W64);
        }
        let mem = self.address();
        if !self.vex {
            self.demand_alignment(mem, 16);
        }
        let source = self.ir.vload(VecLen::X1, mem.addr, mem.off);
        self.lane_of(Lane::D, 0, source)
    }

    /// `PACK*`: an MMX result is the low part of either half.
    fn pack(&mut self, lane: Lane, how: Narrow) {
        let (a, b) = self.read_sources();
        let r = self.ir.vnarrow(self.n, lane, how, a, b);
        let r = if self.mmx { self.pick_lanes(Lane::S, r, r, &[0, 2]) } else { r };
        self.write_vec(r);
    }

    /// `PABS*`
    fn absolute(&mut self, lane: Lane) {
        let a = self.read_vec(1);
        let r = self.ir.vabs(self.n, lane, a);
        self.write_vec(r);
    }

    /// `PSIGN*`: a negated, cleared or kept by the sign of b.
    fn sign_lanes(&mut self, lane: Lane, a: Val, b: Val) -> Val {
        let zero = self.ir.vimm(self.n, 0);
        let negative = self.ir.vicmp(self.n, lane, IntCc::Slt, b, zero);
        let none = self.ir.vicmp(self.n, lane, IntCc::Eq, b, zero);
        let negated = self.ir.vneg(self.n, lane, a);
        let signed = self.ir.vbitsel(self.n, negative, negated, a);
        self.ir.vandnot(self.n, signed, none)
    }

    /// `PHADD*`, `PHSUB*`: even lanes with odd ones, the destination's below the source's.
    fn adjacent(&mut self, lane: Lane, op: fn(&mut Self, Val, Val) -> Val) {
        let (a, b) = self.read_sources();
        let (even, odd) = match lane {
            Lane::S if self.mmx => ([0, 4].as_slice(), [1, 5].as_slice()),
            _ if self.mmx => ([0, 2, 8, 10].as_slice(), [1, 3, 9, 11].as_slice()),
            Lane::S => ([0, 2, 4, 6].as_slice(), [1, 3, 5, 7].as_slice()),
            _ => ([0, 2, 4, 6, 8, 10, 12, 14].as_slice(), [1, 3, 5, 7, 9, 11, 13, 15].as_slice()),
        };
        let first = self.pick_lanes(lane, a, b, even);
        let second = self.pick_lanes(lane, a, b, odd);
        let r = op(self, first, second);
        self.write_vec(r);
    }

    /// `PHMINPOSUW`
    fn phminposuw(&mut self) {
        let a = self.read_vec(1);
        let r = self.ir.call_vec(VecLen::X1, id::PHMINPOSUW, a, a, a, 0);
        self.write_vec(r);
    }

    /// `MPSADBW`: three bits of the immediate for each unit.
    fn mpsadbw(&mut self) {
        let imm = self.last_immediate() as u32;
        let (a, b) = self.read_sources();
        let r = self.by_unit(|l, unit| {
            let (x, y) = (l.unit_of(a, unit), l.unit_of(b, unit));
            l.ir.call_vec(VecLen::X1, id::MPSADBW, x, y, y, imm >> (3 * unit) & 7)
        });
        self.write_vec(r);
    }

    /// `PTEST`: Z where no bit is common, C where the source has none outside the destination.
    fn ptest(&mut self) {
        let b = self.read_vec(1);
        let a = self.read_vec(0);
        let common = self.ir.vand(self.n, a, b);
        let outside = self.ir.vandnot(self.n, b, a);
        self.put_test_flags(common, outside);
    }

    /// Z where `common` is 0, C where `outside` is; the other flags are cleared.
    pub(super) fn put_test_flags(&mut self, common: Val, outside: Val) {
        let (zero, carry) = (self.is_zero_vector(common), self.is_zero_vector(outside));
        let shift = self.ir.imm(u64::from(flag::Z.trailing_zeros()));
        let zero = self.ir.shl(Width::W64, zero, shift);
        let flags = self.ir.or(Width::W64, zero, carry);
        self.put_flags(flags);
        self.carry = Some(carry);
    }

    fn is_zero_vector(&mut self, vector: Val) -> Val {
        let mut unit = self.unit_of(vector, 0);
        if self.n == VecLen::X2 {
            let upper = self.unit_of(vector, 1);
            unit = self.ir.vor(VecLen::X1, unit, upper);
        }
        let (lo, hi) = (self.lane_of(Lane::D, 0, unit), self.lane_of(Lane::D, 1, unit));
        let any = self.ir.or(Width::W64, lo, hi);
        self.is_zero(Width::W64, any)
    }
}
