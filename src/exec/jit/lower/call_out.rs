//! Ops that are left to the interpreter: calls of its code, usual and not.

use super::Lowering;
use crate::exec::jit::helper_call::{self, HelperCall};
use crate::exec::jit::{entry, slow};
use cranelift_codegen::ir::{self, InstBuilder, types};
use guest::ir::{Effect, Kind, Op, Val};

/// Where a cell is in the context.
fn cell_at(cell: u16) -> i32 {
    entry::CELLS + 8 * i32::from(cell)
}

impl Lowering<'_, '_> {
    /// Runs the op at hand in the interpreter's own code.
    pub(super) fn slow(&mut self) {
        let op = self.op;
        debug_assert!(op.effect() != Effect::ReadsState, "what reads the state has code");
        if let Some((call, operands)) = HelperCall::of(op) {
            return self.call_helper(call, operands);
        }
        let call = slow::register(op, self.nan_rule, &self.called, |v| self.vals.kind(v));
        let Some(call) = call else {
            self.out.complete = false;
            self.undefined(op);
            return;
        };
        self.called.push(call.index);
        let context = self.context();
        for &(v, cell) in &call.operands {
            self.store_operand(v, context, cell_at(cell));
        }
        let failed = self.call_out(context, call.index, [entry::SLOW_OP, entry::SLOW_OP_ASIDE]);
        self.end_of_call(context, failed, cell_at(call.result));
    }

    /// Calls the helper that the op at hand names.
    fn call_helper(&mut self, call: HelperCall, operands: [Val; 3]) {
        let context = self.context();
        for (index, v) in operands.into_iter().enumerate() {
            self.store_operand(v, context, helper_call::place(index));
        }
        self.helpers_called += 1;
        let number = call.number(self.helpers_called);
        let failed = self.call_out(context, number, [entry::CALL_HELPER, entry::CALL_HELPER_ASIDE]);
        self.end_of_call(context, failed, helper_call::place(helper_call::RESULT));
    }

    /// After a call for the op at hand, whose result is in the context at `at`.
    fn end_of_call(&mut self, context: ir::Value, failed: ir::Value, at: i32) {
        let op = self.op;
        self.is_done |= !self.is_aside();
        if op.effect().may_exit() {
            self.leave_if(failed);
        }
        if let Some((dst, kind)) = op.result() {
            self.load_result(dst, kind, context, at);
        }
        if matches!(op, Op::CallState { .. }) {
            self.b.ins().sequence_point();
            (0..self.vars.len()).for_each(|cell| self.reload(cell));
            self.b.ins().sequence_point();
            self.known_flags = None;
        }
    }

    /// Calls one of two functions with a number: where that is not the usual way, the one for which the usual one does not
    /// pay.
    fn call_out(&mut self, context: ir::Value, number: u64, [at, at_aside]: [i32; 2]) -> ir::Value {
        let index = self.b.ins().iconst(types::I64, number as i64);
        let aside = self.is_aside();
        let (at, signature) =
            if aside { (at_aside, self.aside_signature) } else { (at, self.slow_signature) };
        let callee = self.b.ins().load(types::I64, self.context_flags, context, at);
        let inst = self.b.ins().call_indirect(signature, callee, &[self.state, index]);
        if aside {
            self.b.ins().load(types::I64, self.context_flags, context, entry::ASIDE_RESULT)
        } else {
            self.b.inst_results(inst)[0]
        }
    }

    fn store_operand(&mut self, v: Val, context: ir::Value, at: i32) {
        match self.vals.kind(v) {
            Kind::Int => {
                let value = self.int(v);
                self.b.ins().store(self.context_flags, value, context, at);
            }
            Kind::Vector(n) => {
                for unit in 0..n.units() {
                    let value = self.unit(v, unit);
                    self.b.ins().store(self.context_flags, value, context, at + 16 * unit as i32);
                }
            }
        }
    }

    fn load_result(&mut self, dst: Val, kind: Kind, context: ir::Value, at: i32) {
        match kind {
            Kind::Int => {
                let value = self.b.ins().load(types::I64, self.context_flags, context, at);
                self.set(dst, value);
            }
            Kind::Vector(n) => {
                for unit in 0..n.units() {
                    let offset = at + 16 * unit as i32;
                    let value = self.b.ins().load(types::I8X16, self.context_flags, context, offset);
                    self.set_unit(dst, unit, value);
                }
            }
        }
    }

    /// The op's value where no code can be made for it (the region is thrown away).
    fn undefined(&mut self, op: Op) {
        let Some((dst, kind)) = op.result() else { return };
        let zero = self.b.ins().iconst(types::I64, 0);
        match kind {
            Kind::Int => self.set(dst, zero),
            Kind::Vector(n) => {
                let unit = self.b.ins().splat(types::I64X2, zero);
                for u in 0..n.units() {
                    self.set_unit(dst, u, unit);
                }
            }
        }
    }

    /// The op's value from `fast` where `usual` is not 0, else from the interpreter's code.
    pub(super) fn usually(&mut self, usual: ir::Value, fast: impl FnOnce(&mut Self) -> ir::Value) {
        let Some((dst, kind)) = self.op.result() else { return };
        self.prepare_operands();
        let (hot, cold, join) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(cold);
        let ty = if kind == Kind::Int { types::I64 } else { types::I8X16 };
        let joined = self.b.append_block_param(join, ty);
        self.b.ins().brif(usual, hot, &[], cold, &[]);
        self.seal(&[hot, cold]);
        self.b.switch_to_block(cold);
        self.slow();
        let slow = if kind == Kind::Int { self.int(dst) } else { self.unit(dst, 0) };
        self.b.ins().jump(join, &[slow.into()]);
        self.b.switch_to_block(hot);
        let value = fast(self);
        self.b.ins().jump(join, &[value.into()]);
        self.seal(&[join]);
        self.b.switch_to_block(join);
        self.vals.forget(dst);
        match kind {
            Kind::Int => self.set(dst, joined),
            Kind::Vector(_) => self.set_unit(dst, 0, joined),
        }
    }
}
