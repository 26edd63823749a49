//! Floats in the lanes of vectors, in the same way as single ones.

use super::Emitter;
use super::asm::{Alu, Cc, Code, RAX, RCX, Reg, Rm, op0f, sse, sse38};
use super::float::{extreme_byte, limits, tiny};
use super::regs::{Loc, X0, X1};
use crate::exec::jit::lower::Tiny;
use guest::ir::{FSize, FloatCc, MinMax, NanRule, Nans, Overflow, Round, Sign, Val, VecLen, Width};

/// The predicates of `cmpps`: the first four with their opposites, of which those that rank values signal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
enum Predicate {
    Equal = 0,
    Less = 1,
    LessOrEqual = 2,
    Unordered = 3,
    NotEqual = 4,
    NotLess = 5,
    NotLessOrEqual = 6,
    Ordered = 7,
}

/// What signals, and what does not.
impl Predicate {
    const fn nans(self) -> Nans {
        match self {
            Self::Equal | Self::Unordered | Self::NotEqual | Self::Ordered => Nans::Quiet,
            _ => Nans::Signal,
        }
    }
}

/// Packed `0f byte`.
fn packed(byte: u8, fs: FSize) -> Option<Code> {
    match fs {
        FSize::F16 => None,
        FSize::F32 => Some(op0f(byte)),
        FSize::F64 => Some(sse(0x66, byte)),
    }
}

impl Emitter {
    /// Whether results need a look, and there are too many units for it.
    fn unsettled(&self, n: VecLen) -> bool {
        self.nan_rule != NanRule::X86 && n != VecLen::X1
    }

    /// `add` 58, `mul` 59, `sub` 5c, `div` 5e.
    pub(super) fn vector_arithmetic(&mut self, byte: u8, dst: Val, n: VecLen, fs: FSize, a: Val, b: Val) {
        let Some(code) = packed(byte, fs).filter(|_| !self.unsettled(n)) else { return self.slow() };
        if self.nan_rule == NanRule::X86 {
            return self.vector2(code, dst, n, a, b);
        }
        let y = self.xmm(b);
        self.unit_into(X0, a, 0);
        self.asm.ins(code, Width::W32, X0, Rm::Reg(y));
        self.settle_lanes(dst, fs, tiny(byte));
    }

    pub(super) fn vector_root(&mut self, dst: Val, n: VecLen, fs: FSize, a: Val) {
        let Some(code) = packed(0x51, fs).filter(|_| !self.unsettled(n)) else { return self.slow() };
        if self.nan_rule == NanRule::X86 {
            return self.vector1(dst, n, a, |e| e.asm.ins(code, Width::W32, X0, Rm::Reg(X0)));
        }
        self.unit_into(X0, a, 0);
        self.asm.ins(code, Width::W32, X0, Rm::Reg(X0));
        self.settle_lanes(dst, fs, Tiny::Never);
    }

    /// The result in the first scratch register, if no lane of it is doubtful.
    fn settle_lanes(&mut self, dst: Val, fs: FSize, tiny: Tiny) {
        self.need_context();
        self.mov_xmm(X1, X0);
        self.compare_lanes(Predicate::Unordered, fs, X1, X1);
        self.top_bits(fs, RAX, X1);
        if tiny == Tiny::Possible {
            let [absolute, lowest] = limits(fs).map(|limit| self.constant(limit));
            self.mov_xmm(X1, X0);
            self.asm.ins(op0f(0x54), Width::W32, X1, Self::rip(absolute));
            let equal = if fs == FSize::F64 { sse38(0x29) } else { sse(0x66, 0x76) };
            self.asm.ins(equal, Width::W32, X1, Self::rip(lowest));
            self.top_bits(fs, RCX, X1);
            self.asm.alu_rr(Alu::Or, Width::W32, RAX, RCX);
        } else {
            self.asm.test(Width::W32, RAX, RAX);
        }
        self.interpret_where(Cc::Ne, dst, Loc::Xmm(X0));
        let reg = self.define_xmm(dst);
        self.mov_xmm(reg, X0);
    }

    fn top_bits(&mut self, fs: FSize, to: Reg, from: Reg) {
        let code = if fs == FSize::F64 { sse(0x66, 0x50) } else { op0f(0x50) };
        self.asm.ins(code, Width::W32, to, Rm::Reg(from));
    }

    /// `cmpps` or `cmppd`.
    fn compare_lanes(&mut self, predicate: Predicate, fs: FSize, x: Reg, y: Reg) {
        let code = if fs == FSize::F64 { sse(0x66, 0xc2) } else { op0f(0xc2) };
        self.asm.ins(code, Width::W32, x, Rm::Reg(y));
        self.asm.code.push(predicate as u8);
    }

    pub(super) fn vector_float_compare(
        &mut self,
        dst: Val,
        n: VecLen,
        cc: FloatCc,
        nans: Nans,
        fs: FSize,
        a: Val,
        b: Val,
    ) {
        use Predicate::{Equal, Less, LessOrEqual, NotEqual, NotLess, NotLessOrEqual, Ordered, Unordered};
        let (predicate, x, y) = match cc {
            FloatCc::Eq => (Equal, a, b),
            FloatCc::Une => (NotEqual, a, b),
            FloatCc::Uno => (Unordered, a, b),
            FloatCc::Ord => (Ordered, a, b),
            FloatCc::Lt => (Less, a, b),
            FloatCc::Le => (LessOrEqual, a, b),
            FloatCc::Gt => (Less, b, a),
            FloatCc::Ge => (LessOrEqual, b, a),
            FloatCc::Uge => (NotLess, a, b),
            FloatCc::Ugt => (NotLessOrEqual, a, b),
            FloatCc::Ule => (NotLess, b, a),
            FloatCc::Ult => (NotLessOrEqual, b, a),
            _ => return self.slow(),
        };
        if fs == FSize::F16 || predicate.nans() != nans {
            return self.slow();
        }
        self.with_units(dst, n, x, y, |e| e.compare_lanes(predicate, fs, X0, X1));
    }

    pub(super) fn vector_float_extreme(
        &mut self,
        op: MinMax,
        dst: Val,
        n: VecLen,
        fs: FSize,
        a: Val,
        b: Val,
    ) {
        match extreme_byte(op).and_then(|byte| packed(byte, fs)) {
            Some(code) => self.vector2(code, dst, n, a, b),
            None => self.slow(),
        }
    }

    /// As for one float; what does not fit is the smallest integer.
    pub(super) fn vector_to_int(
        &mut self,
        dst: Val,
        n: VecLen,
        fs: FSize,
        signed: Sign,
        mode: Round,
        over: Overflow,
        a: Val,
    ) {
        let code = match mode {
            Round::Zero => sse(0xf3, 0x5b),
            Round::Current => sse(0x66, 0x5b),
            _ => return self.slow(),
        };
        let indefinite = over == Overflow::Indefinite;
        let saturates = over == Overflow::Saturate && self.nan_rule != NanRule::X86;
        let saturates = saturates && n == VecLen::X1 && mode == Round::Zero;
        if (fs, signed) != (FSize::F32, Sign::Signed) || !(indefinite || saturates) {
            return self.slow();
        }
        if indefinite {
            return self.vector1(dst, n, a, |e| e.asm.ins(code, Width::W32, X0, Rm::Reg(X0)));
        }
        const LEAST: u128 = u128::from_le_bytes([0, 0, 0, 0x80, 0, 0, 0, 0x80, 0, 0, 0, 0x80, 0, 0, 0, 0x80]);
        self.need_context();
        self.unit_into(X0, a, 0);
        self.asm.ins(code, Width::W32, X0, Rm::Reg(X0));
        self.mov_xmm(X1, X0);
        let least = self.constant(LEAST);
        self.asm.ins(sse(0x66, 0x76), Width::W32, X1, Self::rip(least));
        self.top_bits(fs, RAX, X1);
        self.asm.test(Width::W32, RAX, RAX);
        self.interpret_where(Cc::Ne, dst, Loc::Xmm(X0));
        let reg = self.define_xmm(dst);
        self.mov_xmm(reg, X0);
    }

    pub(super) fn vector_from_int(&mut self, dst: Val, n: VecLen, fs: FSize, signed: Sign, a: Val) {
        if (fs, signed) != (FSize::F32, Sign::Signed) {
            return self.slow();
        }
        self.vector1(dst, n, a, |e| e.asm.ins(op0f(0x5b), Width::W32, X0, Rm::Reg(X0)));
    }
}
