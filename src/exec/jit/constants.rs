//! Which values Cranelift may know, across the blocks of a region.
//!
//! A float operation on what it knows would be folded, and its sticky flags lost: so the lowering hides such operands.
//! Within a block the values tell; from block to block the cells do. Where ways meet that bring different values,
//! Cranelift knows neither: so a cell may hold a constant where a block starts if it does at the end of every block
//! that leads there, the block itself included.

use super::cells::{CellSet, Cells, FLAG_CELLS, Place, access, place};
use guest::ir::{Block, Effect, Op, Val, Width};
use guest::state::Slot;

/// Cells that may hold constants; of vectors their lower halves, and their upper ones.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Constants {
    low: CellSet,
    high: CellSet,
}

impl Constants {
    fn all(cells: &Cells) -> Self {
        Self { low: cells.all(), high: cells.all() }
    }

    fn both(self, other: &Self) -> Self {
        Self { low: self.low.both(&other.low), high: self.high.both(&other.high) }
    }

    /// Whether an op that reads the state may read a constant.
    pub fn are_read(&self, op: Op, cells: &Cells) -> bool {
        if matches!(op, Op::CondOp { .. } | Op::GetFlags { .. }) {
            return FLAG_CELLS.iter().any(|slot| !cells.overlapping(*slot, 8).both(&self.low).is_empty());
        }
        let Some((slot, bytes, width, _)) = access(op) else { return false };
        let read = cells.overlapping(slot, bytes);
        let [low, high] = halves(slot, bytes, width);
        low && !read.both(&self.low).is_empty() || high && !read.both(&self.high).is_empty()
    }

    /// After an op that writes something that is a constant, or not.
    pub fn after_write(&mut self, op: Op, cells: &Cells, constant: bool) {
        let mut written = CellSet::default();
        cells.add_writes(op, &mut written);
        let whole = match access(op) {
            Some((slot, bytes, width, _)) => {
                let [low, high] = halves(slot, bytes, width);
                let vector = !matches!(place(slot, bytes, width), Place::Int { .. });
                let whole = width.is_none_or(|w| w == Width::W64);
                if constant {
                    self.add(&written, [low, high]);
                } else if whole {
                    self.remove(&written, [low, high || !vector]);
                }
                return;
            }
            None => matches!(op, Op::SetFlags { .. }),
        };
        if constant {
            self.add(&written, [true, true]);
        } else if whole {
            self.remove(&written, [true, true]);
        }
    }

    fn add(&mut self, cells: &CellSet, [low, high]: [bool; 2]) {
        if low {
            self.low.insert_all(cells);
        }
        if high {
            self.high.insert_all(cells);
        }
    }

    fn remove(&mut self, cells: &CellSet, [low, high]: [bool; 2]) {
        if low {
            self.low = self.low.without(cells);
        }
        if high {
            self.high = self.high.without(cells);
        }
    }
}

/// Which halves of its cells an access is in.
fn halves(slot: Slot, bytes: u16, width: Option<Width>) -> [bool; 2] {
    match place(slot, bytes, width) {
        Place::Lane { lane, .. } => {
            let upper = lane as u16 * bytes >= 8;
            [!upper, upper]
        }
        Place::Int { .. } => [true, false],
        _ => [true, true],
    }
}

/// What the cells may hold where each block starts; the first is also entered from outside. `leads_to` says where
/// each leads.
pub fn at_starts(blocks: &[&Block], cells: &Cells, leads_to: impl Fn(usize) -> Vec<usize>) -> Vec<Constants> {
    let mut starts = vec![Constants::all(cells); blocks.len()];
    starts[0] = Constants::default();
    let mut work: Vec<usize> = (0..blocks.len()).rev().collect();
    while let Some(block) = work.pop() {
        let end = after_block(blocks[block], cells, starts[block]);
        for next in leads_to(block) {
            let met = starts[next].both(&end);
            if met != std::mem::replace(&mut starts[next], met) {
                work.push(next);
            }
        }
    }
    starts
}

fn after_block(block: &Block, cells: &Cells, mut constants: Constants) -> Constants {
    let values = usize::from(block.cells);
    let (mut varying, mut zero) = (vec![false; values], vec![false; values]);
    for &op in &block.ops {
        let made_of_varying = depends_on_varying(op, |v| varying[usize::from(v.0)]);
        if op.effect() == Effect::WritesState {
            constants.after_write(op, cells, !made_of_varying);
        }
        let Some((dst, _)) = op.result() else { continue };
        let made = matches!(op.effect(), Effect::Loads | Effect::Commits | Effect::Float);
        let read = op.effect() == Effect::ReadsState && !constants.are_read(op, cells);
        let fixed = is_fixed(op, |v| zero[usize::from(v.0)]);
        varying[usize::from(dst.0)] = !fixed && (made || read || made_of_varying);
        zero[usize::from(dst.0)] = match op {
            Op::Konst { imm, .. } => imm == 0,
            Op::Vconst { index, .. } => block.pool[usize::from(index)] == 0,
            _ => false,
        };
    }
    constants
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
