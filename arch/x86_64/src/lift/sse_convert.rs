//! SSE conversions.

use super::mmx::touches_mmx;
use super::{Handler, Lifter};
use guest::ir::{FSize, Half, Lane, Overflow, Round, Sign, Val, VecLen, Width};
use iced_x86::{Instruction, Mnemonic as M};

const N: VecLen = VecLen::X1;

pub(super) fn lookup(insn: &Instruction) -> Option<Handler> {
    use FSize::{F32, F64};
    if touches_mmx(insn) {
        return None;
    }
    Some(match insn.mnemonic() {
        M::Cvtsi2ss => |l| l.int_to_float(F32),
        M::Cvtsi2sd => |l| l.int_to_float(F64),
        M::Cvtss2si => |l| l.float_to_int(F32, Round::Current),
        M::Cvtsd2si => |l| l.float_to_int(F64, Round::Current),
        M::Cvttss2si => |l| l.float_to_int(F32, Round::Zero),
        M::Cvttsd2si => |l| l.float_to_int(F64, Round::Zero),
        M::Cvtss2sd => |l| l.float_to_float(F32, F64),
        M::Cvtsd2ss => |l| l.float_to_float(F64, F32),
        M::Cvtps2pd => Lifter::cvtps2pd,
        M::Cvtpd2ps => Lifter::cvtpd2ps,
        M::Cvtdq2ps => Lifter::cvtdq2ps,
        M::Cvtdq2pd => Lifter::cvtdq2pd,
        M::Cvtps2dq => |l| l.cvtps2dq(Round::Current),
        M::Cvttps2dq => |l| l.cvtps2dq(Round::Zero),
        M::Cvtpd2dq => |l| l.cvtpd2dq(Round::Current),
        M::Cvttpd2dq => |l| l.cvtpd2dq(Round::Zero),
        _ => return None,
    })
}

impl Lifter {
    /// `CVTSI2SS`, `CVTSI2SD`
    fn int_to_float(&mut self, fs: FSize) {
        let (w, a) = (self.width(1), self.read(1));
        let r = self.ir.itof(fs, w, Sign::Signed, a);
        self.write_low(fs.width(), r);
    }

    /// `CVTSS2SI`, `CVTTSD2SI`, ...
    fn float_to_int(&mut self, fs: FSize, mode: Round) {
        let (w, a) = (self.width(0), self.read_float(1, fs));
        let r = self.ir.ftoi(fs, w, Sign::Signed, mode, Overflow::Indefinite, a);
        self.write_reg(self.reg(0), r);
    }

    /// `CVTSS2SD`, `CVTSD2SS`
    fn float_to_float(&mut self, from: FSize, to: FSize) {
        let a = self.read_float(1, from);
        let r = self.ir.fconvert(from, to, a);
        self.write_low(to.width(), r);
    }

    /// `CVTPS2PD`
    fn cvtps2pd(&mut self) {
        let a = self.read_vec_low(1, Width::W64);
        let r = self.ir.vfwiden(N, FSize::F32, Half::Low, a);
        self.write_vec(r);
    }

    /// `CVTPD2PS`
    fn cvtpd2ps(&mut self) {
        let a = self.read_vec(1);
        let r = self.ir.vfnarrow(N, FSize::F64, a);
        self.write_vec(r);
    }

    /// `CVTDQ2PS`
    fn cvtdq2ps(&mut self) {
        let a = self.read_vec(1);
        let r = self.ir.vitof(N, FSize::F32, Sign::Signed, a);
        self.write_vec(r);
    }

    /// `CVTDQ2PD`
    fn cvtdq2pd(&mut self) {
        let both = self.read_low(1, Width::W64);
        let high = self.ir.extract(32, 32, both);
        let lo = self.ir.itof(FSize::F64, Width::W32, Sign::Signed, both);
        let hi = self.ir.itof(FSize::F64, Width::W32, Sign::Signed, high);
        let r = self.ir.vpair(N, lo, hi);
        self.write_vec(r);
    }

    /// `CVTPS2DQ`, `CVTTPS2DQ`
    fn cvtps2dq(&mut self, mode: Round) {
        let a = self.read_vec(1);
        let r = self.ir.vftoi(N, FSize::F32, Sign::Signed, mode, Overflow::Indefinite, a);
        self.write_vec(r);
    }

    /// `CVTPD2DQ`, `CVTTPD2DQ`
    fn cvtpd2dq(&mut self, mode: Round) {
        let a = self.read_vec(1);
        let (lo, hi) = (self.double_lane_to_int(a, 0, mode), self.double_lane_to_int(a, 1, mode));
        let both = self.ir.deposit(32, 32, lo, hi);
        self.write_low_zeroing(self.reg(0), both);
    }

    fn double_lane_to_int(&mut self, a: Val, index: u8, mode: Round) -> Val {
        let lane = self.lane_of(Lane::D, index, a);
        self.ir.ftoi(FSize::F64, Width::W32, Sign::Signed, mode, Overflow::Indefinite, lane)
    }
}
