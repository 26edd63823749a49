//! Which values are floats: nothing but float operations, vector registers and stores uses them.
//!
//! The IR has floats as integers. What is loaded into an integer register only to be moved into a vector one takes two
//! instructions instead of one.

use guest::ir::{Block, Lane, Op, Terminator, Val};
use guest::state::VECTORS;

/// Floats, by number.
#[derive(Default)]
pub struct Floats(Vec<bool>);

/// What a value is used as.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    Float,
    Either,
    Integer,
}

impl Floats {
    pub fn of(block: &Block) -> Self {
        let cells = usize::from(block.cells);
        let (mut floats, mut integers) = (vec![false; cells], vec![false; cells]);
        for &op in &block.ops {
            op.for_each_use(|v| match used_as(op, v) {
                Use::Float => floats[usize::from(v.0)] = true,
                Use::Either => {}
                Use::Integer => integers[usize::from(v.0)] = true,
            });
        }
        if let Terminator::Branch { cond: v, .. } | Terminator::Indirect { target: v, .. } = block.terminator
        {
            integers[usize::from(v.0)] = true;
        }
        floats.iter_mut().zip(integers).for_each(|(float, integer)| *float &= !integer);
        Self(floats)
    }

    pub fn contains(&self, v: Val) -> bool {
        self.0[usize::from(v.0)]
    }
}

fn used_as(op: Op, v: Val) -> Use {
    match op {
        Op::Fadd { .. }
        | Op::Fsub { .. }
        | Op::Fmul { .. }
        | Op::Fdiv { .. }
        | Op::Fsqrt { .. }
        | Op::Fma { .. }
        | Op::Fminmax { .. }
        | Op::Fcmp { .. }
        | Op::Fcompare { .. }
        | Op::Fround { .. }
        | Op::Fconvert { .. } => Use::Float,
        Op::Put { slot, .. } if slot >= VECTORS => Use::Float,
        Op::Vpair { lo, hi, .. } if v == lo && v != hi => Use::Float,
        Op::Vsplat { lane: Lane::S | Lane::D, .. } => Use::Float,
        Op::Store { addr, .. } if v != addr => Use::Either,
        _ => Use::Integer,
    }
}
