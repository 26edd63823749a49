//! What is compiled together: a hot block and the blocks that direct jumps, calls and returns reach from it.
//!
//! Guest registers are SSA values throughout a region. Two facts about it are worked out before any code
//! is made: where an edge closes a loop (there a poll stands), and which registers may differ from the
//! state in memory on entry to each block (those are stored before anything that may leave the region).

use super::cells::{CellSet, Cells};
use super::commit::{self, Accesses, Plan, Step};
use super::constants::{self, Constants};
use super::grow;
use super::jumps::Stack;
use super::loops::Loops;
use super::phases::Expected;
use crate::exec::cache::Cache;
use crate::exec::translation::Translation;
use guest::GuestAddr;
use guest::ir::{Block, Effect, FlagKind, Kind, Op, Terminator, Width};
use guest::state::ARCH_BASE;
use std::collections::HashSet;
use std::sync::Arc;

/// How far a region goes.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub blocks: usize,
    pub insns: usize,
    /// Fewer instructions than that are left to templates where these are as good.
    pub least: usize,
    pub follow: Follow,
}

/// Which successors are worth following.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Follow {
    /// Blocks that have run that often already.
    Ran(u32),
    /// All.
    Any,
}

/// Where control goes at a block's end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Edge {
    /// To a block of the region; `back` where that closes a loop.
    Inside {
        block: usize,
        back: bool,
    },
    Outside,
}

/// What is known about the flag record at a block's start.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flags {
    /// No way here was looked at yet.
    Unreached,
    Known(FlagKind, Width),
    /// So on some way here.
    Likely(FlagKind, Width),
    Unknown,
}

impl Flags {
    fn met(self, other: Self) -> Self {
        match (self, other) {
            (Self::Unreached, known) | (known, Self::Unreached) => known,
            (one, two) if one == two => one,
            (Self::Known(kind, w) | Self::Likely(kind, w), _) => Self::Likely(kind, w),
            (_, Self::Known(kind, w) | Self::Likely(kind, w)) => Self::Likely(kind, w),
            (Self::Unknown, Self::Unknown) => Self::Unknown,
        }
    }

    /// After `op`.
    fn after(self, op: Op) -> Self {
        match op {
            Op::SetFlags { kind, w, .. } => Self::Known(kind, w),
            Op::SetFlagsIf { .. } | Op::CallState { .. } => Self::Unknown,
            Op::Put { slot, .. } | Op::Vput { slot, .. } if slot < ARCH_BASE => Self::Unknown,
            _ => self,
        }
    }
}

pub struct RegionBlock {
    pub translation: Arc<Translation>,
    /// The target of a jump, or of a branch that is taken; where a computed jump is expected to lead.
    pub taken: Edge,
    /// The target of a branch that is not taken.
    pub other: Edge,
    /// Their guest addresses.
    pub targets: [Option<GuestAddr>; 2],
    /// Cells that may differ from the state in memory on entry.
    pub dirty: CellSet,
    /// How the flags were last set, where every way here agrees.
    pub flags: Flags,
    /// Cells that some loop around this block does not write.
    pub invariant: CellSet,
    /// How many of the guest's loops it is in.
    pub loops: usize,
    /// Cells that may hold what Cranelift knows, where the block starts.
    pub constants: Constants,
}

impl RegionBlock {
    /// The blocks of the region that it leads to without closing a loop.
    pub fn leads_on_to(&self) -> impl Iterator<Item = usize> + use<> {
        [self.taken, self.other].into_iter().filter_map(|edge| match edge {
            Edge::Inside { block, back: false } => Some(block),
            _ => None,
        })
    }
}

/// A region and what is known about it.
pub struct Region {
    pub blocks: Vec<RegionBlock>,
    pub cells: Cells,
    /// Cells whose values on entry to the region are needed.
    pub entry: CellSet,
    /// Where the state in memory is exact.
    pub plan: Plan,
    /// What its calls and returns do.
    pub stack: Stack,
}

/// The guest addresses that a terminator names: taken, other.
pub fn targets(terminator: &Terminator) -> [Option<GuestAddr>; 2] {
    match *terminator {
        Terminator::Jump { target, .. } => [Some(target), None],
        Terminator::Branch { taken, other, .. } => [Some(taken), Some(other)],
        _ => [None, None],
    }
}

/// The blocks of a region from `head`, and which edges close loops.
pub fn planned(
    cache: &Cache,
    head: &Arc<Translation>,
    limits: Limits,
    expected: &Expected,
) -> Vec<RegionBlock> {
    let mut blocks = grow::grow(cache, head, limits, expected);
    mark_back_edges(&mut blocks);
    blocks
}

/// Whether an edge between these blocks closes a loop.
pub fn has_loop(blocks: &[RegionBlock]) -> bool {
    let is_back = |edge: Edge| matches!(edge, Edge::Inside { back: true, .. });
    blocks.iter().any(|block| is_back(block.taken) || is_back(block.other))
}

impl Region {
    /// The region of blocks that were planned. `None` where it holds more state than can be kept in values.
    pub fn of(blocks: Vec<RegionBlock>, stack: Stack, accesses: Accesses) -> Option<Self> {
        let cells = Cells::of(blocks.iter().map(|b| &*b.translation.block))?;
        let (entry, plan) = (CellSet::default(), Plan::default());
        let mut region = Self { cells, blocks, entry, plan, stack };
        region.find_constants();
        region.find_invariants();
        region.find_flags();
        region.plan = Plan::of(&region.blocks, &region.cells, stack.pointer, accesses);
        let steps: Vec<_> = (0..region.blocks.len()).map(|block| region.steps(block)).collect();
        region.find_dirty(&steps);
        region.find_entry(&steps);
        Some(region)
    }

    /// Guest instructions in it.
    pub fn insns(&self) -> usize {
        self.blocks.iter().map(|b| b.translation.block.insns.len()).sum()
    }

    /// Whether templates are as good as Cranelift for it, if it is short: integers only, and no loop. What it would load and
    /// store at its ends is most of what it would do.
    pub fn is_plain(&self) -> bool {
        let is_int =
            |op: &Op| op.effect() != Effect::Float && op.result().is_none_or(|(_, kind)| kind == Kind::Int);
        !has_loop(&self.blocks) && self.blocks.iter().all(|b| b.translation.block.ops.iter().all(is_int))
    }

    /// The translations that it is made from, each once.
    pub fn translations(&self) -> Vec<Arc<Translation>> {
        let mut seen = HashSet::new();
        let blocks = self.blocks.iter().map(|b| &b.translation);
        blocks.filter(|translation| seen.insert(translation.block.pc)).map(Arc::clone).collect()
    }

    /// The blocks that a block leads to, and whether that closes a loop.
    fn edges(&self, block: usize) -> impl Iterator<Item = (usize, bool)> + use<> {
        let edges = [self.blocks[block].taken, self.blocks[block].other];
        edges.into_iter().filter_map(|edge| match edge {
            Edge::Inside { block, back } => Some((block, back)),
            Edge::Outside => None,
        })
    }

    fn successors(&self, block: usize) -> impl Iterator<Item = usize> + use<> {
        self.edges(block).map(|(block, _)| block)
    }

    fn steps(&self, block: usize) -> Vec<Step> {
        let planned = &self.blocks[block];
        self.plan.blocks[block].steps(&planned.translation.block)
    }

    /// Forward to a fixed point: what may be dirty on entry is what may be dirty at a predecessor's end.
    fn find_dirty(&mut self, steps: &[Vec<Step>]) {
        let effects: Vec<_> = steps.iter().map(|steps| self.cells.dirt(steps)).collect();
        let mut work: Vec<usize> = (0..self.blocks.len()).collect();
        while let Some(block) = work.pop() {
            let (kept, written) = &effects[block];
            let mut out = self.blocks[block].dirty.both(kept);
            out.insert_all(written);
            let (plan, planned) = (&self.plan.blocks[block], &self.blocks[block]);
            let ways = [(planned.taken, plan.on_taken), (planned.other, plan.on_other)];
            for (edge, point) in ways {
                let Edge::Inside { block: next, .. } = edge else { continue };
                if commit::always(point) {
                    continue;
                }
                let before = self.blocks[next].dirty;
                self.blocks[next].dirty.insert_all(&out);
                if self.blocks[next].dirty != before {
                    work.push(next);
                }
            }
        }
    }

    /// Whether a block's end stores what is dirty: on a way out, a poll or a commit point.
    fn stores_at_end(&self, block: usize) -> bool {
        let (b, plan) = (&self.blocks[block], &self.plan.blocks[block]);
        let passes =
            |edge, point: Option<_>| matches!(edge, Edge::Inside { back: false, .. }) && point.is_none();
        match b.translation.block.terminator {
            Terminator::Jump { .. } => !passes(b.taken, plan.on_taken),
            Terminator::Branch { .. } => !passes(b.taken, plan.on_taken) || !passes(b.other, plan.on_other),
            _ => true,
        }
    }

    /// Backward to a fixed point: what the head needs from before it.
    fn find_entry(&mut self, steps: &[Vec<Step>]) {
        let demands: Vec<_> = steps
            .iter()
            .enumerate()
            .map(|(b, steps)| self.cells.demand(steps, self.blocks[b].dirty, self.stores_at_end(b)))
            .collect();
        let mut needed: Vec<CellSet> = demands.iter().map(|(needed, _)| *needed).collect();
        let mut changed = true;
        while std::mem::take(&mut changed) {
            for block in (0..self.blocks.len()).rev() {
                let mut after = CellSet::default();
                self.successors(block).for_each(|next| after.insert_all(&needed[next]));
                let before = needed[block];
                needed[block].insert_all(&after.without(&demands[block].1));
                changed |= needed[block] != before;
            }
        }
        self.entry = needed[0];
    }

    /// Forward to a fixed point: how the flags were last set.
    fn find_flags(&mut self) {
        self.blocks[0].flags = Flags::Unknown;
        let mut work = vec![0];
        while let Some(block) = work.pop() {
            let ops = &self.blocks[block].translation.block.ops;
            let out = ops.iter().fold(self.blocks[block].flags, |flags, &op| flags.after(op));
            for (next, back) in self.edges(block) {
                let before = self.blocks[next].flags;
                // Loops come by the edge that closes them most often.
                let first = back && matches!(before, Flags::Known(..));
                self.blocks[next].flags = if first { out.met(before) } else { before.met(out) };
                if self.blocks[next].flags != before {
                    work.push(next);
                }
            }
        }
    }

    fn find_constants(&mut self) {
        let lifted: Vec<&Block> = self.blocks.iter().map(|b| &*b.translation.block).collect();
        let starts = constants::at_starts(&lifted, &self.cells, |block| self.successors(block).collect());
        for (block, constants) in self.blocks.iter_mut().zip(starts) {
            block.constants = constants;
        }
    }

    /// A float operation whose operands do not change in a loop would be moved out of it, and raise flags
    /// that it should not: the lowering must know these operands.
    fn find_invariants(&mut self) {
        let writes: Vec<CellSet> =
            self.blocks.iter().map(|b| self.cells.written(&b.translation.block)).collect();
        let reach = self.reachability();
        for (block, reached) in reach.iter().enumerate() {
            if !reached[block] {
                continue;
            }
            let mut written = CellSet::default();
            for (other, written_there) in writes.iter().enumerate() {
                if reached[other] && reach[other][block] {
                    written.insert_all(written_there);
                }
            }
            self.blocks[block].invariant = self.cells.all().without(&written);
        }
        let loops = Loops::of(&self.blocks, &self.cells);
        for natural in &loops.natural {
            let unchanged = self.cells.all().without(&loops.written_in(&natural.body));
            let inside = self.blocks.iter_mut().zip(&natural.body).filter(|(_, inside)| **inside);
            inside.for_each(|(block, _)| {
                block.invariant.insert_all(&unchanged);
                block.loops += usize::from(!natural.is_rotated);
            });
        }
    }

    /// For each block, the blocks that a nonempty path leads to.
    fn reachability(&self) -> Vec<Vec<bool>> {
        let n = self.blocks.len();
        (0..n)
            .map(|from| {
                let mut seen = vec![false; n];
                let mut work: Vec<usize> = self.successors(from).collect();
                while let Some(block) = work.pop() {
                    if !std::mem::replace(&mut seen[block], true) {
                        work.extend(self.successors(block));
                    }
                }
                seen
            })
            .collect()
    }
}

/// Depth first from the head: an edge to a block on the path is a back-edge.
fn mark_back_edges(blocks: &mut [RegionBlock]) {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        Open,
        Done,
    }
    let mut marks = vec![Mark::New; blocks.len()];
    let mut path = vec![(0, 0)];
    marks[0] = Mark::Open;
    while let Some((block, step)) = path.pop() {
        let edge = match step {
            0 => &mut blocks[block].taken,
            1 => &mut blocks[block].other,
            _ => {
                marks[block] = Mark::Done;
                continue;
            }
        };
        path.push((block, step + 1));
        let Edge::Inside { block: next, back } = edge else { continue };
        match marks[*next] {
            Mark::Open => *back = true,
            Mark::Done => {}
            Mark::New => {
                marks[*next] = Mark::Open;
                path.push((*next, 0));
            }
        }
    }
}
