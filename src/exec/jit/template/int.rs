//! Integer operations.

use super::Emitter;
use super::asm::{Alu, Cc, RAX, RCX, RDX, Reg, Rm, Shift, fits, op, op0f};
use super::regs::Loc;
use guest::ir::{Sign, Val, Width};

impl Emitter {
    /// The width that an operation is done in: what lies above is cut off afterwards.
    fn working(w: Width) -> Width {
        if w == Width::W64 { Width::W64 } else { Width::W32 }
    }

    /// Clears what a working width has left above a narrow result.
    fn cut(&mut self, w: Width, reg: Reg) {
        if matches!(w, Width::W8 | Width::W16) {
            self.asm.zero_extend(w, reg, reg);
        }
    }

    pub(super) fn alu(&mut self, what: Alu, dst: Val, w: Width, a: Val, b: Val) {
        let commutes = what != Alu::Sub;
        let (a, b) = if commutes && self.konst(a).is_some() { (b, a) } else { (a, b) };
        let working = Self::working(w);
        match self.konst(b) {
            Some(value) if fits(working, value) => {
                let reg = self.sum_target(what, dst, working, a, value);
                if let Some(reg) = reg {
                    self.asm.alu_ri(what, working, Rm::Reg(reg), value);
                }
            }
            Some(value) => {
                let reg = self.define_int_from(dst, a);
                self.asm.mov_ri(RAX, value);
                self.asm.alu_rr(what, working, reg, RAX);
            }
            None => {
                let from = self.int(b);
                let reg = self.define_int_from(dst, a);
                self.asm.alu_rr(what, working, reg, from);
            }
        }
        if let Loc::Int(reg) = self.regs.loc(dst) {
            self.cut(w, reg);
        }
    }

    /// Where a constant is added to a value that lives on, `lea` does both; `None` then.
    fn sum_target(&mut self, what: Alu, dst: Val, w: Width, a: Val, value: u64) -> Option<Reg> {
        let lives = self.regs.last(a) > self.at && self.konst(a).is_none();
        let signed = w.sign_extend(value) as i64;
        let ahead = match what {
            Alu::Add => i32::try_from(signed).ok(),
            Alu::Sub => i32::try_from(-signed).ok(),
            _ => None,
        };
        match ahead {
            Some(ahead) if lives => {
                let from = self.int(a);
                let reg = self.define_int(dst);
                self.asm.ins(op(0x8d), w, reg, Rm::Mem(from, ahead));
                None
            }
            _ => Some(self.define_int_from(dst, a)),
        }
    }

    pub(super) fn multiply(&mut self, dst: Val, w: Width, a: Val, b: Val) {
        let from = self.int(b);
        let reg = self.define_int_from(dst, a);
        self.asm.ins(op0f(0xaf), Self::working(w), reg, Rm::Reg(from));
        self.cut(w, reg);
    }

    pub(super) fn multiply_high(&mut self, dst: Val, w: Width, signed: Sign, a: Val, b: Val) {
        if w != Width::W64 {
            return self.slow();
        }
        let from = self.int(b);
        self.int_into(RAX, a);
        let digit = if signed == Sign::Signed { 5 } else { 4 };
        self.asm.ins(op(0xf7), w, Reg(digit), Rm::Reg(from));
        let reg = self.define_int(dst);
        self.asm.mov_rr(reg, RDX);
    }

    pub(super) fn and_not(&mut self, dst: Val, w: Width, a: Val, b: Val) {
        self.int_into(RCX, b);
        self.asm.ins(op(0xf7), Width::W64, Reg(2), Rm::Reg(RCX));
        let reg = self.define_int_from(dst, a);
        self.asm.alu_rr(Alu::And, Self::working(w), reg, RCX);
        self.cut(w, reg);
    }

    /// `not` (2) and `neg` (3).
    pub(super) fn unary(&mut self, digit: u8, dst: Val, w: Width, a: Val) {
        let reg = self.define_int_from(dst, a);
        self.asm.ins(op(0xf7), Self::working(w), Reg(digit), Rm::Reg(reg));
        self.cut(w, reg);
    }

    pub(super) fn shift(&mut self, what: Shift, dst: Val, w: Width, a: Val, b: Val) {
        let count = self.konst(b).map(|count| (count % u64::from(w.bits())) as u8);
        if count.is_none() {
            self.int_into(RCX, b);
            if matches!(w, Width::W8 | Width::W16) {
                self.asm.alu_ri(Alu::And, Width::W32, Rm::Reg(RCX), u64::from(w.bits() - 1));
            }
        }
        let reg = self.define_int_from(dst, a);
        let working = match what {
            Shift::Rol | Shift::Ror => w,
            _ => Self::working(w),
        };
        match what {
            Shift::Shr => self.cut(w, reg),
            Shift::Sar if w != working => self.asm.sign_extend(w, reg, reg),
            _ => {}
        }
        match count {
            Some(count) => self.asm.shift_ri(what, working, reg, count),
            None => self.asm.shift_cl(what, working, reg),
        }
        // A count of 0 leaves even the upper half as it was.
        if w == Width::W32 && count == Some(0) {
            self.asm.zero_extend(w, reg, reg);
        }
        self.cut(w, reg);
    }

    pub(super) fn byte_swap(&mut self, dst: Val, w: Width, a: Val) {
        let reg = self.define_int_from(dst, a);
        match w {
            Width::W8 => {}
            Width::W16 => self.asm.shift_ri(Shift::Rol, Width::W16, reg, 8),
            _ => {
                let rex = 0x40 | u8::from(w == Width::W64) << 3 | reg.0 >> 3;
                self.asm.code.extend_from_slice(&[rex, 0x0f, 0xc8 | reg.0 & 7]);
            }
        }
        self.cut(w, reg);
    }

    pub(super) fn population(&mut self, dst: Val, w: Width, a: Val) {
        let reg = self.define_int_from(dst, a);
        self.cut(w, reg);
        let code = super::asm::sse(0xf3, 0xb8);
        self.asm.ins(code, Self::working(w), reg, Rm::Reg(reg));
    }

    /// `bsf` and `bsr` leave their target alone where there is no bit.
    pub(super) fn trailing_zeros(&mut self, dst: Val, w: Width, a: Val) {
        let from = self.int(a);
        self.asm.zero_extend(w, RAX, from);
        self.asm.mov_ri(RCX, u64::from(w.bits()));
        let reg = self.define_int(dst);
        self.asm.ins(op0f(0xbc), Width::W64, reg, Rm::Reg(RAX));
        self.asm.cmov(Cc::E, reg, RCX);
    }

    pub(super) fn leading_zeros(&mut self, dst: Val, w: Width, a: Val) {
        let from = self.int(a);
        self.asm.zero_extend(w, RAX, from);
        // bits - 1 - index; the index stands for -1 where there is no bit.
        self.asm.mov_ri(RCX, u64::MAX);
        let reg = self.define_int(dst);
        self.asm.ins(op0f(0xbd), Width::W64, reg, Rm::Reg(RAX));
        self.asm.cmov(Cc::E, reg, RCX);
        self.asm.ins(op(0xf7), Width::W64, Reg(3), Rm::Reg(reg));
        self.asm.alu_ri(Alu::Add, Width::W64, Rm::Reg(reg), u64::from(w.bits() - 1));
    }

    pub(super) fn extend(&mut self, dst: Val, from: Width, signed: Sign, a: Val) {
        let source = self.int(a);
        let reg =
            if self.regs.last(a) <= self.at { self.define_int_from(dst, a) } else { self.define_int(dst) };
        match signed {
            Sign::Signed => self.asm.sign_extend(from, reg, source),
            Sign::Unsigned => self.asm.zero_extend(from, reg, source),
        }
    }

    pub(super) fn bit_field(&mut self, dst: Val, signed: Sign, lsb: u8, len: u8, a: Val) {
        let reg = self.define_int_from(dst, a);
        if signed == Sign::Signed {
            self.asm.shift_ri(Shift::Shl, Width::W64, reg, 64 - lsb - len);
            return self.asm.shift_ri(Shift::Sar, Width::W64, reg, 64 - len);
        }
        self.asm.shift_ri(Shift::Shr, Width::W64, reg, lsb);
        if lsb + len < 64 {
            self.keep_low(reg, len);
        }
    }

    /// Clears all but the `len` lowest bits.
    fn keep_low(&mut self, reg: Reg, len: u8) {
        match len {
            8 => self.asm.zero_extend(Width::W8, reg, reg),
            16 => self.asm.zero_extend(Width::W16, reg, reg),
            32 => self.asm.zero_extend(Width::W32, reg, reg),
            1..32 => self.asm.alu_ri(Alu::And, Width::W32, Rm::Reg(reg), (1 << len) - 1),
            33..64 => {
                self.asm.shift_ri(Shift::Shl, Width::W64, reg, 64 - len);
                self.asm.shift_ri(Shift::Shr, Width::W64, reg, 64 - len);
            }
            _ => {}
        }
    }

    pub(super) fn deposit_bits(&mut self, dst: Val, lsb: u8, len: u8, a: Val, b: Val) {
        self.int_into(RAX, b);
        let reg = self.define_int_from(dst, a);
        match (lsb, len) {
            (0, 64) => return self.asm.mov_rr(reg, RAX),
            (0, 8) => return self.asm.ins(op(0x8a), Width::W8, reg, Rm::Reg(RAX)),
            (0, 16) => return self.asm.ins(op(0x8b), Width::W16, reg, Rm::Reg(RAX)),
            _ => {}
        }
        self.keep_low(RAX, len);
        self.asm.shift_ri(Shift::Shl, Width::W64, RAX, lsb);
        self.asm.mov_ri(RCX, !(u64::MAX >> (64 - u32::from(len)) << lsb));
        self.asm.alu_rr(Alu::And, Width::W64, reg, RCX);
        self.asm.alu_rr(Alu::Or, Width::W64, reg, RAX);
    }

    pub(super) fn choose(&mut self, dst: Val, c: Val, a: Val, b: Val) {
        // Both are in registers before the comparison, because getting them there may change flags.
        let x = self.int(a);
        self.int(b);
        let cc = self.condition(c);
        let reg = self.define_int_from(dst, b);
        self.asm.cmov(cc, reg, x);
    }
}
