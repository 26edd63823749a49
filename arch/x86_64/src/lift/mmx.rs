//! MMX: the 64-bit registers that are the x87 stack's significands.
//!
//! Arithmetic is SSE's, on vectors whose upper half is 0 (see `read_vec` and `write_vec`); here stand the
//! moves and what has no SSE form. Before every MMX instruction the stack's top becomes register 0, so that
//! `mm(n)` and `st(n)` are the same slot.

use super::{Handler, Lifter};
use crate::helpers::id;
use crate::state::{RDI, st};
use guest::ir::{FSize, Lane, Order, Overflow, Round, Sign, Val, VecLen, Width};
use iced_x86::{Instruction, Mnemonic as M, OpKind, Register};

const N: VecLen = VecLen::X1;

pub(super) fn lookup(insn: &Instruction) -> Option<Handler> {
    Some(match insn.mnemonic() {
        M::Cvtpi2ps => Lifter::cvtpi2ps,
        M::Cvtpi2pd => Lifter::cvtpi2pd,
        _ if !touches_mmx(insn) => return None,
        M::Movd | M::Movq | M::Movntq => Lifter::mmx_move,
        M::Movq2dq => Lifter::movq2dq,
        M::Movdq2q => Lifter::movdq2q,
        M::Pshufw => Lifter::pshufw,
        M::Maskmovq => Lifter::maskmovq,
        M::Cvtps2pi => |l| l.convert_to_mmx(FSize::F32, Round::Current),
        M::Cvttps2pi => |l| l.convert_to_mmx(FSize::F32, Round::Zero),
        M::Cvtpd2pi => |l| l.convert_to_mmx(FSize::F64, Round::Current),
        M::Cvttpd2pi => |l| l.convert_to_mmx(FSize::F64, Round::Zero),
        _ => return None,
    })
}

/// Whether an operand is an MMX register.
pub(super) fn touches_mmx(insn: &Instruction) -> bool {
    let mmx = |op| insn.op_kind(op) == OpKind::Register && insn.op_register(op).is_mm();
    (0..insn.op_count()).any(mmx)
}

impl Lifter {
    /// Makes the x87 stack a register file, once the memory operand has been seen not to fault.
    pub(super) fn enter_mmx(&mut self) {
        if self.is_mem(0) {
            let mem = self.address();
            self.ir.probe_write(self.insn.memory_size().size() as u8, mem.addr, mem.off);
        } else if self.insn.memory_size().size() == 16 {
            self.read_vec_wide(1);
        } else if self.insn.op_count() > 1 && self.is_mem(1) {
            let w = self.mem_width();
            self.load_operand(w);
        }
        let (zero, pc) = (self.ir.imm(0), self.ir.imm(self.here().0));
        self.call_state(id::ENTER_MMX, zero, zero, pc);
    }

    pub(super) fn read_mm(&mut self, reg: Register) -> Val {
        self.ir.read_slot(st(reg.number() as u16))
    }

    /// A written register has an exponent of all ones.
    pub(super) fn write_mm(&mut self, reg: Register, value: Val) {
        let (slot, ones) = (st(reg.number() as u16), self.ir.imm(0xffff));
        self.ir.write_slot(slot, value);
        self.ir.put(Width::W16, slot.plus(8), ones);
    }

    /// The low 64 bits of an MMX operand: register or memory.
    fn read_mmx_operand(&mut self, op: u32) -> Val {
        if self.is_mem(op) { self.load_operand(Width::W64) } else { self.read_mm(self.reg(op)) }
    }

    /// `MOVD`, `MOVQ`, `MOVNTQ`
    fn mmx_move(&mut self) {
        let from_mm = !self.is_mem(1) && self.reg(1).is_mm();
        let value = if from_mm { self.read_mm(self.reg(1)) } else { self.read_clean(1) };
        if !self.is_mem(0) && self.reg(0).is_mm() {
            return self.write_mm(self.reg(0), value);
        }
        let narrow = self.width(0) == Width::W32 && !self.is_mem(0);
        let value = if narrow { self.ir.zext(Width::W32, value) } else { value };
        self.write(0, value);
    }

    fn movq2dq(&mut self) {
        let value = self.read_mm(self.reg(1));
        self.write_low_zeroing(self.reg(0), value);
    }

    fn movdq2q(&mut self) {
        let value = self.read_low(1, Width::W64);
        self.write_mm(self.reg(0), value);
    }

    /// `PSHUFW`
    fn pshufw(&mut self) {
        let a = self.read_vec(1);
        let imm = self.insn.immediate(2) as u8;
        let r = self.pick_lanes(Lane::H, a, a, &[imm & 3, imm >> 2 & 3, imm >> 4 & 3, imm >> 6 & 3]);
        self.write_vec(r);
    }

    /// `MASKMOVQ`: stores the bytes whose mask has its top bit set.
    fn maskmovq(&mut self) {
        let (value, mask) = (self.read_mm(self.reg(1)), self.read_vec(2));
        let mask = self.ir.vmovmask(N, Lane::B, mask);
        let narrow = self.insn.op_kinds().any(|kind| kind == OpKind::MemorySegEDI);
        let rdi = self.ir.read_slot(RDI);
        let mut addr = if narrow { self.ir.zext(Width::W32, rdi) } else { rdi };
        if let Some(base) = self.segment_base() {
            addr = self.ir.add(Width::W64, base, addr);
        }
        self.call_state(id::MASKED_STORE64, addr, mask, value);
    }

    fn two_ints(&mut self, fs: FSize) -> (Val, Val) {
        let both = self.read_mmx_operand(1);
        let high = self.ir.extract(32, 32, both);
        let lo = self.ir.itof(fs, Width::W32, Sign::Signed, both);
        (lo, self.ir.itof(fs, Width::W32, Sign::Signed, high))
    }

    fn cvtpi2ps(&mut self) {
        let (lo, hi) = self.two_ints(FSize::F32);
        let both = self.ir.deposit(32, 32, lo, hi);
        self.write_low(Width::W64, both);
    }

    fn cvtpi2pd(&mut self) {
        let (lo, hi) = self.two_ints(FSize::F64);
        let r = self.ir.vpair(N, lo, hi);
        self.write_vec(r);
    }

    /// `CVTPS2PI`, `CVTPD2PI` and the truncating forms.
    fn convert_to_mmx(&mut self, fs: FSize, mode: Round) {
        let source = if fs == FSize::F32 { self.read_vec_low(1, Width::W64) } else { self.read_vec_wide(1) };
        let mut lanes = [0, 1].map(|index| {
            let lane = self.lane_of(fs.lane(), index, source);
            self.ir.ftoi(fs, Width::W32, Sign::Signed, mode, Overflow::Indefinite, lane)
        });
        lanes[0] = self.ir.deposit(32, 32, lanes[0], lanes[1]);
        self.write_mm(self.reg(0), lanes[0]);
    }

    /// A 16-byte operand of an instruction whose other operand is an MMX register.
    fn read_vec_wide(&mut self, op: u32) -> Val {
        if !self.is_mem(op) {
            return self.read_xmm(self.reg(op));
        }
        let mem = self.address();
        self.demand_alignment(mem, 16);
        self.ir.vload(N, mem.addr, mem.off)
    }

    /// An 8-byte memory operand as a vector with a clear upper half.
    pub(super) fn load_mmx_vector(&mut self) -> Val {
        let mem = self.address();
        let low = self.ir.load(Width::W64, Order::Tso, mem.addr, mem.off);
        let zero = self.ir.imm(0);
        self.ir.vpair(N, low, zero)
    }
}
