//! Which values are floats: nothing but float operations, vector registers and stores uses them. And which are powers of
//! two, by which a product is exact.
//!
//! The IR has floats as integers. What is loaded into an integer register only to be moved into a vector one takes two
//! instructions instead of one.

use super::float::{infinity, lowest_normal};
use guest::ir::{Block, FSize, Lane, Op, Terminator, Val};
use guest::state::VECTORS;

/// Floats, by number.
#[derive(Default)]
pub struct Floats {
    floats: Vec<bool>,
    /// Powers of two that are at least 1, as floats of each size.
    powers: Vec<Powers>,
}

type Powers = [bool; SIZES.len()];

const SIZES: [FSize; 2] = [FSize::F32, FSize::F64];

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
        Self { floats, powers: powers(block) }
    }

    pub fn contains(&self, v: Val) -> bool {
        self.floats[usize::from(v.0)]
    }

    /// Whether a product with the value is exact, or too large: it is a power of two that is at least 1, or in each lane.
    pub fn is_power_of_two(&self, fs: FSize, v: Val) -> bool {
        SIZES.iter().zip(self.powers[usize::from(v.0)]).any(|(&size, is)| is && size == fs)
    }
}

fn powers(block: &Block) -> Vec<Powers> {
    let mut known = vec![Powers::default(); usize::from(block.cells)];
    for &op in &block.ops {
        let Some((dst, _)) = op.result() else { continue };
        let of = |v: Val| known[usize::from(v.0)];
        known[usize::from(dst.0)] = match op {
            Op::Konst { imm, .. } => SIZES.map(|fs| is_power(fs, imm)),
            Op::Vconst { index, .. } => SIZES.map(|fs| is_each_power(fs, block.pool[usize::from(index)])),
            Op::Select { a, b, .. } | Op::Vbitsel { a, b, .. } => {
                let (a, b) = (of(a), of(b));
                [a[0] && b[0], a[1] && b[1]]
            }
            _ => Powers::default(),
        };
    }
    known
}

fn is_each_power(fs: FSize, lanes: u128) -> bool {
    let bits = fs.lane().bits();
    (0..128 / bits).all(|lane| is_power(fs, (lanes >> (lane * bits)) as u64 & fs.width().mask()))
}

/// Whether the bits are those of a power of two that is at least 1.
fn is_power(fs: FSize, bits: u64) -> bool {
    let one = (infinity(fs) / 2) & !(lowest_normal(fs) - 1);
    bits.is_multiple_of(lowest_normal(fs)) && (one..infinity(fs)).contains(&bits)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_of_two_from_one_on_are_found() {
        for (exponent, is) in [(-1, false), (0, true), (4, true), (127, true)] {
            assert_eq!(is_power(FSize::F32, 2f32.powi(exponent).to_bits().into()), is);
            assert_eq!(is_power(FSize::F64, 2f64.powi(exponent).to_bits()), is);
        }
        for other in [0.0f32, -2.0, 3.0, f32::INFINITY, f32::NAN] {
            assert!(!is_power(FSize::F32, other.to_bits().into()), "{other}");
            assert!(!is_power(FSize::F64, f64::from(other).to_bits()), "{other}");
        }
        let lanes = [16.0f32, 1.0, 2.0, 0.5].map(f32::to_bits);
        let of = |lanes: [u32; 4]| lanes.iter().rev().fold(0, |all, &lane| all << 32 | u128::from(lane));
        assert!(!is_each_power(FSize::F32, of(lanes)));
        assert!(is_each_power(FSize::F32, of([lanes[0]; 4])));
    }
}
