//! Operands: registers, memory, immediates.
//!
//! Integer values come in two forms. A *loose* value has its meaning in the low bits and anything above;
//! that is what IR ops accept, and it makes reading AL free. A *clean* one is zero-extended; 32-bit
//! register writes need it, because they clear the upper half.

use super::Lifter;
use crate::state::{FS_BASE, GS_BASE, RSP, gpr};
use guest::Trap;
use guest::ir::{FSize, Lane, Order, Val, VecLen, Width};
use guest::state::{Slot, vector_slot};
use iced_x86::{Instruction, OpKind, Register};

/// A memory operand's address: `addr + off`.
#[derive(Clone, Copy)]
pub(super) struct Mem {
    pub addr: Val,
    pub off: i32,
}

/// Something that can be read and then written.
#[derive(Clone, Copy)]
pub(super) enum Place {
    Reg(Register),
    Mem(Mem),
}

/// The state slot of the general register that `reg` is part of.
pub(super) fn gpr_slot(reg: Register) -> Slot {
    gpr(reg.full_register().number() as u16)
}

pub(super) fn is_high_byte(reg: Register) -> bool {
    matches!(reg, Register::AH | Register::CH | Register::DH | Register::BH)
}

pub(super) fn reg_width(reg: Register) -> Width {
    Width::from_bytes(reg.size()).unwrap_or(Width::W64)
}

/// The state slot of an XMM register.
pub(super) fn xmm_slot(reg: Register) -> Slot {
    vector_slot(reg.number() as u16)
}

impl Lifter {
    pub(super) fn is_mem(&self, op: u32) -> bool {
        self.insn.op_kind(op) == OpKind::Memory
    }

    pub(super) fn reg(&self, op: u32) -> Register {
        self.insn.op_register(op)
    }

    /// Whether both operands are the same register.
    pub(super) fn same_regs(&self, a: u32, b: u32) -> bool {
        let register = |op| self.insn.op_kind(op) == OpKind::Register;
        register(a) && register(b) && self.reg(a) == self.reg(b)
    }

    /// The width of an integer operand; an immediate has the first operand's.
    pub(super) fn width(&self, op: u32) -> Width {
        match self.insn.op_kind(op) {
            OpKind::Register => reg_width(self.reg(op)),
            OpKind::Memory => self.mem_width(),
            _ => self.width(0),
        }
    }

    /// The width of the memory operand.
    pub(super) fn mem_width(&self) -> Width {
        Width::from_bytes(self.insn.memory_size().size()).unwrap_or(Width::W64)
    }

    pub(super) fn immediate(&mut self, op: u32) -> Val {
        let value = self.insn.immediate(op) & self.width(0).mask();
        self.ir.imm(value)
    }

    /// A register's value, loose.
    pub(super) fn read_reg(&mut self, reg: Register) -> Val {
        let value = self.ir.read_slot(gpr_slot(reg));
        if is_high_byte(reg) { self.ir.extract(8, 8, value) } else { value }
    }

    /// A register's value, zero-extended.
    pub(super) fn read_reg_clean(&mut self, reg: Register) -> Val {
        let value = self.read_reg(reg);
        match reg_width(reg) {
            Width::W64 => value,
            _ if is_high_byte(reg) => value,
            w => self.ir.zext(w, value),
        }
    }

    /// Writes a register; a value for a 32-bit one must be clean.
    pub(super) fn write_reg(&mut self, reg: Register, value: Val) {
        let slot = gpr_slot(reg);
        let whole = match reg_width(reg) {
            Width::W64 | Width::W32 => value,
            w => {
                let old = self.ir.read_slot(slot);
                let lsb = if is_high_byte(reg) { 8 } else { 0 };
                self.ir.deposit(lsb, w.bits() as u8, old, value)
            }
        };
        self.ir.write_slot(slot, whole);
    }

    /// An integer operand, loose.
    pub(super) fn read(&mut self, op: u32) -> Val {
        match self.insn.op_kind(op) {
            OpKind::Register => self.read_reg(self.reg(op)),
            OpKind::Memory => self.load_operand(self.mem_width()),
            _ => self.immediate(op),
        }
    }

    /// An integer operand, zero-extended.
    pub(super) fn read_clean(&mut self, op: u32) -> Val {
        match self.insn.op_kind(op) {
            OpKind::Register => self.read_reg_clean(self.reg(op)),
            _ => self.read(op),
        }
    }

    /// Writes operand `op`; a value for a 32-bit register must be clean.
    pub(super) fn write(&mut self, op: u32, value: Val) {
        let place = self.place(op);
        let w = self.width(op);
        self.put_place(place, w, value);
    }

    pub(super) fn place(&mut self, op: u32) -> Place {
        if self.is_mem(op) { Place::Mem(self.address()) } else { Place::Reg(self.reg(op)) }
    }

    pub(super) fn get_place(&mut self, place: Place, w: Width) -> Val {
        match place {
            Place::Reg(reg) => self.read_reg(reg),
            Place::Mem(mem) => self.load(w, mem),
        }
    }

    pub(super) fn put_place(&mut self, place: Place, w: Width, value: Val) {
        match place {
            Place::Reg(reg) => self.write_reg(reg, value),
            Place::Mem(mem) => self.store(w, mem, value),
        }
    }

    pub(super) fn load(&mut self, w: Width, mem: Mem) -> Val {
        self.ir.load(w, Order::Tso, mem.addr, mem.off)
    }

    pub(super) fn store(&mut self, w: Width, mem: Mem, value: Val) {
        self.ir.store(w, Order::Tso, mem.addr, mem.off, value);
    }

    pub(super) fn load_operand(&mut self, w: Width) -> Val {
        let mem = self.address();
        self.load(w, mem)
    }

    // ---- addresses ----

    /// The memory operand's address.
    pub(super) fn address(&mut self) -> Mem {
        self.address_plus(0)
    }

    /// The memory operand's address, `extra` bytes further on where its base is rsp (`pop [rsp+8]`).
    pub(super) fn address_plus(&mut self, extra: i64) -> Mem {
        let insn = self.insn;
        let narrow = address_width(&insn) == Width::W32;
        let extra = if insn.memory_base().full_register() == Register::RSP { extra } else { 0 };
        let disp = displacement(&insn).wrapping_add(extra);
        let segment = self.segment_base();
        if narrow {
            let offset = self.offset32(disp);
            let addr = self.plus_segment(offset, segment);
            return Mem { addr, off: 0 };
        }
        let base = self.base_and_index();
        match (base, segment, i32::try_from(disp)) {
            (Some(base), segment, Ok(off)) => Mem { addr: self.plus_segment(base, segment), off },
            (None, Some(segment), Ok(off)) => Mem { addr: segment, off },
            (base, segment, _) => {
                let disp = self.ir.imm(disp as u64);
                let offset = base.map_or(disp, |base| self.ir.add(Width::W64, base, disp));
                Mem { addr: self.plus_segment(offset, segment), off: 0 }
            }
        }
    }

    /// The address as one value of width `w`, without the segment base (`lea`).
    pub(super) fn effective_address(&mut self, w: Width) -> Val {
        let insn = self.insn;
        let disp = displacement(&insn);
        if address_width(&insn) == Width::W32 {
            return self.offset32(disp);
        }
        let base = self.base_and_index();
        let Some(base) = base else {
            return self.ir.imm(disp as u64 & w.mask());
        };
        match (disp, w) {
            (0, Width::W32) => self.ir.zext(w, base),
            (0, _) => base,
            (_, Width::W32) => {
                let disp = self.ir.imm(disp as u64 & w.mask());
                self.ir.add(w, base, disp)
            }
            _ => self.ir.add_imm(base, disp),
        }
    }

    /// The address as one value.
    pub(super) fn flat(&mut self, mem: Mem) -> Val {
        self.ir.add_imm(mem.addr, i64::from(mem.off))
    }

    fn base_and_index(&mut self) -> Option<Val> {
        let insn = self.insn;
        let base = match insn.memory_base() {
            Register::None | Register::RIP | Register::EIP => None,
            reg => Some(self.ir.read_slot(gpr_slot(reg))),
        };
        if insn.memory_index() == Register::None {
            return base;
        }
        let mut index = self.ir.read_slot(gpr_slot(insn.memory_index()));
        if insn.memory_index_scale() > 1 {
            let shift = self.ir.imm(u64::from(insn.memory_index_scale().trailing_zeros()));
            index = self.ir.shl(Width::W64, index, shift);
        }
        Some(base.map_or(index, |base| self.ir.add(Width::W64, base, index)))
    }

    fn offset32(&mut self, disp: i64) -> Val {
        let low = disp as u64 & Width::W32.mask();
        match self.base_and_index() {
            None => self.ir.imm(low),
            Some(sum) if low == 0 => self.ir.zext(Width::W32, sum),
            Some(sum) => {
                let disp = self.ir.imm(low);
                self.ir.add(Width::W32, sum, disp)
            }
        }
    }

    /// The base of the memory operand's segment, where it is not 0 by definition.
    pub(super) fn segment_base(&mut self) -> Option<Val> {
        match self.insn.memory_segment() {
            Register::FS => Some(self.ir.read_slot(FS_BASE)),
            Register::GS => Some(self.ir.read_slot(GS_BASE)),
            _ => None,
        }
    }

    pub(super) fn plus_segment(&mut self, offset: Val, segment: Option<Val>) -> Val {
        segment.map_or(offset, |segment| self.ir.add(Width::W64, segment, offset))
    }

    pub(super) fn rsp(&mut self) -> Val {
        self.ir.read_slot(RSP)
    }

    // ---- vectors and floats ----

    /// Raises #GP where the memory operand is not aligned to that many bytes.
    pub(super) fn demand_alignment(&mut self, mem: Mem, bytes: usize) {
        let addr = self.flat(mem);
        let low = self.ir.imm(bytes as u64 - 1);
        let rest = self.ir.and(Width::W64, addr, low);
        self.ir.trap_when(Trap::GeneralProtection, rest);
    }

    pub(super) fn read_xmm(&mut self, reg: Register) -> Val {
        self.ir.read_vector(VecLen::X1, xmm_slot(reg))
    }

    /// The whole of an XMM or YMM register.
    pub(super) fn read_vector(&mut self, reg: Register) -> Val {
        let n = if reg.is_ymm() { VecLen::X2 } else { VecLen::X1 };
        self.ir.read_vector(n, xmm_slot(reg))
    }

    /// Writes an XMM or YMM register; under VEX what lies above is cleared.
    pub(super) fn write_vector(&mut self, reg: Register, value: Val) {
        if reg.is_ymm() {
            return self.ir.vput(VecLen::X2, xmm_slot(reg), value);
        }
        self.ir.vput(VecLen::X1, xmm_slot(reg), value);
        self.clear_upper(reg);
    }

    fn clear_upper(&mut self, reg: Register) {
        if self.vex {
            let zero = self.ir.vimm(VecLen::X1, 0);
            self.ir.vput(VecLen::X1, xmm_slot(reg).plus(16), zero);
        }
    }

    /// The operand numbers of an operation's two sources: under VEX the destination is none of them.
    pub(super) fn sources(&self) -> (u32, u32) {
        if self.vex { (1, 2) } else { (0, 1) }
    }

    /// The two sources of an operation on whole vectors.
    pub(super) fn read_sources(&mut self) -> (Val, Val) {
        let (a, b) = self.sources();
        let b = self.read_vec(b);
        (self.read_vec(a), b)
    }

    /// The immediate that ends the instruction.
    pub(super) fn last_immediate(&self) -> u64 {
        self.insn.immediate(self.insn.op_count() - 1) & 0xff
    }

    /// Unit `unit` of a vector as long as the instruction's.
    pub(super) fn unit_of(&mut self, v: Val, unit: usize) -> Val {
        if self.n == VecLen::X1 { v } else { self.ir.vpart(VecLen::X1, unit as u8, v) }
    }

    /// A vector as long as the instruction's, computed unit by unit.
    pub(super) fn by_unit(&mut self, mut f: impl FnMut(&mut Self, usize) -> Val) -> Val {
        let lo = f(self, 0);
        if self.n == VecLen::X1 {
            return lo;
        }
        let hi = f(self, 1);
        self.ir.vjoin(VecLen::X2, lo, hi)
    }

    /// A vector operand: in memory aligned unless VEX-encoded; an MMX one has zeros above it.
    pub(super) fn read_vec(&mut self, op: u32) -> Val {
        match (self.is_mem(op), self.mmx) {
            (true, true) => return self.load_mmx_vector(),
            (true, false) => {}
            (false, _) if self.reg(op).is_mm() => {
                let (low, zero) = (self.read_mm(self.reg(op)), self.ir.imm(0));
                return self.ir.vpair(VecLen::X1, low, zero);
            }
            (false, _) => return self.read_vector(self.reg(op)),
        }
        let mem = self.address();
        if !self.vex {
            self.demand_alignment(mem, 16);
        }
        self.ir.vload(self.n, mem.addr, mem.off)
    }

    /// A vector operand of any alignment.
    pub(super) fn read_vec_unaligned(&mut self, op: u32) -> Val {
        if !self.is_mem(op) {
            return self.read_vector(self.reg(op));
        }
        let mem = self.address();
        self.ir.vload(self.n, mem.addr, mem.off)
    }

    /// A vector operand of which only the low `w` bits are read; in memory it is that small.
    pub(super) fn read_vec_low(&mut self, op: u32, w: Width) -> Val {
        if !self.is_mem(op) {
            return self.read_xmm(self.reg(op));
        }
        let low = self.load_operand(w);
        let zero = self.ir.imm(0);
        self.ir.vpair(VecLen::X1, low, zero)
    }

    pub(super) fn write_vec(&mut self, value: Val) {
        if self.reg(0).is_mm() {
            let low = self.lane_of(Lane::D, 0, value);
            return self.write_mm(self.reg(0), low);
        }
        self.write_vector(self.reg(0), value);
    }

    /// The low `w` bits of an XMM register or memory operand, clean.
    pub(super) fn read_low(&mut self, op: u32, w: Width) -> Val {
        if self.is_mem(op) {
            return self.load_operand(w);
        }
        if self.reg(op).is_mm() {
            return self.read_mm(self.reg(op));
        }
        let slot = xmm_slot(self.reg(op));
        if w == Width::W64 { self.ir.read_slot(slot) } else { self.ir.read_slot_w(w, slot) }
    }

    /// Replaces the low `w` bits of the destination register, or of a copy of the first source.
    pub(super) fn write_low(&mut self, w: Width, value: Val) {
        if self.vex {
            let whole = self.read_xmm(self.reg(1));
            let r = self.ir.vinsert(VecLen::X1, Lane::ALL[w as usize], 0, whole, value);
            return self.write_vector(self.reg(0), r);
        }
        let slot = xmm_slot(self.reg(0));
        self.ir.put(w, slot, value);
    }

    /// Writes the low 64 bits of an XMM register and clears the rest.
    pub(super) fn write_low_zeroing(&mut self, reg: Register, value: Val) {
        let slot = xmm_slot(reg);
        let zero = self.ir.imm(0);
        self.ir.write_slot(slot, value);
        self.ir.write_slot(slot.plus(8), zero);
        self.clear_upper(reg);
    }

    /// The high 64 bits of an XMM register.
    pub(super) fn read_high(&mut self, reg: Register) -> Val {
        self.ir.read_slot(xmm_slot(reg).plus(8))
    }

    /// A scalar float operand.
    pub(super) fn read_float(&mut self, op: u32, fs: FSize) -> Val {
        self.read_low(op, fs.width())
    }

    pub(super) fn lane_of(&mut self, lane: Lane, index: u8, vector: Val) -> Val {
        self.ir.vextract(VecLen::X1, lane, index, vector)
    }
}

/// The displacement, sign-extended, or the target of an rip-relative operand.
fn displacement(insn: &Instruction) -> i64 {
    insn.memory_displacement64() as i64
}

/// The address size of the memory operand.
pub(super) fn address_width(insn: &Instruction) -> Width {
    match (insn.memory_base(), insn.memory_index()) {
        // Without an address-size prefix iced reports an absolute displacement as 8 bytes.
        (Register::None, Register::None) if insn.memory_displ_size() == 4 => Width::W32,
        (Register::None, Register::None) => Width::W64,
        (Register::None, index) => reg_width(index),
        (base, _) => reg_width(base),
    }
}
