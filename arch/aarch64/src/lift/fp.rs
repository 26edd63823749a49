//! Scalar floating point: arithmetic, comparison, selection, moves.

use super::simd_move::{expand_f16, expand_f32, expand_f64};
use super::{Lifter, X1};
use crate::decode::Insn;
use crate::lift::int::packed_nzcv;
use guest::ir::{FSize, FlagKind, Inexact, Lane, MinMax, Nans, Round, Val, Width};

/// The sign bit of a float.
pub const fn sign_bit(fs: FSize) -> u64 {
    fs.width().sign_bit()
}

impl Lifter {
    /// The float in the low bits of register `n`.
    pub fn f(&mut self, fs: FSize, n: u16) -> Val {
        self.v_low(fs.width(), n)
    }

    pub fn negate(&mut self, fs: FSize, value: Val) -> Val {
        let sign = self.imm(sign_bit(fs));
        self.ir.xor(fs.width(), value, sign)
    }

    fn fp_unary(&mut self, insn: Insn, f: impl FnOnce(&mut Self, FSize, Val) -> Val) {
        let fs = insn.ftype();
        let a = self.f(fs, insn.rn());
        let r = f(self, fs, a);
        self.set_v_scalar(insn.rd(), fs.width(), r);
    }

    pub fn fp_two_source(&mut self, insn: Insn) {
        let fs = insn.ftype();
        let (a, b) = (self.f(fs, insn.rn()), self.f(fs, insn.rm()));
        let r = match insn.bits(12, 4) {
            0 => self.ir.fmul(fs, a, b),
            1 => self.ir.fdiv(fs, a, b),
            2 => self.ir.fadd(fs, a, b),
            3 => self.ir.fsub(fs, a, b),
            4 => self.ir.fminmax(MinMax::ArmMax, fs, a, b),
            5 => self.ir.fminmax(MinMax::ArmMin, fs, a, b),
            6 => self.ir.fminmax(MinMax::ArmMaxNum, fs, a, b),
            7 => self.ir.fminmax(MinMax::ArmMinNum, fs, a, b),
            _ => {
                let product = self.ir.fmul(fs, a, b);
                self.negate(fs, product)
            }
        };
        self.set_v_scalar(insn.rd(), fs.width(), r);
    }

    /// `FMADD`, `FMSUB`, `FNMADD`, `FNMSUB`: bit 21 negates the sum, bit 15 changes the product's sign.
    pub fn fmadd(&mut self, insn: Insn) {
        let fs = insn.ftype();
        let (a, b, c) = (self.f(fs, insn.rn()), self.f(fs, insn.rm()), self.f(fs, insn.ra()));
        let a = if insn.bit(21) != insn.bit(15) { self.negate(fs, a) } else { a };
        let c = if insn.bit(21) { self.negate(fs, c) } else { c };
        let r = self.ir.fma(fs, a, b, c);
        self.set_v_scalar(insn.rd(), fs.width(), r);
    }

    pub fn fmov(&mut self, insn: Insn) {
        self.fp_unary(insn, |_, _, a| a);
    }

    pub fn fabs(&mut self, insn: Insn) {
        self.fp_unary(insn, |l, fs, a| {
            let mask = l.imm(!sign_bit(fs) & fs.width().mask());
            l.ir.and(fs.width(), a, mask)
        });
    }

    pub fn fneg(&mut self, insn: Insn) {
        self.fp_unary(insn, |l, fs, a| l.negate(fs, a));
    }

    pub fn fsqrt(&mut self, insn: Insn) {
        self.fp_unary(insn, |l, fs, a| l.ir.fsqrt(fs, a));
    }

    /// `FRINTN`, `P`, `M`, `Z`, `A`, `X`, `I`: bits 17:15.
    pub fn frint(&mut self, insn: Insn) {
        let (mode, inexact) = rounding(insn.bits(15, 3));
        self.fp_unary(insn, |l, fs, a| l.ir.fround(fs, mode, inexact, a));
    }

    pub fn fcvt(&mut self, insn: Insn) {
        let to = match insn.bits(15, 2) {
            0 => FSize::F32,
            1 => FSize::F64,
            _ => FSize::F16,
        };
        let from = insn.ftype();
        let a = self.f(from, insn.rn());
        let r = self.ir.fconvert(from, to, a);
        self.set_v_scalar(insn.rd(), to.width(), r);
    }

    pub fn fmov_immediate(&mut self, insn: Insn) {
        let imm = u64::from(insn.bits(13, 8));
        let bits = match insn.ftype() {
            FSize::F64 => expand_f64(imm),
            FSize::F32 => expand_f32(imm),
            FSize::F16 => expand_f16(imm),
        };
        let value = self.vector_constant(u128::from(bits));
        self.set_v(insn.rd(), value);
    }

    pub fn fmov_to_general(&mut self, insn: Insn) {
        let value = self.v_low(insn.sf(), insn.rn());
        self.set_x(insn.rd(), value);
    }

    pub fn fmov_from_general(&mut self, insn: Insn) {
        let value = self.x(insn.rn());
        let value = if insn.sf() == Width::W64 { value } else { self.ir.zext(Width::W32, value) };
        self.set_v_scalar(insn.rd(), insn.sf(), value);
    }

    pub fn fmov_half_to_general(&mut self, insn: Insn) {
        let value = self.v_low(Width::W16, insn.rn());
        self.set_x(insn.rd(), value);
    }

    pub fn fmov_half_from_general(&mut self, insn: Insn) {
        let value = self.x(insn.rn());
        let value = self.ir.zext(Width::W16, value);
        self.set_v_scalar(insn.rd(), Width::W16, value);
    }

    pub fn fmov_top_to_general(&mut self, insn: Insn) {
        let whole = self.v(insn.rn());
        let top = self.ir.vextract(X1, Lane::D, 1, whole);
        self.set_x(insn.rd(), top);
    }

    pub fn fmov_general_to_top(&mut self, insn: Insn) {
        let (old, value) = (self.v(insn.rd()), self.x(insn.rn()));
        let r = self.ir.vinsert(X1, Lane::D, 1, old, value);
        self.set_v(insn.rd(), r);
    }

    /// `FCMP`, `FCMPE`, with a register or with zero.
    pub fn fcmp(&mut self, insn: Insn) {
        let fs = insn.ftype();
        let a = self.f(fs, insn.rn());
        let b = if insn.bit(3) { self.imm(0) } else { self.f(fs, insn.rm()) };
        let nans = if insn.bit(4) { Nans::Signal } else { Nans::Quiet };
        let code = self.ir.fcompare(nans, fs, a, b);
        self.ir.set_fcmp_flags(FlagKind::FcmpArm, fs, a, b, code);
    }

    /// `FCCMP`, `FCCMPE`. Where the condition fails nothing is compared, so nothing may be raised: two
    /// zeros take the operands' place.
    pub fn fccmp(&mut self, insn: Insn) {
        let fs = insn.ftype();
        let holds = self.condition(insn.bits(12, 4));
        let (a, b, zero) = (self.f(fs, insn.rn()), self.f(fs, insn.rm()), self.imm(0));
        let (a, b) = (self.ir.select(holds, a, zero), self.ir.select(holds, b, zero));
        let nans = if insn.bit(4) { Nans::Signal } else { Nans::Quiet };
        let code = self.ir.fcompare(nans, fs, a, b);
        let otherwise = self.imm(packed_nzcv(insn.bits(0, 4)));
        self.ir.put_flags(otherwise);
        self.ir.set_flags_if(holds, FlagKind::FcmpArm, Width::W64, a, b, code);
    }

    pub fn fcsel(&mut self, insn: Insn) {
        let fs = insn.ftype();
        let holds = self.condition(insn.bits(12, 4));
        let (a, b) = (self.f(fs, insn.rn()), self.f(fs, insn.rm()));
        let r = self.ir.select(holds, a, b);
        self.set_v_scalar(insn.rd(), fs.width(), r);
    }
}

/// The rounding mode of `FRINT*` by the low three bits of the opcode.
const fn rounding(opcode: u32) -> (Round, Inexact) {
    match opcode {
        0 => (Round::Nearest, Inexact::Suppress),
        1 => (Round::Up, Inexact::Suppress),
        2 => (Round::Down, Inexact::Suppress),
        3 => (Round::Zero, Inexact::Suppress),
        4 => (Round::Away, Inexact::Suppress),
        6 => (Round::Current, Inexact::Raise),
        _ => (Round::Current, Inexact::Suppress),
    }
}
