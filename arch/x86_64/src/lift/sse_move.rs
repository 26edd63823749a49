//! SSE moves, and logic on whole registers.

use super::mmx::touches_mmx;
use super::operand::xmm_slot;
use super::{Handler, Lifter};
use guest::ir::{Lane, Val, VecLen, Width};
use iced_x86::{Instruction, Mnemonic as M};

pub(super) fn lookup(insn: &Instruction, mnemonic: M) -> Option<Handler> {
    Some(match mnemonic {
        M::Movaps | M::Movapd | M::Movdqa | M::Movntps | M::Movntpd | M::Movntdq | M::Movntdqa => {
            |l| l.move_vector(Alignment::Demanded)
        }
        M::Movups | M::Movupd | M::Movdqu | M::Lddqu => |l| l.move_vector(Alignment::Any),
        M::Movss => |l| l.move_scalar(Width::W32),
        M::Movsd if !insn.is_string_instruction() => |l| l.move_scalar(Width::W64),
        M::Movd | M::Movq if touches_mmx(insn) => return None,
        M::Movd | M::Movq => Lifter::move_low,
        M::Movlps | M::Movlpd => Lifter::move_low_half,
        M::Movhps | M::Movhpd => Lifter::move_high_half,
        M::Movhlps => Lifter::movhlps,
        M::Movlhps => Lifter::movlhps,
        M::Andps | M::Andpd => |l| l.vector_logic(Logic::And),
        M::Orps | M::Orpd => |l| l.vector_logic(Logic::Or),
        M::Xorps | M::Xorpd => |l| l.vector_logic(Logic::Xor),
        M::Andnps | M::Andnpd => |l| l.vector_logic(Logic::AndNot),
        M::Pand => |l| l.vector_logic(Logic::And),
        M::Por => |l| l.vector_logic(Logic::Or),
        M::Pxor => |l| l.vector_logic(Logic::Xor),
        M::Pandn => |l| l.vector_logic(Logic::AndNot),
        M::Movmskps => |l| l.move_mask(Lane::S),
        M::Movmskpd => |l| l.move_mask(Lane::D),
        M::Pmovmskb => |l| l.move_mask(Lane::B),
        _ => return None,
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Alignment {
    Any,
    Demanded,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Logic {
    And,
    Or,
    Xor,
    AndNot,
}

impl Lifter {
    /// `MOVAPS`, `MOVUPS` and their kin, in both directions.
    fn move_vector(&mut self, alignment: Alignment) {
        if !self.is_mem(0) {
            let value = if alignment == Alignment::Demanded && self.is_mem(1) {
                let mem = self.address();
                self.demand_alignment(mem, 16 * self.n.units());
                self.ir.vload(self.n, mem.addr, mem.off)
            } else {
                self.read_vec_unaligned(1)
            };
            return self.write_vec(value);
        }
        let mem = self.address();
        if alignment == Alignment::Demanded {
            self.demand_alignment(mem, 16 * self.n.units());
        }
        let value = self.read_vector(self.reg(1));
        self.ir.vstore(self.n, mem.addr, mem.off, value);
    }

    /// `MOVSS`, `MOVSD`: a load clears the rest of the register, a move between registers keeps it.
    fn move_scalar(&mut self, w: Width) {
        let value = self.read_low(self.insn.op_count() - 1, w);
        if self.is_mem(0) {
            let mem = self.address();
            self.store(w, mem, value);
        } else if self.is_mem(1) {
            self.write_low_zeroing(self.reg(0), value);
        } else {
            self.write_low(w, value);
        }
    }

    /// `MOVD`, `MOVQ` between XMM registers, general registers and memory.
    fn move_low(&mut self) {
        let to_xmm = !self.is_mem(0) && self.reg(0).is_xmm();
        if to_xmm && !self.is_mem(1) && self.reg(1).is_xmm() {
            let value = self.ir.read_slot(xmm_slot(self.reg(1)));
            return self.write_low_zeroing(self.reg(0), value);
        }
        if to_xmm {
            let value = self.read_clean(1);
            return self.write_low_zeroing(self.reg(0), value);
        }
        let w = self.width(0);
        let value = self.read_low(1, w);
        self.write(0, value);
    }

    /// `MOVLPS`, `MOVLPD`
    fn move_low_half(&mut self) {
        let value = self.read_low(self.insn.op_count() - 1, Width::W64);
        if self.is_mem(0) {
            let mem = self.address();
            self.store(Width::W64, mem, value);
        } else {
            self.write_low(Width::W64, value);
        }
    }

    /// `MOVHPS`, `MOVHPD`
    fn move_high_half(&mut self) {
        if self.is_mem(0) {
            let (mem, value) = (self.address(), self.read_high(self.reg(1)));
            return self.store(Width::W64, mem, value);
        }
        let value = self.load_operand(Width::W64);
        self.write_high(value);
    }

    /// Replaces the upper half of the destination, or of a copy of the first source.
    fn write_high(&mut self, value: Val) {
        if self.vex {
            let low = self.ir.read_slot(xmm_slot(self.reg(1)));
            let r = self.ir.vpair(VecLen::X1, low, value);
            return self.write_vector(self.reg(0), r);
        }
        self.ir.write_slot(xmm_slot(self.reg(0)).plus(8), value);
    }

    /// `MOVHLPS`
    fn movhlps(&mut self) {
        let value = self.read_high(self.reg(self.sources().1));
        self.write_low(Width::W64, value);
    }

    /// `MOVLHPS`
    fn movlhps(&mut self) {
        let value = self.read_low(self.sources().1, Width::W64);
        self.write_high(value);
    }

    /// `PAND`, `POR`, `PXOR`, `PANDN` and the float forms.
    fn vector_logic(&mut self, logic: Logic) {
        let (n, (first, second)) = (self.n, self.sources());
        if logic == Logic::Xor && self.same_regs(first, second) {
            let zero = self.ir.vimm(n, 0);
            return self.write_vec(zero);
        }
        let (a, b) = self.read_sources();
        let r = match logic {
            Logic::And => self.ir.vand(n, a, b),
            Logic::Or => self.ir.vor(n, a, b),
            Logic::Xor => self.ir.vxor(n, a, b),
            Logic::AndNot => self.ir.vandnot(n, b, a),
        };
        self.write_vec(r);
    }

    /// `MOVMSKPS`, `MOVMSKPD`, `PMOVMSKB`
    fn move_mask(&mut self, lane: Lane) {
        let vector = self.read_vec(1);
        let mask = self.ir.vmovmask(self.n, lane, vector);
        self.write_reg(self.reg(0), mask);
    }
}
