//! Which values Cranelift may know, across the blocks of a region.
//!
//! A float operation on what it knows would be folded, and its sticky flags lost: so the lowering hides such operands.
//! Within a block the values tell; from block to block the cells do: a cell that anywhere in the region is given
//! something made of constants alone counts as one that may be a constant everywhere.

use super::cells::{CellSet, Cells, FLAG_CELLS, access};
use guest::ir::{Block, Effect, Op, Val};
use guest::state::Slot;

/// The cells of the region that may hold constants.
pub fn constant_cells(blocks: &[&Block], cells: &Cells) -> CellSet {
    let mut constant = CellSet::default();
    loop {
        let before = constant;
        blocks.iter().for_each(|block| add_block(block, cells, &mut constant));
        if constant == before {
            return constant;
        }
    }
}

fn add_block(block: &Block, cells: &Cells, constant: &mut CellSet) {
    let values = usize::from(block.cells);
    let (mut varying, mut zero) = (vec![false; values], vec![false; values]);
    for &op in &block.ops {
        let made_of_varying = depends_on_varying(op, |v| varying[usize::from(v.0)]);
        if op.effect() == Effect::WritesState && !made_of_varying {
            cells.add_writes(op, constant);
        }
        let Some((dst, _)) = op.result() else { continue };
        let made = matches!(op.effect(), Effect::Loads | Effect::Commits | Effect::Float);
        let read = op.effect() == Effect::ReadsState && !reads_constant(op, cells, constant);
        let fixed = is_fixed(op, |v| zero[usize::from(v.0)]);
        varying[usize::from(dst.0)] = !fixed && (made || read || made_of_varying);
        zero[usize::from(dst.0)] = match op {
            Op::Konst { imm, .. } => imm == 0,
            Op::Vconst { index, .. } => block.pool[usize::from(index)] == 0,
            _ => false,
        };
    }
}

/// Whether Cranelift cannot know one of the op's operands, or rather one that the result depends on: a choice
/// between constants may be one.
pub fn depends_on_varying(op: Op, varies: impl Fn(Val) -> bool) -> bool {
    if let Op::Select { a, b, .. } = op {
        return varies(a) || varies(b);
    }
    let mut any = false;
    op.for_each_use(|v| any |= varies(v));
    any
}

/// Whether the result of a pure op is the same whatever its operands are, like the difference of a value and itself.
pub fn is_fixed(op: Op, is_zero: impl Fn(Val) -> bool) -> bool {
    if op.effect() != Effect::Pure {
        return false;
    }
    if let Op::And { a, b, .. } | Op::Mul { a, b, .. } | Op::Vand { a, b, .. } = op
        && (is_zero(a) || is_zero(b))
    {
        return true;
    }
    let (mut first, mut uses, mut same) = (None, 0, true);
    op.for_each_use(|v| {
        uses += 1;
        same &= *first.get_or_insert(v) == v;
    });
    uses > 1 && same
}

/// Whether an op that reads the state may read a constant.
pub fn reads_constant(op: Op, cells: &Cells, constant: &CellSet) -> bool {
    let any = |slot: Slot, bytes: u16| !cells.overlapping(slot, bytes).both(constant).is_empty();
    match op {
        Op::CondOp { .. } | Op::GetFlags { .. } => FLAG_CELLS.iter().any(|&slot| any(slot, 8)),
        _ => access(op).is_some_and(|(slot, bytes, ..)| any(slot, bytes)),
    }
}
