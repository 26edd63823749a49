//! Integer ops.

use super::Lowering;
use super::values::int_type;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{self, InstBuilder, types};
use guest::ir::{IntCc, Sign, Val, Width};

/// Two-operand ops that Cranelift has at every width.
#[derive(Clone, Copy)]
pub enum Binary {
    Add,
    Sub,
    Mul,
    And,
    Or,
    Xor,
    AndNot,
    Shl,
    Shr,
    Sar,
    Rotl,
    Rotr,
}

pub fn int_condition(cc: IntCc) -> IntCC {
    match cc {
        IntCc::Eq => IntCC::Equal,
        IntCc::Ne => IntCC::NotEqual,
        IntCc::Ult => IntCC::UnsignedLessThan,
        IntCc::Ule => IntCC::UnsignedLessThanOrEqual,
        IntCc::Ugt => IntCC::UnsignedGreaterThan,
        IntCc::Uge => IntCC::UnsignedGreaterThanOrEqual,
        IntCc::Slt => IntCC::SignedLessThan,
        IntCc::Sle => IntCC::SignedLessThanOrEqual,
        IntCc::Sgt => IntCC::SignedGreaterThan,
        IntCc::Sge => IntCC::SignedGreaterThanOrEqual,
    }
}

impl Lowering<'_, '_> {
    pub(super) fn compare(&mut self, cc: IntCc, w: Width, a: Val, b: Val) -> ir::Value {
        let tests_zero = w == Width::W64 && self.vals.konst(b) == Some(0);
        if tests_zero
            && matches!(cc, IntCc::Eq | IntCc::Ne)
            && let Some(set) = self.is_half_set(a)
        {
            return if cc == IntCc::Ne { set } else { self.is_zero(set) };
        }
        let (x, y) = (self.narrow(w, a), self.narrow(w, b));
        self.b.ins().icmp(int_condition(cc), x, y)
    }

    pub(super) fn binary(&mut self, op: Binary, dst: Val, w: Width, a: Val, b: Val) {
        let x = self.narrow(w, a);
        let shifts = matches!(op, Binary::Shl | Binary::Shr | Binary::Sar | Binary::Rotl | Binary::Rotr);
        // A shift's count is taken modulo the width, whatever its own type.
        let y = if shifts { self.int(b) } else { self.narrow(w, b) };
        let value = match op {
            Binary::Add => self.b.ins().iadd(x, y),
            Binary::Sub => self.b.ins().isub(x, y),
            Binary::Mul => self.b.ins().imul(x, y),
            Binary::And => self.b.ins().band(x, y),
            Binary::Or => self.b.ins().bor(x, y),
            Binary::Xor => self.b.ins().bxor(x, y),
            Binary::AndNot => self.b.ins().band_not(x, y),
            Binary::Shl => self.b.ins().ishl(x, y),
            Binary::Shr => self.b.ins().ushr(x, y),
            Binary::Sar => self.b.ins().sshr(x, y),
            Binary::Rotl => self.b.ins().rotl(x, y),
            Binary::Rotr => self.b.ins().rotr(x, y),
        };
        self.set_narrow(dst, value);
    }

    /// The low bits of the value, sign- or zero-extended to I64.
    pub(super) fn extended(&mut self, w: Width, signed: Sign, v: Val) -> ir::Value {
        let narrow = self.narrow(w, v);
        match (w, signed) {
            (Width::W64, _) => narrow,
            (_, Sign::Unsigned) => self.b.ins().uextend(types::I64, narrow),
            (_, Sign::Signed) => self.b.ins().sextend(types::I64, narrow),
        }
    }

    pub(super) fn mul_high(&mut self, dst: Val, w: Width, signed: Sign, a: Val, b: Val) {
        let (x, y) = (self.extended(w, signed, a), self.extended(w, signed, b));
        let value = match (w, signed) {
            (Width::W64, Sign::Unsigned) => self.b.ins().umulhi(x, y),
            (Width::W64, Sign::Signed) => self.b.ins().smulhi(x, y),
            _ => {
                let product = self.b.ins().imul(x, y);
                let high = self.b.ins().ushr_imm_u(product, i64::from(w.bits()));
                self.low_bits(w, high)
            }
        };
        self.set(dst, value);
    }

    /// A divisor that cannot trap: 1 where it is 0 (or -1, for signed division).
    fn safe_divisor(&mut self, signed: Sign, b: ir::Value) -> ir::Value {
        let mut bad = self.is_zero(b);
        if signed == Sign::Signed {
            let minus_one = self.iconst(u64::MAX);
            let negates = self.b.ins().icmp(IntCC::Equal, b, minus_one);
            bad = self.b.ins().bor(bad, negates);
        }
        let one = self.iconst(1);
        self.b.ins().select(bad, one, b)
    }

    /// 64-bit quotient or remainder; 0 where b is 0, wrapping for MIN / -1.
    fn divide(&mut self, signed: Sign, remainder: bool, a: ir::Value, b: ir::Value) -> ir::Value {
        let safe = self.safe_divisor(signed, b);
        let zero = self.iconst(0);
        let none = self.is_zero(b);
        let value = match (signed, remainder) {
            (Sign::Unsigned, false) => self.b.ins().udiv(a, safe),
            (Sign::Unsigned, true) => self.b.ins().urem(a, safe),
            (Sign::Signed, false) => {
                let quotient = self.b.ins().sdiv(a, safe);
                let minus_one = self.iconst(u64::MAX);
                let negates = self.b.ins().icmp(IntCC::Equal, b, minus_one);
                let negated = self.b.ins().ineg(a);
                self.b.ins().select(negates, negated, quotient)
            }
            (Sign::Signed, true) => self.b.ins().srem(a, safe),
        };
        self.b.ins().select(none, zero, value)
    }

    pub(super) fn quotient(&mut self, dst: Val, w: Width, signed: Sign, a: Val, b: Val) {
        if w == Width::W32 {
            return self.quotient32(dst, signed, a, b);
        }
        let (x, y) = (self.extended(w, signed, a), self.extended(w, signed, b));
        let value = self.divide(signed, false, x, y);
        let cut = if w == Width::W64 { value } else { self.low_bits(w, value) };
        self.set(dst, cut);
    }

    /// 32-bit division is twice as fast on many hosts.
    fn quotient32(&mut self, dst: Val, signed: Sign, a: Val, b: Val) {
        let (x, y) = (self.narrow(Width::W32, a), self.narrow(Width::W32, b));
        let one = self.b.ins().iconst(types::I32, 1);
        let zero = self.b.ins().iconst(types::I32, 0);
        let none = self.b.ins().icmp(IntCC::Equal, y, zero);
        let value = if signed == Sign::Unsigned {
            let safe = self.b.ins().select(none, one, y);
            self.b.ins().udiv(x, safe)
        } else {
            let negates = self.b.ins().icmp_imm_s(IntCC::Equal, y, -1);
            let bad = self.b.ins().bor(none, negates);
            let safe = self.b.ins().select(bad, one, y);
            let quotient = self.b.ins().sdiv(x, safe);
            let negated = self.b.ins().ineg(x);
            self.b.ins().select(negates, negated, quotient)
        };
        let value = self.b.ins().select(none, zero, value);
        self.set_narrow(dst, value);
    }

    /// hi:lo of a width below 64 as one I64.
    fn joined(&mut self, w: Width, signed: Sign, hi: Val, lo: Val) -> ir::Value {
        let high = self.extended(w, signed, hi);
        let low = self.extended(w, Sign::Unsigned, lo);
        let moved = self.b.ins().ishl_imm_u(high, i64::from(w.bits()));
        self.b.ins().bor(moved, low)
    }

    /// Whether hi:lo is lo extended: then 64-bit division does.
    fn high_is_extension(&mut self, signed: Sign, hi: Val, lo: Val) -> ir::Value {
        let (high, low) = (self.int(hi), self.int(lo));
        let extension = match signed {
            Sign::Unsigned => self.iconst(0),
            Sign::Signed => self.b.ins().sshr_imm_u(low, 63),
        };
        self.b.ins().icmp(IntCC::Equal, high, extension)
    }

    pub(super) fn wide_division(
        &mut self,
        dst: Val,
        w: Width,
        signed: Sign,
        rem: bool,
        n: (Val, Val),
        b: Val,
    ) {
        if w == Width::W64 {
            let usual = self.high_is_extension(signed, n.0, n.1);
            let (low, divisor) = (self.int(n.1), self.int(b));
            return self.usually(usual, |this| this.divide(signed, rem, low, divisor));
        }
        let dividend = self.joined(w, signed, n.0, n.1);
        let divisor = self.extended(w, signed, b);
        let value = self.divide(signed, rem, dividend, divisor);
        let cut = self.low_bits(w, value);
        self.set(dst, cut);
    }

    pub(super) fn division_overflows(&mut self, dst: Val, w: Width, signed: Sign, hi: Val, lo: Val, b: Val) {
        match (w, signed) {
            (_, Sign::Unsigned) => {
                let (high, divisor) = (self.extended(w, signed, hi), self.extended(w, signed, b));
                // hi >= 0 = b holds always.
                let over = self.b.ins().icmp(IntCC::UnsignedGreaterThanOrEqual, high, divisor);
                self.set_narrow(dst, over);
            }
            (Width::W64, Sign::Signed) => {
                let usual = self.high_is_extension(signed, hi, lo);
                let (low, divisor) = (self.int(lo), self.int(b));
                self.usually(usual, |this| {
                    let none = this.is_zero(divisor);
                    let least = this.iconst(1 << 63);
                    let minus_one = this.iconst(u64::MAX);
                    let is_least = this.b.ins().icmp(IntCC::Equal, low, least);
                    let negates = this.b.ins().icmp(IntCC::Equal, divisor, minus_one);
                    let both = this.b.ins().band(is_least, negates);
                    let over = this.b.ins().bor(none, both);
                    this.widen(over)
                });
            }
            _ => {
                let dividend = self.joined(w, signed, hi, lo);
                let divisor = self.extended(w, signed, b);
                let quotient = self.divide(signed, false, dividend, divisor);
                let narrow = self.b.ins().ireduce(int_type(w), quotient);
                let back = self.b.ins().sextend(types::I64, narrow);
                let wraps = self.b.ins().icmp(IntCC::NotEqual, back, quotient);
                let none = self.is_zero(divisor);
                let over = self.b.ins().bor(none, wraps);
                self.set_narrow(dst, over);
            }
        }
    }

    /// The bytes in reverse order, and in each of them the bits: half of what Cranelift makes of it.
    pub(super) fn reversed_bits(&mut self, dst: Val, w: Width, a: Val) {
        let x = self.narrow(w, a);
        let mut value = if w == Width::W8 { x } else { self.b.ins().bswap(x) };
        let ty = self.b.func.dfg.value_type(value);
        for (shift, mask) in [(4, 0x0f), (2, 0x33), (1, 0x55)] {
            let mask = u64::from_le_bytes([mask; 8]) & w.mask();
            let mask = self.b.ins().iconst(ty, mask as i64);
            let right = self.b.ins().ushr_imm_u(value, shift);
            let (right, left) = (self.b.ins().band(right, mask), self.b.ins().band(value, mask));
            let left = self.b.ins().ishl_imm_u(left, shift);
            value = self.b.ins().bor(left, right);
        }
        self.set_narrow(dst, value);
    }

    pub(super) fn leading_zeros(&mut self, dst: Val, w: Width, a: Val) {
        let value = self.extended(w, Sign::Unsigned, a);
        let count = self.b.ins().clz(value);
        let beyond = self.iconst(64 - u64::from(w.bits()));
        let value = self.b.ins().isub(count, beyond);
        self.set(dst, value);
    }

    pub(super) fn trailing_zeros(&mut self, dst: Val, w: Width, a: Val) {
        let mut value = self.int(a);
        if w != Width::W64 {
            let stop = self.iconst(1 << w.bits());
            value = self.b.ins().bor(value, stop);
        }
        let count = self.b.ins().ctz(value);
        self.set(dst, count);
    }

    pub(super) fn bit_field(&mut self, dst: Val, signed: Sign, lsb: u8, len: u8, a: Val) {
        let value = self.int(a);
        let up = i64::from(64 - lsb - len);
        let top = if up == 0 { value } else { self.b.ins().ishl_imm_u(value, up) };
        let down = i64::from(64 - len);
        let field = match signed {
            Sign::Unsigned if lsb == 0 && len < 64 => {
                let mask = self.iconst(u64::MAX >> down);
                self.b.ins().band(value, mask)
            }
            Sign::Unsigned => self.b.ins().ushr_imm_u(top, down),
            Sign::Signed => self.b.ins().sshr_imm_u(top, down),
        };
        self.set(dst, field);
    }

    pub(super) fn bit_deposit(&mut self, dst: Val, lsb: u8, len: u8, a: Val, b: Val) {
        let mask = (u64::MAX >> (64 - len)) << lsb;
        let (into, value) = (self.int(a), self.int(b));
        let (keep, take) = (self.iconst(!mask), self.iconst(mask));
        let kept = self.b.ins().band(into, keep);
        let moved = self.b.ins().ishl_imm_u(value, i64::from(lsb));
        let taken = self.b.ins().band(moved, take);
        let both = self.b.ins().bor(kept, taken);
        self.set(dst, both);
    }
}
