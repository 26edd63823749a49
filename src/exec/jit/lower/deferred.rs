//! Looks at vectors of floats that are made later, for several operations at once.
//!
//! Under AArch64's rules a NaN is the interpreter's to make. But what is computed with a NaN is one, too: so where a result
//! goes on into another operation of the block, and nothing sees it before, the last of such a chain is looked at for all of
//! them. Where that is doubtful, the interpreter does the chain again from its start.
//!
//! Products and quotients may be doubtful in another way, of which the next result does not tell: that part of the look
//! stays, and waits for the others.

use super::Lowering;
use crate::exec::jit::cells::{Place, place};
use crate::exec::jit::commit::BlockPlan;
use cranelift_codegen::ir;
use guest::ir::{Block, Effect, FSize, NanRule, Op, Val, VecLen};

/// An operation whose result has not been looked at.
#[derive(Clone, Copy)]
pub struct Deferred {
    op: Op,
    pub dst: Val,
    unit: ir::Value,
    /// Lanes that are doubtful in the other way.
    pub lanes: Option<ir::Value>,
}

/// Which ops of a block need no look of their own.
pub fn deferred_ops(block: &Block, plan: &BlockPlan) -> Vec<bool> {
    // The op that looks for each.
    let mut looks: Vec<Option<usize>> = vec![None; block.ops.len()];
    if block.nan_rule == NanRule::X86 || block.nan_rule.is_soft() {
        return vec![false; block.ops.len()];
    }
    for index in (0..block.ops.len()).rev() {
        looks[index] = look_for(block, plan, index, &looks);
    }
    looks.into_iter().map(|look| look.is_some()).collect()
}

fn look_for(block: &Block, plan: &BlockPlan, index: usize, looks: &[Option<usize>]) -> Option<usize> {
    let (dst, fs) = arithmetic(block.ops[index])?;
    let rest = index + 1..block.ops.len();
    let next = rest.clone().find(|&later| {
        arithmetic(block.ops[later]).is_some_and(|(_, size)| size == fs) && uses(block.ops[later], dst)
    })?;
    let look = looks[next].unwrap_or(next);
    let mut written = false;
    let is_unseen = block.ops[index + 1..look].iter().all(|&op| match op.effect() {
        Effect::WritesState => {
            written |= uses(op, dst);
            !uses(op, dst) || is_in_unit(op)
        }
        Effect::ReadsState => !written,
        Effect::Float => arithmetic(op).is_some() || !uses(op, dst),
        Effect::Pure => !uses(op, dst),
        Effect::Loads | Effect::Advises | Effect::Traps | Effect::Commits => false,
    });
    (is_unseen && !plan.stores_within(block, index + 1..look + 1)).then_some(look)
}

/// Whether what the op writes is a cell.
fn is_in_unit(op: Op) -> bool {
    matches!(op, Op::Vput { n: VecLen::X1, slot, .. } if matches!(place(slot, 16, None), Place::Units { .. }))
}

/// The result and size of an operation on one unit, of which a NaN makes a NaN.
fn arithmetic(op: Op) -> Option<(Val, FSize)> {
    match op {
        Op::Vfadd { dst, n: VecLen::X1, fs, .. }
        | Op::Vfsub { dst, n: VecLen::X1, fs, .. }
        | Op::Vfmul { dst, n: VecLen::X1, fs, .. }
        | Op::Vfdiv { dst, n: VecLen::X1, fs, .. }
        | Op::Vfsqrt { dst, n: VecLen::X1, fs, .. }
            if fs != FSize::F16 =>
        {
            Some((dst, fs))
        }
        _ => None,
    }
}

fn uses(op: Op, v: Val) -> bool {
    let mut any = false;
    op.for_each_use(|used| any |= used == v);
    any
}

impl Lowering<'_, '_> {
    /// Whether another look is for the op at hand, too.
    pub(super) fn is_deferred(&self) -> bool {
        self.deferred_ops[self.ahead.start - 1]
    }

    pub(super) fn defer(&mut self, dst: Val, lanes: Option<ir::Value>) {
        self.is_done = true;
        let unit = self.unit(dst, 0);
        self.deferred.push(Deferred { op: self.op, dst, unit, lanes });
    }

    /// Those whose results the op at hand depends on, in order.
    pub(super) fn take_deferred(&mut self) -> Vec<Deferred> {
        let (mut needed, mut taken) = (Vec::new(), Vec::new());
        self.op.for_each_use(|v| needed.push(v));
        self.deferred.reverse();
        self.deferred.retain(|one| {
            let is_needed = needed.contains(&one.dst);
            if is_needed {
                one.op.for_each_use(|v| needed.push(v));
                taken.push(*one);
            }
            !is_needed
        });
        self.deferred.reverse();
        taken.reverse();
        taken
    }

    /// Has the interpreter do these, and then the op at hand.
    pub(super) fn slow_again(&mut self, deferred: &[Deferred]) {
        let op = self.op;
        for one in deferred {
            self.op = one.op;
            self.slow();
        }
        self.op = op;
        self.slow();
    }

    /// Gives a result that has been looked at its value, and the cells that it was written to.
    pub(super) fn settle_deferred(&mut self, one: Deferred, value: ir::Value) {
        self.set_unit(one.dst, 0, value);
        let block = &self.region.blocks[self.at].translation.block;
        for &op in &block.ops[..self.ahead.start] {
            let Op::Vput { n: VecLen::X1, slot, a } = op else { continue };
            let Place::Units { cell } = place(slot, 16, None) else { continue };
            let cell = self.region.cells.index(cell);
            if a == one.dst && self.is_in_cell(cell, one.unit) {
                self.define_cell(cell, value);
            }
        }
    }

    fn is_in_cell(&mut self, cell: usize, value: ir::Value) -> bool {
        let held = self.b.use_var(self.vars[cell]);
        let resolve = |value| self.b.func.dfg.resolve_aliases(value);
        resolve(held) == resolve(value)
    }
}
