//! Integer lane ops that codecs live on and that Cranelift has no one instruction for: high products, sums of
//! products and of differences, shifts by lanes.

use super::Lowering;
use super::values::{int_type, vector_type};
use super::vector::Shift;
use crate::exec::jit::steps::Step;
use cranelift_codegen::ir::{self, InstBuilder, InstructionData, types};
use guest::ir::{Half, Lane, Sign, Val, VecLen};
use std::arch::is_x86_feature_detected as has;

/// Where the even 32-bit lanes stand in the lower half.
const EVEN_WORDS: [u8; 8] = [0, 1, 2, 3, 8, 9, 10, 11];

impl Lowering<'_, '_> {
    /// Products of lower halves that are the even 32-bit lanes of other vectors: the host has an instruction for those.
    pub(super) fn even_products(
        &mut self,
        signed: Sign,
        half: Half,
        x: ir::Value,
        y: ir::Value,
    ) -> Option<ir::Value> {
        let step = Step::EvenProducts(signed);
        let instruction = step.instruction().filter(|_| half == Half::Low)?;
        let vectors = [self.even_words_of(x)?, self.even_words_of(y)?];
        Some(self.host_step(step, &instruction, &vectors))
    }

    /// The vector whose even 32-bit lanes are in the lower half of this one.
    fn even_words_of(&self, vector: ir::Value) -> Option<ir::Value> {
        match self.definition(self.uncast(vector))? {
            InstructionData::Shuffle { args, imm, .. } => {
                let picks = self.b.func.dfg.immediates.get(imm)?.as_slice();
                picks.starts_with(&EVEN_WORDS).then_some(args[0])
            }
            _ => None,
        }
    }

    /// High halves of products: of 16-bit lanes through 32-bit ones.
    pub(super) fn high_products(&mut self, dst: Val, n: VecLen, lane: Lane, signed: Sign, ab: (Val, Val)) {
        if lane != Lane::H {
            return self.slow();
        }
        self.each2(dst, n, types::I16X8, ab, |this, x, y| {
            let [low, high] = [Half::Low, Half::High].map(|half| {
                let (wide_x, wide_y) = (this.widened(signed, half, x), this.widened(signed, half, y));
                let product = this.b.ins().imul(wide_x, wide_y);
                let sixteen = this.b.ins().iconst(types::I32, 16);
                match signed {
                    Sign::Signed => this.b.ins().sshr(product, sixteen),
                    Sign::Unsigned => this.b.ins().ushr(product, sixteen),
                }
            });
            match signed {
                Sign::Signed => this.b.ins().snarrow(low, high),
                Sign::Unsigned => this.b.ins().unarrow(low, high),
            }
        });
    }

    /// The second operand's bytes are the signed ones; Cranelift wants those first.
    pub(super) fn byte_product_sums(&mut self, dst: Val, n: VecLen, a: Val, b: Val) {
        if !has!("ssse3") {
            return self.slow();
        }
        self.each2(dst, n, types::I8X16, (a, b), |this, x, y| this.b.ins().x86_pmaddubsw(y, x));
    }

    pub(super) fn rounded_high_products(&mut self, dst: Val, n: VecLen, a: Val, b: Val) {
        if !has!("ssse3") {
            return self.slow();
        }
        self.each2(dst, n, types::I16X8, (a, b), |this, x, y| this.b.ins().x86_pmulhrsw(x, y));
    }

    /// Differences of bytes, then sums of pairs of ever wider lanes.
    pub(super) fn difference_sums(&mut self, dst: Val, n: VecLen, a: Val, b: Val) {
        self.each2(dst, n, types::I8X16, (a, b), |this, x, y| {
            let (above, below) = (this.b.ins().usub_sat(x, y), this.b.ins().usub_sat(y, x));
            let mut sums = this.b.ins().bor(above, below);
            for _ in 0..3 {
                let low = this.widened(Sign::Unsigned, Half::Low, sums);
                let high = this.widened(Sign::Unsigned, Half::High, sums);
                sums = this.pair_sums(low, high);
            }
            sums
        });
    }

    /// Sums of adjacent lanes, those of `low` first.
    fn pair_sums(&mut self, low: ir::Value, high: ir::Value) -> ir::Value {
        if self.b.func.dfg.value_type(low) != types::I64X2 {
            return self.b.ins().iadd_pairwise(low, high);
        }
        let halves = |this: &mut Self, first: u8| {
            let picks: Vec<u8> = (first..first + 8).chain(first + 16..first + 24).collect();
            let picks = this.b.func.dfg.immediates.push(picks.into());
            let (x, y) = (this.cast(types::I8X16, low), this.cast(types::I8X16, high));
            let shuffled = this.b.ins().shuffle(x, y, picks);
            this.cast(types::I64X2, shuffled)
        };
        let (even, odd) = (halves(self, 0), halves(self, 8));
        self.b.ins().iadd(even, odd)
    }

    /// Each lane through a general register, in 64 bits so that counts past a 32-bit lane come out right.
    pub(super) fn shift_by_lanes(&mut self, how: Shift, dst: Val, n: VecLen, lane: Lane, ab: (Val, Val)) {
        if lane != Lane::S {
            return self.slow();
        }
        self.each2(dst, n, vector_type(lane), ab, |this, x, y| {
            let mut result = x;
            for index in 0..4u8 {
                let (value, count) = (this.b.ins().extractlane(x, index), this.b.ins().extractlane(y, index));
                let most = this.b.ins().iconst(types::I32, 63);
                let count = this.b.ins().umin(count, most);
                let wide = match how {
                    Shift::Arithmetic => this.b.ins().sextend(types::I64, value),
                    _ => this.b.ins().uextend(types::I64, value),
                };
                let shifted = match how {
                    Shift::Left => this.b.ins().ishl(wide, count),
                    Shift::Right => this.b.ins().ushr(wide, count),
                    Shift::Arithmetic => this.b.ins().sshr(wide, count),
                };
                let low = this.b.ins().ireduce(int_type(lane.width()), shifted);
                result = this.b.ins().insertlane(result, low, index);
            }
            result
        });
    }
}
