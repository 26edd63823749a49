//! Integer data processing.

use super::Lifter;
use crate::decode::Insn;
use crate::helpers;
use guest::ir::{FlagKind, IntCc, Val, Width, flag};

/// The value of a bitmask immediate (`DecodeBitMasks`), `None` where the fields encode none.
pub fn bitmask(w: Width, n: u32, imms: u32, immr: u32) -> Option<u64> {
    let combined = n << 6 | !imms & 0x3f;
    let len = combined.checked_ilog2().filter(|len| *len >= 1)?;
    let levels = (1 << len) - 1;
    let (s, r) = (imms & levels, immr & levels);
    if s == levels {
        return None;
    }
    let size = 1u32 << len;
    let element_mask = u64::MAX >> (64 - size);
    let ones = u64::MAX >> (63 - s);
    let element = if r == 0 { ones } else { (ones >> r | ones << (size - r)) & element_mask };
    let replicated = element.wrapping_mul(u64::MAX / element_mask);
    Some(replicated & w.mask())
}

/// Whether a logical immediate's fields encode a mask.
pub fn bitmask_is_valid(insn: Insn) -> bool {
    bitmask(insn.sf(), insn.bits(22, 1), insn.bits(10, 6), insn.bits(16, 6)).is_some()
}

/// How many bits an extended register keeps, and its sign (`DecodeRegExtend`).
const fn extension(option: u32) -> (Width, bool) {
    let width = match option & 3 {
        0 => Width::W8,
        1 => Width::W16,
        2 => Width::W32,
        _ => Width::W64,
    };
    (width, option & 4 != 0)
}

/// A value with its bits in reverse, and what it was made of.
#[derive(Clone, Copy)]
pub struct Reversed {
    w: Width,
    value: Val,
    of: Val,
}

impl Lifter {
    pub fn adr(&mut self, insn: Insn) {
        let offset = insn.signed(5, 19) << 2 | i64::from(insn.bits(29, 2));
        let value = self.imm(self.pc.wrapping_add_signed(offset));
        self.set_x(insn.rd(), value);
    }

    pub fn adrp(&mut self, insn: Insn) {
        let pages = insn.signed(5, 19) << 2 | i64::from(insn.bits(29, 2));
        let value = self.imm((self.pc & !0xfff).wrapping_add_signed(pages << 12));
        self.set_x(insn.rd(), value);
    }

    pub fn add_sub_immediate(&mut self, insn: Insn) {
        let imm = u64::from(insn.bits(10, 12)) << if insn.bit(22) { 12 } else { 0 };
        let a = self.x_or_sp(insn.rn());
        if imm == 0 && insn.sf() == Width::W64 && !insn.bit(29) && !insn.bit(30) {
            return self.set_x_or_sp(insn.rd(), a);
        }
        let b = self.imm(imm);
        self.add_sub(insn, a, b, insn.bit(29));
    }

    pub fn add_sub_shifted(&mut self, insn: Insn) {
        let a = self.x(insn.rn());
        let b = self.shifted_register(insn);
        self.add_sub(insn, a, b, true);
    }

    pub fn add_sub_extended(&mut self, insn: Insn) {
        let a = self.x_or_sp(insn.rn());
        let value = self.x(insn.rm());
        let b = self.extend(value, insn.bits(13, 3), insn.bits(10, 3));
        self.add_sub(insn, a, b, insn.bit(29));
    }

    /// The register value extended as `option` says and shifted left.
    pub fn extend(&mut self, value: Val, option: u32, shift: u32) -> Val {
        let (from, signed) = extension(option);
        let extended = match (from, signed) {
            (Width::W64, _) => value,
            (_, true) => self.ir.sext(from, value),
            (_, false) => self.ir.zext(from, value),
        };
        if shift == 0 {
            return extended;
        }
        let count = self.imm(u64::from(shift));
        self.ir.shl(Width::W64, extended, count)
    }

    /// Addition or subtraction as bit 30 says, with flags as bit 29 says. `zero_register`: whether a
    /// destination of 31 is nothing rather than the stack pointer.
    fn add_sub(&mut self, insn: Insn, a: Val, b: Val, zero_register: bool) {
        let w = insn.sf();
        let (r, kind) = if insn.bit(30) {
            (self.ir.sub(w, a, b), FlagKind::SubInv)
        } else {
            (self.ir.add(w, a, b), FlagKind::Add)
        };
        if insn.bit(29) {
            self.ir.set_flags(kind, w, a, b, r);
        }
        if zero_register { self.set_x(insn.rd(), r) } else { self.set_x_or_sp(insn.rd(), r) }
    }

    /// Rm shifted by a constant as bits 23:22 and 15:10 say.
    fn shifted_register(&mut self, insn: Insn) -> Val {
        let (w, value, amount) = (insn.sf(), self.x(insn.rm()), insn.bits(10, 6));
        if amount == 0 {
            return value;
        }
        let count = self.imm(u64::from(amount));
        match insn.bits(22, 2) {
            0 => self.ir.shl(w, value, count),
            1 => self.ir.shr(w, value, count),
            2 => self.ir.sar(w, value, count),
            _ => self.ir.rotr(w, value, count),
        }
    }

    pub fn logical_immediate(&mut self, insn: Insn) {
        let w = insn.sf();
        let mask = bitmask(w, insn.bits(22, 1), insn.bits(10, 6), insn.bits(16, 6)).unwrap_or(0);
        let b = self.imm(mask);
        if insn.bits(29, 2) == 1 && insn.rn() == 31 {
            return self.set_x_or_sp(insn.rd(), b);
        }
        let a = self.x(insn.rn());
        match insn.bits(29, 2) {
            0 => {
                let r = self.ir.and(w, a, b);
                self.set_x_or_sp(insn.rd(), r);
            }
            1 => {
                let r = self.ir.or(w, a, b);
                self.set_x_or_sp(insn.rd(), r);
            }
            2 => {
                let r = self.ir.xor(w, a, b);
                self.set_x_or_sp(insn.rd(), r);
            }
            _ => self.ands(insn, a, b),
        }
    }

    fn ands(&mut self, insn: Insn, a: Val, b: Val) {
        let w = insn.sf();
        let r = self.ir.and(w, a, b);
        self.set_logic_flags(w, r);
        self.set_x(insn.rd(), r);
    }

    fn set_logic_flags(&mut self, w: Width, r: Val) {
        let zero = self.imm(0);
        self.ir.set_flags(FlagKind::Logic, w, zero, zero, r);
    }

    pub fn logical_shifted(&mut self, insn: Insn) {
        let w = insn.sf();
        let b = self.shifted_register(insn);
        let inverted = insn.bit(21);
        if insn.bits(29, 2) == 1 && insn.rn() == 31 {
            let r = match (inverted, w) {
                (true, _) => self.ir.not(w, b),
                (false, Width::W64) => b,
                (false, _) => self.ir.zext(w, b),
            };
            return self.set_x(insn.rd(), r);
        }
        let a = self.x(insn.rn());
        let r = match (insn.bits(29, 2), inverted) {
            (0 | 3, false) => self.ir.and(w, a, b),
            (0 | 3, true) => self.ir.andnot(w, a, b),
            (opc, _) => {
                let b = if inverted { self.ir.not(w, b) } else { b };
                if opc == 1 { self.ir.or(w, a, b) } else { self.ir.xor(w, a, b) }
            }
        };
        if insn.bits(29, 2) == 3 {
            self.set_logic_flags(w, r);
        }
        self.set_x(insn.rd(), r);
    }

    pub fn movz(&mut self, insn: Insn) {
        let value = self.imm(u64::from(insn.bits(5, 16)) << (16 * insn.bits(21, 2)));
        self.set_x(insn.rd(), value);
    }

    pub fn movn(&mut self, insn: Insn) {
        let value = !(u64::from(insn.bits(5, 16)) << (16 * insn.bits(21, 2)));
        let value = self.imm(value & insn.sf().mask());
        self.set_x(insn.rd(), value);
    }

    pub fn movk(&mut self, insn: Insn) {
        let (lsb, bits) = (16 * insn.bits(21, 2), u64::from(insn.bits(5, 16)));
        let old = self.x(insn.rd());
        if let Some(known) = self.ir.const_of(old) {
            let value = known & !(0xffff << lsb) | bits << lsb;
            let value = self.imm(value & insn.sf().mask());
            return self.set_x(insn.rd(), value);
        }
        let b = self.imm(bits);
        let value = self.ir.deposit(lsb as u8, 16, old, b);
        let value = self.narrow(insn.sf(), value);
        self.set_x(insn.rd(), value);
    }

    /// The value with the bits above `w` cleared.
    fn narrow(&mut self, w: Width, value: Val) -> Val {
        if w == Width::W64 { value } else { self.ir.zext(w, value) }
    }

    pub fn ubfm(&mut self, insn: Insn) {
        let (w, r, s) = (insn.sf(), insn.bits(16, 6), insn.bits(10, 6));
        let a = self.x(insn.rn());
        let value = if s >= r {
            self.ir.extract(r as u8, (s - r + 1) as u8, a)
        } else {
            let lsb = w.bits() - r;
            let count = self.imm(u64::from(lsb));
            let field = if lsb + s + 1 == w.bits() { a } else { self.ir.extract(0, (s + 1) as u8, a) };
            self.ir.shl(w, field, count)
        };
        self.set_x(insn.rd(), value);
    }

    pub fn sbfm(&mut self, insn: Insn) {
        let (w, r, s) = (insn.sf(), insn.bits(16, 6), insn.bits(10, 6));
        let a = self.x(insn.rn());
        let value = if s >= r {
            self.ir.sextract(r as u8, (s - r + 1) as u8, a)
        } else {
            let field = self.ir.sextract(0, (s + 1) as u8, a);
            let count = self.imm(u64::from(w.bits() - r));
            self.ir.shl(w, field, count)
        };
        let value = self.narrow(w, value);
        self.set_x(insn.rd(), value);
    }

    pub fn bfm(&mut self, insn: Insn) {
        let (w, r, s) = (insn.sf(), insn.bits(16, 6), insn.bits(10, 6));
        let (old, a) = (self.x(insn.rd()), self.x(insn.rn()));
        let value = if s >= r {
            let field = if r == 0 { a } else { self.ir.extract(r as u8, (s - r + 1) as u8, a) };
            self.ir.deposit(0, (s - r + 1) as u8, old, field)
        } else {
            self.ir.deposit((w.bits() - r) as u8, (s + 1) as u8, old, a)
        };
        let value = self.narrow(w, value);
        self.set_x(insn.rd(), value);
    }

    pub fn extr(&mut self, insn: Insn) {
        let (w, lsb) = (insn.sf(), insn.bits(10, 6));
        let (hi, lo) = (self.x(insn.rn()), self.x(insn.rm()));
        let value = if lsb == 0 {
            self.narrow(w, lo)
        } else if insn.rn() == insn.rm() {
            let count = self.imm(u64::from(lsb));
            self.ir.rotr(w, lo, count)
        } else {
            let (right, left) = (self.imm(u64::from(lsb)), self.imm(u64::from(w.bits() - lsb)));
            let low = self.ir.shr(w, lo, right);
            let high = self.ir.shl(w, hi, left);
            self.ir.or(w, low, high)
        };
        self.set_x(insn.rd(), value);
    }

    pub fn adc(&mut self, insn: Insn) {
        let (w, a, b) = (insn.sf(), self.x(insn.rn()), self.x(insn.rm()));
        let carry = self.ir.condition(guest::ir::Cond::Cs);
        let sum = self.ir.add(w, a, b);
        let r = self.ir.add(w, sum, carry);
        if insn.bit(29) {
            self.ir.set_flags(FlagKind::Adc, w, a, b, r);
        }
        self.set_x(insn.rd(), r);
    }

    pub fn sbc(&mut self, insn: Insn) {
        let (w, a, b) = (insn.sf(), self.x(insn.rn()), self.x(insn.rm()));
        let borrow = self.ir.condition(guest::ir::Cond::Cc);
        let difference = self.ir.sub(w, a, b);
        let r = self.ir.sub(w, difference, borrow);
        if insn.bit(29) {
            self.ir.set_flags(FlagKind::SbcInv, w, a, b, r);
        }
        self.set_x(insn.rd(), r);
    }

    /// `CCMP`, `CCMN`: compare where the condition holds, else set the flags given.
    pub fn conditional_compare(&mut self, insn: Insn) {
        let w = insn.sf();
        let a = self.x(insn.rn());
        let b = if insn.bit(11) { self.imm(u64::from(insn.bits(16, 5))) } else { self.x(insn.rm()) };
        let holds = self.condition(insn.bits(12, 4));
        let (kind, r) = if insn.bit(30) {
            (FlagKind::SubInv, self.ir.sub(w, a, b))
        } else {
            (FlagKind::Add, self.ir.add(w, a, b))
        };
        let otherwise = self.imm(packed_nzcv(insn.bits(0, 4)));
        self.ir.put_flags(otherwise);
        self.ir.set_flags_if(holds, kind, w, a, b, r);
    }

    /// `CSEL`, `CSINC`, `CSINV`, `CSNEG`.
    pub fn conditional_select(&mut self, insn: Insn) {
        let (w, op) = (insn.sf(), insn.bits(30, 1) << 1 | insn.bits(10, 1));
        let (a, b) = (self.x(insn.rn()), self.x(insn.rm()));
        let holds = self.condition(insn.bits(12, 4));
        let value = if op == 1 && insn.rn() == 31 && insn.rm() == 31 {
            let one = self.imm(1);
            self.ir.xor(Width::W64, holds, one)
        } else {
            let b = match op {
                0 => b,
                1 => {
                    let one = self.imm(1);
                    self.ir.add(w, b, one)
                }
                2 => self.ir.not(w, b),
                _ => self.ir.neg(w, b),
            };
            let chosen = self.ir.select(holds, a, b);
            self.narrow(w, chosen)
        };
        self.set_x(insn.rd(), value);
    }

    fn two_operands(&mut self, insn: Insn, f: impl FnOnce(&mut Self, Width, Val, Val) -> Val) {
        let (a, b) = (self.x(insn.rn()), self.x(insn.rm()));
        let r = f(self, insn.sf(), a, b);
        self.set_x(insn.rd(), r);
    }

    pub fn udiv(&mut self, insn: Insn) {
        self.two_operands(insn, |l, w, a, b| l.ir.udiv(w, a, b));
    }

    pub fn sdiv(&mut self, insn: Insn) {
        self.two_operands(insn, |l, w, a, b| l.ir.sdiv(w, a, b));
    }

    pub fn shift_variable(&mut self, insn: Insn) {
        self.two_operands(insn, |l, w, a, b| match insn.bits(10, 2) {
            0 => l.ir.shl(w, a, b),
            1 => l.ir.shr(w, a, b),
            2 => l.ir.sar(w, a, b),
            _ => l.ir.rotr(w, a, b),
        });
    }

    pub fn smulh(&mut self, insn: Insn) {
        self.two_operands(insn, |l, w, a, b| l.ir.smulh(w, a, b));
    }

    pub fn umulh(&mut self, insn: Insn) {
        self.two_operands(insn, |l, w, a, b| l.ir.umulh(w, a, b));
    }

    pub fn crc32(&mut self, insn: Insn) {
        let kind = self.imm(u64::from(insn.bits(10, 3)));
        self.two_operands(insn, |l, _, a, b| l.ir.call(helpers::CRC32, a, b, kind));
    }

    fn one_operand(&mut self, insn: Insn, f: impl FnOnce(&mut Self, Width, Val) -> Val) {
        let a = self.x(insn.rn());
        let r = f(self, insn.sf(), a);
        self.set_x(insn.rd(), r);
    }

    pub fn rbit(&mut self, insn: Insn) {
        self.one_operand(insn, |l, w, a| {
            let value = l.ir.bitrev(w, a);
            l.reversed = Some(Reversed { w, value, of: a });
            value
        });
    }

    pub fn rev(&mut self, insn: Insn) {
        self.one_operand(insn, |l, w, a| l.ir.bswap(w, a));
    }

    pub fn rev16(&mut self, insn: Insn) {
        self.one_operand(insn, |l, w, a| {
            let (low, eight) = (l.imm(0x00ff_00ff_00ff_00ff & w.mask()), l.imm(8));
            let high = l.ir.shr(w, a, eight);
            let high = l.ir.and(w, high, low);
            let low = l.ir.and(w, a, low);
            let low = l.ir.shl(w, low, eight);
            l.ir.or(w, high, low)
        });
    }

    pub fn rev32(&mut self, insn: Insn) {
        self.one_operand(insn, |l, w, a| {
            let (swapped, half) = (l.ir.bswap(w, a), l.imm(32));
            l.ir.rotr(w, swapped, half)
        });
    }

    /// Behind `RBIT` it counts trailing zeros; then nothing may need the reversed value.
    pub fn clz(&mut self, insn: Insn) {
        self.one_operand(insn, |l, w, a| match l.reversed {
            Some(reversed) if (reversed.w, reversed.value) == (w, a) => l.ir.ctz(w, reversed.of),
            _ => l.ir.clz(w, a),
        });
    }

    /// Leading bits like the sign bit: the leading zeros of `a ^ (a >> 1)`, less the first.
    pub fn cls(&mut self, insn: Insn) {
        self.one_operand(insn, |l, w, a| {
            let one = l.imm(1);
            let shifted = l.ir.sar(w, a, one);
            let changes = l.ir.xor(w, a, shifted);
            let zeros = l.ir.clz(w, changes);
            l.ir.sub(Width::W64, zeros, one)
        });
    }

    /// `MADD`, `MSUB`.
    pub fn madd(&mut self, insn: Insn) {
        let w = insn.sf();
        let (a, b) = (self.x(insn.rn()), self.x(insn.rm()));
        let product = self.ir.mul(w, a, b);
        let r = self.accumulate(insn, w, product);
        self.set_x(insn.rd(), r);
    }

    /// Adds to Ra, or subtracts from it, as bit 15 says.
    fn accumulate(&mut self, insn: Insn, w: Width, product: Val) -> Val {
        if insn.ra() == 31 {
            return if insn.bit(15) { self.ir.neg(w, product) } else { product };
        }
        let c = self.x(insn.ra());
        if insn.bit(15) { self.ir.sub(w, c, product) } else { self.ir.add(w, c, product) }
    }

    /// `SMADDL`, `SMSUBL`, `UMADDL`, `UMSUBL`.
    pub fn maddl(&mut self, insn: Insn) {
        let (a, b) = (self.x(insn.rn()), self.x(insn.rm()));
        let (a, b) = if insn.bit(23) {
            (self.ir.zext(Width::W32, a), self.ir.zext(Width::W32, b))
        } else {
            (self.ir.sext(Width::W32, a), self.ir.sext(Width::W32, b))
        };
        let product = self.ir.mul(Width::W64, a, b);
        let r = self.accumulate(insn, Width::W64, product);
        self.set_x(insn.rd(), r);
    }

    /// 1 where the value is zero in its low `w` bits, or is not.
    pub fn is_zero(&mut self, w: Width, value: Val, negate: bool) -> Val {
        let zero = self.imm(0);
        self.ir.icmp(if negate { IntCc::Ne } else { IntCc::Eq }, w, value, zero)
    }
}

/// A 4-bit NZCV value as packed flags.
pub const fn packed_nzcv(nzcv: u32) -> u64 {
    let mut flags = 0;
    if nzcv & 8 != 0 {
        flags |= flag::S;
    }
    if nzcv & 4 != 0 {
        flags |= flag::Z;
    }
    if nzcv & 2 != 0 {
        flags |= flag::C;
    }
    if nzcv & 1 != 0 {
        flags |= flag::V;
    }
    flags
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bitmask_immediates_follow_the_manual() {
        assert_eq!(bitmask(Width::W64, 1, 0b000_000, 0), Some(1));
        assert_eq!(bitmask(Width::W64, 0, 0b111_100, 0), Some(0x5555_5555_5555_5555));
        assert_eq!(bitmask(Width::W32, 0, 0b000_111, 4), Some(0xf000_000f));
        assert_eq!(bitmask(Width::W64, 1, 0b111_111, 0), None);
        assert_eq!(bitmask(Width::W64, 0, 0b111_110, 0), None);
    }
}
