//! Commit points: where the state in memory is exact within a region.
//!
//! Registers are values inside a region, so a fault must find them in memory. Storing what has changed before each
//! access would be exact, and slow. Instead, everything that has changed is stored at *commit points*, and between
//! two of them at most one instruction changes guest memory, as the last that touches it. A fault goes back to the
//! last commit point: what was done since is forgotten, and the interpreter does it again, which is right because
//! nothing of it could be seen. There it meets the fault, if the fault still exists, with exact state.
//!
//! This is where the points are chosen, before any code is made:
//! - After an instruction that changes memory there is one before the next access: at that boundary between
//!   instructions where the fewest cells need to be stored. Cells that are overwritten before anything may read or
//!   see them need not be, which is what makes flags cheap.
//! - Pushes onto the stack may be done again, as long as nothing was loaded before them: a row of them needs none in
//!   between, or before the loads behind it, whichever blocks they are in (see [`super::pushes`]).
//! - Every loop has one, or those who leave it have, so that little is done again. Where it is all the same how often,
//!   because the loop changes no memory, that is once in some rounds. Where a loop begins there is one, so that it need
//!   not store in each round what was changed before it.
//! - An op that works on the state in memory stores everything and is one itself.
//! - Where the points of a small loop would store more than its accesses are, there are none in it: each access has a way
//!   out of its own instead, which stores what has changed and is only taken when it faults (see [`super::marks`]).
//!
//! Which point a fault goes back to is known where it is always the same; elsewhere the points store their number.

mod loop_exits;
mod planner;

use super::cells::{CellSet, Cells};
use super::loops::{Loop, Loops, in_order, reached};
use super::pushes::Pushes;
use super::region::{Edge, RegionBlock};
use guest::GuestAddr;
use guest::ir::{Block, Effect, Op};
use guest::state::Slot;
use planner::{Carried, Planner};
use std::ops::Range;

/// A commit point, by number; 0 is the region's entry.
pub type Point = u16;

/// The number of the region's entry.
pub const ENTRY: Point = 0;

/// What an op means for commit points.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// Neither touches guest memory nor leaves.
    Inner,
    /// May leave the region with everything stored on the way out.
    Traps,
    /// Reads guest memory.
    Reads,
    /// Changes guest memory, by instructions of the host.
    Changes,
    /// Works on the state in memory: everything is stored before it.
    Flushes(Repeat),
}

/// Whether an op may be done again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Repeat {
    Harmless,
    Never,
}

impl Class {
    /// The class of `op`.
    pub fn of(op: Op) -> Self {
        match op {
            Op::Load { .. } | Op::Vload { .. } => return Self::Reads,
            Op::Store { .. } | Op::Vstore { .. } | Op::Rmw { .. } | Op::Cas { .. } => return Self::Changes,
            Op::Fence { .. } => return Self::Inner,
            _ => {}
        }
        match op.effect() {
            Effect::Loads => Self::Flushes(Repeat::Harmless),
            Effect::Commits => Self::Flushes(Repeat::Never),
            Effect::Traps => Self::Traps,
            _ => Self::Inner,
        }
    }

    /// Whether a fault may come of it.
    const fn may_fault(self) -> bool {
        matches!(self, Self::Reads | Self::Changes | Self::Flushes(_))
    }

    /// Whether it may not be done again.
    const fn commits(self) -> bool {
        matches!(self, Self::Changes | Self::Flushes(Repeat::Never))
    }
}

/// A commit point at a boundary between instructions.
#[derive(Clone, Copy, Debug)]
pub struct Commit {
    /// It stands before this instruction.
    pub insn: usize,
    pub point: Point,
    /// Cells that are overwritten before anything may read or see them.
    pub dead: CellSet,
    /// How many cells it stores, as far as the block and the loops around it tell.
    pub stores: usize,
}

/// Where a fault goes back to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Back {
    To(Point),
    /// The point's number is in the state.
    Stored,
}

/// A commit point on an edge.
#[derive(Clone, Copy, Debug)]
pub struct OnEdge {
    pub point: Point,
    pub how_often: HowOften,
}

/// How often a commit point is one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HowOften {
    Always,
    /// Once in [`ROUNDS`] times: it only bounds what is done again.
    Seldom,
}

/// Passes of edges for which a point there is one once.
pub const ROUNDS: i64 = 32;

/// Points with fewer cells to store than this are not made seldom: counting costs as much.
const FEW: usize = 3;

/// The commit points of a block.
#[derive(Clone, Debug)]
pub struct BlockPlan {
    /// In order.
    pub commits: Vec<Commit>,
    /// Of the ops that flush: their index and point, in order.
    pub flushes: Vec<(usize, Point)>,
    /// Points on the ways out, taken and other.
    pub on_taken: Option<OnEdge>,
    pub on_other: Option<OnEdge>,
    /// Where faults before the first point go back to.
    pub entry: Back,
    /// Whether each access has a way out of its own, on which the state is exact.
    pub exact: bool,
}

/// The commit points of a region.
#[derive(Default, Debug)]
pub struct Plan {
    pub blocks: Vec<BlockPlan>,
    /// The guest address of each point.
    pub addresses: Vec<GuestAddr>,
    /// Whether a point stores its number.
    pub stored: Vec<bool>,
}

/// Whether accesses may have ways out of their own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Accesses {
    /// In loops, and what is in them.
    LeaveNests,
    /// In innermost loops.
    LeaveInnermost,
    GoBack,
}

/// What happens in a block, in order.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    Commit(Commit),
    /// Everything is stored.
    Flush,
    Op(Op, Class),
}

impl Plan {
    /// The plan for these blocks; the stack pointer is in `stack`.
    pub fn of(blocks: &[RegionBlock], cells: &Cells, stack: Slot, accesses: Accesses) -> Self {
        let mut plan = Self::default();
        plan.add(blocks[0].translation.block.pc);
        let loops = Loops::of(blocks, cells);
        plan.blocks = vec![BlockPlan::empty(); blocks.len()];
        let mut starts = vec![None; blocks.len()];
        starts[0] = Some(Carried::at_point());
        for index in in_order(blocks) {
            let block = &blocks[index];
            let mut start = starts[index].filter(|_| !loops.has_head(index)).unwrap_or_default();
            start.changed.insert_all(&loops.written_around(index));
            let pushes = Pushes::of(&block.translation.block, stack);
            let (made, end) = Planner::new(&mut plan, block, cells).plan(block, start, &pushes);
            plan.blocks[index] = made;
            for to in block.leads_on_to() {
                starts[to] = Some(starts[to].map_or(end, |before: Carried| before.met(&end)));
            }
        }
        if accesses != Accesses::GoBack {
            plan.leave_loops_at_accesses(blocks, &loops, accesses);
        }
        plan.enter_loops(blocks, &loops);
        plan.cut_loops(blocks, cells);
        plan.find_ways_back(blocks);
        plan
    }

    fn add(&mut self, pc: GuestAddr) -> Point {
        self.addresses.push(pc);
        (self.addresses.len() - 1) as Point
    }

    /// A point on each edge into a loop that has points in it or touches memory.
    fn enter_loops(&mut self, blocks: &[RegionBlock], loops: &Loops) {
        for Loop { head, body, .. } in &loops.natural {
            let matters = |block: usize| self.blocks[block].has_points() || touches_memory(&blocks[block]);
            if !(0..blocks.len()).any(|block| body[block] && matters(block)) {
                continue;
            }
            for from in (0..blocks.len()).filter(|&from| !body[from]) {
                if !self.leads_to_exact(blocks, from, *head) {
                    self.commit_on_edges(blocks, from, |edge| edge == *head);
                }
            }
        }
    }

    /// Whether the loop that `head` begins needs no point before it: its accesses have ways out, and what leads to it has
    /// them, too, or it is a loop around it, whose next round begins here.
    fn leads_to_exact(&self, blocks: &[RegionBlock], from: usize, head: usize) -> bool {
        let next_round = Edge::Inside { block: head, back: true };
        let closes = blocks[from].taken == next_round || blocks[from].other == next_round;
        self.blocks[head].exact && (self.blocks[from].exact || closes)
    }

    /// Puts points on the edges of `from` to blocks that are `wanted`.
    fn commit_on_edges(&mut self, blocks: &[RegionBlock], from: usize, wanted: impl Fn(usize) -> bool) {
        let block = &blocks[from];
        for (edge, which) in [(block.taken, Way::Taken), (block.other, Way::Other)] {
            let Edge::Inside { block: to, .. } = edge else { continue };
            if wanted(to) && self.blocks[from].on(which).is_none() {
                let point = self.add(blocks[to].translation.block.pc);
                *self.blocks[from].on(which) = Some(OnEdge { point, how_often: HowOften::Always });
            }
        }
    }

    /// Points on the edges of `from` that close a loop, of which one in many counts.
    fn commit_seldom(&mut self, blocks: &[RegionBlock], from: usize, inside: &[bool]) {
        let block = &blocks[from];
        for (edge, which) in [(block.taken, Way::Taken), (block.other, Way::Other)] {
            let Edge::Inside { block: to, back: true } = edge else { continue };
            if inside[to] && self.blocks[from].on(which).is_none() {
                let point = self.add(blocks[to].translation.block.pc);
                *self.blocks[from].on(which) = Some(OnEdge { point, how_often: HowOften::Seldom });
            }
        }
    }

    /// Sees to it that no loop without a point is passed in an interval between two.
    fn cut_loops(&mut self, blocks: &[RegionBlock], cells: &Cells) {
        let reach = self.reach_without_points(blocks);
        let mut done = vec![false; blocks.len()];
        for start in 0..blocks.len() {
            if done[start] || !reach[start][start] {
                continue;
            }
            let inside: Vec<bool> = (0..blocks.len()).map(|b| reach[start][b] && reach[b][start]).collect();
            let members = || (0..blocks.len()).filter(|&b| inside[b]);
            members().for_each(|b| done[b] = true);
            let touches = members().any(|b| touches_memory(&blocks[b]));
            let mut changed = CellSet::default();
            members().for_each(|b| changed.insert_all(&cells.written(&blocks[b].translation.block)));
            for block in members() {
                if touches && changed.len() >= FEW {
                    self.commit_seldom(blocks, block, &inside);
                } else if touches {
                    self.commit_before_repeating(blocks, block, &inside, cells);
                } else {
                    self.commit_on_edges(blocks, block, |to| !inside[to]);
                }
            }
        }
    }

    /// A point in a block that closes a loop.
    fn commit_before_repeating(
        &mut self,
        blocks: &[RegionBlock],
        index: usize,
        inside: &[bool],
        cells: &Cells,
    ) {
        let planned = &blocks[index];
        let closes = |edge| matches!(edge, Edge::Inside { block, back: true } if inside[block]);
        if !closes(planned.taken) && !closes(planned.other) {
            return;
        }
        let block = &planned.translation.block;
        let changed = cells.written(block);
        let commit = Planner::new(self, planned, cells).best(0, block.insns.len() - 1, &changed);
        match commit {
            Some(commit) => self.blocks[index].commits.push(commit),
            None => self.commit_on_edges(blocks, index, |to| inside[to]),
        }
    }

    /// For each block, the blocks that a nonempty path through blocks and edges without points leads to.
    fn reach_without_points(&self, blocks: &[RegionBlock]) -> Vec<Vec<bool>> {
        let open = |from: usize| {
            let plan = &self.blocks[from];
            let block = &blocks[from];
            let ways = [(block.taken, plan.on_taken), (block.other, plan.on_other)];
            ways.into_iter().filter_map(move |(edge, point)| match edge {
                Edge::Inside { block, .. } if point.is_none() && !plan.has_points() && !plan.exact => {
                    Some(block)
                }
                _ => None,
            })
        };
        (0..blocks.len()).map(|from| reached(blocks.len(), from, open)).collect()
    }

    /// Forward to a fixed point: which points reach each block.
    fn find_ways_back(&mut self, blocks: &[RegionBlock]) {
        self.stored = vec![false; self.addresses.len()];
        let mut reaching = vec![vec![false; self.addresses.len()]; blocks.len()];
        reaching[0][usize::from(ENTRY)] = true;
        let mut work: Vec<usize> = (0..blocks.len()).collect();
        while let Some(at) = work.pop() {
            let plan = &self.blocks[at];
            for (edge, point) in [(blocks[at].taken, plan.on_taken), (blocks[at].other, plan.on_other)] {
                let Edge::Inside { block: next, .. } = edge else { continue };
                let mut reach: Vec<usize> = point.iter().map(|on_edge| on_edge.point.into()).collect();
                if !always(point) {
                    match plan.last_point() {
                        Some(point) => reach.push(point.into()),
                        None => reach.extend(points(&reaching[at])),
                    }
                }
                let mut changed = false;
                for point in reach {
                    changed |= !std::mem::replace(&mut reaching[next][point], true);
                }
                if changed {
                    work.push(next);
                }
            }
        }
        for (index, block) in blocks.iter().enumerate() {
            let mut all = points(&reaching[index]);
            let (first, second) = (all.next(), all.next());
            self.blocks[index].entry = match (first, second) {
                (Some(only), None) => Back::To(only as Point),
                _ => Back::Stored,
            };
            if second.is_some() && self.blocks[index].faults_before_points(block) {
                points(&reaching[index]).for_each(|point| self.stored[point] = true);
            }
        }
    }
}

/// Whether the state is exact whenever the edge has been passed.
pub fn always(on_edge: Option<OnEdge>) -> bool {
    on_edge.is_some_and(|on_edge| on_edge.how_often == HowOften::Always)
}

fn points(set: &[bool]) -> impl Iterator<Item = usize> + '_ {
    set.iter().enumerate().filter(|(_, in_it)| **in_it).map(|(point, _)| point)
}

fn touches_memory(block: &RegionBlock) -> bool {
    classes(&block.translation.block).any(|(_, _, class)| class.may_fault())
}

/// The ops of a block with their index and class.
fn classes(block: &Block) -> impl Iterator<Item = (usize, Op, Class)> + '_ {
    block.ops.iter().enumerate().map(|(index, &op)| (index, op, Class::of(op)))
}

#[derive(Clone, Copy)]
enum Way {
    Taken,
    Other,
}

impl BlockPlan {
    fn empty() -> Self {
        let (commits, flushes) = (Vec::new(), Vec::new());
        Self { commits, flushes, on_taken: None, on_other: None, entry: Back::Stored, exact: false }
    }

    fn on(&mut self, way: Way) -> &mut Option<OnEdge> {
        match way {
            Way::Taken => &mut self.on_taken,
            Way::Other => &mut self.on_other,
        }
    }

    fn has_points(&self) -> bool {
        !self.commits.is_empty() || !self.flushes.is_empty()
    }

    /// The last point in the block: they are numbered in order.
    fn last_point(&self) -> Option<Point> {
        let commits = self.commits.iter().map(|commit| commit.point);
        commits.chain(self.flushes.iter().map(|flush| flush.1)).max()
    }

    /// Whether an access stands before the first point.
    fn faults_before_points(&self, block: &RegionBlock) -> bool {
        for step in self.steps(&block.translation.block) {
            match step {
                Step::Commit(_) | Step::Flush => return false,
                Step::Op(_, class) if class.may_fault() => return true,
                Step::Op(..) => {}
            }
        }
        false
    }
}

impl BlockPlan {
    /// Whether the state is stored before one of these ops.
    pub fn stores_within(&self, block: &Block, ops: Range<usize>) -> bool {
        let before =
            |insn: usize| block.insns.get(insn).map_or(block.ops.len(), |mark| mark.first_op as usize);
        let commits = self.commits.iter().map(|commit| before(commit.insn));
        commits.chain(self.flushes.iter().map(|flush| flush.0)).any(|at| ops.contains(&at))
    }

    /// What happens in the block, in order.
    pub fn steps(&self, block: &Block) -> Vec<Step> {
        let mut steps = Vec::with_capacity(block.ops.len() + self.commits.len() + self.flushes.len());
        let (mut commits, mut flushes) = (self.commits.iter().peekable(), self.flushes.iter().peekable());
        for (index, op, class) in classes(block) {
            while let Some(commit) = commits.next_if(|c| block.insns[c.insn].first_op as usize <= index) {
                steps.push(Step::Commit(*commit));
            }
            if flushes.next_if(|flush| flush.0 == index).is_some() {
                steps.push(Step::Flush);
            }
            let leaves = self.exact && class.may_fault();
            steps.push(Step::Op(op, if leaves { Class::Traps } else { class }));
        }
        steps.extend(commits.map(|commit| Step::Commit(*commit)));
        steps
    }
}
