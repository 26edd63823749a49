//! Small loops without commit points, whose accesses have ways out of their own.
//!
//! What a point stores in each round is at least what such a way costs in it: what has changed must be kept for it until
//! it is stored or changed again. Each way is code, so this is for loops with few accesses, and what is in them.

use super::{Accesses, Class, HowOften, Plan, classes};
use crate::exec::jit::loops::{Loop, Loops};
use crate::exec::jit::region::RegionBlock;
use guest::ir::{Block, Effect, NanRule, Op};

/// Host accesses of a loop, at the most; and of one that has others in it.
const MOST: usize = 16;
const MOST_OF_NEST: usize = 40;

impl Plan {
    /// Gives the accesses of loops their own ways out where points store more cells: from the outermost inwards.
    pub(super) fn leave_loops_at_accesses(
        &mut self,
        blocks: &[RegionBlock],
        loops: &Loops,
        accesses: Accesses,
    ) {
        let mut all: Vec<&Loop> = loops.natural.iter().collect();
        all.sort_by_key(|natural| std::cmp::Reverse(natural.len()));
        for natural in all {
            let most = match (loops.is_innermost(natural), accesses) {
                (true, _) => MOST,
                (false, Accesses::LeaveNests) => MOST_OF_NEST,
                (false, _) => continue,
            };
            let body = &natural.body;
            let members: Vec<usize> = (0..blocks.len()).filter(|&block| body[block]).collect();
            let count: Option<usize> = members.iter().map(|&block| host_accesses(&blocks[block])).sum();
            let is_done = members.iter().all(|&block| self.blocks[block].exact);
            let Some(count) = count.filter(|&count| !is_done && count <= most) else { continue };
            let changed = loops.written_in(body).len();
            let stored: usize = members.iter().map(|&block| self.stored_by(block, changed)).sum();
            // What looks at results needs registers, too.
            let looks = members.iter().any(|&block| looks_at_floats(&blocks[block].translation.block));
            if stored > count || (stored == count && !looks) {
                self.leave_loop_at_accesses(blocks, body, &members);
            }
        }
    }

    /// Cells that a block's points store; `changed` on edges.
    fn stored_by(&self, block: usize, changed: usize) -> usize {
        let plan = &self.blocks[block];
        let edges = [plan.on_taken, plan.on_other].into_iter().flatten();
        let on_edges = edges.filter(|edge| edge.how_often == HowOften::Always).count();
        plan.commits.iter().map(|commit| commit.stores).sum::<usize>() + on_edges.min(1) * changed
    }

    fn leave_loop_at_accesses(&mut self, blocks: &[RegionBlock], body: &[bool], members: &[usize]) {
        for &block in members {
            let plan = &mut self.blocks[block];
            plan.commits.clear();
            (plan.on_taken, plan.on_other, plan.exact) = (None, None, true);
        }
        for &block in members {
            self.commit_on_edges(blocks, block, |to| !body[to]);
        }
    }
}

/// Whether results of floats are looked at, by rules that are not the host's.
fn looks_at_floats(block: &Block) -> bool {
    block.nan_rule != NanRule::X86 && block.ops.iter().any(|op| op.effect() == Effect::Float)
}

/// The host's accesses of a block that may have ways out of their own; `None` where some may not.
fn host_accesses(block: &RegionBlock) -> Option<usize> {
    let mut all = 0;
    for (_, op, class) in classes(&block.translation.block) {
        all += match op {
            Op::Load { .. } | Op::Store { .. } => 1,
            Op::Vload { n, .. } | Op::Vstore { n, .. } => n.units(),
            _ if matches!(class, Class::Inner | Class::Traps) => 0,
            _ => return None,
        };
    }
    Some(all)
}
