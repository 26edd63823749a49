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
use guest::ir::{Block, Effect, Hint, InsnMark, MAX_CELLS, Op, Terminator, Val, VecLen, When, Width};
use guest::state::{ARCH_BASE, GuestState, Slot};
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
        let mut joined = Joined::new(&head.block);
        let mut members = vec![Arc::clone(head)];
        while let Some(next) = members.last().and_then(|last| likely(cache, last)) {
            let again = members.iter().any(|member| member.pc == next.translation.pc);
            if again || members.len() == MOST_BLOCKS || joined.add(&next).is_none() {
                break;
            }
            members.push(next.translation);
        }
        (members.len() > 1).then(|| Self { members, block: finished(joined.block) })
    }
}

/// Where a block has mostly gone on, as far as others have counted it. Where another trace or a region starts, that is led to:
/// copies of the same code would displace each other in the host's caches.
fn likely(cache: &Cache, last: &Translation) -> Option<Next> {
    let at = |pc: GuestAddr| cache.peek(pc.raw(), last.control);
    let (translation, exit) = match last.block.terminator {
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
    let is_free = translation.trace().is_none() && !translation.has_region();
    let fits = is_free && !translation.block.insns.is_empty();
    fits.then_some(Next { translation, exit })
}

/// What a slot of the state holds.
#[derive(Clone, Copy)]
struct AtHand {
    slot: Slot,
    bytes: u16,
    value: Val,
    /// When it was used last: a number of ops.
    at: usize,
}

/// Blocks put together.
struct Joined {
    block: Block,
    at_hand: Vec<AtHand>,
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
        let mut joined = Self { block, at_hand: Vec::new() };
        joined.append(head);
        joined
    }

    /// Adds a block, and the side exit before it. `None` where that is too much.
    fn add(&mut self, next: &Next) -> Option<()> {
        let (more, all) = (&next.translation.block, &self.block);
        let fits = all.insns.len() + more.insns.len() <= MOST_INSNS
            && usize::from(all.cells) + usize::from(more.cells) <= MAX_CELLS
            && all.nan_rule == more.nan_rule;
        if !fits {
            return None;
        }
        if let Some((when, target)) = next.exit {
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

    /// The value that an op would read from the state.
    fn at_hand(&mut self, op: Op) -> Option<Val> {
        let (slot, bytes) = match op {
            Op::Get { w: Width::W64, slot, .. } => (slot, 8),
            Op::Vget { n: VecLen::X1, slot, .. } => (slot, 16),
            _ => return None,
        };
        let now = self.block.ops.len();
        let mut known = self.at_hand.iter_mut();
        let found = known.find(|known| (known.slot, known.bytes) == (slot, bytes))?;
        (now - std::mem::replace(&mut found.at, now) <= KEPT).then_some(found.value)
    }

    fn push(&mut self, op: Op) {
        self.block.ops.push(op);
        match op {
            Op::Get { dst: value, w: Width::W64, slot } | Op::Put { w: Width::W64, slot, a: value } => {
                self.learn(slot, 8, value);
            }
            Op::Vget { dst: value, n: VecLen::X1, slot } | Op::Vput { n: VecLen::X1, slot, a: value } => {
                self.learn(slot, 16, value);
            }
            Op::Put { w, slot, .. } => self.forget(slot, w.bytes() as u16),
            Op::Vput { n, slot, .. } => self.forget(slot, 16 * n.units() as u16),
            Op::SetFlags { .. } | Op::SetFlagsIf { .. } => self.forget(Slot(0), ARCH_BASE.0),
            Op::Store { .. } | Op::Vstore { .. } | Op::Rmw { .. } | Op::Cas { .. } | Op::Fence { .. } => {}
            other if other.effect() == Effect::Commits => self.at_hand.clear(),
            _ => {}
        }
    }

    fn learn(&mut self, slot: Slot, bytes: u16, value: Val) {
        self.forget(slot, bytes);
        self.at_hand.push(AtHand { slot, bytes, value, at: self.block.ops.len() });
    }

    /// These bytes of the state are written.
    fn forget(&mut self, slot: Slot, bytes: u16) {
        self.at_hand.retain(|known| known.slot.0 + known.bytes <= slot.0 || slot.0 + bytes <= known.slot.0);
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

/// What is left to count of a block that has run so often. Where there is no region still, it may be that none can be.
pub fn left_of(runs: u32) -> u32 {
    const LEAST: u32 = BUDGET / 16;
    BUDGET.saturating_sub(runs).max(LEAST)
}

impl Engine {
    /// The first of these blocks is entered through a trace of all of them from now on.
    pub(super) fn enter_trace(&mut self, members: &[Arc<Translation>], made: Template) {
        members[0].set_trace(made);
        self.enter_region(members, made.entry);
    }
}
