//! Float results that go on into another block and need not be stored to be there.
//!
//! Where a block is done, its float operations must be, too. A result that is handed on to where several ways meet is
//! computed for that, and one that the next block computes with, whatever happens, is so then.

use super::Lowering;
use super::keep::Needed;
use crate::exec::jit::cells::{CellSet, Cells, Place, place};
use crate::exec::jit::region::{Edge, Region};
use guest::ir::{Block, Effect, Op, Val, VecLen};
use std::collections::HashMap;

/// Vectors that a block computes with, as they are where it starts.
#[derive(Clone, Copy, Default)]
pub struct Taken {
    /// At least the lowest lane.
    low: CellSet,
    whole: CellSet,
}

impl Taken {
    pub fn of(block: &Block, cells: &Cells) -> Self {
        let (needed, mut taken) = (Needed::of(block), Self::default());
        // Which cell's first value each cell and value is.
        let mut held: Vec<Option<usize>> = (0..cells.len()).map(Some).collect();
        let mut copies: HashMap<Val, usize> = HashMap::new();
        for &op in &block.ops {
            match op {
                Op::Vget { dst, n: VecLen::X1, slot } => {
                    let Place::Units { cell } = place(slot, 16, None) else { continue };
                    let Some(first) = held[cells.index(cell)] else { continue };
                    copies.insert(dst, first);
                    if needed.is_here(dst) {
                        taken.whole.insert(first);
                        taken.low.insert(first);
                    }
                }
                Op::Vput { n: VecLen::X1, slot, a } => {
                    let Place::Units { cell } = place(slot, 16, None) else { continue };
                    held[cells.index(cell)] = copies.get(&a).copied();
                }
                Op::Get { dst, w, slot } => {
                    let Place::Lane { cell, lane: 0 } = place(slot, w.bytes() as u16, Some(w)) else {
                        continue;
                    };
                    if let (Some(first), true) = (held[cells.index(cell)], needed.is_here(dst)) {
                        taken.low.insert(first);
                    }
                }
                _ => {
                    let mut written = CellSet::default();
                    cells.add_writes(op, &mut written);
                    written.iter().for_each(|cell| held[cell] = None);
                }
            }
        }
        taken
    }
}

/// Cells in which some block may leave the result of a float operation, or something made of one.
pub fn float_cells_of(region: &Region) -> CellSet {
    let mut all = CellSet::default();
    for block in &region.blocks {
        all.insert_all(&float_cells(&block.translation.block, &region.cells));
    }
    all
}

fn float_cells(block: &Block, cells: &Cells) -> CellSet {
    let (mut set, mut made) = (CellSet::default(), vec![false; usize::from(block.cells)]);
    for &op in &block.ops {
        let mut of_floats = op.effect() == Effect::Float;
        op.for_each_use(|v| of_floats |= made[usize::from(v.0)]);
        match (op.effect(), op.result()) {
            (Effect::Float | Effect::Pure, Some((dst, _))) => made[usize::from(dst.0)] = of_floats,
            (Effect::WritesState, _) if of_floats => cells.add_writes(op, &mut set),
            _ => {}
        }
    }
    set
}

impl Lowering<'_, '_> {
    /// What must be stored where the edge is passed without a commit point.
    pub(super) fn keep_on_edge(&mut self, edge: Edge) {
        let Edge::Inside { block, back } = edge else { return };
        let cells = self.float_cells;
        for cell in cells.iter() {
            let taken = self.taken[block];
            let computed = if self.lone.contains(cell) { taken.low } else { taken.whole };
            let handed_on = back && self.region.cells.is_vector(cell);
            if !computed.contains(cell) && !handed_on {
                self.keep_cell(cell);
            }
        }
    }

    /// At the start of a block that ends a loop's round: makes it take what may be float results from there.
    pub(super) fn take_over(&mut self, block: usize) {
        let back_to = |edge| matches!(edge, Edge::Inside { block: to, back: true } if to == block);
        if !self.region.blocks.iter().any(|b| back_to(b.taken) || back_to(b.other)) {
            return;
        }
        let dirty = self.region.blocks[block].dirty.both(&self.may_be_floats);
        for cell in dirty.iter().filter(|&cell| self.region.cells.is_vector(cell)) {
            self.b.use_var(self.vars[cell]);
            self.low_of_cell(cell);
        }
    }
}
