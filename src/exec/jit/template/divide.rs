//! Divisions: the host's instruction where it cannot trap, else the interpreter's code.

use super::asm::{Alu, Cc, RAX, RCX, RDX, Reg, Rm, Shift, op};
use super::entry;
use super::regs::cell;
use super::{Emitter, slow};
use guest::ir::{Sign, Val, Width};

/// Which half of a division's result an op gives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    Quotient,
    Remainder,
}

/// Short jumps to the interpreter's code, which stands behind the usual way.
type Others = [Option<usize>; 3];

impl Emitter {
    /// The op's value: by `usual`, which leaves it in rax, or where that jumps away by the interpreter. All
    /// registers are in their cells on both ways, so that they meet again; `usual` finds operands there.
    fn usually(&mut self, dst: Val, usual: impl FnOnce(&mut Self) -> Others) {
        let Some(index) = slow::add(self.op, self.nan_rule) else {
            self.complete = false;
            return;
        };
        self.need_context();
        self.op.for_each_use(|v| self.store_operand(v));
        self.spill_for_call();
        let others = usual(self);
        let end = self.jump_ahead(0xeb);
        others.into_iter().flatten().for_each(|from| self.land(from));
        self.call_out(index, entry::SLOW_OP);
        self.asm.load(Width::W64, RAX, cell(dst));
        self.land(end);
        let reg = self.define_int(dst);
        self.asm.mov_rr(reg, RAX);
    }

    fn operand_into(&mut self, scratch: Reg, v: Val) {
        self.asm.load(Width::W64, scratch, cell(v));
    }

    /// Jumps away where the condition holds.
    fn other_where(&mut self, cc: Cc) -> Option<usize> {
        Some(self.jump_ahead(0x70 | cc as u8))
    }

    /// Jumps away where dividing by rcx could overflow whatever the dividend of `w` bits is.
    fn other_divisors(&mut self, w: Width, signed: Sign) -> [Option<usize>; 2] {
        self.asm.test(w, RCX, RCX);
        let zero = self.other_where(Cc::E);
        if signed == Sign::Unsigned {
            return [zero, None];
        }
        self.asm.alu_ri(Alu::Cmp, w, Rm::Reg(RCX), u64::MAX);
        [zero, self.other_where(Cc::E)]
    }

    /// Divides rdx:rax by rcx.
    fn host_divide(&mut self, w: Width, signed: Sign, part: Part) {
        let digit = if signed == Sign::Signed { 7 } else { 6 };
        self.asm.ins(op(0xf7), w, Reg(digit), Rm::Reg(RCX));
        if part == Part::Remainder {
            self.asm.mov_rr(RAX, RDX);
        }
    }

    /// Quotients of one word.
    pub(super) fn quotient(&mut self, dst: Val, w: Width, signed: Sign, a: Val, b: Val) {
        if matches!(w, Width::W8 | Width::W16) {
            return self.slow();
        }
        self.usually(dst, |e| {
            e.operand_into(RAX, a);
            e.operand_into(RCX, b);
            let [zero, minus_one] = e.other_divisors(w, signed);
            e.sign_into_rdx(w, signed);
            e.host_divide(w, signed, Part::Quotient);
            [zero, minus_one, None]
        });
    }

    /// Makes rdx the word above rax.
    fn sign_into_rdx(&mut self, w: Width, signed: Sign) {
        if signed == Sign::Unsigned {
            return self.asm.mov_ri(RDX, 0);
        }
        self.asm.mov_rr(RDX, RAX);
        self.asm.shift_ri(Shift::Sar, w, RDX, w.bits() as u8 - 1);
    }

    /// Divisions of two words hi:lo. A signed one is usually of a word that was extended.
    pub(super) fn divide(&mut self, dst: Val, w: Width, signed: Sign, part: Part, n: (Val, Val), b: Val) {
        if matches!(w, Width::W8 | Width::W16) {
            return self.slow();
        }
        self.usually(dst, |e| {
            e.operand_into(RAX, n.1);
            e.operand_into(RCX, b);
            if signed == Sign::Unsigned {
                e.operand_into(RDX, n.0);
                e.asm.alu_rr(Alu::Cmp, w, RDX, RCX);
                let other = e.other_where(Cc::Ae);
                e.host_divide(w, signed, part);
                return [other, None, None];
            }
            let [zero, minus_one] = e.other_divisors(w, signed);
            e.sign_into_rdx(w, signed);
            e.asm.ins(op(0x3b), w, RDX, cell(n.0));
            let wide = e.other_where(Cc::Ne);
            e.host_divide(w, signed, part);
            [zero, minus_one, wide]
        });
    }

    /// Whether such a division overflows.
    pub(super) fn overflows(&mut self, dst: Val, w: Width, signed: Sign, n: (Val, Val), b: Val) {
        if signed == Sign::Unsigned {
            // The divisor 0 is below any high word too.
            let (high, divisor) = (self.int(n.0), self.int(b));
            self.asm.alu_rr(Alu::Cmp, w, high, divisor);
            return self.set_from(dst, Cc::Ae);
        }
        if matches!(w, Width::W8 | Width::W16) {
            return self.slow();
        }
        self.usually(dst, |e| {
            e.operand_into(RAX, n.1);
            e.operand_into(RCX, b);
            let [zero, minus_one] = e.other_divisors(w, signed);
            e.sign_into_rdx(w, signed);
            e.asm.ins(op(0x3b), w, RDX, cell(n.0));
            let wide = e.other_where(Cc::Ne);
            e.asm.mov_ri(RAX, 0);
            [zero, minus_one, wide]
        });
    }
}
