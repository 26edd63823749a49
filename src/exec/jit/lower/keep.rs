//! Float results that nothing else keeps.
//!
//! A float operation is pure to Cranelift and vanishes when its result does not reach anything, but its sticky
//! flags count. So a result is stored where it does not matter, unless it certainly reaches a register, memory
//! or another float operation. An integer operation in between may turn out not to need it (a shift by more
//! than the lane's bits, a mask of zeros, a shuffle that takes the other operand), so only those that cannot be
//! simplified pass the need on.
//!
//! A choice between equals is none for Cranelift, either, and the comparison it depended on goes with it.

use super::Lowering;
use crate::exec::jit::entry;
use cranelift_codegen::ir::{self, InstBuilder, InstructionData, Opcode, ValueDef};
use guest::ir::{Block, Effect, Kind, Op, Terminator, Val};

/// What needs a value, at the least.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
enum Need {
    #[default]
    None,
    /// A register, which may be overwritten in another block before anything is done with it.
    Register,
    /// Something in the block itself that is always done: another float operation, a store, a branch.
    Here,
}

/// Values that certainly reach something that stays, by number.
#[derive(Default)]
pub struct Needed(Vec<Need>);

impl Needed {
    pub fn of(block: &Block) -> Self {
        let mut constant = vec![false; usize::from(block.cells)];
        for op in &block.ops {
            if let Op::Konst { dst, .. } | Op::Vconst { dst, .. } = *op {
                constant[usize::from(dst.0)] = true;
            }
        }
        let mut needed = vec![Need::None; usize::from(block.cells)];
        if let Terminator::Branch { cond: v, .. } | Terminator::Indirect { target: v, .. } = block.terminator
        {
            needed[usize::from(v.0)] = Need::Here;
        }
        for &op in block.ops.iter().rev() {
            let need = match op.effect() {
                // A flag record may be overwritten before anybody looks at it.
                Effect::WritesState if matches!(op, Op::SetFlags { .. } | Op::SetFlagsIf { .. }) => {
                    Need::None
                }
                Effect::WritesState => Need::Register,
                Effect::Float | Effect::Commits => Need::Here,
                Effect::Pure if uses_all(op, &constant) => {
                    op.result().map_or(Need::None, |(dst, _)| needed[usize::from(dst.0)])
                }
                _ => Need::None,
            };
            op.for_each_use(|v| {
                let known = &mut needed[usize::from(v.0)];
                *known = need.max(*known);
            });
        }
        Self(needed)
    }

    fn contains(&self, v: Val) -> bool {
        self.0[usize::from(v.0)] != Need::None
    }

    /// Whether the block itself does something with the value.
    pub fn is_here(&self, v: Val) -> bool {
        self.0[usize::from(v.0)] == Need::Here
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
        if self.is_done || self.needed.contains(dst) || self.is_repeated(op, ops) {
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

    /// Whether Cranelift might find that the values are the same: unless they come from different places, as
    /// far as can be seen.
    pub(super) fn may_be_same(&self, x: ir::Value, y: ir::Value) -> bool {
        const DEPTH: usize = 6;
        self.may_be_same_within(DEPTH, x, y)
    }

    fn may_be_same_within(&self, depth: usize, x: ir::Value, y: ir::Value) -> bool {
        let (x, y) = (self.uncast(x), self.uncast(y));
        if x == y || depth == 0 {
            return true;
        }
        let dfg = &self.b.func.dfg;
        let (ValueDef::Result(a, _), ValueDef::Result(b, _)) = (dfg.value_def(x), dfg.value_def(y)) else {
            return [x, y].into_iter().any(|v| self.is_made_of_parts(v));
        };
        let (a, b) = (&dfg.insts[a], &dfg.insts[b]);
        if a.opcode() != b.opcode() {
            return [x, y].into_iter().any(|v| self.is_made_of_parts(v));
        }
        if matches!(a.opcode(), Opcode::Load | Opcode::Call | Opcode::CallIndirect) {
            return false;
        }
        let (p, q) = (a.arguments(&dfg.value_lists), b.arguments(&dfg.value_lists));
        let mut pairs = p.iter().zip(q);
        match (a, b) {
            (
                InstructionData::BinaryImm8 { imm: i, arg: v, .. },
                InstructionData::BinaryImm8 { imm: k, arg: w, .. },
            ) => i == k && self.may_be_same_within(depth - 1, *v, *w),
            _ => pairs.all(|(&v, &w)| self.may_be_same_within(depth - 1, v, w)),
        }
    }

    /// The value before it was seen as another type.
    pub(super) fn uncast(&self, mut v: ir::Value) -> ir::Value {
        let dfg = &self.b.func.dfg;
        v = dfg.resolve_aliases(v);
        while let ValueDef::Result(inst, _) = dfg.value_def(v)
            && dfg.insts[inst].opcode() == Opcode::Bitcast
        {
            v = dfg.resolve_aliases(dfg.inst_args(inst)[0]);
        }
        v
    }

    /// Whether the value is another one's part, or put together of some, so that it may be the same as something
    /// that was made in another way.
    fn is_made_of_parts(&self, v: ir::Value) -> bool {
        let dfg = &self.b.func.dfg;
        let ValueDef::Result(inst, _) = dfg.value_def(v) else { return false };
        let opcode = dfg.insts[inst].opcode();
        let whole = matches!(opcode, Opcode::Load | Opcode::Call | Opcode::CallIndirect);
        let arithmetic = matches!(
            opcode,
            Opcode::Fadd
                | Opcode::Fsub
                | Opcode::Fmul
                | Opcode::Fdiv
                | Opcode::Fma
                | Opcode::Sqrt
                | Opcode::Fpromote
                | Opcode::Fdemote
                | Opcode::FcvtFromSint
                | Opcode::Fvdemote
                | Opcode::FvpromoteLow
        );
        // A lane of something whole is not the same as another whole thing.
        let lane_of_whole =
            opcode == Opcode::Extractlane && !self.is_made_of_parts(self.uncast(dfg.inst_args(inst)[0]));
        !(whole || arithmetic || lane_of_whole)
    }

    /// Stores a value where it does not matter.
    pub(super) fn keep(&mut self, value: ir::Value) {
        let context = self.context();
        self.unwanted = (self.unwanted + 1) % entry::SCRATCH_ENTRIES;
        let at = entry::SCRATCH + 16 * self.unwanted as i32;
        self.b.ins().store(self.context_flags, value, context, at);
    }
}
