//! SSE arithmetic on integer lanes.

use super::{Handler, Lifter};
use crate::helpers::id;
use guest::ir::{Half, HelperId, IntCc, Lane, Narrow, Sign, Val, VecLen, Width, flag};
use iced_x86::{Instruction, Mnemonic as M, OpKind};

const N: VecLen = VecLen::X1;

pub(super) fn lookup(insn: &Instruction) -> Option<Handler> {
    add_or_compare(insn).or_else(|| multiply_or_shift(insn)).or_else(|| rarer(insn))
}

fn add_or_compare(insn: &Instruction) -> Option<Handler> {
    use Lane::{B, D, H, S};
    use Sign::{Signed as I, Unsigned as U};
    Some(match insn.mnemonic() {
        M::Paddb => |l| l.lanes(|l, a, b| l.ir.vadd(N, B, a, b)),
        M::Paddw => |l| l.lanes(|l, a, b| l.ir.vadd(N, H, a, b)),
        M::Paddd => |l| l.lanes(|l, a, b| l.ir.vadd(N, S, a, b)),
        M::Paddq => |l| l.lanes(|l, a, b| l.ir.vadd(N, D, a, b)),
        M::Psubb => |l| l.lanes(|l, a, b| l.ir.vsub(N, B, a, b)),
        M::Psubw => |l| l.lanes(|l, a, b| l.ir.vsub(N, H, a, b)),
        M::Psubd => |l| l.lanes(|l, a, b| l.ir.vsub(N, S, a, b)),
        M::Psubq => |l| l.lanes(|l, a, b| l.ir.vsub(N, D, a, b)),
        M::Paddsb => |l| l.lanes(|l, a, b| l.ir.vaddsat(N, B, I, a, b)),
        M::Paddsw => |l| l.lanes(|l, a, b| l.ir.vaddsat(N, H, I, a, b)),
        M::Paddusb => |l| l.lanes(|l, a, b| l.ir.vaddsat(N, B, U, a, b)),
        M::Paddusw => |l| l.lanes(|l, a, b| l.ir.vaddsat(N, H, U, a, b)),
        M::Psubsb => |l| l.lanes(|l, a, b| l.ir.vsubsat(N, B, I, a, b)),
        M::Psubsw => |l| l.lanes(|l, a, b| l.ir.vsubsat(N, H, I, a, b)),
        M::Psubusb => |l| l.lanes(|l, a, b| l.ir.vsubsat(N, B, U, a, b)),
        M::Psubusw => |l| l.lanes(|l, a, b| l.ir.vsubsat(N, H, U, a, b)),
        M::Pcmpeqb => |l| l.compare(B, IntCc::Eq),
        M::Pcmpeqw => |l| l.compare(H, IntCc::Eq),
        M::Pcmpeqd => |l| l.compare(S, IntCc::Eq),
        M::Pcmpeqq => |l| l.compare(D, IntCc::Eq),
        M::Pcmpgtb => |l| l.compare(B, IntCc::Sgt),
        M::Pcmpgtw => |l| l.compare(H, IntCc::Sgt),
        M::Pcmpgtd => |l| l.compare(S, IntCc::Sgt),
        M::Pcmpgtq => |l| l.compare(D, IntCc::Sgt),
        M::Pminub => |l| l.lanes(|l, a, b| l.ir.vmin(N, B, U, a, b)),
        M::Pminuw => |l| l.lanes(|l, a, b| l.ir.vmin(N, H, U, a, b)),
        M::Pminud => |l| l.lanes(|l, a, b| l.ir.vmin(N, S, U, a, b)),
        M::Pminsb => |l| l.lanes(|l, a, b| l.ir.vmin(N, B, I, a, b)),
        M::Pminsw => |l| l.lanes(|l, a, b| l.ir.vmin(N, H, I, a, b)),
        M::Pminsd => |l| l.lanes(|l, a, b| l.ir.vmin(N, S, I, a, b)),
        M::Pmaxub => |l| l.lanes(|l, a, b| l.ir.vmax(N, B, U, a, b)),
        M::Pmaxuw => |l| l.lanes(|l, a, b| l.ir.vmax(N, H, U, a, b)),
        M::Pmaxud => |l| l.lanes(|l, a, b| l.ir.vmax(N, S, U, a, b)),
        M::Pmaxsb => |l| l.lanes(|l, a, b| l.ir.vmax(N, B, I, a, b)),
        M::Pmaxsw => |l| l.lanes(|l, a, b| l.ir.vmax(N, H, I, a, b)),
        M::Pmaxsd => |l| l.lanes(|l, a, b| l.ir.vmax(N, S, I, a, b)),
        M::Pavgb => |l| l.lanes(|l, a, b| l.ir.vrhadd(N, B, U, a, b)),
        M::Pavgw => |l| l.lanes(|l, a, b| l.ir.vrhadd(N, H, U, a, b)),
        _ => return None,
    })
}

fn multiply_or_shift(insn: &Instruction) -> Option<Handler> {
    use Lane::{D, H, S};
    use Sign::{Signed as I, Unsigned as U};
    Some(match insn.mnemonic() {
        M::Pmullw => |l| l.lanes(|l, a, b| l.ir.vmul(N, H, a, b)),
        M::Pmulld => |l| l.lanes(|l, a, b| l.ir.vmul(N, S, a, b)),
        M::Pmulhw => |l| l.lanes(|l, a, b| l.ir.vmulh(N, H, I, a, b)),
        M::Pmulhuw => |l| l.lanes(|l, a, b| l.ir.vmulh(N, H, U, a, b)),
        M::Pmuludq => |l| l.lanes(|l, a, b| l.multiply_even(U, a, b)),
        M::Pmuldq => |l| l.lanes(|l, a, b| l.multiply_even(I, a, b)),
        M::Pmaddwd => |l| l.lanes(|l, a, b| l.ir.vmaddw(N, a, b)),
        M::Psadbw => |l| l.lanes(|l, a, b| l.ir.vsad(N, a, b)),
        M::Psllw => |l| l.shift_lanes(|l, a, c| l.ir.vshl(N, H, a, c)),
        M::Pslld => |l| l.shift_lanes(|l, a, c| l.ir.vshl(N, S, a, c)),
        M::Psllq => |l| l.shift_lanes(|l, a, c| l.ir.vshl(N, D, a, c)),
        M::Psrlw => |l| l.shift_lanes(|l, a, c| l.ir.vshr(N, H, a, c)),
        M::Psrld => |l| l.shift_lanes(|l, a, c| l.ir.vshr(N, S, a, c)),
        M::Psrlq => |l| l.shift_lanes(|l, a, c| l.ir.vshr(N, D, a, c)),
        M::Psraw => |l| l.shift_lanes(|l, a, c| l.ir.vsar(N, H, a, c)),
        M::Psrad => |l| l.shift_lanes(|l, a, c| l.ir.vsar(N, S, a, c)),
        _ => return None,
    })
}

fn rarer(insn: &Instruction) -> Option<Handler> {
    use Lane::{B, H, S};
    Some(match insn.mnemonic() {
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
        M::Phaddw => |l| l.adjacent(H, |l, a, b| l.ir.vadd(N, H, a, b)),
        M::Phaddd => |l| l.adjacent(S, |l, a, b| l.ir.vadd(N, S, a, b)),
        M::Phaddsw => |l| l.adjacent(H, |l, a, b| l.ir.vaddsat(N, H, Sign::Signed, a, b)),
        M::Phsubw => |l| l.adjacent(H, |l, a, b| l.ir.vsub(N, H, a, b)),
        M::Phsubd => |l| l.adjacent(S, |l, a, b| l.ir.vsub(N, S, a, b)),
        M::Phsubsw => |l| l.adjacent(H, |l, a, b| l.ir.vsubsat(N, H, Sign::Signed, a, b)),
        M::Pmaddubsw => |l| l.by_helper(id::PMADDUBSW),
        M::Pmulhrsw => |l| l.by_helper(id::PMULHRSW),
        M::Mpsadbw => |l| l.by_helper(id::MPSADBW),
        M::Phminposuw => |l| l.by_helper(id::PHMINPOSUW),
        M::Ptest => Lifter::ptest,
        _ => return None,
    })
}

impl Lifter {
    /// An operation on destination and source.
    fn lanes(&mut self, op: fn(&mut Self, Val, Val) -> Val) {
        let b = self.read_vec(1);
        let a = self.read_vec(0);
        let r = op(self, a, b);
        self.write_vec(r);
    }

    /// `PCMPEQ*`, `PCMPGT*`; comparing a register with itself is how all ones are made.
    fn compare(&mut self, lane: Lane, cc: IntCc) {
        if cc == IntCc::Eq && self.same_regs(0, 1) {
            let ones = self.ir.vimm(N, u128::MAX);
            return self.write_vec(ones);
        }
        let b = self.read_vec(1);
        let a = self.read_vec(0);
        let r = self.ir.vicmp(N, lane, cc, a, b);
        self.write_vec(r);
    }

    /// `PMULUDQ`, `PMULDQ`: the even 32-bit lanes' whole products.
    fn multiply_even(&mut self, sign: Sign, a: Val, b: Val) -> Val {
        let a = self.pick_lanes(Lane::S, a, a, &[0, 2, 1, 3]);
        let b = self.pick_lanes(Lane::S, b, b, &[0, 2, 1, 3]);
        self.ir.vmull(N, Lane::S, sign, Half::Low, a, b)
    }

    /// `PSLL*`, `PSRL*`, `PSRA*`: the count is an immediate or the low 64 bits of the source.
    fn shift_lanes(&mut self, op: fn(&mut Self, Val, Val) -> Val) {
        let count = match self.insn.op_kind(1) {
            OpKind::Register => self.read_low(1, Width::W64),
            OpKind::Memory => {
                let source = self.read_vec(1);
                self.lane_of(Lane::D, 0, source)
            }
            _ => {
                let count = self.insn.immediate(1) & 0xff;
                self.ir.imm(count)
            }
        };
        let a = self.read_vec(0);
        let r = op(self, a, count);
        self.write_vec(r);
    }

    /// `PACK*`: an MMX result is the low part of either half.
    fn pack(&mut self, lane: Lane, how: Narrow) {
        let b = self.read_vec(1);
        let a = self.read_vec(0);
        let r = self.ir.vnarrow(N, lane, how, a, b);
        let r = if self.mmx { self.pick_lanes(Lane::S, r, r, &[0, 2]) } else { r };
        self.write_vec(r);
    }

    /// `PABS*`
    fn absolute(&mut self, lane: Lane) {
        let a = self.read_vec(1);
        let r = self.ir.vabs(N, lane, a);
        self.write_vec(r);
    }

    /// `PSIGN*`: a negated, cleared or kept by the sign of b.
    fn sign_lanes(&mut self, lane: Lane, a: Val, b: Val) -> Val {
        let zero = self.ir.vimm(N, 0);
        let negative = self.ir.vicmp(N, lane, IntCc::Slt, b, zero);
        let none = self.ir.vicmp(N, lane, IntCc::Eq, b, zero);
        let negated = self.ir.vneg(N, lane, a);
        let signed = self.ir.vbitsel(N, negative, negated, a);
        self.ir.vandnot(N, signed, none)
    }

    /// `PHADD*`, `PHSUB*`: even lanes with odd ones, the destination's below the source's.
    fn adjacent(&mut self, lane: Lane, op: fn(&mut Self, Val, Val) -> Val) {
        let b = self.read_vec(1);
        let a = self.read_vec(0);
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

    /// A pure helper of destination, source and immediate.
    pub(super) fn by_helper(&mut self, helper: HelperId) {
        let b = self.read_vec(1);
        let a = self.read_vec(0);
        let imm = if self.insn.op_count() == 3 { self.insn.immediate(2) as u32 & 0xff } else { 0 };
        let r = self.ir.call_vec(N, helper, a, b, b, imm);
        self.write_vec(r);
    }

    /// `PTEST`: Z where no bit is common, C where the source has none outside the destination.
    fn ptest(&mut self) {
        let b = self.read_vec(1);
        let a = self.read_vec(0);
        let common = self.ir.vand(N, a, b);
        let outside = self.ir.vandnot(N, b, a);
        let (zero, carry) = (self.is_zero_vector(common), self.is_zero_vector(outside));
        let shift = self.ir.imm(u64::from(flag::Z.trailing_zeros()));
        let zero = self.ir.shl(Width::W64, zero, shift);
        let flags = self.ir.or(Width::W64, zero, carry);
        self.put_flags(flags);
        self.carry = Some(carry);
    }

    fn is_zero_vector(&mut self, vector: Val) -> Val {
        let (lo, hi) = (self.lane_of(Lane::D, 0, vector), self.lane_of(Lane::D, 1, vector));
        let any = self.ir.or(Width::W64, lo, hi);
        self.is_zero(Width::W64, any)
    }
}
