//! Scalar floats, as far as one host instruction says the same as the op, which is looked at where AArch64's rules may say
//! something else; the rest is interpreted.

use super::Emitter;
use super::asm::{Alu, Cc, RAX, RCX, Rm, op0f, sse};
use super::regs::{Loc, X0, X1};
use crate::exec::jit::lower::{Tiny, lowest_normal};
use guest::ir::flags::ordering;
use guest::ir::{FSize, FloatCc, MinMax, NanRule, Nans, Overflow, Round, Sign, Val, Width};

/// The prefix of the scalar instructions.
fn prefix(fs: FSize) -> Option<u8> {
    match fs {
        FSize::F16 => None,
        FSize::F32 => Some(0xf3),
        FSize::F64 => Some(0xf2),
    }
}

/// Whether a result of `0f byte` may have been rounded up to the smallest normal number.
pub fn tiny(byte: u8) -> Tiny {
    if matches!(byte, 0x59 | 0x5e) { Tiny::Possible } else { Tiny::Never }
}

/// In every lane: all bits but the sign, and the smallest normal number.
pub fn limits(fs: FSize) -> [u128; 2] {
    let ones = u128::MAX / u128::from(fs.width().mask());
    [fs.width().mask() >> 1, lowest_normal(fs)].map(|bits| u128::from(bits) * ones)
}

/// `min` or `max`, where the op is x86's own.
pub fn extreme_byte(op: MinMax) -> Option<u8> {
    match op {
        MinMax::X86Min => Some(0x5d),
        MinMax::X86Max => Some(0x5f),
        _ => None,
    }
}

impl Emitter {
    /// Two operands in the first scratch registers.
    fn operands(&mut self, fs: FSize, a: Val, b: Val) {
        let (x, y) = (self.int(a), self.int(b));
        self.int_to_xmm(fs.width(), X0, x);
        self.int_to_xmm(fs.width(), X1, y);
    }

    /// `add` 58, `mul` 59, `sub` 5c, `div` 5e.
    pub(super) fn arithmetic(&mut self, byte: u8, dst: Val, fs: FSize, a: Val, b: Val) {
        let Some(prefix) = prefix(fs) else { return self.slow() };
        self.operands(fs, a, b);
        self.asm.ins(sse(prefix, byte), Width::W32, X0, Rm::Reg(X1));
        self.settle(dst, fs, tiny(byte));
    }

    /// The result in the first scratch register: only the x86 rule for NaNs is the instruction's own.
    fn settle(&mut self, dst: Val, fs: FSize, tiny: Tiny) {
        if self.nan_rule != NanRule::X86 {
            let doubtful = self.compare_doubtful(fs, tiny);
            self.interpret_where(doubtful, dst, Loc::Xmm(X0));
        }
        let reg = self.define_int(dst);
        self.xmm_to_int(fs.width(), reg, X0);
    }

    /// What holds where the interpreter must make the result: it is a NaN or, of products and quotients, may have been
    /// rounded up to the smallest normal number, which are "equal" or "unordered". (Their other results are told of as on
    /// AArch64.)
    fn compare_doubtful(&mut self, fs: FSize, tiny: Tiny) -> Cc {
        self.need_context();
        let code = if fs == FSize::F64 { sse(0x66, 0x2e) } else { op0f(0x2e) };
        if tiny == Tiny::Never {
            self.asm.ins(code, Width::W32, X0, Rm::Reg(X0));
            return Cc::P;
        }
        let [absolute, lowest] = limits(fs).map(|limit| self.constant(limit));
        self.mov_xmm(X1, X0);
        self.asm.ins(op0f(0x54), Width::W32, X1, Self::rip(absolute));
        self.asm.ins(code, Width::W32, X1, Self::rip(lowest));
        Cc::E
    }

    /// Scalar `0f byte`, by no rule but x86's.
    fn scalar(&mut self, byte: u8, dst: Val, fs: FSize, a: Val, b: Val) {
        let Some(prefix) = prefix(fs) else { return self.slow() };
        self.operands(fs, a, b);
        self.asm.ins(sse(prefix, byte), Width::W32, X0, Rm::Reg(X1));
        let reg = self.define_int(dst);
        self.xmm_to_int(fs.width(), reg, X0);
    }

    pub(super) fn float_extreme(&mut self, op: MinMax, dst: Val, fs: FSize, a: Val, b: Val) {
        match extreme_byte(op) {
            Some(byte) => self.scalar(byte, dst, fs, a, b),
            None => self.slow(),
        }
    }

    pub(super) fn square_root(&mut self, dst: Val, fs: FSize, a: Val) {
        let Some(prefix) = prefix(fs) else { return self.slow() };
        let x = self.int(a);
        self.int_to_xmm(fs.width(), X0, x);
        self.asm.ins(sse(prefix, 0x51), Width::W32, X0, Rm::Reg(X0));
        self.settle(dst, fs, Tiny::Never);
    }

    /// `ucomis` or `comis`.
    fn compare_floats(&mut self, nans: Nans, fs: FSize, a: Val, b: Val) {
        self.operands(fs, a, b);
        self.compare_operands(nans, fs, false);
    }

    fn compare_operands(&mut self, nans: Nans, fs: FSize, swapped: bool) {
        let byte = if nans == Nans::Signal { 0x2f } else { 0x2e };
        let code = if fs == FSize::F64 { sse(0x66, byte) } else { op0f(byte) };
        let (x, y) = if swapped { (X1, X0) } else { (X0, X1) };
        self.asm.ins(code, Width::W32, x, Rm::Reg(y));
    }

    pub(super) fn float_compare(&mut self, dst: Val, cc: FloatCc, nans: Nans, fs: FSize, a: Val, b: Val) {
        // After `ucomis x, y`: CF is "less or unordered", ZF "equal or unordered", PF "unordered".
        let (swapped, host) = match cc {
            FloatCc::Gt => (false, Cc::A),
            FloatCc::Ge => (false, Cc::Ae),
            FloatCc::Lt => (true, Cc::A),
            FloatCc::Le => (true, Cc::Ae),
            FloatCc::Ult => (false, Cc::B),
            FloatCc::Ule => (false, Cc::Be),
            FloatCc::Ugt => (true, Cc::B),
            FloatCc::Uge => (true, Cc::Be),
            FloatCc::Uno => (false, Cc::P),
            FloatCc::Ord => (false, Cc::Np),
            FloatCc::Ueq => (false, Cc::E),
            FloatCc::One => (false, Cc::Ne),
            _ => return self.slow(),
        };
        if fs == FSize::F16 {
            return self.slow();
        }
        self.operands(fs, a, b);
        self.compare_operands(nans, fs, swapped);
        self.set_from(dst, host);
    }

    /// The ordering's number.
    pub(super) fn float_ordering(&mut self, dst: Val, nans: Nans, fs: FSize, a: Val, b: Val) {
        if fs == FSize::F16 {
            return self.slow();
        }
        self.compare_floats(nans, fs, a, b);
        let reg = self.define_int(dst);
        self.asm.mov_ri(reg, ordering::GREATER);
        self.asm.mov_ri(RAX, ordering::LESS);
        self.asm.cmov(Cc::B, reg, RAX);
        self.asm.mov_ri(RAX, ordering::EQUAL);
        self.asm.cmov(Cc::E, reg, RAX);
        self.asm.mov_ri(RCX, ordering::UNORDERED);
        self.asm.cmov(Cc::P, reg, RCX);
    }

    pub(super) fn convert(&mut self, dst: Val, from: FSize, to: FSize, a: Val) {
        let code = match (from, to, self.nan_rule) {
            (FSize::F32, FSize::F64, NanRule::X86 | NanRule::Arm) => sse(0xf3, 0x5a),
            (FSize::F64, FSize::F32, NanRule::X86 | NanRule::Arm) => sse(0xf2, 0x5a),
            _ => return self.slow(),
        };
        let x = self.int(a);
        self.int_to_xmm(from.width(), X0, x);
        self.asm.ins(code, Width::W32, X0, Rm::Reg(X0));
        let reg = self.define_int(dst);
        self.xmm_to_int(to.width(), reg, X0);
    }

    /// Only what x86 has: the current mode or towards zero. It has a value of its own for what does not fit, which is
    /// less than all others.
    pub(super) fn float_to_int(
        &mut self,
        dst: Val,
        fs: FSize,
        w: Width,
        signed: Sign,
        mode: Round,
        over: Overflow,
        a: Val,
    ) {
        let saturates = over == Overflow::Saturate && self.nan_rule != NanRule::X86;
        let byte = match mode {
            Round::Current if !saturates => 0x2d,
            Round::Zero => 0x2c,
            _ => return self.slow(),
        };
        let known = saturates || over == Overflow::Indefinite;
        let wide = matches!(w, Width::W32 | Width::W64);
        let (Some(prefix), true) = (prefix(fs), wide && signed == Sign::Signed && known) else {
            return self.slow();
        };
        let x = self.int(a);
        self.int_to_xmm(fs.width(), X0, x);
        let reg = self.define_int(dst);
        self.asm.ins(sse(prefix, byte), w, reg, Rm::Reg(X0));
        if saturates {
            self.need_context();
            self.asm.alu_ri(Alu::Cmp, w, Rm::Reg(reg), 1);
            self.interpret_where(Cc::O, dst, Loc::Int(reg));
        }
    }

    pub(super) fn int_to_float(&mut self, dst: Val, fs: FSize, w: Width, signed: Sign, a: Val) {
        let (Some(prefix), Sign::Signed, true) = (prefix(fs), signed, matches!(w, Width::W32 | Width::W64))
        else {
            return self.slow();
        };
        let x = self.int(a);
        self.clear_xmm(X0);
        self.asm.ins(sse(prefix, 0x2a), w, X0, Rm::Reg(x));
        let reg = self.define_int(dst);
        self.xmm_to_int(fs.width(), reg, X0);
    }
}
