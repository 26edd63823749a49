//! Generic passes over a finished block: what neither lifter nor tier should think about.

use super::{Block, Effect, Kind, Op, VALUE_PLACES, Val, Values, Writes};
use crate::state::{STATE_SIZE, Slot};
use std::cell::Cell;
use std::ops::Range;

/// What a pass over a block needs; it is used over and over.
#[derive(Default)]
struct Work {
    /// By op: whether it stays; and how many do.
    keep: Vec<bool>,
    kept: usize,
    /// By value: whether it is used.
    used: Vec<bool>,
}

thread_local! {
    static SPARE: Cell<Option<Box<Work>>> = const { Cell::new(None) };
}

/// Removes state writes that are overwritten before anything can see them, and values nobody uses.
pub fn optimize(block: &mut Block) {
    let mut work = SPARE.take().unwrap_or_default();
    if !find_live(block, &mut work) {
        mark_unwritten(block, &work.keep);
        compact(block, &work.keep);
    }
    SPARE.set(Some(work));
}

/// Whether the values are all that the op has.
fn are_those_of(values: &Values, op: Op) -> bool {
    let mut uses = Vec::new();
    op.for_each_use(|v| uses.push(v));
    uses.resize(values.uses.len().max(uses.len()), Val::NONE);
    let result = op.result().map_or(Val::NONE, |(v, _)| v);
    *values == Values { result, uses: values.uses } && values.uses[..] == uses
}

/// Notes which instructions lose a write to the state.
fn mark_unwritten(block: &mut Block, keep: &[bool]) {
    let mut marks = block.insns.iter_mut().rev().peekable();
    for (index, _) in keep.iter().enumerate().rev().filter(|(_, kept)| !**kept) {
        while marks.next_if(|mark| mark.first_op as usize > index).is_some() {}
        if let (Effect::WritesState, Some(mark)) = (block.ops[index].effect(), marks.peek_mut()) {
            mark.writes = Writes::Some;
        }
    }
}

/// State bytes that will be overwritten with no reader or exit in between: a bit for each.
struct Overwritten {
    bits: [u64; STATE_SIZE / 64],
    /// The words that have bits.
    words: Range<usize>,
}

impl Overwritten {
    /// Calls `f` with each word that these bytes have bits in, and the bits.
    fn each(&mut self, slot: Slot, bytes: u16, mut f: impl FnMut(&mut u64, u64)) {
        let (mut at, end) = (usize::from(slot.0), usize::from(slot.0 + bytes));
        while at < end {
            let count = (64 - at % 64).min(end - at);
            f(&mut self.bits[at / 64], u64::MAX >> (64 - count) << (at % 64));
            at += count;
        }
    }

    fn covers(&mut self, slot: Slot, bytes: u16) -> bool {
        let mut all = !self.words.is_empty();
        if all {
            self.each(slot, bytes, |word, bits| all &= *word & bits == bits);
        }
        all
    }

    fn add(&mut self, slot: Slot, bytes: u16) {
        let (first, end) = (usize::from(slot.0) / 64, usize::from(slot.0 + bytes - 1) / 64 + 1);
        self.words = match self.words.is_empty() {
            true => first..end,
            false => self.words.start.min(first)..self.words.end.max(end),
        };
        self.each(slot, bytes, |word, bits| *word |= bits);
    }

    fn read(&mut self, slot: Slot, bytes: u16) {
        if !self.words.is_empty() {
            self.each(slot, bytes, |word, bits| *word &= !bits);
        }
    }

    fn clear(&mut self) {
        let words = std::mem::take(&mut self.words);
        self.bits[words].fill(0);
    }
}

/// Who looks through a block from its end.
pub trait LookBack {
    /// Whether one of the ops that stay uses a value.
    fn is_used(&self, v: Val) -> bool;

    /// The op at an index stays. It is followed by that of the index below.
    fn stays(&mut self, at: usize, op: Op, values: &Values, effect: Effect);
}

/// Backwards: an op stays if it does more than give a value, or its value is used by one that stays, and
/// if the state it writes can be seen. What the terminator uses is known to `by`.
#[inline]
pub fn look_back(ops: &[Op], by: &mut impl LookBack) {
    let mut overwritten = Overwritten { bits: [0; STATE_SIZE / 64], words: 0..0 };
    let mut flags_overwritten = false;
    for (at, &op) in ops.iter().enumerate().rev() {
        let (values, effect) = (op.values(), op.effect());
        debug_assert!(are_those_of(&values, op), "{op}");
        let dead = (!by.is_used(values.result) && effect.droppable())
            || (!matches!(effect, Effect::Pure | Effect::Float)
                && writes_in_vain(op, &mut overwritten, &mut flags_overwritten));
        if !dead {
            by.stays(at, op, &values, effect);
        }
    }
}

impl LookBack for Work {
    fn is_used(&self, v: Val) -> bool {
        self.used[usize::from(v.0)]
    }

    fn stays(&mut self, at: usize, _: Op, values: &Values, _: Effect) {
        self.keep[at] = true;
        self.kept += 1;
        values.uses.iter().for_each(|v| self.used[usize::from(v.0)] = true);
    }
}

/// Finds what stays of a block. Whether all of it does.
fn find_live(block: &Block, work: &mut Work) -> bool {
    work.keep.clear();
    work.keep.resize(block.ops.len(), false);
    work.kept = 0;
    work.used.resize(VALUE_PLACES, true);
    work.used[..usize::from(block.cells)].fill(false);
    if let Some(v) = block.terminator.value() {
        work.used[usize::from(v.0)] = true;
    }
    look_back(&block.ops, work);
    work.kept == block.ops.len()
}

/// Whether all that an op does is overwritten. Notes what it writes and reads.
fn writes_in_vain(op: Op, overwritten: &mut Overwritten, flags_overwritten: &mut bool) -> bool {
    match op {
        Op::Put { .. } | Op::Vput { .. } => {
            let (slot, bytes) = accessed(op);
            if overwritten.covers(slot, bytes) {
                return true;
            }
            overwritten.add(slot, bytes);
        }
        Op::SetFlags { .. } => return std::mem::replace(flags_overwritten, true),
        Op::SetFlagsIf { .. } if *flags_overwritten => return true,
        Op::SetFlagsIf { .. } | Op::CondOp { .. } | Op::GetFlags { .. } => *flags_overwritten = false,
        Op::Get { .. } | Op::Vget { .. } => {
            let (slot, bytes) = accessed(op);
            overwritten.read(slot, bytes);
        }
        other if other.effect().may_exit() => {
            overwritten.clear();
            *flags_overwritten = false;
        }
        _ => {}
    }
    false
}

/// The state bytes that an op names.
fn accessed(op: Op) -> (Slot, u16) {
    match op {
        Op::Put { w, slot, .. } | Op::Get { w, slot, .. } => (slot, w.bytes() as u16),
        Op::Vput { n, slot, .. } | Op::Vget { n, slot, .. } => (slot, 16 * n.units() as u16),
        _ => (Slot(0), 0),
    }
}

/// Drops the ops not kept, of which there are some, and moves the instruction marks along.
fn compact(block: &mut Block, keep: &[bool]) {
    let mut mark = 0;
    let mut kept = 0u32;
    for (index, &stays) in keep.iter().enumerate() {
        while mark < block.insns.len() && block.insns[mark].first_op as usize == index {
            block.insns[mark].first_op = kept;
            mark += 1;
        }
        kept += u32::from(stays);
    }
    for rest in &mut block.insns[mark..] {
        rest.first_op = kept;
    }
    let mut flags = keep.iter();
    block.ops.retain(|_| *flags.next().unwrap_or(&true));
}

/// The number of ops by effect: for statistics.
#[must_use]
pub fn count_effects(block: &Block, effect: Effect) -> usize {
    block.ops.iter().filter(|op| op.effect() == effect).count()
}

/// The cells a value of this kind takes.
#[must_use]
pub fn cells(kind: Kind) -> usize {
    match kind {
        Kind::Int => 1,
        Kind::Vector(n) => 2 * n.units(),
    }
}
