//! Float results that nothing else keeps.
//!
//! A float operation is pure to Cranelift and vanishes when its result does not reach anything, but its sticky
//! flags count. So a result is stored where it does not matter, unless it certainly reaches a register, memory
//! or another float operation. An integer operation in between may turn out not to need it (a shift by more
//! than the lane's bits, a mask of zeros, a shuffle that takes the other operand), so only those that cannot be
//! simplified pass the need on.

use super::Lowering;
use crate::exec::jit::entry;
use cranelift_codegen::ir::{self, InstBuilder};
use guest::ir::{Block, Effect, Kind, Op, Val};

/// Values that certainly reach something that stays, by number.
#[derive(Default)]
pub struct Needed(Vec<bool>);

impl Needed {
    pub fn of(block: &Block) -> Self {
        let mut constant = vec![false; usize::from(block.cells)];
        for op in &block.ops {
            if let Op::Konst { dst, .. } | Op::Vconst { dst, .. } = *op {
                constant[usize::from(dst.0)] = true;
            }
        }
        let mut needed = vec![false; usize::from(block.cells)];
        for &op in block.ops.iter().rev() {
            let passes = match op.effect() {
                // A flag record may be overwritten before anybody looks at it.
                Effect::WritesState => !matches!(op, Op::SetFlags { .. } | Op::SetFlagsIf { .. }),
                Effect::Float | Effect::Commits => true,
                Effect::Pure => {
                    op.result().is_some_and(|(dst, _)| needed[usize::from(dst.0)]) && uses_all(op, &constant)
                }
                _ => false,
            };
            if passes {
                op.for_each_use(|v| needed[usize::from(v.0)] = true);
            }
        }
        Self(needed)
    }

    fn contains(&self, v: Val) -> bool {
        self.0[usize::from(v.0)]
    }
}

/// Whether a pure op certainly depends on all of its operands.
fn uses_all(op: Op, constant: &[bool]) -> bool {
    match op {
        Op::Vshuffle { .. }
        | Op::Vpart { .. }
        | Op::Vextract { .. }
        | Op::Extract { .. }
        | Op::Sextract { .. } => {
            return false;
        }
        Op::Vinsert { .. } | Op::Vpair { .. } | Op::Vjoin { .. } | Op::Deposit { .. } | Op::Zext { .. } => {
            return true;
        }
        _ => {}
    }
    let (mut seen, mut plain) = (Vec::new(), true);
    op.for_each_use(|v| {
        plain &= !constant[usize::from(v.0)] && !seen.contains(&v);
        seen.push(v);
    });
    plain
}

impl Lowering<'_, '_> {
    /// Stores the result of a float operation that might vanish.
    pub(super) fn keep_result(&mut self, op: Op, ops: &[Op]) {
        let (Effect::Float, Some((dst, kind))) = (op.effect(), op.result()) else { return };
        if self.needed.contains(dst) || self.is_repeated(op, ops) {
            return;
        }
        match kind {
            Kind::Int => {
                let value = self.int(dst);
                self.keep(value);
            }
            Kind::Vector(n) => {
                for unit in 0..n.units() {
                    let value = self.unit(dst, unit);
                    self.keep(value);
                }
            }
        }
    }

    /// Stores a value where it does not matter.
    pub(super) fn keep(&mut self, value: ir::Value) {
        let context = self.context();
        self.unwanted = (self.unwanted + 1) % entry::SCRATCH_ENTRIES;
        let at = entry::SCRATCH + 16 * self.unwanted as i32;
        self.b.ins().store(self.context_flags, value, context, at);
    }
}
