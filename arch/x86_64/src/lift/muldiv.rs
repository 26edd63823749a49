//! Multiplication and division.

use super::{Handler, Lifter};
use crate::state::{RAX, RDX};
use guest::Trap;
use guest::ir::{FlagKind, IntCc, Sign, Val, Width};
use iced_x86::{Instruction, Mnemonic as M, Register};

pub(super) fn lookup(insn: &Instruction) -> Option<Handler> {
    Some(match insn.mnemonic() {
        M::Mul => |l| l.multiply_acc(Sign::Unsigned),
        M::Imul if insn.op_count() == 1 => |l| l.multiply_acc(Sign::Signed),
        M::Imul => Lifter::imul,
        M::Div => |l| l.divide(Sign::Unsigned),
        M::Idiv => |l| l.divide(Sign::Signed),
        _ => return None,
    })
}

impl Lifter {
    fn extend(&mut self, sign: Sign, w: Width, a: Val) -> Val {
        match (sign, w) {
            (_, Width::W64) => a,
            (Sign::Signed, _) => self.ir.sext(w, a),
            (Sign::Unsigned, _) => self.ir.zext(w, a),
        }
    }

    /// `MUL`, `IMUL` with one operand: rdx:rax (AX for bytes) is the whole product.
    fn multiply_acc(&mut self, sign: Sign) {
        let w = self.width(0);
        let (b, a) = (self.read(0), self.ir.read_slot(RAX));
        let (lo, hi) = if w == Width::W64 { self.product64(sign, a, b) } else { self.product(sign, w, a, b) };
        match w {
            Width::W8 => self.write_reg(Register::AX, lo),
            Width::W16 => {
                self.write_reg(Register::AX, lo);
                self.write_reg(Register::DX, hi);
            }
            _ => {
                self.ir.write_slot(RAX, lo);
                self.ir.write_slot(RDX, hi);
            }
        }
        let overflow = self.product_overflows(sign, w, lo, hi);
        self.set_flags(FlagKind::ResultCv, w, overflow, overflow, lo);
    }

    fn product64(&mut self, sign: Sign, a: Val, b: Val) -> (Val, Val) {
        let lo = self.ir.mul(Width::W64, a, b);
        let hi = match sign {
            Sign::Signed => self.ir.smulh(Width::W64, a, b),
            Sign::Unsigned => self.ir.umulh(Width::W64, a, b),
        };
        (lo, hi)
    }

    /// Low and high half of a narrower product; for bytes the low half is all 16 bits.
    fn product(&mut self, sign: Sign, w: Width, a: Val, b: Val) -> (Val, Val) {
        let (a, b) = (self.extend(sign, w, a), self.extend(sign, w, b));
        let whole = self.ir.mul(Width::W64, a, b);
        let hi = self.ir.extract(w.bits() as u8, w.bits() as u8, whole);
        let lo = if w == Width::W32 { self.ir.zext(w, whole) } else { whole };
        (lo, hi)
    }

    /// C and V: whether the high half holds more than the sign (or zeros) of the low.
    fn product_overflows(&mut self, sign: Sign, w: Width, lo: Val, hi: Val) -> Val {
        let expected = match sign {
            Sign::Unsigned => self.ir.imm(0),
            Sign::Signed => {
                let last = self.ir.imm(u64::from(w.bits()) - 1);
                self.ir.sar(w, lo, last)
            }
        };
        self.ir.icmp(IntCc::Ne, w, hi, expected)
    }

    /// `IMUL` with two or three operands.
    fn imul(&mut self) {
        let w = self.width(0);
        let (first, second) = if self.insn.op_count() == 3 { (1, 2) } else { (0, 1) };
        let (a, b) = (self.read(first), self.read(second));
        if w == Width::W64 {
            let (lo, hi) = self.product64(Sign::Signed, a, b);
            self.write(0, lo);
            let overflow = self.product_overflows(Sign::Signed, w, lo, hi);
            return self.set_flags(FlagKind::ResultCv, w, overflow, overflow, lo);
        }
        let r = self.ir.mul(w, a, b);
        self.write(0, r);
        let (a, b) = (self.ir.sext(w, a), self.ir.sext(w, b));
        let whole = self.ir.mul(Width::W64, a, b);
        let same = self.ir.sext(w, r);
        let overflow = self.ir.icmp(IntCc::Ne, Width::W64, whole, same);
        self.set_flags(FlagKind::ResultCv, w, overflow, overflow, r);
    }

    /// `DIV`, `IDIV`: #DE where the quotient does not fit. Flags are undefined and stay.
    fn divide(&mut self, sign: Sign) {
        let w = self.width(0);
        let b = self.read(0);
        let rax = self.ir.read_slot(RAX);
        let hi = if w == Width::W8 { self.ir.extract(8, 8, rax) } else { self.ir.read_slot(RDX) };
        let overflows = self.ir.div_overflows(w, sign, hi, rax, b);
        self.ir.trap_when(Trap::DivideError, overflows);
        let (quotient, rest) = match sign {
            Sign::Unsigned => (self.ir.udiv_wide(w, hi, rax, b), self.ir.urem_wide(w, hi, rax, b)),
            Sign::Signed => (self.ir.sdiv_wide(w, hi, rax, b), self.ir.srem_wide(w, hi, rax, b)),
        };
        match w {
            Width::W8 => {
                let both = self.ir.deposit(8, 8, quotient, rest);
                self.write_reg(Register::AX, both);
            }
            Width::W16 => {
                self.write_reg(Register::AX, quotient);
                self.write_reg(Register::DX, rest);
            }
            _ => {
                self.ir.write_slot(RAX, quotient);
                self.ir.write_slot(RDX, rest);
            }
        }
    }
}
