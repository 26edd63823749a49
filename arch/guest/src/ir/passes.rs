//! Generic passes over a finished block: what neither lifter nor tier should think about.

use super::{Block, Effect, Kind, MAX_CELLS, Op, Terminator, Val};

/// Removes state writes that are overwritten before anything can see them, then values nobody uses.
pub fn optimize(block: &mut Block) {
    let mut keep = vec![true; block.ops.len()];
    drop_dead_writes(block, &mut keep);
    drop_dead_values(block, &mut keep);
    compact(block, &keep);
}

/// A range of state bytes that will be overwritten with no reader or exit in between.
#[derive(Clone, Copy)]
struct Overwritten {
    start: u16,
    end: u16,
}

fn drop_dead_writes(block: &Block, keep: &mut [bool]) {
    let mut overwritten: Vec<Overwritten> = Vec::new();
    let mut flags_overwritten = false;
    for (index, &op) in block.ops.iter().enumerate().rev() {
        match op {
            Op::Put { .. } | Op::Vput { .. } => {
                let range = written_range(op);
                let dead = overwritten.iter().any(|o| o.start <= range.start && range.end <= o.end);
                keep[index] = !dead;
                if !dead {
                    overwritten.push(range);
                }
            }
            Op::SetFlags { .. } => {
                keep[index] = !flags_overwritten;
                flags_overwritten = true;
            }
            Op::SetFlagsIf { .. } if flags_overwritten => keep[index] = false,
            Op::SetFlagsIf { .. } | Op::CondOp { .. } | Op::GetFlags { .. } => flags_overwritten = false,
            Op::Get { .. } | Op::Vget { .. } => {
                let read = written_range(op);
                overwritten.retain(|o| o.end <= read.start || read.end <= o.start);
            }
            other if other.effect().may_exit() => {
                overwritten.clear();
                flags_overwritten = false;
            }
            _ => {}
        }
    }
}

fn written_range(op: Op) -> Overwritten {
    let (start, bytes) = match op {
        Op::Put { w, slot, .. } | Op::Get { w, slot, .. } => (slot.0, w.bytes() as u16),
        Op::Vput { n, slot, .. } | Op::Vget { n, slot, .. } => (slot.0, 16 * n.units() as u16),
        _ => (0, 0),
    };
    Overwritten { start, end: start + bytes }
}

fn drop_dead_values(block: &Block, keep: &mut [bool]) {
    let mut used = [false; MAX_CELLS];
    match block.terminator {
        Terminator::Branch { cond: v, .. } | Terminator::Indirect { target: v, .. } => {
            used[usize::from(v.0)] = true
        }
        _ => {}
    }
    for (index, &op) in block.ops.iter().enumerate().rev() {
        if !keep[index] {
            continue;
        }
        if let Some((Val(dst), _)) = op.result()
            && op.effect().droppable()
            && !used[usize::from(dst)]
        {
            keep[index] = false;
            continue;
        }
        op.for_each_use(|v| used[usize::from(v.0)] = true);
    }
}

/// Drops the ops not kept and moves the instruction marks along.
fn compact(block: &mut Block, keep: &[bool]) {
    if keep.iter().all(|&k| k) {
        return;
    }
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
