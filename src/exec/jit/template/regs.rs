//! Where a block's values are: registers handed out on the way, cells of the context when they run out.
//!
//! A block is straight code whose values are defined once, so one look ahead (who uses what last) is
//! enough: a register is free again after its value's last use, and what must give way is the value that
//! is needed last. Values keep their own cells of the context, where the interpreter looks for them too.

use super::Emitter;
use super::asm::{self, CONTEXT, RAX, Reg, Rm, STATE, op, op0f, sse};
use crate::exec::jit::entry;
use guest::ir::{IntCc, VALUE_PLACES, Val, Width};
use guest::state::Slot;

/// Where a value is.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Loc {
    Nowhere,
    Konst(u64),
    Int(Reg),
    /// A vector of one unit in a vector register.
    Xmm(Reg),
    /// In its cells.
    Cell,
    /// A comparison that its one user makes.
    Compare(IntCc, Width, Val, Val),
}

/// Registers for integers: all but rax, rcx, rdx (scratch), rsp, and the two that point somewhere.
const INTS: [Reg; 10] = [Reg(6), Reg(7), Reg(8), Reg(9), Reg(10), Reg(11), Reg(3), Reg(5), Reg(12), Reg(13)];
/// The places of registers in it.
const PLACES: [u8; 16] = {
    let (mut places, mut at) = ([0; 16], 0);
    while at < INTS.len() {
        places[INTS[at].0 as usize] = at as u8;
        at += 1;
    }
    places
};
/// Those of them that a call may change.
const CALLER_SAVED: u16 = 1 << 6 | 1 << 7 | 1 << 8 | 1 << 9 | 1 << 10 | 1 << 11;
/// Registers for vectors: all but the first two, which are scratch.
const FIRST_XMM: u8 = 2;

/// The place of a register for integers, and the bit of that.
const fn place(r: Reg) -> usize {
    PLACES[r.0 as usize & 15] as usize
}

const fn bit(r: Reg) -> u16 {
    1 << place(r)
}

/// The registers that are free for the op at `at`, a bit for each: no branch is taken on what nobody can foretell.
fn free_at(at: u32, registers: &[u32]) -> u16 {
    registers.iter().zip(0..).fold(0, |free, (&from, place)| free | u16::from(from <= at) << place)
}

/// Vector scratch registers.
pub const X0: Reg = Reg(0);
pub const X1: Reg = Reg(1);

/// Says of a value that more than one op uses it, or one more than once.
const AGAIN: u32 = 1 << 31;

/// What registers hold, and where values are.
#[derive(Default, Debug)]
pub struct Registers {
    pub locs: Vec<Loc>,
    /// By value: the last op that uses it, or 0, and [`AGAIN`].
    last: Vec<u32>,
    ints: [Option<Val>; 16],
    xmms: [Option<Val>; 16],
    /// By a register's place in [`INTS`], and by its number: the op from which on nobody needs what it holds.
    free_ints: [u32; INTS.len()],
    free_xmms: [u32; 16],
    vconsts: Vec<(Val, u128)>,
    /// Registers that the op at hand needs: a bit for each, likewise.
    pinned_ints: u16,
    pinned_xmms: u16,
}

impl Registers {
    pub fn reset(&mut self, cells: usize) {
        self.locs.resize(VALUE_PLACES, Loc::Nowhere);
        self.locs[..cells].fill(Loc::Nowhere);
        self.last.resize(VALUE_PLACES, 0);
        self.last[..cells].fill(0);
        // It counts as used, and that never ends.
        self.last[usize::from(Val::NONE.0)] = u32::MAX;
        self.vconsts.clear();
        (self.ints, self.xmms) = ([None; 16], [None; 16]);
        (self.free_ints, self.free_xmms) = ([0; INTS.len()], [0; 16]);
        self.unpin();
    }

    fn hold_int(&mut self, v: Val, r: Reg) {
        self.ints[usize::from(r.0)] = Some(v);
        self.free_ints[place(r)] = self.last(v) + 1;
        self.set_loc(v, Loc::Int(r));
    }

    fn hold_xmm(&mut self, v: Val, r: Reg) {
        self.xmms[usize::from(r.0)] = Some(v);
        self.free_xmms[usize::from(r.0)] = self.last(v) + 1;
        self.set_loc(v, Loc::Xmm(r));
    }

    fn free_int(&mut self, r: Reg) {
        self.ints[usize::from(r.0)] = None;
        self.free_ints[place(r)] = 0;
    }

    fn free_xmm(&mut self, r: Reg) {
        self.xmms[usize::from(r.0)] = None;
        self.free_xmms[usize::from(r.0)] = 0;
    }

    /// The vector constant that a value is.
    pub fn vconst(&self, v: Val) -> Option<u128> {
        self.vconsts.iter().find(|(known, _)| *known == v).map(|&(_, value)| value)
    }

    pub fn note_vconst(&mut self, v: Val, value: u128) {
        self.vconsts.push((v, value));
    }

    pub fn unpin(&mut self) {
        (self.pinned_ints, self.pinned_xmms) = (0, 0);
    }

    pub fn loc(&self, v: Val) -> Loc {
        self.locs[usize::from(v.0)]
    }

    pub fn set_loc(&mut self, v: Val, loc: Loc) {
        self.locs[usize::from(v.0)] = loc;
    }

    /// Notes a use, at or before those noted so far, by an op that is not the first.
    #[inline]
    pub fn note_use(&mut self, v: Val, at: u32) {
        let last = &mut self.last[usize::from(v.0)];
        *last = if *last == 0 { at } else { *last | AGAIN };
    }

    /// A value that is used is needed until the op at `until`.
    pub fn need_until(&mut self, v: Val, until: u32) {
        let last = &mut self.last[usize::from(v.0)];
        *last = (*last & !AGAIN).max(until) | *last & AGAIN;
    }

    pub fn is_used_once(&self, v: Val) -> bool {
        (1..AGAIN).contains(&self.last[usize::from(v.0)])
    }

    /// The last op that uses it; that is never for [`Val::NONE`].
    #[inline]
    pub fn last(&self, v: Val) -> u32 {
        self.last[usize::from(v.0)] & !AGAIN
    }

    /// Frees the register of a value that nobody uses any more, before it would be free by itself.
    fn release(&mut self, v: Val) {
        match self.loc(v) {
            Loc::Int(r) => self.free_int(r),
            Loc::Xmm(r) => self.free_xmm(r),
            _ => {}
        }
        self.set_loc(v, Loc::Nowhere);
    }
}

/// Where a value's first cell is.
pub fn cell(v: Val) -> Rm {
    Rm::Mem(CONTEXT, entry::CELLS + 8 * i32::from(v.0))
}

/// Where unit `unit` of a vector is, when it is in its cells.
pub fn cell_unit(v: Val, unit: usize) -> Rm {
    Rm::Mem(CONTEXT, entry::CELLS + 8 * i32::from(v.0) + 16 * unit as i32)
}

pub fn state(offset: u16) -> Rm {
    Rm::Mem(STATE, entry::at(Slot(offset)))
}

impl Emitter {
    /// Makes the context's register valid from here on.
    pub fn need_context(&mut self) {
        if !std::mem::replace(&mut self.has_context, true) {
            self.asm.load(Width::W64, CONTEXT, state(entry::CONTEXT_SLOT.0));
        }
    }

    fn take_int(&mut self) -> Reg {
        let free = free_at(self.at, &self.regs.free_ints) & !self.regs.pinned_ints;
        let reg = match INTS.get(free.trailing_zeros() as usize) {
            Some(&reg) => reg,
            None => self.evict_int(),
        };
        self.regs.pinned_ints |= bit(reg);
        reg
    }

    fn int_pinned(&self, r: Reg) -> bool {
        self.regs.pinned_ints & bit(r) != 0
    }

    /// Stores the value that is needed last.
    fn evict_int(&mut self) -> Reg {
        let holders = INTS.iter().filter(|r| !self.int_pinned(**r));
        let victim =
            holders.filter_map(|r| self.regs.ints[usize::from(r.0)]).max_by_key(|&v| self.regs.last(v));
        let Some(victim) = victim else { unreachable!("an op needs fewer registers than there are") };
        let Loc::Int(reg) = self.regs.loc(victim) else { unreachable!("a register's value is in it") };
        self.spill_int(victim, reg);
        reg
    }

    fn spill_int(&mut self, v: Val, reg: Reg) {
        self.need_context();
        self.asm.store(Width::W64, reg, cell(v));
        self.regs.free_int(reg);
        self.regs.set_loc(v, Loc::Cell);
    }

    /// The constant that a value is.
    pub fn konst(&self, v: Val) -> Option<u64> {
        match self.regs.loc(v) {
            Loc::Konst(value) => Some(value),
            _ => None,
        }
    }

    /// The value in a register that stays its own while the op at hand is emitted.
    pub fn int(&mut self, v: Val) -> Reg {
        if let Loc::Int(reg) = self.regs.loc(v) {
            self.regs.pinned_ints |= bit(reg);
            return reg;
        }
        let reg = self.take_int();
        match self.regs.loc(v) {
            Loc::Konst(value) => self.asm.mov_ri(reg, value),
            Loc::Compare(..) => {
                let cc = self.condition(v);
                self.asm.setcc(cc, reg);
            }
            _ => {
                self.need_context();
                self.asm.load(Width::W64, reg, cell(v));
            }
        }
        self.own_int(v, reg);
        reg
    }

    fn own_int(&mut self, v: Val, reg: Reg) {
        self.regs.hold_int(v, reg);
    }

    /// Copies the value into a scratch register.
    pub fn int_into(&mut self, scratch: Reg, v: Val) {
        match self.regs.loc(v) {
            Loc::Konst(value) => self.asm.mov_ri(scratch, value),
            _ => {
                let reg = self.int(v);
                self.asm.mov_rr(scratch, reg);
            }
        }
    }

    /// A register for the result.
    pub fn define_int(&mut self, dst: Val) -> Reg {
        let reg = self.take_int();
        self.own_int(dst, reg);
        reg
    }

    /// A register for the result that starts out as `a`: `a`'s own where nobody uses that any more. Other
    /// operands must be in registers already.
    pub fn define_int_from(&mut self, dst: Val, a: Val) -> Reg {
        if let (Loc::Int(reg), true) = (self.regs.loc(a), self.regs.last(a) <= self.at) {
            self.regs.set_loc(a, Loc::Nowhere);
            self.own_int(dst, reg);
            self.regs.pinned_ints |= bit(reg);
            return reg;
        }
        let reg = self.take_int();
        match self.regs.loc(a) {
            Loc::Konst(value) => self.asm.mov_ri(reg, value),
            Loc::Cell => {
                self.need_context();
                self.asm.load(Width::W64, reg, cell(a));
            }
            _ => {
                let from = self.int(a);
                self.asm.mov_rr(reg, from);
            }
        }
        self.own_int(dst, reg);
        reg
    }

    // ---- vectors ----

    fn take_xmm(&mut self) -> Reg {
        let free = free_at(self.at, &self.regs.free_xmms) & !self.regs.pinned_xmms & u16::MAX << FIRST_XMM;
        let reg = match free {
            0 => self.evict_xmm(),
            free => Reg(free.trailing_zeros() as u8),
        };
        self.regs.pinned_xmms |= 1 << reg.0;
        reg
    }

    fn evict_xmm(&mut self) -> Reg {
        let pinned = self.regs.pinned_xmms;
        let holders = (FIRST_XMM..16).filter(|&r| pinned & 1 << r == 0);
        let victim =
            holders.filter_map(|r| self.regs.xmms[usize::from(r)]).max_by_key(|&v| self.regs.last(v));
        let Some(victim) = victim else { unreachable!("an op needs fewer registers than there are") };
        let Loc::Xmm(reg) = self.regs.loc(victim) else { unreachable!("a register's value is in it") };
        self.spill_xmm(victim, reg);
        reg
    }

    fn spill_xmm(&mut self, v: Val, reg: Reg) {
        self.need_context();
        self.store_xmm(reg, cell(v));
        self.regs.free_xmm(reg);
        self.regs.set_loc(v, Loc::Cell);
    }

    /// `movups`: any alignment.
    pub fn load_xmm(&mut self, to: Reg, from: Rm) {
        self.asm.ins(op0f(0x10), Width::W32, to, from);
    }

    pub fn store_xmm(&mut self, from: Reg, to: Rm) {
        self.asm.ins(op0f(0x11), Width::W32, from, to);
    }

    pub fn mov_xmm(&mut self, to: Reg, from: Reg) {
        if to != from {
            self.asm.ins(op0f(0x28), Width::W32, to, Rm::Reg(from));
        }
    }

    /// A one-unit vector in a register.
    pub fn xmm(&mut self, v: Val) -> Reg {
        if let Loc::Xmm(reg) = self.regs.loc(v) {
            self.regs.pinned_xmms |= 1 << reg.0;
            return reg;
        }
        let reg = self.take_xmm();
        self.need_context();
        self.load_xmm(reg, cell(v));
        self.own_xmm(v, reg);
        reg
    }

    fn own_xmm(&mut self, v: Val, reg: Reg) {
        self.regs.hold_xmm(v, reg);
    }

    pub fn define_xmm(&mut self, dst: Val) -> Reg {
        let reg = self.take_xmm();
        self.own_xmm(dst, reg);
        reg
    }

    /// As [`Self::define_int_from`].
    pub fn define_xmm_from(&mut self, dst: Val, a: Val) -> Reg {
        let from = self.xmm(a);
        if self.regs.last(a) <= self.at {
            self.regs.set_loc(a, Loc::Nowhere);
            self.own_xmm(dst, from);
            return from;
        }
        let reg = self.define_xmm(dst);
        self.mov_xmm(reg, from);
        reg
    }

    /// `movq`/`movd` from a general register.
    pub fn int_to_xmm(&mut self, w: Width, to: Reg, from: Reg) {
        self.asm.ins(sse(0x66, 0x6e), w, to, Rm::Reg(from));
    }

    /// `movq`/`movd` to a general register.
    pub fn xmm_to_int(&mut self, w: Width, to: Reg, from: Reg) {
        self.asm.ins(sse(0x66, 0x7e), w, from, Rm::Reg(to));
    }

    // ---- calls ----

    /// Brings an operand into its cells, where the interpreter looks for it.
    pub fn store_operand(&mut self, v: Val) {
        self.need_context();
        if !matches!(self.regs.loc(v), Loc::Cell | Loc::Nowhere) {
            self.store_value(v, false, cell(v));
        }
    }

    /// Stores all of an integer, or of a vector of one unit.
    pub fn store_value(&mut self, v: Val, is_vector: bool, to: Rm) {
        match self.regs.loc(v) {
            Loc::Konst(value) => self.store_word(value, to),
            Loc::Xmm(reg) => self.store_xmm(reg, to),
            _ if is_vector => {
                self.unit_into(X0, v, 0);
                self.store_xmm(X0, to);
            }
            _ => {
                let reg = self.int(v);
                self.asm.store(Width::W64, reg, to);
            }
        }
    }

    /// Stores a constant.
    pub fn store_word(&mut self, value: u64, to: Rm) {
        if asm::fits(Width::W64, value) {
            return self.asm.store_imm(Width::W64, value, to);
        }
        self.asm.mov_ri(RAX, value);
        self.asm.store(Width::W64, RAX, to);
    }

    /// Before a call: values in registers that it may change go to their cells.
    pub fn spill_for_call(&mut self) {
        for reg in INTS.iter().filter(|r| CALLER_SAVED & 1 << r.0 != 0) {
            match self.regs.ints[usize::from(reg.0)] {
                Some(v) if self.regs.last(v) > self.at => self.spill_int(v, *reg),
                Some(v) => self.regs.release(v),
                None => {}
            }
        }
        for reg in FIRST_XMM..16 {
            match self.regs.xmms[usize::from(reg)] {
                Some(v) if self.regs.last(v) > self.at => self.spill_xmm(v, Reg(reg)),
                Some(v) => self.regs.release(v),
                None => {}
            }
        }
    }

    /// The result of a call is in its cells.
    pub fn defined_in_cell(&mut self, dst: Val) {
        self.regs.set_loc(dst, Loc::Cell);
    }

    /// A vector's unit in a register that is only read: its own or the first scratch register.
    pub fn unit(&mut self, v: Val, unit: usize) -> Reg {
        if let Loc::Xmm(reg) = self.regs.loc(v) {
            return reg;
        }
        self.unit_into(X0, v, unit);
        X0
    }

    /// A vector's unit in a scratch register, wherever it is.
    pub fn unit_into(&mut self, scratch: Reg, v: Val, unit: usize) {
        match self.regs.loc(v) {
            Loc::Xmm(reg) => self.mov_xmm(scratch, reg),
            _ => {
                self.need_context();
                self.load_xmm(scratch, cell_unit(v, unit));
            }
        }
    }

    pub fn clear_xmm(&mut self, reg: Reg) {
        self.asm.ins(op0f(0x57), Width::W32, reg, Rm::Reg(reg));
    }

    /// `xchg`, which is atomic.
    pub fn exchange(&mut self, w: Width, reg: Reg, at: Rm) {
        let code = if w == Width::W8 { op(0x86) } else { op(0x87) };
        self.asm.ins(code, w, reg, at);
    }
}
