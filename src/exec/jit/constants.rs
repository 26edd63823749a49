//! Which values Cranelift may know, across the blocks of a region.
//!
//! A float operation on what it knows would be folded, and its sticky flags lost: so the lowering hides such operands.
//! Within a block the values tell; from block to block the cells do. Where ways meet that bring different values,
//! Cranelift knows neither: so a cell may hold a constant where a block starts if it does at the end of every block
//! that leads there, the block itself included.

use super::cells::{CellSet, Cells, FLAG_CELLS, Place, access, place};
use guest::ir::{Block, Effect, Op, Val, Width};
use guest::state::Slot;

/// What Cranelift cannot know of a value.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Varying {
    /// Any part of it.
    pub whole: bool,
    /// The lower half of a vector; the whole of anything else.
    pub low: bool,
}

impl Varying {
    pub fn all(varying: bool) -> Self {
        Self { whole: varying, low: varying }
    }

    /// What an op can make use of.
    pub fn for_op(self, op: Op) -> bool {
        match op {
            Op::Vextract { lane, index, .. } if usize::from(index) * lane.bytes() < 8 => self.low,
            _ => self.whole,
        }
    }

    /// Which halves of what an op writes may be constants: of a vector as `varying` says.
    fn constant_halves(self, op: Op, varying: impl Fn(Val) -> Self) -> [bool; 2] {
        match op {
            Op::Vput { a, .. } => [!varying(a).low, !varying(a).whole],
            _ => [!self.low, !self.whole],
        }
    }
}

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

    /// What an op that reads the state certainly reads no constant of.
    pub fn not_read(&self, op: Op, cells: &Cells) -> Varying {
        if matches!(op, Op::CondOp { .. } | Op::GetFlags { .. }) {
            let mut flags = FLAG_CELLS.iter().map(|slot| cells.overlapping(*slot, 8));
            return Varying::all(flags.all(|cells| cells.both(&self.low).is_empty()));
        }
        let Some((slot, bytes, width, _)) = access(op) else { return Varying::all(true) };
        let read = cells.overlapping(slot, bytes);
        let [low, high] = halves(slot, bytes, width);
        let low = !low || read.both(&self.low).is_empty();
        let whole = low && (!high || read.both(&self.high).is_empty());
        Varying { whole, low: if matches!(op, Op::Vget { .. }) { low } else { whole } }
    }

    /// After an op that writes what varies so, or a vector that does as `varying` says.
    pub fn after_write(&mut self, op: Op, cells: &Cells, written: Varying, varying: impl Fn(Val) -> Varying) {
        let [low_constant, high_constant] = written.constant_halves(op, varying);
        let mut written = CellSet::default();
        cells.add_writes(op, &mut written);
        let (reached, whole) = match access(op) {
            Some((slot, bytes, width, _)) => {
                let vector = !matches!(place(slot, bytes, width), Place::Int { .. });
                let [low, high] = halves(slot, bytes, width);
                ([low, high || !vector], width.is_none_or(|w| w == Width::W64))
            }
            None => ([true, true], matches!(op, Op::SetFlags { .. })),
        };
        let [low, high] = reached;
        self.add(&written, [low && low_constant, high && high_constant]);
        if whole {
            self.remove(&written, [low && !low_constant, high && !high_constant]);
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
    let (mut varying, mut zero) = (vec![Varying::default(); values], vec![false; values]);
    for &op in &block.ops {
        let of = |v: Val| varying[usize::from(v.0)];
        let made_of_varying = depends_on_varying(op, |v| of(v).for_op(op));
        if op.effect() == Effect::WritesState {
            constants.after_write(op, cells, Varying::all(made_of_varying), of);
        }
        let Some((dst, _)) = op.result() else { continue };
        let made = matches!(op.effect(), Effect::Loads | Effect::Commits | Effect::Float) || made_of_varying;
        let read = match op.effect() {
            Effect::ReadsState => constants.not_read(op, cells),
            _ => Varying::default(),
        };
        let fixed = is_fixed(op, |v| zero[usize::from(v.0)]);
        let either = |read: bool| !fixed && (made || read);
        varying[usize::from(dst.0)] = Varying { whole: either(read.whole), low: either(read.low) };
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
