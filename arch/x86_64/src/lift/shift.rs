//! Shifts and rotates.
//!
//! Counts are masked to 5 bits (6 for 64-bit operands) and a masked count of 0 leaves all flags. For
//! counts above 1 the overflow flag is undefined; the formula for 1 is used throughout.

use super::{Handler, Lifter};
use crate::helpers::id;
use guest::ir::{FlagKind, IntCc, Val, Width};
use iced_x86::{Instruction, Mnemonic as M, OpKind};

pub(super) fn lookup(insn: &Instruction) -> Option<Handler> {
    Some(match insn.mnemonic() {
        M::Shl | M::Sal => |l| l.shift(Shift::Left),
        M::Shr => |l| l.shift(Shift::Right),
        M::Sar => |l| l.shift(Shift::Arithmetic),
        M::Rol => |l| l.rotate(Turn::Left),
        M::Ror => |l| l.rotate(Turn::Right),
        M::Rcl => |l| l.rotate_through_carry(Turn::Left),
        M::Rcr => |l| l.rotate_through_carry(Turn::Right),
        M::Shld => |l| l.double_shift(Turn::Left),
        M::Shrd => |l| l.double_shift(Turn::Right),
        _ => return None,
    })
}

#[derive(Clone, Copy)]
enum Shift {
    Left,
    Right,
    Arithmetic,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    Left,
    Right,
}

/// A masked shift count.
#[derive(Clone, Copy)]
enum Count {
    Fixed(u32),
    Variable(Val),
}

impl Lifter {
    /// The count operand, masked for a `w`-bit destination.
    fn count(&mut self, op: u32, w: Width) -> Count {
        let mask = if w == Width::W64 { 63 } else { 31 };
        if self.insn.op_kind(op) != OpKind::Register {
            return Count::Fixed((self.insn.immediate(op) & mask) as u32);
        }
        let (count, mask) = (self.read(op), self.ir.imm(mask));
        Count::Variable(self.ir.and(Width::W64, count, mask))
    }

    fn count_value(&mut self, count: Count) -> Val {
        match count {
            Count::Fixed(n) => self.ir.imm(u64::from(n)),
            Count::Variable(v) => v,
        }
    }

    /// The top bit of a `w`-bit value.
    fn top_bit(&mut self, w: Width, value: Val) -> Val {
        self.ir.extract(w.bits() as u8 - 1, 1, value)
    }

    /// `SHL`, `SHR`, `SAR`
    fn shift(&mut self, shift: Shift) {
        let w = self.width(0);
        let place = self.place(0);
        let a = self.get_place(place, w);
        let count = self.count(1, w);
        if matches!(count, Count::Fixed(0)) {
            return self.put_unchanged(place, w, a);
        }
        let a = match (shift, w) {
            (_, Width::W64) => a,
            (Shift::Arithmetic, _) => self.ir.sext(w, a),
            _ => self.ir.zext(w, a),
        };
        let c = self.count_value(count);
        let r = match shift {
            Shift::Left if matches!(w, Width::W32 | Width::W64) => self.ir.shl(w, a, c),
            Shift::Left => self.ir.shl(Width::W64, a, c),
            Shift::Right => self.ir.shr(Width::W64, a, c),
            Shift::Arithmetic if w == Width::W32 => self.ir.sar(Width::W32, a, c),
            Shift::Arithmetic => self.ir.sar(Width::W64, a, c),
        };
        let carry = self.shifted_out(shift, w, a, count);
        let overflow = match shift {
            Shift::Left => {
                let top = self.top_bit(w, r);
                self.ir.xor(Width::W64, top, carry)
            }
            Shift::Right => self.top_bit(w, a),
            Shift::Arithmetic => self.ir.imm(0),
        };
        self.finish_shift(place, w, count, r, carry, overflow);
    }

    /// Writes back and sets flags, unless the count is 0.
    fn finish_shift(
        &mut self,
        place: super::operand::Place,
        w: Width,
        count: Count,
        r: Val,
        carry: Val,
        overflow: Val,
    ) {
        self.put_place(place, w, r);
        self.carry = None;
        match count {
            Count::Fixed(_) => self.ir.set_flags(FlagKind::ResultCv, w, carry, overflow, r),
            Count::Variable(c) => self.ir.set_flags_if(c, FlagKind::ResultCv, w, carry, overflow, r),
        }
    }

    /// A shift by a constant 0 still writes its operand (a 32-bit register's upper half is cleared).
    fn put_unchanged(&mut self, place: super::operand::Place, w: Width, a: Val) {
        let clean = if w == Width::W32 { self.ir.zext(w, a) } else { a };
        self.put_place(place, w, clean);
    }

    /// The last bit shifted out of `a` (extended to 64 bits as the shift demands).
    fn shifted_out(&mut self, shift: Shift, w: Width, a: Val, count: Count) -> Val {
        let bits = w.bits();
        match (shift, count) {
            (Shift::Left, Count::Fixed(n)) if n <= bits => self.ir.extract((bits - n) as u8, 1, a),
            (Shift::Left, Count::Fixed(_)) => self.ir.imm(0),
            (Shift::Left, Count::Variable(c)) if w == Width::W64 => {
                let down = self.ir.neg(Width::W64, c);
                let bit = self.ir.shr(Width::W64, a, down);
                self.ir.extract(0, 1, bit)
            }
            (Shift::Left, Count::Variable(c)) => {
                let wide = self.ir.shl(Width::W64, a, c);
                self.ir.extract(bits as u8, 1, wide)
            }
            (_, Count::Fixed(n)) => self.ir.extract(n as u8 - 1, 1, a),
            (_, Count::Variable(c)) => {
                let before = self.ir.add_imm(c, -1);
                let bit = self.ir.shr(Width::W64, a, before);
                self.ir.extract(0, 1, bit)
            }
        }
    }

    /// `ROL`, `ROR`: carry and overflow alone change.
    fn rotate(&mut self, turn: Turn) {
        let w = self.width(0);
        let place = self.place(0);
        let a = self.get_place(place, w);
        let count = self.count(1, w);
        if matches!(count, Count::Fixed(0)) {
            return self.put_unchanged(place, w, a);
        }
        let c = self.count_value(count);
        let r = match turn {
            Turn::Left => self.ir.rotl(w, a, c),
            Turn::Right => self.ir.rotr(w, a, c),
        };
        let top = self.top_bit(w, r);
        let (carry, other) = match turn {
            Turn::Left => (self.ir.extract(0, 1, r), top),
            Turn::Right => (top, self.ir.extract(w.bits() as u8 - 2, 1, r)),
        };
        let overflow = self.ir.xor(Width::W64, carry, other);
        self.put_carry_overflow(place, w, count, r, carry, overflow);
    }

    /// Writes back and replaces C and V in the flags, unless the count is 0.
    fn put_carry_overflow(
        &mut self,
        place: super::operand::Place,
        w: Width,
        count: Count,
        r: Val,
        carry: Val,
        overflow: Val,
    ) {
        let old = self.ir.get_flags();
        let flags = self.ir.deposit(0, 1, old, carry);
        let mut flags = self.ir.deposit(11, 1, flags, overflow);
        if let Count::Variable(c) = count {
            flags = self.ir.select(c, flags, old);
        }
        self.put_place(place, w, r);
        self.put_flags(flags);
        if matches!(count, Count::Fixed(_)) {
            self.carry = Some(carry);
        }
    }

    /// `RCL`, `RCR`: a rotate of one more bit, the carry.
    fn rotate_through_carry(&mut self, turn: Turn) {
        let w = self.width(0);
        let place = self.place(0);
        let a = self.get_place(place, w);
        let count = self.count(1, w);
        if let Count::Fixed(n) = count
            && n % (w.bits() + 1) == 0
        {
            return self.put_unchanged(place, w, a);
        }
        let (c, carry) = (self.count_value(count), self.carry_in());
        // The helpers take count and width in one operand, the carry in another.
        let width = self.ir.imm(u64::from(w.bits()) << 8);
        let how = self.ir.or(Width::W64, c, width);
        let (rotate, out) = match turn {
            Turn::Left => (id::RCL, id::RCL_CARRY),
            Turn::Right => (id::RCR, id::RCR_CARRY),
        };
        let r = self.ir.call(rotate, a, how, carry);
        let carry_out = self.ir.call(out, a, how, carry);
        let top = self.top_bit(w, r);
        let other = match turn {
            Turn::Left => carry_out,
            Turn::Right => self.ir.extract(w.bits() as u8 - 2, 1, r),
        };
        let overflow = self.ir.xor(Width::W64, top, other);
        let count = Count::Variable(c);
        self.put_carry_overflow(place, w, count, r, carry_out, overflow);
    }

    /// `SHLD`, `SHRD`: shifts bits of the second operand in.
    fn double_shift(&mut self, turn: Turn) {
        let w = self.width(0);
        let place = self.place(0);
        let a = self.get_place(place, w);
        let b = self.read_clean(1);
        let count = self.count(2, w);
        if matches!(count, Count::Fixed(0)) {
            return self.put_unchanged(place, w, a);
        }
        let c = self.count_value(count);
        let r = match w {
            Width::W16 => self.double_shift16(turn, a, b, c),
            _ => self.double_shift_wide(turn, w, a, b, c),
        };
        let clean = if w == Width::W64 { a } else { self.ir.zext(w, a) };
        let direction = if turn == Turn::Left { Shift::Left } else { Shift::Right };
        let carry = self.shifted_out(direction, w, clean, count);
        let changed = self.ir.xor(Width::W64, a, r);
        let overflow = self.top_bit(w, changed);
        self.finish_shift(place, w, count, r, carry, overflow);
    }

    /// With a count of 0 nothing of b comes in: it is shifted twice, by 1 and by w - 1 - c.
    fn double_shift_wide(&mut self, turn: Turn, w: Width, a: Val, b: Val, c: Val) -> Val {
        let (one, last) = (self.ir.imm(1), self.ir.imm(u64::from(w.bits()) - 1));
        let rest = self.ir.sub(w, last, c);
        let (kept, moved) = match turn {
            Turn::Left => {
                let half = self.ir.shr(w, b, one);
                (self.ir.shl(w, a, c), self.ir.shr(w, half, rest))
            }
            Turn::Right => {
                let half = self.ir.shl(w, b, one);
                (self.ir.shr(w, a, c), self.ir.shl(w, half, rest))
            }
        };
        self.ir.or(w, kept, moved)
    }

    /// 16-bit operands as one 48-bit value: a between copies of what comes in.
    fn double_shift16(&mut self, turn: Turn, a: Val, b: Val, c: Val) -> Val {
        let low = self.ir.zext(Width::W16, a);
        match turn {
            Turn::Left => {
                let pair = self.ir.deposit(16, 16, b, low);
                let up = self.ir.rotl(Width::W32, pair, c);
                self.ir.extract(16, 16, up)
            }
            Turn::Right => {
                let pair = self.ir.deposit(16, 16, low, b);
                let down = self.ir.rotr(Width::W32, pair, c);
                self.ir.zext(Width::W16, down)
            }
        }
    }

    /// 1 where `a != 0`.
    pub(super) fn is_nonzero(&mut self, w: Width, a: Val) -> Val {
        let zero = self.ir.imm(0);
        self.ir.icmp(IntCc::Ne, w, a, zero)
    }
}
