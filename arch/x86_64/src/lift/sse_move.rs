//! SSE moves, and logic on whole registers.

use super::mmx::touches_mmx;
use super::operand::xmm_slot;
use super::{Handler, Lifter};
use guest::ir::{Lane, Val, VecLen, Width};
use iced_x86::{Instruction, Mnemonic as M, Register};

pub(super) fn lookup(insn: &Instruction) -> Option<Handler> {
    Some(match insn.mnemonic() {
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
            let value = match alignment {
                Alignment::Demanded => self.read_vec(1),
                Alignment::Any => self.read_vec_unaligned(1),
            };
            return self.write_xmm(self.reg(0), value);
        }
        let mem = self.address();
        if alignment == Alignment::Demanded {
            self.demand_alignment(mem);
        }
        let value = self.read_xmm(self.reg(1));
        self.ir.vstore(VecLen::X1, mem.addr, mem.off, value);
    }

    /// `MOVSS`, `MOVSD`: a load clears the rest of the register, a move between registers keeps it.
    fn move_scalar(&mut self, w: Width) {
        let value = self.read_low(1, w);
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
        let value = self.read_low(1, Width::W64);
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
        self.write_high(self.reg(0), value);
    }

    pub(super) fn write_high(&mut self, reg: Register, value: Val) {
        self.ir.write_slot(xmm_slot(reg).plus(8), value);
    }

    /// `MOVHLPS`
    fn movhlps(&mut self) {
        let value = self.read_high(self.reg(1));
        self.write_low(Width::W64, value);
    }

    /// `MOVLHPS`
    fn movlhps(&mut self) {
        let value = self.read_low(1, Width::W64);
        self.write_high(self.reg(0), value);
    }

    /// `PAND`, `POR`, `PXOR`, `PANDN` and the float forms.
    fn vector_logic(&mut self, logic: Logic) {
        const N: VecLen = VecLen::X1;
        if logic == Logic::Xor && self.same_regs(0, 1) {
            let zero = self.ir.vimm(N, 0);
            return self.write_vec(zero);
        }
        let b = self.read_vec(1);
        let a = self.read_vec(0);
        let r = match logic {
            Logic::And => self.ir.vand(N, a, b),
            Logic::Or => self.ir.vor(N, a, b),
            Logic::Xor => self.ir.vxor(N, a, b),
            Logic::AndNot => self.ir.vandnot(N, b, a),
        };
        self.write_vec(r);
    }

    /// `MOVMSKPS`, `MOVMSKPD`, `PMOVMSKB`
    fn move_mask(&mut self, lane: Lane) {
        let vector = self.read_vec(1);
        let mask = self.ir.vmovmask(VecLen::X1, lane, vector);
        self.write_reg(self.reg(0), mask);
    }
}
