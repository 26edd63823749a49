//! One number of all lanes: the vector with itself turned by a half, then by a quarter, until every lane is of all.

use super::Lowering;
use super::values::vector_type;
use cranelift_codegen::ir::{self, InstBuilder, types};
use guest::ir::{Lane, Reduce, Val, VecLen};

impl Lowering<'_, '_> {
    pub(super) fn reduce(&mut self, dst: Val, n: VecLen, lane: Lane, op: Reduce, a: Val) {
        if lane == Lane::D && op != Reduce::Add {
            return self.slow();
        }
        let ty = vector_type(lane);
        let mut all = self.unit_as(ty, a, 0);
        for unit in 1..n.units() {
            let other = self.unit_as(ty, a, unit);
            all = self.reduced(op, all, other);
        }
        let mut turn = 8;
        while turn >= lane.bytes() {
            let turned = self.turned(all, turn);
            all = self.reduced(op, all, turned);
            turn /= 2;
        }
        let bytes = self.cast(types::I8X16, all);
        self.set_lane(dst, bytes, lane.width(), 0);
    }

    fn reduced(&mut self, op: Reduce, x: ir::Value, y: ir::Value) -> ir::Value {
        match op {
            Reduce::Add => self.b.ins().iadd(x, y),
            Reduce::Smin => self.b.ins().smin(x, y),
            Reduce::Smax => self.b.ins().smax(x, y),
            Reduce::Umin => self.b.ins().umin(x, y),
            Reduce::Umax => self.b.ins().umax(x, y),
        }
    }

    /// The vector with each byte where the one `by` bytes before it was.
    fn turned(&mut self, vector: ir::Value, by: usize) -> ir::Value {
        let ty = self.b.func.dfg.value_type(vector);
        let bytes = self.cast(types::I8X16, vector);
        let picks: Vec<u8> = (0..16).map(|i| ((i + by) % 16) as u8).collect();
        let picks = self.b.func.dfg.immediates.push(picks.into());
        let turned = self.b.ins().shuffle(bytes, bytes, picks);
        self.cast(ty, turned)
    }
}
