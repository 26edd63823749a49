//! Small loops without commit points, whose accesses have ways out of their own.
//!
//! What a point stores in each round is more than what such a way costs in it: a test whose branch is never taken. But
//! what has changed must be kept for it until it is stored or changed again, and each way is code, so this is for
//! innermost loops with few accesses. (Of the loops around them too, nbody gained nothing more.)

use super::{Class, HowOften, Plan, classes};
use crate::exec::jit::loops::Loops;
use crate::exec::jit::region::RegionBlock;
use guest::ir::Op;

/// Host accesses of a loop, at the most.
const MOST: usize = 16;

impl Plan {
    /// Gives the accesses of innermost loops their own ways out where points store more cells.
    pub(super) fn leave_loops_at_accesses(&mut self, blocks: &[RegionBlock], loops: &Loops) {
        for (head, body) in &loops.natural {
            let innermost = loops.natural.iter().all(|(other, _)| other == head || !body[*other]);
            let members: Vec<usize> = (0..blocks.len()).filter(|&block| body[block]).collect();
            let accesses: Option<usize> = members.iter().map(|&block| accesses(&blocks[block])).sum();
            let Some(accesses) = accesses.filter(|&all| innermost && all <= MOST) else { continue };
            let changed = loops.written_in(body).len();
            let stored: usize = members.iter().map(|&block| self.stored_by(block, changed)).sum();
            if stored > accesses {
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

/// The host's accesses of a block that may have ways out of their own; `None` where some may not.
fn accesses(block: &RegionBlock) -> Option<usize> {
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
