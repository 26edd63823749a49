//! State slots: reads and writes of cells, and when cells go to memory.

use super::values::{Halves, int_type, vector_of, vector_type};
use super::{Back, Lowering};
use crate::exec::jit::cells::{CellSet, Place, place};
use crate::exec::jit::commit::Point;
use crate::exec::jit::entry::{self, POINT_SLOT};
use cranelift_codegen::ir::{self, InstBuilder, types};
use guest::ir::{Lane, Val, VecLen, Width};
use guest::state::{ARCH_BASE, Slot};

impl Lowering<'_, '_> {
    /// Loads a cell's variable from memory.
    pub(super) fn reload(&mut self, cell: usize) {
        let offset = entry::at(Slot(self.region.cells.offset(cell)));
        let vector = self.region.cells.is_vector(cell);
        let (ty, flags) = if vector {
            (types::I8X16, self.state_flags.with_aligned())
        } else {
            (types::I64, self.state_flags)
        };
        let value = self.b.ins().load(ty, flags, self.state, offset);
        self.define_cell(cell, value);
    }

    fn store_cells(&mut self, cells: CellSet) {
        for cell in cells.iter() {
            let value = self.cell(cell);
            let offset = entry::at(Slot(self.region.cells.offset(cell)));
            let vector = self.region.cells.is_vector(cell);
            let flags = if vector { self.state_flags.with_aligned() } else { self.state_flags };
            self.b.ins().store(flags, value, self.state, offset);
        }
    }

    /// A commit point: from here on the state in memory is exact, but for the `dead` cells.
    pub(super) fn commit(&mut self, point: Point, dead: CellSet) {
        let unstored = self.dirty.both(&dead).without(&self.float_cells);
        self.store_cells(self.dirty.without(&unstored));
        self.dirty = unstored;
        self.float_cells = CellSet::default();
        self.store_number(point);
        self.back = Back::To(point);
    }

    /// Stores a commit point's number where faults look for it.
    pub(super) fn store_number(&mut self, point: Point) {
        if self.region.plan.stored[usize::from(point)] {
            let number = self.b.ins().iconst(types::I32, i64::from(point));
            self.b.ins().store(self.state_flags, number, self.state, entry::at(POINT_SLOT));
        }
    }

    /// Stores every dirty cell and notes that they are clean.
    pub(super) fn flush(&mut self) {
        self.store_cells(self.dirty);
        self.dirty = CellSet::default();
        self.float_cells = CellSet::default();
    }

    /// Stores every dirty cell on a way out that is not taken usually.
    pub(super) fn flush_aside(&mut self) {
        self.store_cells(self.dirty);
    }

    /// Stores a float result where it does not matter, so that the operation stays where it is.
    pub(super) fn keep_cell(&mut self, cell: usize) {
        let value = self.low_of_cell(cell).unwrap_or_else(|| {
            let value = self.b.use_var(self.vars[cell]);
            self.halves(value).low.filter(|_| self.lone.contains(cell)).unwrap_or(value)
        });
        self.keep(value);
    }

    fn read_cell(&mut self, offset: u16) -> ir::Value {
        self.cell(self.region.cells.index(offset))
    }

    pub(super) fn write_cell(&mut self, offset: u16, value: ir::Value, float: bool) {
        let cell = self.region.cells.index(offset);
        self.define_cell(cell, value);
        self.dirty.insert(cell);
        if float {
            self.float_cells.insert(cell);
        } else {
            self.float_cells.remove(cell);
        }
        self.lone.remove(cell);
    }

    /// Whether a loop around this block changes what an access reads.
    pub(super) fn place_varies(&self, slot: Slot, bytes: u16, w: Option<Width>, invariant: &CellSet) -> bool {
        let cell = match place(slot, bytes, w) {
            Place::Int { cell, .. }
            | Place::Lane { cell, .. }
            | Place::Units { cell }
            | Place::Words { cell } => cell,
            Place::Memory => return true,
        };
        !invariant.contains(self.region.cells.index(cell))
    }

    pub(super) fn read_slot(&mut self, dst: Val, w: Width, slot: Slot) {
        match place(slot, w.bytes() as u16, Some(w)) {
            Place::Int { cell, shift } => {
                let whole = self.read_cell(cell);
                let moved = if shift == 0 { whole } else { self.b.ins().ushr_imm_u(whole, i64::from(shift)) };
                let value = if w == Width::W64 { moved } else { self.low_bits(w, moved) };
                self.set(dst, value);
            }
            Place::Lane { cell, lane } => {
                let vector = self.read_cell(cell);
                self.set_lane(dst, vector, w, lane);
            }
            _ => {
                self.sync(slot, w.bytes() as u16);
                let value = self.b.ins().load(int_type(w), self.state_flags, self.state, entry::at(slot));
                self.set_narrow(dst, value);
            }
        }
    }

    pub(super) fn low_bits(&mut self, w: Width, value: ir::Value) -> ir::Value {
        let narrow = self.b.ins().ireduce(int_type(w), value);
        self.b.ins().uextend(types::I64, narrow)
    }

    pub(super) fn write_slot(&mut self, w: Width, slot: Slot, a: Val) {
        if slot < ARCH_BASE {
            self.known_flags = None;
        }
        let float = self.vals.is_float_result(a);
        match place(slot, w.bytes() as u16, Some(w)) {
            Place::Int { cell, shift } => {
                if w == Width::W64 {
                    self.keep_overwritten(cell);
                }
                let value = self.deposited(w, cell, shift, a);
                self.write_cell(cell, value, float);
            }
            Place::Lane { cell, lane } => {
                self.keep_overwritten(cell);
                let value = self.with_lane(w, cell, lane, a);
                self.write_cell(cell, value, float);
                if lane == 0 {
                    self.lone.insert(self.region.cells.index(cell));
                }
            }
            _ => {
                self.sync(slot, w.bytes() as u16);
                let value = self.narrow(w, a);
                self.b.ins().store(self.state_flags, value, self.state, entry::at(slot));
                self.resync(slot, w.bytes() as u16);
            }
        }
    }

    /// A float result is about to be lost: the passes drop only writes that are overwritten as a whole, and before
    /// anything may leave the block.
    fn keep_overwritten(&mut self, offset: u16) {
        let cell = self.region.cells.index(offset);
        if self.float_cells.contains(cell) {
            let old = self.low_of_cell(cell).unwrap_or_else(|| self.b.use_var(self.vars[cell]));
            self.keep(old);
        }
    }

    /// The cell with `w` bits at `shift` replaced.
    fn deposited(&mut self, w: Width, cell: u16, shift: u32, a: Val) -> ir::Value {
        let value = self.int(a);
        if w == Width::W64 {
            return value;
        }
        let mask = w.mask() << shift;
        let old = self.read_cell(cell);
        let keep = self.iconst(!mask);
        let kept = self.b.ins().band(old, keep);
        let low = self.low_bits(w, value);
        let moved = if shift == 0 { low } else { self.b.ins().ishl_imm_u(low, i64::from(shift)) };
        self.b.ins().bor(kept, moved)
    }

    fn with_lane(&mut self, w: Width, cell: u16, lane: u8, a: Val) -> ir::Value {
        let old = self.read_cell(cell);
        let float = if w.bits() >= 32 { self.whole_float(w, a) } else { None };
        if let Some(float) = float {
            return self.with_float_lane(w, old, lane, float);
        }
        let clears_above = w == Width::W64 && lane == 1 && self.vals.konst(a) == Some(0);
        if clears_above
            && let Some(low) = self.halves(old).low
            && self.b.func.dfg.value_type(low) == types::F64
        {
            return self.alone(low);
        }
        let typed = self.cast(vector_type(Lane::ALL[w as usize]), old);
        let value = self.narrow(w, a);
        let new = self.b.ins().insertlane(typed, value, lane);
        let new = self.cast(types::I8X16, new);
        if clears_above {
            self.vals.note_halves(new, Halves { low: None, above: Some(self.zero), zero_above: true });
        }
        new
    }

    pub(super) fn with_float_lane(
        &mut self,
        w: Width,
        old: ir::Value,
        lane: u8,
        float: ir::Value,
    ) -> ir::Value {
        let zero_above = self.halves(old).zero_above;
        if w == Width::W64 && lane == 0 {
            return if zero_above { self.alone(float) } else { self.with_low(old, float) };
        }
        let typed = self.cast(vector_of(self.b.func.dfg.value_type(float)), old);
        let new = self.b.ins().insertlane(typed, float, lane);
        let new = self.cast(types::I8X16, new);
        if lane == 0 {
            let above = self.halves(old).above.or(Some(old));
            self.vals.note_halves(new, Halves { low: Some(float), above, zero_above });
        }
        new
    }

    pub(super) fn read_vector(&mut self, dst: Val, n: VecLen, slot: Slot) {
        let bytes = 16 * n.units() as u16;
        for unit in 0..n.units() {
            let value = match place(slot, bytes, None) {
                Place::Units { cell } => self.read_cell(cell + 16 * unit as u16),
                Place::Words { cell } => {
                    let low = self.read_cell(cell + 16 * unit as u16);
                    let high = self.read_cell(cell + 16 * unit as u16 + 8);
                    self.pair(low, high)
                }
                _ => {
                    self.sync(slot, bytes);
                    let at = entry::at(slot) + 16 * unit as i32;
                    self.b.ins().load(types::I8X16, self.state_flags, self.state, at)
                }
            };
            self.set_unit(dst, unit, value);
        }
    }

    /// A vector from two 64-bit halves.
    pub(super) fn pair(&mut self, low: ir::Value, high: ir::Value) -> ir::Value {
        let vector = self.b.ins().scalar_to_vector(types::I64X2, low);
        let both = self.b.ins().insertlane(vector, high, 1);
        self.cast(types::I8X16, both)
    }

    pub(super) fn write_vector(&mut self, n: VecLen, slot: Slot, a: Val) {
        let (bytes, float) = (16 * n.units() as u16, self.vals.is_float_result(a));
        let to = place(slot, bytes, None);
        if to == Place::Memory {
            self.sync(slot, bytes);
        }
        for unit in 0..n.units() {
            let value = self.unit(a, unit);
            let ahead = 16 * unit as u16;
            match to {
                Place::Units { cell } => {
                    self.keep_overwritten(cell + ahead);
                    self.write_cell(cell + ahead, value, float);
                }
                Place::Words { cell } => {
                    let halves = self.cast(types::I64X2, value);
                    for half in 0..2u8 {
                        let word = self.b.ins().extractlane(halves, half);
                        self.write_cell(cell + ahead + 8 * u16::from(half), word, float);
                    }
                }
                _ => {
                    let at = entry::at(slot) + i32::from(ahead);
                    self.b.ins().store(self.state_flags, value, self.state, at);
                }
            }
        }
        if to == Place::Memory {
            self.resync(slot, bytes);
        }
    }

    /// Makes memory right where an access goes past the cells.
    fn sync(&mut self, slot: Slot, bytes: u16) {
        let overlapping = self.region.cells.overlapping(slot, bytes);
        let dirty = self.dirty.without(&self.region.cells.all().without(&overlapping));
        self.store_cells(dirty);
        self.dirty = self.dirty.without(&dirty);
        self.float_cells = self.float_cells.without(&dirty);
    }

    /// Makes the cells right after such a write.
    fn resync(&mut self, slot: Slot, bytes: u16) {
        let cells = self.region.cells.overlapping(slot, bytes);
        cells.iter().for_each(|cell| self.reload(cell));
    }
}
