//! Byte shuffles: by a constant where the indices are one, else through two table look-ups.

use super::Lowering;
use cranelift_codegen::ir::{self, InstBuilder, types};
use guest::ir::{Val, VecLen};
use std::arch::is_x86_feature_detected as has;

impl Lowering<'_, '_> {
    pub(super) fn byte_shuffle(&mut self, dst: Val, n: VecLen, a: Val, b: Val, idx: Val) {
        for unit in 0..n.units() {
            let (x, y) = (self.unit(a, unit), self.unit(b, unit));
            let value = match self.vals.vconst(idx) {
                Some(indices) => self.constant_shuffle(x, y, indices),
                None => {
                    let indices = self.unit(idx, unit);
                    self.table_shuffle(x, y, indices)
                }
            };
            self.set_unit(dst, unit, value);
        }
    }

    fn constant_shuffle(&mut self, x: ir::Value, y: ir::Value, indices: u128) -> ir::Value {
        let bytes = indices.to_le_bytes();
        if bytes.iter().any(|&i| i >= 32)
            && let Some(source) = the_only_source(&bytes, x, y)
            && has!("ssse3")
        {
            // An index with its top bit set gives 0.
            let picks = bytes.map(|i| if i < 32 { i & 15 } else { 0x80 });
            let picks = self.vector_constant(u128::from_le_bytes(picks));
            return self.b.ins().x86_pshufb(source, picks);
        }
        let picks: Vec<u8> = bytes.iter().map(|&i| if i < 32 { i } else { 0 }).collect();
        let picks = self.b.func.dfg.immediates.push(picks.into());
        let shuffled = self.b.ins().shuffle(x, y, picks);
        if bytes.iter().all(|&i| i < 32) {
            return shuffled;
        }
        let keep = bytes.map(|i| if i < 32 { 0xff } else { 0 });
        let mask = self.vector_constant(u128::from_le_bytes(keep));
        self.b.ins().band(shuffled, mask)
    }

    /// With one table for both, `pshufb` does it: it looks at the low four bits of an index, and at its top bit,
    /// which the addition sets for those above 31.
    fn one_table_shuffle(&mut self, x: ir::Value, indices: ir::Value) -> ir::Value {
        let offset = self.vector_constant(u128::from_le_bytes([0x60; 16]));
        let moved = self.b.ins().uadd_sat(indices, offset);
        self.b.ins().x86_pshufb(x, moved)
    }

    /// `swizzle` gives 0 for an index above 15: those below 16 pick from x, the next 16 from y.
    fn table_shuffle(&mut self, x: ir::Value, y: ir::Value, indices: ir::Value) -> ir::Value {
        if x == y && has!("ssse3") {
            return self.one_table_shuffle(x, indices);
        }
        let first = self.b.ins().swizzle(x, indices);
        let sixteen = self.vector_constant(u128::from_le_bytes([16; 16]));
        let beyond = self.b.ins().isub(indices, sixteen);
        let second = self.b.ins().swizzle(y, beyond);
        debug_assert_eq!(self.b.func.dfg.value_type(second), types::I8X16);
        self.b.ins().bor(first, second)
    }
}

/// The vector that all bytes come from which are not 0.
fn the_only_source(indices: &[u8; 16], x: ir::Value, y: ir::Value) -> Option<ir::Value> {
    let within = |first: u8| indices.iter().all(|&i| i >= 32 || (first..first + 16).contains(&i));
    if x == y || within(0) {
        return Some(x);
    }
    within(16).then_some(y)
}
