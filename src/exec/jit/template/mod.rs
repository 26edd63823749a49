//! Tier 1: one block at a time, each op by a fixed piece of host code.
//!
//! Most code runs some dozens of times: too often for the interpreter, too seldom to be worth Cranelift's
//! time. Here a block becomes host code in about the time that ten runs in the interpreter take. It behaves
//! as the interpreter does: the state in memory is written where the IR writes it, so it is exact wherever
//! the block can be left - but at accesses, for what the block writes again ([`late`]): what is still to be written there
//! is noted with the access, and the state is exact once that is done. What has no piece of its own calls the
//! interpreter's method.
//!
//! Such code keeps to the conventions of regions (pinned state, slots, jump cache, poll flag, see
//! [`super::entry`] and [`super::code_memory`]), so both kinds lead to each other freely. At its start
//! stands the poll, then a counter in the block's first slot: when that has run out, the block becomes the head of a
//! trace ([`super::trace`]), which these templates make as one block, and when that one's has, of a region.

mod aside;
mod asm;
mod divide;
mod exits;
mod flags;
mod float;
mod int;
mod late;
mod memory;
mod regs;
mod vector;
mod vfloat;
mod visitor;

use super::code_memory::SlotReference;
use super::entry;
use super::helper_call::{self, HelperCall};
use super::jumps::Stack;
use super::lower::Counting;
use super::owed::Noted;
use super::slow;
use aside::Aside;
use asm::{Asm, Label, Reg};
pub use exits::{BEHIND_ENTRY, ENTRY, Forward};
use guest::ir::passes::{self, LookBack};
use guest::ir::{Block, Crypto, Effect, FlagKind, Kind, NanRule, Op, Terminator, Val, Values, VecLen, Width};
use guest::state::{GuestState, Slot};
use guest::{Access, GuestAddr};
use late::Late;
use regs::{Loc, Registers};

/// An instruction of the host that may fault.
#[derive(Clone, Copy, Debug)]
pub struct FaultPoint {
    pub offset: u32,
    pub pc: GuestAddr,
    pub access: Access,
    pub noted: Noted,
}

/// The flag record as it was when the block was made: it is likely to be like that again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Predicted {
    kind: FlagKind,
    w: Width,
}

/// What is at hand of the flag record.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Flags {
    /// As on entry, or set on one of two ways: there is only what was foretold.
    Entry,
    /// Set in this block.
    Set {
        kind: FlagKind,
        w: Width,
    },
    Unknown,
}

/// What stands behind the code.
#[derive(Clone, Copy, Debug)]
enum Stub {
    /// Leaves with the pc there and this exit.
    Leave { pc: GuestAddr, code: u64 },
    /// Leaves with the exit in rax.
    Failed { pc: GuestAddr },
    /// Goes on elsewhere, once what is owed is written.
    SideExit { target: GuestAddr, owed: Noted },
    /// Has the interpreter do an op.
    Interpret(Aside),
}

/// A block's code, ready to be installed.
#[derive(Debug)]
pub struct Emitted<'a> {
    pub code: &'a [u8],
    pub references: &'a [SlotReference],
    /// The guest addresses of slots 1 and up; slot 0 is the counter.
    pub slots: &'a [GuestAddr],
    pub forward: Forward,
    pub faults: &'a [FaultPoint],
    /// What these owe, packed.
    pub owed: &'a [u8],
}

/// Emits blocks, one after the other.
#[derive(Debug)]
pub struct Emitter {
    asm: Asm,
    regs: Registers,
    stubs: Vec<Stub>,
    /// Where the stubs came to stand.
    places: Vec<usize>,
    constants: Vec<u128>,
    slots: Vec<GuestAddr>,
    forward: Forward,
    references: Vec<SlotReference>,
    faults: Vec<FaultPoint>,
    late: Late,
    /// The ops that stay, from the last to the first.
    order: Vec<u32>,
    /// The op at hand, and the instruction it is of.
    at: u32,
    op: Op,
    pc: GuestAddr,
    start: GuestAddr,
    nan_rule: NanRule,
    pool: Vec<u128>,
    has_context: bool,
    has_avx: bool,
    flags: Flags,
    predicted: Predicted,
    /// Whether the record is packed flags where it is not of that kind.
    else_packed: bool,
    stack: Stack,
    complete: bool,
    /// Where the code has what a run takes from the counter.
    weight_at: usize,
    /// How many ops are left to the interpreter that a region has code for.
    interpreted: usize,
}

/// What is found out of a block before code is made of it.
struct Ahead<'a> {
    block: &'a Block,
    order: &'a mut Vec<u32>,
    regs: &'a mut Registers,
    late: &'a mut Late,
}

impl LookBack for Ahead<'_> {
    #[inline]
    fn is_used(&self, v: Val) -> bool {
        self.regs.last(v) != 0
    }

    #[inline]
    fn stays(&mut self, at: usize, op: Op, values: &Values, effect: Effect) {
        let at = at as u32;
        self.order.push(at);
        values.uses.into_iter().for_each(|v| self.regs.note_use(v, at));
        if let Op::Icmp { dst, a, b, cc, w } = op {
            self.compare(dst, Loc::Compare(cc, w, a, b), [a, b]);
        }
        // Most are, and need not be told apart.
        if !matches!(effect, Effect::Pure | Effect::Float) {
            let until = self.late.look_at(at, op);
            if until != 0 {
                values.uses.into_iter().for_each(|v| self.regs.need_until(v, until));
            }
        }
    }
}

impl Ahead<'_> {
    /// Leaves a comparison to the only op that uses its result, if that can make it.
    fn compare(&mut self, dst: Val, comparison: Loc, operands: [Val; 2]) {
        if !self.regs.is_used_once(dst) {
            return;
        }
        let user = self.regs.last(dst);
        let makes = match self.block.ops.get(user as usize) {
            None => matches!(self.block.terminator, Terminator::Branch { .. }),
            Some(Op::Select { c, .. } | Op::TrapIf { c, .. } | Op::SideExit { c, .. }) => *c == dst,
            Some(_) => false,
        };
        if makes {
            operands.into_iter().for_each(|v| self.regs.need_until(v, user));
            self.regs.set_loc(dst, comparison);
        }
    }
}

/// How many instructions there are from an op on to the next side exit.
fn insns_from(block: &Block, op: usize) -> usize {
    let is_exit = |op: &Op| matches!(op, Op::SideExit { .. });
    let end = block.ops[op..].iter().position(is_exit).map_or(usize::MAX, |more| op + more);
    block.insns.iter().filter(|mark| (op..=end).contains(&(mark.first_op as usize))).count()
}

/// Whether the host has what the pieces are made of.
pub fn supported() -> bool {
    use std::arch::is_x86_feature_detected as has;
    has!("sse4.1") && has!("ssse3") && has!("popcnt") && has!("sse4.2")
}

impl Default for Emitter {
    fn default() -> Self {
        Self {
            asm: Asm::default(),
            regs: Registers::default(),
            stubs: Vec::new(),
            places: Vec::new(),
            constants: Vec::new(),
            slots: Vec::new(),
            forward: Forward::default(),
            references: Vec::new(),
            faults: Vec::new(),
            late: Late::default(),
            order: Vec::new(),
            at: 0,
            op: Op::ClearEx {},
            pc: GuestAddr(0),
            start: GuestAddr(0),
            nan_rule: NanRule::X86,
            pool: Vec::new(),
            has_context: false,
            has_avx: std::arch::is_x86_feature_detected!("avx"),
            flags: Flags::Entry,
            predicted: Predicted { kind: FlagKind::Packed, w: Width::W64 },
            else_packed: false,
            stack: Stack { pointer: Slot(0), popped: 0 },
            complete: true,
            weight_at: 0,
            interpreted: 0,
        }
    }
}

impl Emitter {
    /// Makes code of `block`; `None` where that cannot be done. `state` is as before the block.
    pub fn emit(
        &mut self,
        block: &Block,
        state: &GuestState,
        stack: Stack,
        counting: Counting,
    ) -> Option<Emitted<'_>> {
        self.begin(block, state);
        self.stack = stack;
        self.look_ahead(block);
        self.prologue();
        if counting == Counting::On {
            self.count(insns_from(block, 0));
        }
        let mut marks = block.insns.iter().peekable();
        let order = std::mem::take(&mut self.order);
        for &at in order.iter().rev() {
            let op = block.ops[at as usize];
            while let Some(mark) = marks.next_if(|m| m.first_op <= at) {
                self.pc = mark.pc;
            }
            self.one(at, op);
            if counting == Counting::On && matches!(op, Op::SideExit { .. }) {
                self.count(insns_from(block, at as usize + 1));
            }
        }
        self.order = order;
        self.at = block.ops.len() as u32;
        self.regs.unpin();
        self.terminator(block);
        self.set_weight();
        self.finish();
        self.complete.then_some(Emitted {
            code: &self.asm.code,
            references: &self.references,
            slots: &self.slots,
            forward: self.forward,
            faults: &self.faults,
            owed: &self.late.owed,
        })
    }

    fn begin(&mut self, block: &Block, state: &GuestState) {
        self.asm.clear();
        self.regs.reset(usize::from(block.cells));
        self.stubs.clear();
        self.constants.clear();
        self.slots.clear();
        self.forward = Forward::default();
        self.references.clear();
        self.faults.clear();
        self.pool.clear();
        self.pool.extend_from_slice(&block.pool);
        (self.pc, self.start, self.nan_rule) = (block.pc, block.pc, block.nan_rule);
        (self.has_context, self.complete, self.flags) = (false, true, Flags::Entry);
        self.interpreted = 0;
        let record = guest::ir::flags::FlagRecord::load(state);
        self.predicted = Predicted { kind: record.kind, w: record.w };
        // A comparison may have been a conditional one.
        self.else_packed = record.kind == FlagKind::SubInv;
    }

    /// Finds what stays of the block, each value's last use, and the comparisons that are made where their result is used.
    fn look_ahead(&mut self, block: &Block) {
        self.late.begin(block.ops.len());
        self.order.clear();
        if let Some(v) = block.terminator.value() {
            self.regs.note_use(v, block.ops.len() as u32);
        }
        let (order, regs, late) = (&mut self.order, &mut self.regs, &mut self.late);
        passes::look_back(&block.ops, &mut Ahead { block, order, regs, late });
    }

    fn one(&mut self, at: u32, op: Op) {
        (self.at, self.op) = (at, op);
        self.regs.unpin();
        if op.effect() == Effect::Float && self.nan_rule.is_soft() {
            self.slow()
        } else {
            op.visit(self)
        }
        self.end_of_late();
    }

    /// Counts `insns` as run.
    fn count(&mut self, insns: usize) {
        self.need_context();
        let place = asm::Rm::Mem(asm::CONTEXT, entry::IN_TEMPLATES);
        self.asm.alu_ri(asm::Alu::Add, Width::W64, place, insns as u64);
    }

    /// Runs the op at hand in the interpreter's own code.
    fn slow(&mut self) {
        let op = self.op;
        if let Some((call, operands)) = HelperCall::of(op).filter(|(call, _)| call.n == VecLen::X1) {
            return self.call_helper(call, operands);
        }
        let Some(index) = slow::add(op, self.nan_rule) else {
            self.complete = false;
            return;
        };
        if op.effect().may_exit() {
            self.write_pending();
        }
        let helper = matches!(op, Op::CallVec { .. });
        self.interpreted += usize::from(matches!(op.effect(), Effect::Pure | Effect::Float) && !helper);
        self.need_context();
        op.for_each_use(|v| self.store_operand(v));
        self.spill_for_call();
        self.call_out(index, entry::SLOW_OP);
        if op.effect().may_exit() {
            self.leave_if_failed();
        }
        if let Some((dst, _)) = op.result() {
            self.defined_in_cell(dst);
        }
    }

    /// Calls the helper that the op at hand names, whose vectors are of one unit.
    fn call_helper(&mut self, call: HelperCall, operands: [Val; 3]) {
        let op = self.op;
        if op.effect().may_exit() {
            self.write_pending();
        }
        self.need_context();
        let is_vector = matches!(op, Op::CallVec { .. });
        for (index, v) in operands.into_iter().enumerate() {
            self.store_value(v, is_vector, asm::Rm::Mem(asm::CONTEXT, helper_call::place(index)));
        }
        self.spill_for_call();
        self.call_out(call.number(0), entry::CALL_HELPER);
        if op.effect().may_exit() {
            self.leave_if_failed();
        }
        let result = asm::Rm::Mem(asm::CONTEXT, helper_call::place(helper_call::RESULT));
        match op.result() {
            Some((dst, Kind::Int)) => {
                let reg = self.define_int(dst);
                self.asm.load(Width::W64, reg, result);
            }
            Some((dst, Kind::Vector(_))) => {
                let reg = self.define_xmm(dst);
                self.load_xmm(reg, result);
            }
            None => {}
        }
        if matches!(op, Op::CallState { .. }) {
            self.flags = Flags::Unknown;
        }
    }

    /// Leaves with the exit in rax, if that is one.
    fn leave_if_failed(&mut self) {
        let stub = self.stub(Stub::Failed { pc: self.pc });
        self.asm.test(Width::W32, asm::RAX, asm::RAX);
        self.asm.jcc(asm::Cc::Ne, stub);
    }

    /// Calls a function that the context has at `at`, with a number.
    fn call_out(&mut self, number: u64, at: i32) {
        use asm::{CONTEXT, RDI, RSP, Rm, STATE, op};
        self.asm.mov_rr(RDI, STATE);
        self.asm.mov_ri(Reg(6), number);
        // The convention wants the stack aligned; this code has no frame.
        self.asm.alu_ri(asm::Alu::Sub, Width::W64, Rm::Reg(RSP), 8);
        self.asm.ins(op(0xff), Width::W32, Reg(2), Rm::Mem(CONTEXT, at));
        self.asm.alu_ri(asm::Alu::Add, Width::W64, Rm::Reg(RSP), 8);
    }

    /// A step of a cipher or hash: a call of the host's function, with the vectors in registers.
    fn crypto_step(&mut self, dst: Val, op: Crypto, abc: [Val; 3]) {
        use asm::{CONTEXT, RSP, Rm};
        self.need_context();
        abc.into_iter().for_each(|v| self.store_operand(v));
        self.spill_for_call();
        for (to, v) in (0..).zip(abc) {
            self.load_xmm(Reg(to), regs::cell(v));
        }
        self.asm.alu_ri(asm::Alu::Sub, Width::W64, Rm::Reg(RSP), 8);
        self.asm.ins(asm::op(0xff), Width::W32, Reg(2), Rm::Mem(CONTEXT, entry::CRYPTO + 8 * op as i32));
        self.asm.alu_ri(asm::Alu::Add, Width::W64, Rm::Reg(RSP), 8);
        self.store_xmm(Reg(0), regs::cell(dst));
        self.defined_in_cell(dst);
    }

    /// The op by `piece` where its vectors are of one unit, else in the interpreter.
    fn narrow(&mut self, n: VecLen, piece: impl FnOnce(&mut Self)) {
        if n == VecLen::X1 { piece(self) } else { self.slow() }
    }

    fn stub(&mut self, stub: Stub) -> Label {
        self.stubs.push(stub);
        Label::Stub(self.stubs.len() as u32 - 1)
    }

    /// A vector constant's place.
    fn constant(&mut self, value: u128) -> Label {
        let known = self.constants.iter().position(|&c| c == value);
        let index = known.unwrap_or_else(|| {
            self.constants.push(value);
            self.constants.len() - 1
        });
        Label::Constant(index as u32)
    }

    /// Notes that the next instruction may fault.
    fn may_fault(&mut self, access: Access) {
        let noted = self.owed_here();
        self.faults.push(FaultPoint { offset: self.asm.here() as u32, pc: self.pc, access, noted });
    }
}
