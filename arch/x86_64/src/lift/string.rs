//! String instructions.
//!
//! Without a prefix they are a load, a store and two additions. With one they are a helper that works in
//! bulk and keeps rcx, rsi and rdi exact at a fault. It returns early on long runs, and then the
//! instruction runs again, so that signals are never held up.

use super::{Handler, Lifter};
use crate::helpers::{id, string};
use crate::state::{DF, RAX, RDI, RSI};
use guest::ir::{FlagKind, HelperId, Order, Terminator, Val, Width};
use guest::state::Slot;
use iced_x86::{Instruction, Mnemonic as M, OpKind};

pub(super) fn lookup(insn: &Instruction) -> Option<Handler> {
    let repeated = insn.has_rep_prefix() || insn.has_repne_prefix();
    let is_string = insn.is_string_instruction();
    Some(match insn.mnemonic() {
        M::Movsb | M::Movsw | M::Movsd | M::Movsq if is_string && repeated => |l| l.repeat(id::REP_MOVS),
        M::Stosb | M::Stosw | M::Stosd | M::Stosq if repeated => |l| l.repeat(id::REP_STOS),
        M::Lodsb | M::Lodsw | M::Lodsd | M::Lodsq if repeated => |l| l.repeat(id::REP_LODS),
        M::Cmpsb | M::Cmpsw | M::Cmpsd | M::Cmpsq if is_string && repeated => |l| l.repeat(id::REP_CMPS),
        M::Scasb | M::Scasw | M::Scasd | M::Scasq if repeated => |l| l.repeat(id::REP_SCAS),
        M::Movsb | M::Movsw | M::Movsd | M::Movsq if is_string => Lifter::movs,
        M::Stosb | M::Stosw | M::Stosd | M::Stosq => Lifter::stos,
        M::Lodsb | M::Lodsw | M::Lodsd | M::Lodsq => Lifter::lods,
        M::Cmpsb | M::Cmpsw | M::Cmpsd | M::Cmpsq if is_string => Lifter::cmps,
        M::Scasb | M::Scasw | M::Scasd | M::Scasq => Lifter::scas,
        _ => return None,
    })
}

impl Lifter {
    /// Whether rsi, rdi and rcx count as 32-bit registers.
    fn is_address32(&self) -> bool {
        self.insn
            .op_kinds()
            .any(|kind| matches!(kind, OpKind::MemoryESEDI | OpKind::MemorySegESI | OpKind::MemorySegEDI))
    }

    fn element(&self) -> Width {
        self.mem_width()
    }

    /// The string register as an address offset.
    fn pointer(&mut self, slot: Slot) -> Val {
        let value = self.ir.read_slot(slot);
        if self.is_address32() { self.ir.zext(Width::W32, value) } else { value }
    }

    fn source_address(&mut self) -> Val {
        let rsi = self.pointer(RSI);
        match self.segment_base() {
            Some(base) => self.ir.add(Width::W64, base, rsi),
            None => rsi,
        }
    }

    /// How far the pointers move: the element size, negative with DF set.
    fn stride(&mut self) -> Val {
        let size = u64::from(self.element().bytes());
        let df = self.ir.read_slot(DF);
        let (log, size) = (self.ir.imm(u64::from((2 * size).trailing_zeros())), self.ir.imm(size));
        let twice = self.ir.shl(Width::W64, df, log);
        self.ir.sub(Width::W64, size, twice)
    }

    fn advance(&mut self, slot: Slot, stride: Val) {
        let old = self.ir.read_slot(slot);
        let w = if self.is_address32() { Width::W32 } else { Width::W64 };
        let new = self.ir.add(w, old, stride);
        self.ir.write_slot(slot, new);
    }

    /// `MOVS`
    fn movs(&mut self) {
        let w = self.element();
        let (from, to, stride) = (self.source_address(), self.pointer(RDI), self.stride());
        let value = self.ir.load(w, Order::Tso, from, 0);
        self.ir.store(w, Order::Tso, to, 0, value);
        self.advance(RSI, stride);
        self.advance(RDI, stride);
    }

    /// `STOS`
    fn stos(&mut self) {
        let w = self.element();
        let (to, stride, value) = (self.pointer(RDI), self.stride(), self.ir.read_slot(RAX));
        self.ir.store(w, Order::Tso, to, 0, value);
        self.advance(RDI, stride);
    }

    /// `LODS`
    fn lods(&mut self) {
        let w = self.element();
        let (from, stride) = (self.source_address(), self.stride());
        let value = self.ir.load(w, Order::Tso, from, 0);
        self.write_reg(self.reg(0), value);
        self.advance(RSI, stride);
    }

    /// `CMPS`: `[rsi] - [rdi]`.
    fn cmps(&mut self) {
        let w = self.element();
        let (from, to, stride) = (self.source_address(), self.pointer(RDI), self.stride());
        let (a, b) = (self.ir.load(w, Order::Tso, from, 0), self.ir.load(w, Order::Tso, to, 0));
        let r = self.ir.sub(w, a, b);
        self.advance(RSI, stride);
        self.advance(RDI, stride);
        self.set_flags(FlagKind::Sub, w, a, b, r);
    }

    /// `SCAS`: `acc - [rdi]`.
    fn scas(&mut self) {
        let w = self.element();
        let (to, stride, a) = (self.pointer(RDI), self.stride(), self.ir.read_slot(RAX));
        let b = self.ir.load(w, Order::Tso, to, 0);
        let r = self.ir.sub(w, a, b);
        self.advance(RDI, stride);
        self.set_flags(FlagKind::Sub, w, a, b, r);
    }

    /// A repeated one: through its helper, again and again until it says that it is done.
    fn repeat(&mut self, helper: HelperId) {
        let how = string::How {
            size: self.element(),
            address32: self.is_address32(),
            while_equal: !self.insn.has_repne_prefix(),
        };
        let base = self.segment_base();
        let zero = self.ir.imm(0);
        let (how, base) = (self.ir.imm(how.encode()), base.unwrap_or(zero));
        let done = self.call_state(helper, how, base, zero);
        self.end = Some(Terminator::Branch { cond: done, taken: self.next(), other: self.here() });
    }

    /// Calls a helper that may change the state.
    pub(super) fn call_state(&mut self, helper: HelperId, a: Val, b: Val, c: Val) -> Val {
        self.carry = None;
        self.ir.call_state(helper, a, b, c)
    }
}
