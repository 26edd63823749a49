//! Ways out of a region: terminators, polls, slots and the jump cache.

use super::Lowering;
use crate::exec::jit::cells::CellSet;
use crate::exec::jit::code_memory::SLOT_BYTES;
use crate::exec::jit::commit::{HowOften, OnEdge, Point, ROUNDS};
use crate::exec::jit::entry::{self, exit};
use crate::exec::jit::jumps::{JUMP_ENTRIES, RETURN_MASK, Stack};
use crate::exec::jit::region::{Edge, RegionBlock};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{self, ExternalName, GlobalValueData, InstBuilder, TrapCode, types};
use guest::ir::{Block, Hint, Terminator};
use guest::state::{JUMPED_FROM, PC};
use guest::{GuestAddr, Trap};

impl Lowering<'_, '_> {
    pub(super) fn terminator(&mut self, block: &Block, planned: &RegionBlock) {
        let plan = &self.region.plan.blocks[self.at];
        match block.terminator {
            Terminator::Jump { target, hint } => {
                if planned.taken == Edge::Outside {
                    self.flush();
                    self.note_call(hint);
                }
                self.edge(planned.taken, target, plan.on_taken);
            }
            Terminator::Branch { cond, taken, other } => {
                let condition = self.int(cond);
                let (yes, no) = (self.b.create_block(), self.b.create_block());
                self.b.ins().brif(condition, yes, &[], no, &[]);
                self.seal(&[yes, no]);
                let (dirty, float_cells) = (self.dirty, self.float_cells);
                self.b.switch_to_block(yes);
                self.edge(planned.taken, taken, plan.on_taken);
                (self.dirty, self.float_cells) = (dirty, float_cells);
                self.b.switch_to_block(no);
                self.edge(planned.other, other, plan.on_other);
            }
            Terminator::Indirect { target, hint } => {
                let target = self.int(target);
                let ways = [(planned.taken, plan.on_taken), (planned.other, plan.on_other)];
                let inside = ways.into_iter().zip(planned.targets);
                let expected = inside.filter(|((edge, _), _)| *edge != Edge::Outside);
                let mut expected = expected.filter_map(|(way, pc)| Some((way, pc?))).peekable();
                let expects = expected.peek().is_some();
                while let Some(((edge, point), pc)) = expected.next() {
                    let last = expected.peek().is_none();
                    self.expect(target, pc, (edge, point), last);
                }
                self.flush();
                if hint == Hint::Resync {
                    self.exit_to(target, exit::RESYNC);
                } else {
                    if expects && hint != Hint::Return {
                        self.count_miss(target, block);
                    }
                    self.indirect(target, hint, block.last_pc());
                }
            }
            Terminator::Syscall { next } => self.leave_at(next, exit::SYSCALL),
            Terminator::Resync { next } => self.leave_at(next, exit::RESYNC),
            Terminator::Trap { trap, pc } => self.leave_at(pc, exit::TRAP | trap as u64),
            // The run loop finds that there is nothing to fetch.
            Terminator::FetchFault { pc, .. } => self.leave_at(pc, exit::NEXT),
        }
    }

    /// Takes the edge where the computed target is the expected one; `last` says that no other one is.
    fn expect(
        &mut self,
        target: ir::Value,
        expected: GuestAddr,
        (edge, point): (Edge, Option<OnEdge>),
        last: bool,
    ) {
        let known = self.iconst(expected.raw());
        let same = self.b.ins().icmp(IntCC::Equal, target, known);
        let (yes, no) = (self.b.create_block(), self.b.create_block());
        if last {
            self.b.set_cold_block(no);
        }
        self.b.ins().brif(same, yes, &[], no, &[]);
        self.seal(&[yes, no]);
        let (dirty, float_cells) = (self.dirty, self.float_cells);
        self.b.switch_to_block(yes);
        self.edge(edge, expected, point);
        (self.dirty, self.float_cells) = (dirty, float_cells);
        self.b.switch_to_block(no);
    }

    /// Counts that the computed jump of `block` leads elsewhere than expected. Of many such, one is told of.
    fn count_miss(&mut self, target: ir::Value, block: &Block) {
        let (flags, context) = (self.context_flags, self.context());
        let before = self.b.ins().load(types::I64, flags, context, entry::MISSES);
        let left = self.b.ins().iadd_imm_s(before, -1);
        self.b.ins().store(flags, left, context, entry::MISSES);
        let (tell, go_on) = (self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(tell);
        self.b.set_cold_block(go_on);
        self.b.ins().brif(left, go_on, &[], tell, &[]);
        self.seal(&[tell, go_on]);
        self.b.switch_to_block(tell);
        let head = self.region.blocks[0].translation.pc;
        for (pc, at) in [(block.pc, entry::MISSED_BLOCK), (head, entry::MISSED_HEAD)] {
            let pc = self.iconst(pc.raw());
            self.b.ins().store(flags, pc, context, at);
        }
        let here = self.iconst(block.last_pc().raw());
        self.b.ins().store(self.state_flags, here, self.state, entry::at(JUMPED_FROM));
        self.exit_to(target, exit::MISSED);
        self.b.switch_to_block(go_on);
    }

    fn edge(&mut self, edge: Edge, target: GuestAddr, point: Option<OnEdge>) {
        match edge {
            Edge::Outside => {
                self.flush();
                self.chain(target);
            }
            Edge::Inside { block, back } => {
                match point {
                    Some(OnEdge { point, how_often: HowOften::Always }) => {
                        self.commit(point, CellSet::default());
                    }
                    Some(OnEdge { point, how_often: HowOften::Seldom }) => {
                        self.keep_on_edge(edge);
                        self.commit_seldom(point, target);
                    }
                    None => self.keep_on_edge(edge),
                }
                if back && point.is_none_or(|on_edge| on_edge.how_often == HowOften::Always) {
                    self.poll(target);
                }
                let next = self.entrance(block);
                self.b.ins().jump(next, &[]);
            }
        }
    }

    /// Counts the passes of this place; when there were many, stores everything and polls.
    fn commit_seldom(&mut self, point: Point, target: GuestAddr) {
        let before = self.b.use_var(self.rounds);
        let left = self.b.ins().iadd_imm_s(before, -1);
        self.b.def_var(self.rounds, left);
        let (store, go_on) = (self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(store);
        self.b.ins().brif(left, go_on, &[], store, &[]);
        self.seal(&[store]);
        self.b.switch_to_block(store);
        self.poll(target);
        self.flush_aside();
        self.store_number(point);
        self.begin_rounds();
        self.b.ins().jump(go_on, &[]);
        self.seal(&[go_on]);
        self.b.switch_to_block(go_on);
    }

    pub(super) fn begin_rounds(&mut self) {
        let rounds = self.iconst(ROUNDS as u64);
        self.b.def_var(self.rounds, rounds);
    }

    /// Leaves with the pc at `target` where the poll flag is set.
    pub(super) fn poll(&mut self, target: GuestAddr) {
        self.b.ins().sequence_point();
        let flags = self.context_flags.with_alias_region(None);
        let set = self.b.ins().load(types::I32, flags, self.poll_flag, 0);
        let (leave, go_on) = (self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(leave);
        if self.is_aside() {
            self.b.set_cold_block(go_on);
        }
        self.b.ins().brif(set, leave, &[], go_on, &[]);
        self.seal(&[leave, go_on]);
        self.b.switch_to_block(leave);
        self.flush_aside();
        self.exit(target, exit::NEXT);
        self.b.switch_to_block(go_on);
    }

    fn leave_at(&mut self, pc: GuestAddr, code: u64) {
        self.flush();
        self.exit(pc, code);
    }

    /// Returns with the pc at `pc`.
    fn exit(&mut self, pc: GuestAddr, code: u64) {
        let pc = self.iconst(pc.raw());
        self.exit_to(pc, code);
    }

    fn exit_to(&mut self, pc: ir::Value, code: u64) {
        self.b.ins().store(self.state_flags, pc, self.state, entry::at(PC));
        let code = self.iconst(code);
        self.b.ins().return_(&[code]);
    }

    /// Whether this is not the usual way.
    pub(super) fn is_aside(&self) -> bool {
        self.b.current_block().is_some_and(|block| self.b.func.layout.is_cold(block))
    }

    /// Leaves where a call-out failed: what it returned says how.
    pub(super) fn leave_if(&mut self, failed: ir::Value) {
        let (leave, go_on) = (self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(leave);
        if self.is_aside() {
            self.b.set_cold_block(go_on);
        }
        self.b.ins().brif(failed, leave, &[], go_on, &[]);
        self.seal(&[leave, go_on]);
        self.b.switch_to_block(leave);
        self.flush_aside();
        let pc = self.iconst(self.pc.raw());
        self.b.ins().store(self.state_flags, pc, self.state, entry::at(PC));
        self.b.ins().return_(&[failed]);
        self.b.switch_to_block(go_on);
    }

    /// Marks the way out of the access that was just made (see [`crate::exec::jit::marks`]): with the state as it is.
    pub(super) fn mark_way_out(&mut self) {
        let (leave, go_on) = (self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(leave);
        if self.is_aside() {
            self.b.set_cold_block(go_on);
        }
        self.b.ins().brif(self.state, go_on, &[], leave, &[]);
        self.seal(&[leave, go_on]);
        self.b.switch_to_block(leave);
        self.flush_aside();
        self.exit(self.pc, exit::FAULT);
        self.b.switch_to_block(go_on);
    }

    /// Raises a trap of the instruction at hand where `condition` is not 0.
    pub(super) fn trap_where(&mut self, condition: ir::Value, trap: Trap) {
        let (leave, go_on) = (self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(leave);
        self.b.ins().brif(condition, leave, &[], go_on, &[]);
        self.seal(&[leave, go_on]);
        self.b.switch_to_block(leave);
        self.flush_aside();
        self.exit(self.pc, exit::TRAP | trap as u64);
        self.b.switch_to_block(go_on);
    }

    /// Goes on at a constant address outside the region, through a slot of ours.
    fn chain(&mut self, target: GuestAddr) {
        let slot = self.slot(target);
        self.b.ins().sequence_point();
        let flags = self.context_flags.with_alias_region(None);
        let host = self.b.ins().load(types::I64, flags, slot, 0);
        self.go_on_at(host, slot);
    }

    /// The address of the slot that leads to a constant address.
    fn slot(&mut self, target: GuestAddr) -> ir::Value {
        let known = self.out.slots.iter().position(|&slot| slot == target);
        let index = known.unwrap_or_else(|| {
            self.out.slots.push(target);
            self.out.slots.len() - 1
        });
        let symbol = self.b.create_global_value(GlobalValueData::Symbol {
            name: ExternalName::user(self.slots_symbol),
            offset: ((index * SLOT_BYTES) as i64).into(),
            colocated: true,
            tls: false,
        });
        self.b.ins().symbol_value(types::I64, symbol)
    }

    /// Leaves for other code for good (see [`entry`]).
    fn go_on_at(&mut self, host: ir::Value, slot: ir::Value) {
        self.b.ins().call_indirect(self.signature, host, &[slot]);
        self.b.ins().trap(TrapCode::unwrap_user(1));
    }

    /// Notes where a call returns to, for the return. The state in memory is exact.
    fn note_call(&mut self, hint: Hint) {
        let Hint::Call(back) = hint else { return };
        let Stack { pointer, popped } = self.region.stack;
        let context = self.context();
        let at_call = self.b.ins().load(types::I64, self.state_flags, self.state, entry::at(pointer));
        let at_return = self.b.ins().iadd_imm_s(at_call, i64::from(popped));
        let mask = self.iconst(RETURN_MASK);
        let offset = self.b.ins().band(at_return, mask);
        let at = self.b.ins().iadd(context, offset);
        let (slot, back) = (self.slot(back), self.iconst(back.raw()));
        self.b.ins().store(self.context_flags, slot, at, entry::RETURNS + 8);
        self.b.ins().store(self.context_flags, back, at, entry::RETURNS);
    }

    /// Goes on at a computed address: through the jump cache where it is known there. So do returns: they run so
    /// often that they are.
    fn indirect(&mut self, target: ir::Value, hint: Hint, here: GuestAddr) {
        self.note_call(hint);
        self.b.ins().sequence_point();
        let at = self.jump_entry(target);
        let flags = self.context_flags;
        let pc = self.b.ins().load(types::I64, flags, at, entry::JUMPS);
        let same = self.b.ins().icmp(IntCC::Equal, pc, target);
        let (hit, miss) = (self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(miss);
        self.b.ins().brif(same, hit, &[], miss, &[]);
        self.b.switch_to_block(hit);
        let host = self.b.ins().load(types::I64, flags, at, entry::JUMPS + 8);
        let none = self.iconst(0);
        self.go_on_at(host, none);
        self.b.switch_to_block(miss);
        let here = self.iconst(here.raw());
        let context = self.context();
        let find = self.b.ins().load(types::I64, flags.with_readonly(), context, entry::FIND_JUMP);
        self.b.ins().call_indirect(self.find_signature, find, &[target, here]);
        self.b.ins().trap(TrapCode::unwrap_user(1));
    }

    /// What stands before the entry of the jump cache for `target` by as much as the context does before the first.
    fn jump_entry(&mut self, target: ir::Value) -> ir::Value {
        let context = self.context();
        let high = self.b.ins().ushr_imm_u(target, 12);
        let mixed = self.b.ins().bxor(target, high);
        let mask = self.iconst(JUMP_ENTRIES as u64 - 1);
        let index = self.b.ins().band(mixed, mask);
        let offset = self.b.ins().ishl_imm_u(index, 4);
        self.b.ins().iadd(context, offset)
    }
}
