//! The state as compiled code keeps it in values: 8-byte cells for integers, 16-byte cells for vectors.
//!
//! Registers are read and written in several widths and places (the high byte of a word, the low lane of a
//! vector). Every access is resolved to whole cells, so that a cell is one SSA variable. What does not
//! fit (an access across cells, the engine's own words) goes to memory.

use super::commit::{Class, Step};
use guest::ir::flags::{OPERANDS, needed};
use guest::ir::{Block, Effect, FlagKind, Op, Reads, Width};
use guest::state::{ARCH_BASE, FLAG_A, FLAG_B, FLAG_KIND, FLAG_R, MONITOR_SIZE, Slot, VECTORS};

/// The most cells a region may use.
pub const MAX_CELLS: usize = 256;

/// A set of cells, by index.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct CellSet([u64; MAX_CELLS / 64]);

impl CellSet {
    pub fn insert(&mut self, cell: usize) {
        self.0[cell / 64] |= 1 << (cell % 64);
    }
    pub fn remove(&mut self, cell: usize) {
        self.0[cell / 64] &= !(1 << (cell % 64));
    }
    pub fn contains(&self, cell: usize) -> bool {
        self.0[cell / 64] >> (cell % 64) & 1 != 0
    }
    pub fn insert_all(&mut self, other: &Self) {
        for (to, from) in self.0.iter_mut().zip(other.0) {
            *to |= from;
        }
    }
    #[must_use]
    pub fn without(mut self, other: &Self) -> Self {
        for (to, gone) in self.0.iter_mut().zip(other.0) {
            *to &= !gone;
        }
        self
    }
    /// The cells of both.
    #[must_use]
    pub fn both(mut self, other: &Self) -> Self {
        for (to, also) in self.0.iter_mut().zip(other.0) {
            *to &= also;
        }
        self
    }
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    pub fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }
    pub fn iter(self) -> impl Iterator<Item = usize> {
        (0..MAX_CELLS).filter(move |&cell| self.contains(cell))
    }
}

/// Where a state access lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// In the integer cell at that offset, `shift` bits up.
    Int { cell: u16, shift: u32 },
    /// Lane `lane` (of the access's width) of the vector cell at that offset.
    Lane { cell: u16, lane: u8 },
    /// Whole vector cells from that offset on.
    Units { cell: u16 },
    /// Integer cells from that offset on.
    Words { cell: u16 },
    /// In memory only.
    Memory,
}

/// The place of an access of `bytes` bytes as an integer (`Some(width)`) or a vector.
pub fn place(slot: Slot, bytes: u16, width: Option<Width>) -> Place {
    let at = slot.0;
    let flags = at >= FLAG_KIND.0 && at + bytes <= MONITOR_SIZE.0;
    if at < ARCH_BASE.0 && !flags {
        return Place::Memory;
    }
    match width {
        Some(_) if at < VECTORS.0 && at % 8 + bytes <= 8 => {
            Place::Int { cell: at & !7, shift: u32::from(at % 8) * 8 }
        }
        Some(_) if at >= VECTORS.0 && at.is_multiple_of(bytes) => {
            Place::Lane { cell: at & !15, lane: (at % 16 / bytes) as u8 }
        }
        None if at >= VECTORS.0 && at.is_multiple_of(16) => Place::Units { cell: at },
        None if at + bytes <= VECTORS.0 && at.is_multiple_of(8) => Place::Words { cell: at },
        _ => Place::Memory,
    }
}

/// A state access of an op: slot, bytes, integer width; and whether it writes.
pub fn access(op: Op) -> Option<(Slot, u16, Option<Width>, bool)> {
    Some(match op {
        Op::Get { w, slot, .. } => (slot, w.bytes() as u16, Some(w), false),
        Op::Put { w, slot, .. } => (slot, w.bytes() as u16, Some(w), true),
        Op::Vget { n, slot, .. } => (slot, 16 * n.units() as u16, None, false),
        Op::Vput { n, slot, .. } => (slot, 16 * n.units() as u16, None, true),
        _ => return None,
    })
}

/// Whether an op accesses the state in a way that no cells can give.
pub fn goes_past_cells(op: Op) -> bool {
    access(op).is_some_and(|(slot, bytes, width, _)| place(slot, bytes, width) == Place::Memory)
}

/// Calls `f` with the cells that a record of this kind is stored in.
fn written_flag_cells(kind: FlagKind, mut f: impl FnMut(Slot)) {
    f(FLAG_KIND);
    OPERANDS.iter().zip(needed(kind)).filter(|(_, needed)| *needed).for_each(|(&slot, _)| f(slot));
}

pub const FLAG_CELLS: [Slot; 4] = [FLAG_KIND, FLAG_A, FLAG_B, FLAG_R];

/// The cells of a region: index to offset.
#[derive(Clone, Default, Debug)]
pub struct Cells {
    offsets: Vec<u16>,
}

impl Cells {
    /// The cells that these blocks use; `None` if there are too many, or if the state is accessed past them.
    pub fn of<'a>(blocks: impl Iterator<Item = &'a Block>) -> Option<Self> {
        let mut offsets = Vec::new();
        for block in blocks {
            for &op in &block.ops {
                if goes_past_cells(op) {
                    return None;
                }
                offsets_of(op, |offset, _| offsets.push(offset));
            }
        }
        offsets.sort_unstable();
        offsets.dedup();
        (offsets.len() <= MAX_CELLS).then_some(Self { offsets })
    }

    /// The index of the cell at `offset`.
    pub fn index(&self, offset: u16) -> usize {
        self.offsets.binary_search(&offset).unwrap_or_else(|_| unreachable!("every cell in use was counted"))
    }

    pub fn offset(&self, index: usize) -> u16 {
        self.offsets[index]
    }

    /// What an instruction that reads the cell is marked with.
    pub fn reads(&self, index: usize) -> Reads {
        let offset = self.offsets[index];
        if offset < MONITOR_SIZE.0 {
            return Reads::FLAGS;
        }
        Reads::of(Slot(offset), if self.is_vector(index) { 16 } else { 8 })
    }

    pub fn is_vector(&self, index: usize) -> bool {
        self.offsets[index] >= VECTORS.0
    }

    pub fn len(&self) -> usize {
        self.offsets.len()
    }

    pub fn all(&self) -> CellSet {
        let mut set = CellSet::default();
        (0..self.len()).for_each(|cell| set.insert(cell));
        set
    }

    /// The cells that overlap these bytes of the state.
    pub fn overlapping(&self, slot: Slot, bytes: u16) -> CellSet {
        let mut set = CellSet::default();
        for (index, &offset) in self.offsets.iter().enumerate() {
            let size = if offset >= VECTORS.0 { 16 } else { 8 };
            if offset < slot.0 + bytes && slot.0 < offset + size {
                set.insert(index);
            }
        }
        set
    }

    pub fn written(&self, block: &Block) -> CellSet {
        let mut set = CellSet::default();
        for &op in &block.ops {
            self.add_writes(op, &mut set);
        }
        set
    }

    pub fn add_writes(&self, op: Op, set: &mut CellSet) {
        if matches!(op, Op::CallState { .. }) {
            *set = self.all();
        }
        offsets_of(op, |offset, writes| {
            if writes {
                set.insert(self.index(offset));
            }
        });
    }

    /// Calls `f` with each cell that `op` touches, and whether nothing of its old value is left or matters. Of a
    /// flag record that is replaced the old operands do not matter, even if the new record has none there.
    pub fn touched(&self, op: Op, mut f: impl FnMut(usize, bool)) {
        if matches!(op, Op::SetFlags { .. }) {
            FLAG_CELLS
                .iter()
                .filter_map(|slot| self.offsets.binary_search(&slot.0).ok())
                .for_each(|cell| f(cell, true));
            return;
        }
        offsets_of(op, |offset, writes| f(self.index(offset), writes && replaces(op)));
    }

    /// Operands of the flag record that `op` replaces by one with fewer: they do not matter any more.
    pub fn forgotten(&self, op: Op) -> CellSet {
        let mut set = CellSet::default();
        if let Op::SetFlags { kind, .. } = op {
            let operands = OPERANDS.iter().zip(needed(kind)).filter(|(_, needed)| !needed);
            operands
                .filter_map(|(slot, _)| self.offsets.binary_search(&slot.0).ok())
                .for_each(|cell| set.insert(cell));
        }
        set
    }

    /// What these steps do to the dirty cells: those they leave dirty of what was dirty before, and what is written.
    pub fn dirt(&self, steps: &[Step]) -> (CellSet, CellSet) {
        let (mut kept, mut set) = (self.all(), CellSet::default());
        for step in steps {
            match step {
                Step::Commit(commit) => (kept, set) = (kept.both(&commit.dead), set.both(&commit.dead)),
                Step::Flush => (kept, set) = (CellSet::default(), CellSet::default()),
                Step::Op(op, _) if op.effect() == Effect::WritesState => {
                    self.add_writes(*op, &mut set);
                    let forgotten = self.forgotten(*op);
                    (kept, set) = (kept.without(&forgotten), set.without(&forgotten));
                }
                Step::Op(..) => {}
            }
        }
        (kept, set)
    }

    /// What a block's steps do to values that come from before it, given the cells that may be dirty then: those
    /// they need, and those they replace. Storing a dirty cell needs it; `leaves` says whether the block's
    /// end stores them.
    pub fn demand(&self, steps: &[Step], dirty: CellSet, leaves: bool) -> (CellSet, CellSet) {
        let (mut dirty, mut needed, mut replaced) = (dirty, CellSet::default(), CellSet::default());
        for step in steps {
            match *step {
                Step::Commit(commit) => {
                    needed.insert_all(&dirty.without(&commit.dead).without(&replaced));
                    dirty = dirty.both(&commit.dead);
                }
                Step::Flush => {
                    needed.insert_all(&dirty.without(&replaced));
                    dirty = CellSet::default();
                }
                Step::Op(op, class) => {
                    // On a way out that is not taken usually.
                    if matches!(class, Class::Traps | Class::Flushes(_)) || matches!(op, Op::Vstore { .. }) {
                        needed.insert_all(&dirty.without(&replaced));
                    }
                    if matches!(op, Op::CallState { .. }) {
                        replaced = self.all();
                    }
                    self.add_beyond(op, &replaced, &mut needed);
                    dirty = dirty.without(&self.forgotten(op));
                    offsets_of(op, |offset, writes| {
                        let cell = self.index(offset);
                        let reads = !writes || !replaces(op);
                        if reads && !replaced.contains(cell) {
                            needed.insert(cell);
                        }
                        if writes {
                            replaced.insert(cell);
                            dirty.insert(cell);
                        }
                    });
                }
            }
        }
        if leaves {
            needed.insert_all(&dirty.without(&replaced));
        }
        (needed, replaced)
    }

    /// Accesses past the cells store what overlaps them.
    fn add_beyond(&self, op: Op, replaced: &CellSet, needed: &mut CellSet) {
        let Some((slot, bytes, width, _)) = access(op) else { return };
        if place(slot, bytes, width) == Place::Memory {
            needed.insert_all(&self.overlapping(slot, bytes).without(replaced));
        }
    }
}

/// Whether a write leaves nothing of the cells' old values.
fn replaces(op: Op) -> bool {
    match op {
        Op::Put { w, slot, .. } => w == Width::W64 && slot.0 < VECTORS.0,
        Op::SetFlagsIf { .. } => false,
        _ => true,
    }
}

/// Calls `f` with the offset of each cell that `op` names, and whether it writes it.
fn offsets_of(op: Op, mut f: impl FnMut(u16, bool)) {
    match op {
        Op::SetFlags { kind, .. } | Op::SetFlagsIf { kind, .. } => {
            written_flag_cells(kind, |slot| f(slot.0, true))
        }
        Op::CondOp { .. } | Op::GetFlags { .. } => FLAG_CELLS.iter().for_each(|slot| f(slot.0, false)),
        _ => {}
    }
    let Some((slot, bytes, width, writes)) = access(op) else { return };
    match place(slot, bytes, width) {
        Place::Int { cell, .. } | Place::Lane { cell, .. } => f(cell, writes),
        Place::Units { cell } => (0..bytes / 16).for_each(|unit| f(cell + 16 * unit, writes)),
        Place::Words { cell } => (0..bytes / 8).for_each(|word| f(cell + 8 * word, writes)),
        Place::Memory => {}
    }
}
