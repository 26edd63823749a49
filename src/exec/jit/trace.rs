//! Traces: blocks that mostly run one after the other, as one block for the templates.
//!
//! A block that has run [`LENGTHENED`] times is made code of once more, together with those that it has led to most.
//! What leaves the trace in its middle is a side exit. Within a trace nothing is polled or counted, registers keep
//! what blocks hand on to each other, and flags that the next block sets again are not written.
//!
//! A trace is entered at its head only, and goes with any of its blocks, as a region does.

use super::jumps::Stack;
use super::template::Emitter;
use super::{BUDGET, Engine, counting, engine, lock, runs_before};
use crate::debug;
use crate::exec::cache::Cache;
use crate::exec::translation::{Template, Translation, finished};
use guest::GuestAddr;
use guest::ir::{Block, Hint, InsnMark, KnownSlots, MAX_CELLS, Op, Terminator, Val, When};
use guest::state::GuestState;
use std::sync::Arc;

/// Runs of a block from templates until it becomes the head of a trace.
pub const LENGTHENED: u32 = 4000;
/// How far a trace goes.
const MOST_BLOCKS: usize = 12;
const MOST_INSNS: usize = 80;
/// Ops after which a value is read from the state again: registers are few.
const KEPT: usize = 24;

/// A trace's blocks, in order, and all of them as one.
pub struct Trace {
    pub members: Vec<Arc<Translation>>,
    pub block: Block,
}

/// Where a block has led to most.
struct Next {
    translation: Arc<Translation>,
    /// The way not taken.
    exit: Option<(When, GuestAddr)>,
}

impl Trace {
    /// The trace from `head`. `None` where it would be `head` alone.
    pub fn of(cache: &Cache, head: &Arc<Translation>) -> Option<Self> {
        let mut joined = head.block.with(Joined::new);
        let mut members = vec![Arc::clone(head)];
        while let Some(Next { translation, exit }) = likely(cache, head.control, &joined.block.terminator) {
            let again = members.iter().any(|member| member.pc == translation.pc);
            if again || members.len() == MOST_BLOCKS {
                break;
            }
            let Some(()) = translation.block.with(|more| joined.add(more, exit)) else { break };
            members.push(translation);
        }
        (members.len() > 1).then(|| Self { members, block: finished(joined.block) })
    }
}

/// Where a block that ends so has mostly gone on, as far as others have counted it. Where another trace or a region starts, that is
/// led to: copies of the same code would displace each other in the host's caches.
fn likely(cache: &Cache, control: u64, end: &Terminator) -> Option<Next> {
    let at = |pc: GuestAddr| cache.known(pc.raw(), control);
    let (translation, exit) = match *end {
        Terminator::Jump { target, hint: Hint::None } => (at(target)?, None),
        Terminator::Branch { taken, other, .. } => {
            let ways = [at(taken), at(other)];
            let [taken_runs, other_runs] =
                [&ways[0], &ways[1]].map(|way| way.as_ref().map_or(0, |way| way.runs()));
            let [taken_way, other_way] = ways;
            match taken_runs > other_runs {
                true => (taken_way?, Some((When::Fails, other))),
                false => (other_way?, Some((When::Holds, taken))),
            }
        }
        _ => return None,
    };
    let is_free = translation.trace().is_none() && !translation.has_region() && !translation.is_empty();
    is_free.then_some(Next { translation, exit })
}

/// Blocks put together.
struct Joined {
    block: Block,
    slots: KnownSlots,
    /// By value that a slot holds: the number of ops when that was last used.
    used: Vec<usize>,
}

impl Joined {
    fn new(head: &Block) -> Self {
        let block = Block {
            pc: head.pc,
            ops: Vec::new(),
            insns: Vec::new(),
            pool: Vec::new(),
            terminator: head.terminator,
            nan_rule: head.nan_rule,
            cells: 0,
        };
        let mut joined = Self { block, slots: KnownSlots::default(), used: Vec::new() };
        joined.append(head);
        joined
    }

    /// Adds a block, and the side exit before it. `None` where that is too much.
    fn add(&mut self, more: &Block, exit: Option<(When, GuestAddr)>) -> Option<()> {
        let all = &self.block;
        let fits = all.insns.len() + more.insns.len() <= MOST_INSNS
            && usize::from(all.cells) + usize::from(more.cells) <= MAX_CELLS
            && all.nan_rule == more.nan_rule;
        if !fits {
            return None;
        }
        if let Some((when, target)) = exit {
            let Terminator::Branch { cond: c, .. } = all.terminator else { return None };
            let off = i32::try_from(target.raw().wrapping_sub(all.pc.raw()) as i64).ok()?;
            self.block.ops.push(Op::SideExit { when, c, off });
        }
        self.append(more);
        Some(())
    }

    fn append(&mut self, more: &Block) {
        let (base, pooled) = (self.block.cells, self.block.pool.len() as u16);
        let mut names: Vec<Val> = (0..more.cells).map(|cell| Val(base + cell)).collect();
        self.used.resize(usize::from(base + more.cells), 0);
        let mut marks = more.insns.iter().peekable();
        for (index, &op) in more.ops.iter().enumerate() {
            while let Some(mark) = marks.next_if(|mark| mark.first_op as usize <= index) {
                self.mark(mark);
            }
            let op = op.with_uses(|v| names[usize::from(v.0)]);
            let Some((own, _)) = op.result() else {
                self.push(op);
                continue;
            };
            match self.at_hand(op) {
                Some(value) => names[usize::from(own.0)] = value,
                None => self.push(match op.with_result(Val(base + own.0)) {
                    Op::Vconst { dst, n, index } => Op::Vconst { dst, n, index: index + pooled },
                    other => other,
                }),
            }
        }
        marks.for_each(|mark| self.mark(mark));
        self.block.pool.extend_from_slice(&more.pool);
        self.block.cells += more.cells;
        let name = |v: Val| names[usize::from(v.0)];
        self.block.terminator = match more.terminator {
            Terminator::Branch { cond, taken, other } => {
                Terminator::Branch { cond: name(cond), taken, other }
            }
            Terminator::Indirect { target, hint } => Terminator::Indirect { target: name(target), hint },
            other => other,
        };
    }

    fn mark(&mut self, mark: &InsnMark) {
        let first_op = self.block.ops.len() as u32;
        self.block.insns.push(InsnMark { first_op, ..*mark });
    }

    /// The value that an op would read from the state, if it was at hand lately.
    fn at_hand(&mut self, op: Op) -> Option<Val> {
        let value = match op {
            Op::Get { w, slot, .. } => self.slots.find(slot, w.bytes() as u16),
            Op::Vget { n, slot, .. } => self.slots.find(slot, 16 * n.units() as u16),
            _ => None,
        }?;
        let now = self.block.ops.len();
        let before = std::mem::replace(&mut self.used[usize::from(value.0)], now);
        (now - before <= KEPT).then_some(value)
    }

    fn push(&mut self, op: Op) {
        self.block.ops.push(op);
        self.slots.note(op);
        if let Op::Get { dst: value, .. }
        | Op::Vget { dst: value, .. }
        | Op::Put { a: value, .. }
        | Op::Vput { a: value, .. } = op
        {
            self.used[usize::from(value.0)] = self.block.ops.len();
        }
    }
}

/// Makes code of the trace from `head`, if there is one, and installs it. Whether it did. `state` is as before it.
pub fn compile_trace(
    emitter: &mut Emitter,
    cache: &Cache,
    head: &Arc<Translation>,
    state: &GuestState,
) -> bool {
    let Some(Trace { members, block }) = Trace::of(cache, head) else { return false };
    let stack = Stack::of(cache.env().arch);
    let Some(emitted) = emitter.emit(&block, state, stack, counting()) else { return false };
    let install = || {
        let mut guard = lock();
        let Some(engine) = engine(&mut guard) else { return false };
        let left = left_of(runs_before(head).max(LENGTHENED));
        let Some(made) = engine.put("trace", &emitted, head.pc, left) else { return false };
        engine.traces += 1;
        engine.enter_trace(&members, made);
        true
    };
    let installed = cache.if_current(&members, install).unwrap_or(false);
    debug::perf::write();
    installed
}

/// What is left to count of a block that has run so often, until it asks for a region, or asks again. Where it should have one,
/// it may be that none can be.
pub fn left_of(runs: u32) -> u32 {
    const LEAST: u32 = BUDGET / 16;
    let asks_at = if has_asked(runs) { 2 * BUDGET } else { BUDGET };
    asks_at.saturating_sub(runs).max(LEAST)
}

/// Whether a block that has run so often has asked for a region.
pub fn has_asked(runs: u32) -> bool {
    runs >= BUDGET
}

impl Engine {
    /// The first of these blocks is entered through a trace of all of them from now on.
    pub(super) fn enter_trace(&mut self, members: &[Arc<Translation>], made: Template) {
        members[0].set_trace(made);
        self.enter_region(members, made.entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_goes_on_counting_where_the_last_one_ended() {
        let half = BUDGET / 2;
        assert_eq!([LENGTHENED, half, BUDGET].map(left_of), [BUDGET - LENGTHENED, half, BUDGET]);
        assert_eq!(left_of(BUDGET + half), half);
        assert_eq!([BUDGET - 1, 2 * BUDGET - 1, 9 * BUDGET].map(left_of), [BUDGET / 16; 3]);
    }
}
