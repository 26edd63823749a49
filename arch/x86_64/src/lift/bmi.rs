//! BMI1, BMI2 and ADX: bit fields, shifts without flags, carry chains.

use super::{Handler, Lifter};
use crate::helpers::id;
use crate::state::RDX;
use guest::ir::{FlagKind, HelperId, IntCc, Val, Width};
use iced_x86::{Instruction, Mnemonic as M};

pub(super) fn lookup(insn: &Instruction) -> Option<Handler> {
    Some(match insn.mnemonic() {
        M::Andn => Lifter::andn,
        M::Bextr => Lifter::bextr,
        M::Blsi => |l| l.lowest_bit(Lowest::Isolate),
        M::Blsmsk => |l| l.lowest_bit(Lowest::Mask),
        M::Blsr => |l| l.lowest_bit(Lowest::Reset),
        M::Bzhi => Lifter::bzhi,
        M::Mulx => Lifter::mulx,
        M::Pdep => |l| l.move_bits(id::PDEP),
        M::Pext => |l| l.move_bits(id::PEXT),
        M::Rorx => Lifter::rorx,
        M::Sarx => |l| l.shift_by(|l, w, a, c| l.ir.sar(w, a, c)),
        M::Shlx => |l| l.shift_by(|l, w, a, c| l.ir.shl(w, a, c)),
        M::Shrx => |l| l.shift_by(|l, w, a, c| l.ir.shr(w, a, c)),
        M::Adcx => |l| l.add_with(Which::Carry),
        M::Adox => |l| l.add_with(Which::Overflow),
        _ => return None,
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Lowest {
    Isolate,
    Mask,
    Reset,
}

/// Which of the flags, as [`Lifter::parted_flags`] gives them, is a sum's carry.
#[derive(Clone, Copy)]
enum Which {
    Carry = 1,
    Overflow = 2,
}

impl Lifter {
    /// `ANDN`: the first source is inverted.
    fn andn(&mut self) {
        let w = self.width(0);
        let (b, a) = (self.read(2), self.read(1));
        let r = self.ir.andnot(w, b, a);
        self.write(0, r);
        self.set_flags(FlagKind::Logic, w, r, r, r);
    }

    /// `value` with the bits from `count` (a byte) on cleared; all of it where the count is too large.
    fn keep_low(&mut self, w: Width, value: Val, count: Val) -> (Val, Val) {
        let (bits, one) = (self.ir.imm(w.bits().into()), self.ir.imm(1));
        let inside = self.ir.icmp(IntCc::Ult, Width::W64, count, bits);
        let limit = self.ir.shl(Width::W64, one, count);
        let mask = self.ir.sub(Width::W64, limit, one);
        let low = self.ir.and(w, value, mask);
        let whole = self.ir.zext(w, value);
        (self.ir.select(inside, low, whole), inside)
    }

    /// `BEXTR`: a field by start and length.
    fn bextr(&mut self) {
        let w = self.width(0);
        let (source, control) = (self.read_clean(1), self.read(2));
        let (start, len) = (self.ir.extract(0, 8, control), self.ir.extract(8, 8, control));
        let (bits, zero) = (self.ir.imm(w.bits().into()), self.ir.imm(0));
        let inside = self.ir.icmp(IntCc::Ult, Width::W64, start, bits);
        let moved = self.ir.shr(w, source, start);
        let moved = self.ir.select(inside, moved, zero);
        let (r, _) = self.keep_low(w, moved, len);
        self.write(0, r);
        self.set_flags(FlagKind::Logic, w, r, r, r);
    }

    /// `BZHI`: the carry says that the index was too large.
    fn bzhi(&mut self) {
        let w = self.width(0);
        let (source, index) = (self.read(1), self.read(2));
        let index = self.ir.extract(0, 8, index);
        let (r, inside) = self.keep_low(w, source, index);
        let (one, zero) = (self.ir.imm(1), self.ir.imm(0));
        let carry = self.ir.xor(Width::W64, inside, one);
        self.write(0, r);
        self.set_flags(FlagKind::ResultCv, w, carry, zero, r);
    }

    /// `BLSI`, `BLSMSK`, `BLSR`: the carry says whether the source was 0 (`BLSI`: was not).
    fn lowest_bit(&mut self, what: Lowest) {
        let w = self.width(0);
        let (source, one) = (self.read(1), self.ir.imm(1));
        let below = self.ir.sub(w, source, one);
        let r = match what {
            Lowest::Isolate => self.ir.andnot(w, source, below),
            Lowest::Mask => self.ir.xor(w, source, below),
            Lowest::Reset => self.ir.and(w, source, below),
        };
        let none = self.is_zero(w, source);
        let carry = if what == Lowest::Isolate { self.ir.xor(Width::W64, none, one) } else { none };
        let zero = self.ir.imm(0);
        self.write(0, r);
        self.set_flags(FlagKind::ResultCv, w, carry, zero, r);
    }

    /// `TZCNT`, `LZCNT`: the carry says that the source was 0.
    pub(super) fn count_zeros(&mut self, count: fn(&mut Self, Width, Val) -> Val) {
        let w = self.width(0);
        let source = self.read(1);
        let r = count(self, w, source);
        let (carry, zero) = (self.is_zero(w, source), self.ir.imm(0));
        self.write(0, r);
        self.set_flags(FlagKind::ResultCv, w, carry, zero, r);
    }

    /// `MULX`: the high half counts where both destinations are one register.
    fn mulx(&mut self) {
        let w = self.width(0);
        let (b, a) = (self.read_clean(2), self.ir.read_slot(RDX));
        let (lo, hi) = if w == Width::W64 {
            (self.ir.mul(w, a, b), self.ir.umulh(w, a, b))
        } else {
            let a = self.ir.zext(w, a);
            let whole = self.ir.mul(Width::W64, a, b);
            (self.ir.zext(w, whole), self.ir.extract(32, 32, whole))
        };
        self.write(1, lo);
        self.write(0, hi);
    }

    /// `PDEP`, `PEXT`
    fn move_bits(&mut self, helper: HelperId) {
        let (mask, source) = (self.read_clean(2), self.read_clean(1));
        let r = self.ir.call(helper, source, mask, mask);
        self.write(0, r);
    }

    /// `RORX`
    fn rorx(&mut self) {
        let (w, source) = (self.width(0), self.read(1));
        let count = self.ir.imm(self.last_immediate());
        let r = self.ir.rotr(w, source, count);
        self.write(0, r);
    }

    /// `SARX`, `SHLX`, `SHRX`: counts modulo the width, no flags.
    fn shift_by(&mut self, op: fn(&mut Self, Width, Val, Val) -> Val) {
        let w = self.width(0);
        let (source, count) = (self.read(1), self.read(2));
        let r = op(self, w, source, count);
        self.write(0, r);
    }

    /// `ADCX`, `ADOX`: one flag is carry in and out, the others stay.
    fn add_with(&mut self, which: Which) {
        let w = self.width(0);
        let (b, a) = (self.read_clean(1), self.read_clean(0));
        let mut flags = self.parted_flags();
        let carry = flags[which as usize];
        let sum = self.ir.add(w, a, b);
        let r = self.ir.add(w, sum, carry);
        let first = self.ir.icmp(IntCc::Ult, w, sum, a);
        let second = self.ir.icmp(IntCc::Ult, w, r, sum);
        let out = self.ir.or(Width::W64, first, second);
        flags[which as usize] = out;
        self.write(0, r);
        self.put_parted_flags(flags);
    }
}
