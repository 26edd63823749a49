//! Where the commit points of one block stand.

use super::{BlockPlan, Class, Commit, HowOften, OnEdge, Plan, classes};
use crate::exec::jit::cells::{CellSet, Cells};
use crate::exec::jit::pushes::Pushes;
use crate::exec::jit::region::{Edge, RegionBlock};
use guest::ir::{Block, Effect, Op, Reads, Writes};

/// Plans one block.
pub struct Planner<'a> {
    plan: &'a mut Plan,
    block: &'a Block,
    cells: &'a Cells,
    ops: Vec<(Op, Class)>,
}

impl<'a> Planner<'a> {
    pub fn new(plan: &'a mut Plan, block: &'a RegionBlock, cells: &'a Cells) -> Self {
        let block = &block.translation.block;
        let ops = classes(block).map(|(_, op, class)| (op, class)).collect();
        Self { plan, block, cells, ops }
    }

    /// The points of the block, given what has happened since the last one before it; and how it ends.
    pub fn plan(mut self, planned: &RegionBlock, start: Carried, pushes: &Pushes) -> (BlockPlan, Carried) {
        let mut made = BlockPlan::empty();
        let mut since = Since { changed: start.changed, memory: None, pushed_below: start.pushed_below };
        for insn in 0..self.block.insns.len() {
            if !self.only_pushes(insn, &since, pushes) {
                if let Some(commit) = self.before(insn, &since) {
                    made.commits.push(commit);
                    since = self.since(&commit, insn, pushes);
                }
                since.pushed_below = since.pushed_below.filter(|_| self.only_pushes(insn, &since, pushes));
            }
            self.pass(insn, &mut since, &mut made);
        }
        let end = self.end(planned, since, pushes, &mut made);
        (made, end)
    }

    /// A point where memory was changed and the block leads on; and what has happened since the last one.
    fn end(
        &mut self,
        planned: &RegionBlock,
        mut since: Since,
        pushes: &Pushes,
        made: &mut BlockPlan,
    ) -> Carried {
        if let (Some(last), true) = (since.memory, self.goes_on(planned)) {
            let end = self.block.insns.len();
            let Some(commit) = self.best(last + 1, end - 1, &since.changed) else {
                made.on_taken = self.on_edge(planned.taken, planned);
                made.on_other = self.on_edge(planned.other, planned);
                return Carried::at_point();
            };
            made.commits.push(commit);
            since = self.since(&commit, end, pushes);
        }
        let pushed_below = since.pushed_below.zip(pushes.end()).map(|(limit, end)| limit - end);
        Carried { pushed_below, changed: since.changed }
    }

    /// What has happened from a point to an instruction, if there are no accesses in between.
    fn since(&self, commit: &Commit, insn: usize, pushes: &Pushes) -> Since {
        let mut changed = CellSet::default();
        (commit.insn..insn).for_each(|passed| changed.insert_all(&self.written(passed)));
        Since { changed, memory: None, pushed_below: pushes.pointer(commit.insn) }
    }

    /// Whether there are only pushes from the last point to this instruction's end.
    fn only_pushes(&self, insn: usize, since: &Since, pushes: &Pushes) -> bool {
        let pushes = |op: usize, limit| !self.ops[op].1.may_fault() || pushes.is_below(op, limit);
        since.pushed_below.is_some_and(|limit| self.range(insn).all(|op| pushes(op, limit)))
    }

    /// The point that has to stand before an access of this instruction.
    fn before(&mut self, insn: usize, since: &Since) -> Option<Commit> {
        let ops = &self.ops[self.range(insn)];
        let first = ops.iter().position(|(_, class)| class.may_fault())?;
        if matches!(ops[first].1, Class::Flushes(_)) {
            return None;
        }
        let changes = ops.iter().position(|(_, class)| class.commits());
        let again = changes.is_some_and(|at| ops[at + 1..].iter().any(|(_, class)| class.may_fault()));
        let first = if again { insn } else { since.memory? + 1 };
        let commit = self.best(first, insn, &since.changed);
        debug_assert!(commit.is_some(), "the state is exact before an access");
        commit
    }

    /// Notes what an instruction does, and the points that its ops are.
    fn pass(&mut self, insn: usize, since: &mut Since, made: &mut BlockPlan) {
        let mut wrote = false;
        for index in self.range(insn) {
            let (op, class) = self.ops[index];
            if matches!(class, Class::Flushes(_)) {
                let point = self.plan.add(self.block.insns[insn].pc);
                made.flushes.push((index, point));
                since.changed = CellSet::default();
                since.memory = since.memory.filter(|&at| at == insn).or(wrote.then_some(insn));
            }
            if class.commits() && since.pushed_below.is_none() {
                since.memory = Some(insn);
            }
            if op.effect() == Effect::WritesState {
                wrote = true;
                self.cells.add_writes(op, &mut since.changed);
            }
        }
    }

    /// Whether the block leads to another of the region.
    fn goes_on(&self, planned: &RegionBlock) -> bool {
        [planned.taken, planned.other].iter().any(|edge| matches!(edge, Edge::Inside { .. }))
    }

    /// A point on an edge, if it stays in the region.
    fn on_edge(&mut self, edge: Edge, planned: &RegionBlock) -> Option<OnEdge> {
        let Edge::Inside { .. } = edge else { return None };
        let target = if edge == planned.taken { planned.targets[0] } else { planned.targets[1] };
        target.map(|pc| OnEdge { point: self.plan.add(pc), how_often: HowOften::Always })
    }

    /// The point that stores least at one of these boundaries between instructions. The state must be exact before
    /// the first (an access stands before it), or what it is not there is not read any more.
    pub fn best(&mut self, first: usize, last: usize, changed: &CellSet) -> Option<Commit> {
        let (mut best, mut least) = (None, usize::MAX);
        let (mut changed, mut exact) = (*changed, Writes::All);
        // What the instruction before the first does after its access may be lost, too.
        let mut before = first.saturating_sub(1)..first;
        for insn in first..=last {
            for passed in before {
                let mark = &self.block.insns[passed];
                exact = if mark.writes == Writes::Some { Writes::Some } else { exact };
                changed.insert_all(&self.written(passed));
            }
            before = insn..insn + 1;
            let Fate { dead, read } = self.fate(insn);
            let stored = changed.without(&dead).len();
            if stored <= least && (exact == Writes::All || read.is_empty()) {
                (best, least) = (Some((insn, dead)), stored);
            }
        }
        let (insn, dead) = best?;
        Some(Commit { insn, point: self.plan.add(self.block.insns[insn].pc), dead })
    }

    /// The cells that an instruction writes.
    fn written(&self, insn: usize) -> CellSet {
        let mut set = CellSet::default();
        self.ops[self.range(insn)].iter().for_each(|&(op, _)| self.cells.add_writes(op, &mut set));
        set
    }

    /// What becomes of the cells that are overwritten after the boundary before anything sees them.
    fn fate(&self, insn: usize) -> Fate {
        let mut fate = Fate::default();
        let mut reads = Reads::NONE;
        for insn in insn..self.block.insns.len() {
            reads = reads.and(self.block.insns[insn].reads);
            for &(op, class) in &self.ops[self.range(insn)] {
                if class != Class::Inner {
                    return fate;
                }
                self.cells.touched(op, |cell, replaced| {
                    if !replaced || fate.dead.contains(cell) || fate.read.contains(cell) {
                        return;
                    }
                    let set =
                        if reads.meets(self.cells.reads(cell)) { &mut fate.read } else { &mut fate.dead };
                    set.insert(cell);
                });
            }
        }
        fate
    }

    /// The ops of an instruction.
    fn range(&self, insn: usize) -> std::ops::Range<usize> {
        let start = self.block.insns[insn].first_op as usize;
        let end = self.block.insns.get(insn + 1).map_or(self.block.ops.len(), |next| next.first_op as usize);
        start..end
    }
}

/// Cells that are overwritten before anything sees them.
#[derive(Default)]
struct Fate {
    /// No instruction reads them before.
    dead: CellSet,
    /// An instruction does, or may.
    read: CellSet,
}

/// What has happened since the last point.
struct Since {
    /// Cells that may have changed.
    changed: CellSet,
    /// The last instruction that changed memory in a way that may not be done again.
    memory: Option<usize>,
    /// Where the stack pointer was at the point, if there have been no accesses since but stores below that.
    pushed_below: Option<i64>,
}

/// What has happened since the last point where a block starts: at most pushes, and loads behind them.
#[derive(Clone, Copy, Default)]
pub struct Carried {
    /// Cells that may have changed.
    pub changed: CellSet,
    /// As far above the stack pointer as it was at the point, if there have been no accesses since but stores below
    /// that.
    pushed_below: Option<i64>,
}

impl Carried {
    /// A point is here.
    pub fn at_point() -> Self {
        Self { changed: CellSet::default(), pushed_below: Some(0) }
    }

    /// What holds on either way.
    pub fn met(mut self, other: &Self) -> Self {
        self.changed.insert_all(&other.changed);
        let limits = self.pushed_below.zip(other.pushed_below);
        self.pushed_below = limits.map(|(one, two)| one.min(two));
        self
    }
}
