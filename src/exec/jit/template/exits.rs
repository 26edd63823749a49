//! A block's start and its ways out.

use super::asm::{Alu, CONTEXT, Cc, Label, RAX, RCX, RDI, RSP, Reg, Rm, Shift, op};
use super::regs::{Loc, cell, state};
use super::{Emitter, Stub};
use crate::exec::jit::code_memory::{SLOT_BYTES, SlotReference};
use crate::exec::jit::entry::{self, exit};
use crate::exec::jit::jumps::{JUMP_ENTRIES, RETURN_MASK};
use crate::exec::jit::owed::{Noted, Owed, Source};
use guest::GuestAddr;
use guest::ir::{Block, Hint, Terminator, Val, When, Width};
use guest::state::PC;

/// Where a block's code is entered, from its start.
pub const ENTRY: usize = 4;
/// How far behind that it is entered by jumps that need neither poll nor count ([`Forward`]).
pub const BEHIND_ENTRY: u64 = 18;

/// Which slots of a block are left through by direct jumps to higher addresses than its own, a bit for each. Where such jumps lead
/// need not look whether the thread is wanted: each time round a loop, something else does that is entered in another way.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Forward(pub u32);

impl Forward {
    /// Whether slot `index` is, by the order of [`super::Emitted::slots`].
    pub fn has(self, index: u32) -> bool {
        self.0.checked_shr(index).is_some_and(|bits| bits & 1 != 0)
    }
}

impl Emitter {
    /// The poll, then the counter. What leaves the block there stands before its entry, where short jumps lead: a call of
    /// what finds the counter by where it is called from ([`entry::LEAVE_SLOT`]).
    pub(super) fn prologue(&mut self) {
        let leave = self.asm.here();
        self.asm.ins(op(0xff), Width::W32, Reg(2), state(entry::LEAVE_SLOT.0));
        debug_assert_eq!(self.asm.here(), ENTRY);
        self.asm.load(Width::W64, RAX, state(entry::POLL_SLOT.0));
        self.asm.alu_ri(Alu::Cmp, Width::W32, Rm::Mem(RAX, 0), 0);
        self.asm.jcc_back(Cc::Ne, leave);
        self.asm.alu_ri(Alu::Sub, Width::W32, Rm::Rip { to: Label::Slot(0, 0), after: 1 }, 1);
        self.weight_at = self.asm.here() - 1;
        debug_assert_eq!(self.asm.here(), ENTRY + entry::COUNTED_AT);
        self.asm.jcc_back(Cc::S, leave);
        debug_assert_eq!(self.asm.here(), ENTRY + BEHIND_ENTRY as usize);
    }

    /// How much a run of the block counts: what the interpreter does in it costs some 20 ns each time, and a region has
    /// code for that.
    pub(super) fn set_weight(&mut self) {
        const MOST: usize = 100;
        self.asm.code[self.weight_at] = (1 + 2 * self.interpreted).min(MOST) as u8;
    }

    pub(super) fn terminator(&mut self, block: &Block) {
        match block.terminator {
            Terminator::Jump { target, hint: Hint::None } => self.chain_on(target),
            Terminator::Jump { target, hint } => {
                self.note_call(hint);
                self.chain(target);
            }
            Terminator::Branch { cond, taken, other } => self.branch(cond, taken, other),
            Terminator::Indirect { target, hint: Hint::Resync } => self.leave_to(target, exit::RESYNC),
            Terminator::Indirect { target, hint } => self.indirect(target, hint, block.last_pc()),
            Terminator::Syscall { next } => self.leave(next, exit::SYSCALL),
            Terminator::Resync { next } => self.leave(next, exit::RESYNC),
            Terminator::Trap { trap, pc } => self.leave(pc, exit::TRAP | trap as u64),
            // The run loop finds that there is nothing to fetch.
            Terminator::FetchFault { pc, .. } => self.leave(pc, exit::NEXT),
        }
    }

    fn branch(&mut self, cond: Val, taken: GuestAddr, other: GuestAddr) {
        if let Loc::Konst(value) = self.regs.loc(cond) {
            return self.chain_on(if value != 0 { taken } else { other });
        }
        let cc = self.condition(cond);
        // A short jump over the first way out, whose length is known only behind it.
        let from = self.jump_ahead(0x70 | cc.not() as u8);
        self.chain_on(taken);
        self.land(from);
        self.chain_on(other);
    }

    /// The same as [`Self::chain`], at the end of a block and by no call: notes whether that leads forward.
    fn chain_on(&mut self, target: GuestAddr) {
        self.chain(target);
        let index = self.slots.iter().position(|&slot| slot == target);
        if let Some(index) = index.filter(|&index| index < 32 && target.raw() > self.start.raw()) {
            self.forward.0 |= 1 << index;
        }
    }

    /// Goes on at a constant address, through a slot.
    fn chain(&mut self, target: GuestAddr) {
        if target == self.start {
            return self.asm.jmp_back(ENTRY);
        }
        let slot = self.slot(target);
        self.asm.lea(RDI, Rm::Rip { to: slot, after: 0 });
        self.asm.jmp_mem(Rm::Mem(RDI, 0));
    }

    /// The slot that leads to a constant address.
    fn slot(&mut self, target: GuestAddr) -> Label {
        let known = self.slots.iter().position(|&slot| slot == target);
        let index = known.unwrap_or_else(|| {
            self.slots.push(target);
            self.slots.len() - 1
        });
        Label::Slot(index as u32 + 1, 0)
    }

    /// Notes where a call returns to, for the return.
    fn note_call(&mut self, hint: Hint) {
        let Hint::Call(back) = hint else { return };
        let slot = self.slot(back);
        self.return_entry(self.stack.popped);
        self.asm.lea(RAX, Rm::Rip { to: slot, after: 0 });
        self.asm.store(Width::W64, RAX, Rm::Mem(RCX, entry::RETURNS + 8));
        self.store_word(back.raw(), Rm::Mem(RCX, entry::RETURNS));
    }

    /// Brings into rcx what stands before the entry for returns by as much as the context does before the first: for a
    /// return that moves the stack pointer by `popped`.
    fn return_entry(&mut self, popped: u8) {
        self.need_context();
        self.asm.load(Width::W32, RCX, state(self.stack.pointer.0));
        if popped != 0 {
            self.asm.alu_ri(Alu::Add, Width::W32, Rm::Reg(RCX), popped.into());
        }
        self.asm.alu_ri(Alu::And, Width::W32, Rm::Reg(RCX), RETURN_MASK);
        self.asm.alu_rr(Alu::Add, Width::W64, RCX, CONTEXT);
    }

    /// Goes on at a computed address.
    fn indirect(&mut self, target: Val, hint: Hint, here: GuestAddr) {
        self.need_context();
        let to = self.int(target);
        match hint {
            Hint::Return => self.try_return(to),
            _ => self.try_jump(to, hint),
        }
        self.asm.mov_rr(RDI, to);
        self.asm.mov_ri(Reg(6), here.raw());
        self.asm.jmp_mem(Rm::Mem(CONTEXT, entry::FIND_JUMP));
    }

    /// Goes on where the call has said, if that is `to`.
    fn try_return(&mut self, to: Reg) {
        self.return_entry(0);
        self.asm.ins(op(0x3b), Width::W64, to, Rm::Mem(RCX, entry::RETURNS));
        let from = self.jump_ahead(0x70 | Cc::Ne as u8);
        self.asm.load(Width::W64, RDI, Rm::Mem(RCX, entry::RETURNS + 8));
        self.asm.jmp_mem(Rm::Mem(RDI, 0));
        self.land(from);
    }

    /// Goes on through the jump cache, if `to` is known there.
    /// Leaves the address in slot 1, for whoever wants to know where the jump leads.
    fn try_jump(&mut self, to: Reg, hint: Hint) {
        debug_assert!(self.slots.is_empty(), "the computed way out has the first slot");
        self.slots.push(GuestAddr(0));
        self.note_call(hint);
        self.asm.store(Width::W64, to, Rm::Rip { to: Label::Slot(1, 8), after: 0 });
        self.asm.mov_rr(RCX, to);
        self.asm.shift_ri(Shift::Shr, Width::W64, RCX, 12);
        self.asm.alu_rr(Alu::Xor, Width::W64, RCX, to);
        self.asm.alu_ri(Alu::And, Width::W32, Rm::Reg(RCX), JUMP_ENTRIES as u64 - 1);
        self.asm.shift_ri(Shift::Shl, Width::W64, RCX, 4);
        self.asm.alu_rr(Alu::Add, Width::W64, RCX, CONTEXT);
        self.asm.ins(op(0x3b), Width::W64, to, Rm::Mem(RCX, entry::JUMPS));
        let from = self.jump_ahead(0x70 | Cc::Ne as u8);
        self.asm.alu_rr(Alu::Xor, Width::W32, RDI, RDI);
        self.asm.jmp_mem(Rm::Mem(RCX, entry::JUMPS + 8));
        self.land(from);
    }

    /// Goes on `off` bytes behind the start where the condition says so. What is still to be written then is written behind
    /// the code, from where it is here.
    pub(super) fn leave_when(&mut self, when: When, c: Val, off: i32) {
        if let Loc::Konst(value) = self.regs.loc(c)
            && !when.happens(value)
        {
            return;
        }
        let cc = self.condition(c);
        let cc = if when == When::Holds { cc } else { cc.not() };
        let owed = self.owed_here();
        let stub = self.stub(Stub::SideExit { target: self.start.offset(off.into()), owed });
        self.asm.jcc(cc, stub);
    }

    /// Makes writes that were left out.
    fn make_owed(&mut self, noted: Noted) {
        for Owed { slot, from } in noted.of(&self.late.owed) {
            let to = state(slot.0);
            match from {
                Source::Register(number) => self.asm.store(Width::W64, Reg(number), to),
                Source::Constant(value) => self.store_word(i64::from(value) as u64, to),
                Source::Cell(v) => {
                    self.asm.load(Width::W64, RAX, cell(v));
                    self.asm.store(Width::W64, RAX, to);
                }
            }
        }
    }

    /// Returns with the pc at a computed address.
    fn leave_to(&mut self, target: Val, code: u64) {
        let to = self.int(target);
        self.asm.store(Width::W64, to, state(PC.0));
        self.asm.mov_ri(RAX, code);
        self.ret();
    }

    fn leave(&mut self, pc: GuestAddr, code: u64) {
        self.store_pc(RCX, pc);
        self.asm.mov_ri(RAX, code);
        self.ret();
    }

    /// Returns to the trampoline: a region may have come here by a call.
    fn ret(&mut self) {
        self.asm.load(Width::W64, RSP, state(entry::STACK_SLOT.0));
        self.asm.ret();
    }

    fn store_pc(&mut self, scratch: Reg, pc: GuestAddr) {
        self.asm.mov_ri(scratch, pc.raw());
        self.asm.store(Width::W64, scratch, state(PC.0));
    }

    /// Raises a trap of the instruction at hand where the condition holds.
    pub(super) fn trap_where(&mut self, cc: Cc, number: u8) {
        let stub = self.stub(Stub::Leave { pc: self.pc, code: exit::TRAP | u64::from(number) });
        self.asm.jcc(cc, stub);
    }

    /// Tests a value that is a condition; what holds when it is not 0.
    pub(super) fn condition(&mut self, c: Val) -> Cc {
        match self.regs.loc(c) {
            Loc::Compare(cc, w, a, b) => self.compare(cc, w, a, b),
            _ => {
                let reg = self.int(c);
                self.asm.test(Width::W64, reg, reg);
                Cc::Ne
            }
        }
    }

    /// Stubs, constants, and every distance.
    pub(super) fn finish(&mut self) {
        let mut places = std::mem::take(&mut self.places);
        places.clear();
        let stubs = std::mem::take(&mut self.stubs);
        for &stub in &stubs {
            places.push(self.asm.here());
            match stub {
                Stub::Leave { pc, code } => self.leave(pc, code),
                Stub::Failed { pc } => {
                    self.store_pc(RCX, pc);
                    self.ret();
                }
                Stub::SideExit { target, owed } => {
                    self.make_owed(owed);
                    self.chain(target);
                }
                Stub::Interpret(aside) => self.interpret_aside(aside),
            }
        }
        self.stubs = stubs;
        let padding = self.asm.here().next_multiple_of(16) - self.asm.here();
        let constants = self.asm.here() + padding;
        if !self.constants.is_empty() {
            self.asm.code.extend_from_slice(&[0xcc; 16][..padding]);
            for constant in &self.constants {
                self.asm.code.extend_from_slice(&constant.to_le_bytes());
            }
        }
        for index in 0..self.asm.fixups.len() {
            let fixup = self.asm.fixups[index];
            match fixup.to {
                Label::Stub(index) => self.asm.resolve(fixup, places[index as usize]),
                Label::Constant(index) => self.asm.resolve(fixup, constants + 16 * index as usize),
                Label::Slot(index, byte) => {
                    let after = 4 + i64::from(fixup.after);
                    let slot = (index as usize * SLOT_BYTES) as i64 + i64::from(byte);
                    self.references.push(SlotReference { offset: fixup.at, slot_offset: slot - after });
                }
            }
        }
        self.places = places;
    }
}
