//! Vector registers that are used for single floats, as two values each: the float, and a vector of whose upper half alone
//! something is known.
//!
//! As one value, each result would have to be put back into its vector before it is handed on from block to block, which is
//! an instruction, and a cycle of whatever waits for it. So the two are brought together only where the whole is stored.
//!
//! The upper half must be nobody's operand: where it does not change in a loop Cranelift would see that, and move what is
//! computed with it out of the loop (see [`crate::exec::jit::region`], which looks at whole cells).

use super::Lowering;
use super::values::Halves;
use crate::exec::jit::cells::{CellSet, Cells, Place, place};
use crate::exec::jit::region::Region;
use cranelift_codegen::ir::{self, InstBuilder, types};
use guest::ir::{Block, Lane, Op, VecLen, Width};
use guest::state::Slot;

/// The cells of a region that are two values.
pub fn split_cells(region: &Region) -> CellSet {
    let mut found = Found::default();
    for block in &region.blocks {
        found.look_at(&block.translation.block, &region.cells);
    }
    let mut split = found.scalars.without(&found.wholes);
    // What is copied to a cell that is one value is a whole there.
    while let Some(&(from, _)) =
        found.copies.iter().find(|&&(from, to)| split.contains(from) && !split.contains(to))
    {
        split.remove(from);
    }
    split
}

/// What is done with the vector cells of a region.
#[derive(Default)]
struct Found {
    /// A double is written to it as such.
    scalars: CellSet,
    /// More is read of it, or written to it, than its lower half.
    wholes: CellSet,
    /// From where to where whole cells are copied.
    copies: Vec<(usize, usize)>,
}

/// What a vector is.
#[derive(Clone, Copy)]
enum Origin {
    /// A cell's value, but for its lower half.
    Cell(usize),
    /// A word with zeros above.
    Scalar,
    Constant,
    Other,
}

impl Found {
    fn look_at(&mut self, block: &Block, cells: &Cells) {
        let mut origins = vec![Origin::Other; usize::from(block.cells)];
        let mut zeros = vec![false; usize::from(block.cells)];
        for &op in &block.ops {
            match op {
                Op::Konst { dst, imm } => zeros[usize::from(dst.0)] = imm == 0,
                Op::Vconst { dst, .. } => origins[usize::from(dst.0)] = Origin::Constant,
                Op::Vpair { dst, hi, .. } if zeros[usize::from(hi.0)] => {
                    origins[usize::from(dst.0)] = Origin::Scalar;
                }
                Op::Vget { dst, n: VecLen::X1, slot } => match unit_cell(slot, cells) {
                    Some(cell) => origins[usize::from(dst.0)] = Origin::Cell(cell),
                    None => self.touch(op, cells),
                },
                Op::Vinsert { dst, n: VecLen::X1, lane: Lane::D, index: 0, a, .. } => {
                    origins[usize::from(dst.0)] = origins[usize::from(a.0)];
                }
                Op::Vextract { lane: Lane::D, index: 0, .. } => {}
                Op::Vput { n: VecLen::X1, slot, a } => match unit_cell(slot, cells) {
                    Some(cell) => self.write(cell, origins[usize::from(a.0)]),
                    None => self.touch(op, cells),
                },
                Op::Get { w: Width::W64, slot, .. } if low_cell(slot, cells).is_some() => {}
                Op::Put { w: Width::W64, slot, .. } if low_cell(slot, cells).is_some() => {
                    self.scalars.insert_all(&cells.overlapping(slot, 8));
                }
                _ => {
                    self.touch(op, cells);
                    self.use_wholes(op, &origins);
                }
            }
        }
    }

    fn write(&mut self, cell: usize, origin: Origin) {
        match origin {
            Origin::Cell(from) => self.copies.push((from, cell)),
            Origin::Scalar => self.scalars.insert(cell),
            Origin::Constant => {}
            Origin::Other => self.wholes.insert(cell),
        }
    }

    /// An op that reads or writes vector cells in some other way.
    fn touch(&mut self, op: Op, cells: &Cells) {
        let (slot, bytes) = match op {
            Op::Get { w, slot, .. } | Op::Put { w, slot, .. } => (slot, w.bytes() as u16),
            Op::Vget { n, slot, .. } | Op::Vput { n, slot, .. } => (slot, 16 * n.units() as u16),
            _ => return,
        };
        self.wholes.insert_all(&cells.overlapping(slot, bytes));
    }

    fn use_wholes(&mut self, op: Op, origins: &[Origin]) {
        op.for_each_use(|v| {
            if let Origin::Cell(cell) = origins[usize::from(v.0)] {
                self.wholes.insert(cell);
            }
        });
    }
}

/// The vector cell that a unit is.
fn unit_cell(slot: Slot, cells: &Cells) -> Option<usize> {
    match place(slot, 16, None) {
        Place::Units { cell } => Some(cells.index(cell)),
        _ => None,
    }
}

/// The vector cell that a word is the lower half of.
fn low_cell(slot: Slot, cells: &Cells) -> Option<usize> {
    match place(slot, 8, Some(Width::W64)) {
        Place::Lane { cell, lane: 0 } => Some(cells.index(cell)),
        _ => None,
    }
}

impl Lowering<'_, '_> {
    /// Declares the variables of the cells.
    pub(super) fn declare_cells(&mut self) {
        let split = split_cells(self.region);
        for cell in 0..self.region.cells.len() {
            let ty = if self.region.cells.is_vector(cell) { types::I8X16 } else { types::I64 };
            let var = self.b.declare_var(ty);
            self.vars.push(var);
            let low = split.contains(cell).then(|| self.b.declare_var(types::F64));
            self.lows.push(low);
        }
    }

    /// A cell's value, put together where it is two.
    pub(super) fn cell(&mut self, cell: usize) -> ir::Value {
        let whole = self.b.use_var(self.vars[cell]);
        let Some(low) = self.lows[cell] else { return whole };
        let low = self.b.use_var(low);
        self.with_low(whole, low)
    }

    /// The float of a cell that is two values.
    pub(super) fn low_of_cell(&mut self, cell: usize) -> Option<ir::Value> {
        self.lows[cell].map(|low| self.b.use_var(low))
    }

    pub(super) fn define_cell(&mut self, cell: usize, value: ir::Value) {
        let Some(var) = self.lows[cell] else { return self.b.def_var(self.vars[cell], value) };
        let halves = self.halves(value);
        let known = halves.low.filter(|&low| self.b.func.dfg.value_type(low) == types::F64);
        let low = known.unwrap_or_else(|| {
            let doubles = self.cast(types::F64X2, value);
            self.b.ins().extractlane(doubles, 0)
        });
        self.b.def_var(var, low);
        self.b.def_var(self.vars[cell], halves.above.unwrap_or(value));
    }

    /// The vector with another double in its lower half.
    pub(super) fn with_low(&mut self, vector: ir::Value, low: ir::Value) -> ir::Value {
        let Halves { above, zero_above, .. } = self.halves(vector);
        let doubles = self.cast(types::F64X2, vector);
        let new = self.b.ins().insertlane(doubles, low, 0);
        let new = self.cast(types::I8X16, new);
        let above = Some(above.unwrap_or(vector));
        self.vals.note_halves(new, Halves { low: Some(low), above, zero_above });
        new
    }
}
