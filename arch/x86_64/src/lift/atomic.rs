//! Exchanges. `XCHG` with memory is atomic with or without a lock prefix; so are our 16-byte ones.

use super::operand::{Place, gpr_slot, is_high_byte, reg_width};
use super::{Handler, Lifter};
use crate::state::{RAX, RBX, RCX, RDX};
use guest::Trap;
use guest::ir::{FlagKind, Order, RmwOp, Terminator, Val, VecLen, Width, flag};
use iced_x86::{Instruction, Mnemonic as M, Register};

pub(super) fn lookup(insn: &Instruction) -> Option<Handler> {
    Some(match insn.mnemonic() {
        M::Xchg => Lifter::xchg,
        M::Xadd => Lifter::xadd,
        M::Cmpxchg => Lifter::cmpxchg,
        M::Cmpxchg8b => Lifter::cmpxchg8b,
        M::Cmpxchg16b => Lifter::cmpxchg16b,
        _ => return None,
    })
}

/// The accumulator of width `w`.
fn acc(w: Width) -> Register {
    match w {
        Width::W8 => Register::AL,
        Width::W16 => Register::AX,
        Width::W32 => Register::EAX,
        Width::W64 => Register::RAX,
    }
}

impl Lifter {
    /// `XCHG`
    fn xchg(&mut self) {
        let w = self.width(0);
        let (memory, register) = if self.is_mem(1) { (1, 0) } else { (0, 1) };
        let new = self.read_clean(register);
        if self.is_mem(memory) {
            let mem = self.address();
            let addr = self.flat(mem);
            let old = self.ir.rmw(RmwOp::Xchg, w, Order::SeqCst, addr, new);
            return self.write_reg(self.reg(register), old);
        }
        let old = self.read_clean(memory);
        self.write_reg(self.reg(memory), new);
        self.write_reg(self.reg(register), old);
    }

    /// `XADD`
    fn xadd(&mut self) {
        let w = self.width(0);
        let (place, b) = (self.place(0), self.read(1));
        let old = match place {
            Place::Mem(mem) if self.insn.has_lock_prefix() => {
                let addr = self.flat(mem);
                self.ir.rmw(RmwOp::Add, w, Order::SeqCst, addr, b)
            }
            Place::Mem(mem) => self.load(w, mem),
            Place::Reg(reg) => self.read_reg_clean(reg),
        };
        let sum = self.ir.add(w, old, b);
        if let (Place::Mem(mem), false) = (place, self.insn.has_lock_prefix()) {
            self.store(w, mem, sum);
        }
        // The destination is written last: with equal registers it is the sum that stays.
        self.write_reg(self.reg(1), old);
        if let Place::Reg(reg) = place {
            self.write_reg(reg, sum);
        }
        self.set_flags(FlagKind::Add, w, old, b, sum);
    }

    /// `CMPXCHG`: the accumulator changes only where the comparison fails.
    fn cmpxchg(&mut self) {
        let w = self.width(0);
        let (place, new) = (self.place(0), self.read_clean(1));
        let expected = self.read_reg(acc(w));
        let old = match place {
            Place::Mem(mem) if self.insn.has_lock_prefix() => {
                let addr = self.flat(mem);
                self.ir.cas(w, Order::SeqCst, addr, expected, new)
            }
            Place::Mem(mem) => self.load(w, mem),
            Place::Reg(reg) => self.read_reg_clean(reg),
        };
        let same = self.equals(w, expected, old);
        if let (Place::Mem(mem), false) = (place, self.insn.has_lock_prefix()) {
            let stored = self.ir.select(same, new, old);
            self.store(w, mem, stored);
        }
        let difference = self.ir.sub(w, expected, old);
        self.set_acc_unless(same, w, old);
        if let Place::Reg(reg) = place {
            self.put_register_if(same, reg, new);
        }
        self.set_flags(FlagKind::Sub, w, expected, old, difference);
    }

    /// reg = new where `same`; else all 64 bits of it stay.
    fn put_register_if(&mut self, same: Val, reg: Register, new: Val) {
        let slot = gpr_slot(reg);
        let whole = self.ir.read_slot(slot);
        let changed = match reg_width(reg) {
            Width::W32 | Width::W64 => new,
            w => self.ir.deposit(if is_high_byte(reg) { 8 } else { 0 }, w.bits() as u8, whole, new),
        };
        let chosen = self.ir.select(same, changed, whole);
        self.ir.write_slot(slot, chosen);
    }

    /// acc = old, unless `same`; then all 64 bits of rax stay.
    fn set_acc_unless(&mut self, same: Val, w: Width, old: Val) {
        let rax = self.ir.read_slot(RAX);
        let changed = match w {
            Width::W32 | Width::W64 => old,
            _ => self.ir.deposit(0, w.bits() as u8, rax, old),
        };
        let chosen = self.ir.select(same, rax, changed);
        self.ir.write_slot(RAX, chosen);
    }

    /// Replaces Z in the flags.
    pub(super) fn replace_zero_flag(&mut self, zero: Val) {
        let old = self.ir.get_flags();
        let flags = self.ir.deposit(flag::Z.trailing_zeros() as u8, 1, old, zero);
        self.put_flags(flags);
    }

    /// `CMPXCHG8B m64`: edx:eax with ecx:ebx.
    fn cmpxchg8b(&mut self) {
        let mem = self.address();
        let (expected, new) = (self.pair32(RDX, RAX), self.pair32(RCX, RBX));
        let old = if self.insn.has_lock_prefix() {
            let addr = self.flat(mem);
            self.ir.cas(Width::W64, Order::SeqCst, addr, expected, new)
        } else {
            self.load(Width::W64, mem)
        };
        let same = self.equals(Width::W64, expected, old);
        if !self.insn.has_lock_prefix() {
            let stored = self.ir.select(same, new, old);
            self.store(Width::W64, mem, stored);
        }
        let (lo, hi) = (self.ir.zext(Width::W32, old), self.ir.extract(32, 32, old));
        self.put_unless(same, lo, hi);
        self.replace_zero_flag(same);
    }

    fn pair32(&mut self, hi: guest::state::Slot, lo: guest::state::Slot) -> Val {
        let (hi, lo) = (self.ir.read_slot(hi), self.ir.read_slot(lo));
        self.ir.deposit(32, 32, lo, hi)
    }

    /// rdx:rax = hi:lo, unless `same`.
    fn put_unless(&mut self, same: Val, lo: Val, hi: Val) {
        let (rax, rdx) = (self.ir.read_slot(RAX), self.ir.read_slot(RDX));
        let (rax, rdx) = (self.ir.select(same, rax, lo), self.ir.select(same, rdx, hi));
        self.ir.write_slot(RAX, rax);
        self.ir.write_slot(RDX, rdx);
    }

    /// `CMPXCHG16B m128`: the operand must be aligned.
    fn cmpxchg16b(&mut self) {
        let mem = self.address();
        self.demand_alignment(mem, 16);
        let addr = self.flat(mem);
        let (rax, rdx) = (self.ir.read_slot(RAX), self.ir.read_slot(RDX));
        let (rbx, rcx) = (self.ir.read_slot(RBX), self.ir.read_slot(RCX));
        let (expected, new) = (self.ir.vpair(VecLen::X1, rax, rdx), self.ir.vpair(VecLen::X1, rbx, rcx));
        let old = self.ir.cas128(VecLen::X1, Order::SeqCst, addr, expected, new);
        let (lo, hi) = (self.lane_of(guest::ir::Lane::D, 0, old), self.lane_of(guest::ir::Lane::D, 1, old));
        let (same_lo, same_hi) = (self.equals(Width::W64, rax, lo), self.equals(Width::W64, rdx, hi));
        let same = self.ir.and(Width::W64, same_lo, same_hi);
        self.put_unless(same, lo, hi);
        self.replace_zero_flag(same);
    }

    /// `LOCK NEG`: a compare-and-swap; where another thread came between, the instruction runs again.
    pub(super) fn neg_locked(&mut self) {
        let (w, zero) = (self.width(0), self.ir.imm(0));
        let mem = self.address();
        let addr = self.flat(mem);
        let seen = self.load(w, mem);
        let r = self.ir.neg(w, seen);
        let old = self.ir.cas(w, Order::SeqCst, addr, seen, r);
        let done = self.equals(w, seen, old);
        self.carry = None;
        self.ir.set_flags_if(done, FlagKind::Sub, w, zero, seen, r);
        self.end = Some(Terminator::Branch { cond: done, taken: self.next(), other: self.here() });
    }

    /// #GP, for what user code may not do.
    pub(super) fn general_protection(&mut self) {
        self.raise(Trap::GeneralProtection, self.here());
    }
}
