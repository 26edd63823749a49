//! One method per op: which lowering it has, or that it is left to the interpreter.

use super::Lowering;
use super::float::Arith;
use super::int::Binary;
use super::values::vector_type;
use super::vector::Shift;
use cranelift_codegen::ir::{InstBuilder, types};
use guest::Trap;
use guest::ir::{
    ArmFloat, Cond, Crypto, Estimate, FSize, FlagKind, FloatCc, Half, HelperId, Inexact, IntCc, Lane,
    Locality, MinMax, Nans, Narrow, OpVisitor, Order, Overflow, Reduce, RmwOp, Round, Sign, Val, VecLen,
    When, Width,
};
use guest::state::Slot;

macro_rules! int_binary {
    ($($name:ident = $op:ident;)*) => {$(
        fn $name(&mut self, dst: Val, w: Width, a: Val, b: Val) {
            self.binary(Binary::$op, dst, w, a, b);
        }
    )*};
}

macro_rules! bitwise {
    ($($name:ident = $ins:ident;)*) => {$(
        fn $name(&mut self, dst: Val, n: VecLen, a: Val, b: Val) {
            self.each2(dst, n, types::I8X16, (a, b), |this, x, y| this.b.ins().$ins(x, y));
        }
    )*};
}

macro_rules! lane_shift {
    ($($name:ident = $how:ident;)*) => {$(
        fn $name(&mut self, dst: Val, n: VecLen, lane: Lane, a: Val, count: Val) {
            self.vector_shift(Shift::$how, dst, n, lane, a, count);
        }
    )*};
}

/// Ops that are rare, or that the host has no instruction for.
macro_rules! interpreted {
    ($($name:ident($($t:ty),*);)*) => {$(
        fn $name(&mut self, _dst: Val, $(_: $t),*) {
            self.slow();
        }
    )*};
}

macro_rules! float_arith {
    ($($scalar:ident $vector:ident = $op:ident;)*) => {$(
        fn $scalar(&mut self, dst: Val, fs: FSize, a: Val, b: Val) {
            self.scalar_arith(Arith::$op, dst, fs, a, b);
        }
        fn $vector(&mut self, dst: Val, n: VecLen, fs: FSize, a: Val, b: Val) {
            self.vector_arith(Arith::$op, dst, n, fs, (a, b));
        }
    )*};
}

impl OpVisitor for Lowering<'_, '_> {
    type Out = ();

    fn konst(&mut self, dst: Val, imm: u64) {
        let value = self.iconst(imm);
        self.set(dst, value);
        self.vals.set_konst(dst, imm);
    }
    fn vconst(&mut self, dst: Val, n: VecLen, index: u16) {
        let unit = self.region.blocks[self.at].translation.block.pool[usize::from(index)];
        let value = self.vector_constant(unit);
        (0..n.units()).for_each(|u| self.set_unit(dst, u, value));
        self.vals.set_vconst(dst, unit);
    }
    fn get(&mut self, dst: Val, w: Width, slot: Slot) {
        self.read_slot(dst, w, slot);
    }
    fn vget(&mut self, dst: Val, n: VecLen, slot: Slot) {
        self.read_vector(dst, n, slot);
    }
    fn put(&mut self, w: Width, slot: Slot, a: Val) {
        self.write_slot(w, slot, a);
    }
    fn vput(&mut self, n: VecLen, slot: Slot, a: Val) {
        self.write_vector(n, slot, a);
    }

    int_binary! {
        add = Add;
        sub = Sub;
        mul = Mul;
        and = And;
        or = Or;
        xor = Xor;
        andnot = AndNot;
        shl = Shl;
        shr = Shr;
        sar = Sar;
        rotl = Rotl;
        rotr = Rotr;
    }
    fn umulh(&mut self, dst: Val, w: Width, a: Val, b: Val) {
        self.mul_high(dst, w, Sign::Unsigned, a, b);
    }
    fn smulh(&mut self, dst: Val, w: Width, a: Val, b: Val) {
        self.mul_high(dst, w, Sign::Signed, a, b);
    }
    fn udiv(&mut self, dst: Val, w: Width, a: Val, b: Val) {
        self.quotient(dst, w, Sign::Unsigned, a, b);
    }
    fn sdiv(&mut self, dst: Val, w: Width, a: Val, b: Val) {
        self.quotient(dst, w, Sign::Signed, a, b);
    }
    fn udiv_wide(&mut self, dst: Val, w: Width, hi: Val, lo: Val, b: Val) {
        self.wide_division(dst, w, Sign::Unsigned, false, (hi, lo), b);
    }
    fn urem_wide(&mut self, dst: Val, w: Width, hi: Val, lo: Val, b: Val) {
        self.wide_division(dst, w, Sign::Unsigned, true, (hi, lo), b);
    }
    fn sdiv_wide(&mut self, dst: Val, w: Width, hi: Val, lo: Val, b: Val) {
        self.wide_division(dst, w, Sign::Signed, false, (hi, lo), b);
    }
    fn srem_wide(&mut self, dst: Val, w: Width, hi: Val, lo: Val, b: Val) {
        self.wide_division(dst, w, Sign::Signed, true, (hi, lo), b);
    }
    fn div_overflows(&mut self, dst: Val, w: Width, signed: Sign, hi: Val, lo: Val, b: Val) {
        self.division_overflows(dst, w, signed, hi, lo, b);
    }
    fn not(&mut self, dst: Val, w: Width, a: Val) {
        let x = self.narrow(w, a);
        let value = self.b.ins().bnot(x);
        self.set_narrow(dst, value);
    }
    fn neg(&mut self, dst: Val, w: Width, a: Val) {
        let x = self.narrow(w, a);
        let value = self.b.ins().ineg(x);
        self.set_narrow(dst, value);
    }
    fn clz(&mut self, dst: Val, w: Width, a: Val) {
        self.leading_zeros(dst, w, a);
    }
    fn ctz(&mut self, dst: Val, w: Width, a: Val) {
        self.trailing_zeros(dst, w, a);
    }
    fn popcnt(&mut self, dst: Val, w: Width, a: Val) {
        let x = self.extended(w, Sign::Unsigned, a);
        let value = self.b.ins().popcnt(x);
        self.set(dst, value);
    }
    fn bswap(&mut self, dst: Val, w: Width, a: Val) {
        let x = self.narrow(w, a);
        let value = if w == Width::W8 { x } else { self.b.ins().bswap(x) };
        self.set_narrow(dst, value);
    }
    fn bitrev(&mut self, dst: Val, w: Width, a: Val) {
        self.reversed_bits(dst, w, a);
    }
    fn sext(&mut self, dst: Val, from: Width, a: Val) {
        let value = self.extended(from, Sign::Signed, a);
        self.set(dst, value);
    }
    fn zext(&mut self, dst: Val, from: Width, a: Val) {
        let value = self.extended(from, Sign::Unsigned, a);
        self.set(dst, value);
    }
    fn extract(&mut self, dst: Val, lsb: u8, len: u8, a: Val) {
        self.bit_field(dst, Sign::Unsigned, lsb, len, a);
    }
    fn sextract(&mut self, dst: Val, lsb: u8, len: u8, a: Val) {
        self.bit_field(dst, Sign::Signed, lsb, len, a);
    }
    fn deposit(&mut self, dst: Val, lsb: u8, len: u8, a: Val, b: Val) {
        self.bit_deposit(dst, lsb, len, a, b);
    }
    fn icmp(&mut self, dst: Val, cc: IntCc, w: Width, a: Val, b: Val) {
        let value = self.compare(cc, w, a, b);
        self.set_narrow(dst, value);
    }
    fn select(&mut self, dst: Val, c: Val, a: Val, b: Val) {
        let (condition, x, y) = (self.int(c), self.int(a), self.int(b));
        let value = self.b.ins().select(condition, x, y);
        self.set(dst, value);
    }

    fn cond(&mut self, dst: Val, cc: Cond) {
        let value = self.condition(cc);
        self.set(dst, value);
    }
    fn get_flags(&mut self, dst: Val) {
        let value = self.packed_flags();
        self.set(dst, value);
    }
    fn set_flags(&mut self, kind: FlagKind, w: Width, a: Val, b: Val, r: Val) {
        self.record_flags(kind, w, [a, b, r]);
    }
    fn set_flags_if(&mut self, c: Val, kind: FlagKind, w: Width, a: Val, b: Val, r: Val) {
        self.record_flags_if(c, kind, w, [a, b, r]);
    }

    fn load(&mut self, dst: Val, w: Width, _ord: Order, addr: Val, off: i32) {
        self.guest_load(dst, w, addr, off);
    }
    fn store(&mut self, w: Width, ord: Order, addr: Val, off: i32, a: Val) {
        self.guest_store(w, ord, addr, off, a);
    }
    fn vload(&mut self, dst: Val, n: VecLen, addr: Val, off: i32) {
        self.guest_vload(dst, n, addr, off);
    }
    fn vstore(&mut self, n: VecLen, addr: Val, off: i32, a: Val) {
        self.guest_vstore(n, addr, off, a);
    }
    fn rmw(&mut self, dst: Val, op: RmwOp, w: Width, _ord: Order, addr: Val, a: Val) {
        self.guest_rmw(dst, op, w, addr, a);
    }
    fn cas(&mut self, dst: Val, w: Width, _ord: Order, addr: Val, expected: Val, new: Val) {
        self.guest_cas(dst, w, addr, expected, new);
    }
    fn probe_write(&mut self, _size: u8, _addr: Val, _off: i32) {
        self.slow();
    }
    fn clear_ex(&mut self) {
        self.slow();
    }
    fn fence(&mut self, ord: Order) {
        self.guest_fence(ord);
    }
    fn prefetch(&mut self, how: Locality, addr: Val, off: i32) {
        self.guest_prefetch(how, addr, off);
    }
    fn trap_if(&mut self, trap: u8, c: Val) {
        if self.is_left_to_access(trap, c) {
            return;
        }
        let condition = self.int(c);
        if self.is_checked(condition) {
            return;
        }
        self.trap_where(condition, Trap::from_number(trap).unwrap_or(Trap::Illegal));
        self.note_aligned(condition);
    }
    /// Regions are made of blocks, not of traces.
    fn side_exit(&mut self, _when: When, _c: Val, _off: i32) {
        self.out.complete = false;
    }
    fn fpenv_set(&mut self, _a: Val) {
        self.slow();
    }

    bitwise! {
        vand = band;
        vor = bor;
        vxor = bxor;
        vandnot = band_not;
    }
    fn vnot(&mut self, dst: Val, n: VecLen, a: Val) {
        self.each1(dst, n, types::I8X16, a, |this, x| this.b.ins().bnot(x));
    }
    fn vbitsel(&mut self, dst: Val, n: VecLen, m: Val, a: Val, b: Val) {
        for unit in 0..n.units() {
            let (mask, x, y) = (self.unit(m, unit), self.unit(a, unit), self.unit(b, unit));
            let value = self.b.ins().bitselect(mask, x, y);
            self.set_unit(dst, unit, value);
        }
    }
    fn vpair(&mut self, dst: Val, n: VecLen, lo: Val, hi: Val) {
        let single = if self.vals.konst(hi) == Some(0) { self.float_in_vector(lo) } else { None };
        let first = single.unwrap_or_else(|| {
            let (low, high) = (self.int(lo), self.int(hi));
            self.pair(low, high)
        });
        self.set_unit(dst, 0, first);
        if n != VecLen::X1 {
            let zero = self.vector_constant(0);
            (1..n.units()).for_each(|u| self.set_unit(dst, u, zero));
        }
    }
    fn vjoin(&mut self, dst: Val, n: VecLen, lo: Val, hi: Val) {
        let half = n.units() / 2;
        for u in 0..n.units() {
            let value = if u < half { self.unit(lo, u) } else { self.unit(hi, u - half) };
            self.set_unit(dst, u, value);
        }
    }
    fn vpart(&mut self, dst: Val, n: VecLen, from: u8, a: Val) {
        for u in 0..n.units() {
            let value = self.unit(a, usize::from(from) + u);
            self.set_unit(dst, u, value);
        }
    }
    fn vsplat(&mut self, dst: Val, n: VecLen, lane: Lane, a: Val) {
        self.splat(dst, n, lane, a);
    }
    fn vextract(&mut self, dst: Val, _n: VecLen, lane: Lane, index: u8, a: Val) {
        self.extract_lane(dst, lane, index, a);
    }
    fn vinsert(&mut self, dst: Val, n: VecLen, lane: Lane, index: u8, a: Val, b: Val) {
        self.insert_lane(dst, n, lane, index, a, b);
    }
    fn vshuffle(&mut self, dst: Val, n: VecLen, a: Val, b: Val, idx: Val) {
        self.byte_shuffle(dst, n, a, b, idx);
    }
    fn vmovmask(&mut self, dst: Val, n: VecLen, lane: Lane, a: Val) {
        self.top_bits(dst, n, lane, a);
    }

    fn vcrypto(&mut self, dst: Val, n: VecLen, op: Crypto, a: Val, b: Val, c: Val) {
        self.crypto_step(dst, n, op, [a, b, c]);
    }
    fn vadd(&mut self, dst: Val, n: VecLen, lane: Lane, a: Val, b: Val) {
        self.each2(dst, n, vector_type(lane), (a, b), |this, x, y| this.b.ins().iadd(x, y));
    }
    fn vsub(&mut self, dst: Val, n: VecLen, lane: Lane, a: Val, b: Val) {
        self.each2(dst, n, vector_type(lane), (a, b), |this, x, y| this.b.ins().isub(x, y));
    }
    fn vmul(&mut self, dst: Val, n: VecLen, lane: Lane, a: Val, b: Val) {
        if lane == Lane::B {
            return self.slow();
        }
        self.each2(dst, n, vector_type(lane), (a, b), |this, x, y| this.b.ins().imul(x, y));
    }
    fn vmull(&mut self, dst: Val, n: VecLen, lane: Lane, signed: Sign, half: Half, a: Val, b: Val) {
        self.each2(dst, n, vector_type(lane), (a, b), |this, x, y| {
            if let Some(products) = this.even_products(signed, half, x, y) {
                return products;
            }
            let (wide_x, wide_y) = (this.widened(signed, half, x), this.widened(signed, half, y));
            this.b.ins().imul(wide_x, wide_y)
        });
    }
    fn vmaddw(&mut self, dst: Val, n: VecLen, a: Val, b: Val) {
        self.each2(dst, n, types::I16X8, (a, b), |this, x, y| {
            let [low, high] = [Half::Low, Half::High].map(|half| {
                let (wide_x, wide_y) =
                    (this.widened(Sign::Signed, half, x), this.widened(Sign::Signed, half, y));
                this.b.ins().imul(wide_x, wide_y)
            });
            this.b.ins().iadd_pairwise(low, high)
        });
    }
    fn vmulh(&mut self, dst: Val, n: VecLen, lane: Lane, signed: Sign, a: Val, b: Val) {
        self.high_products(dst, n, lane, signed, (a, b));
    }
    fn vmaddub(&mut self, dst: Val, n: VecLen, a: Val, b: Val) {
        self.byte_product_sums(dst, n, a, b);
    }
    fn vmulhrs(&mut self, dst: Val, n: VecLen, a: Val, b: Val) {
        self.rounded_high_products(dst, n, a, b);
    }
    fn vsad(&mut self, dst: Val, n: VecLen, a: Val, b: Val) {
        self.difference_sums(dst, n, a, b);
    }
    fn vshlv(&mut self, dst: Val, n: VecLen, lane: Lane, a: Val, b: Val) {
        self.shift_by_lanes(Shift::Left, dst, n, lane, (a, b));
    }
    fn vshrv(&mut self, dst: Val, n: VecLen, lane: Lane, a: Val, b: Val) {
        self.shift_by_lanes(Shift::Right, dst, n, lane, (a, b));
    }
    fn vsarv(&mut self, dst: Val, n: VecLen, lane: Lane, a: Val, b: Val) {
        self.shift_by_lanes(Shift::Arithmetic, dst, n, lane, (a, b));
    }
    fn vneg(&mut self, dst: Val, n: VecLen, lane: Lane, a: Val) {
        self.each1(dst, n, vector_type(lane), a, |this, x| this.b.ins().ineg(x));
    }
    fn vabs(&mut self, dst: Val, n: VecLen, lane: Lane, a: Val) {
        self.each1(dst, n, vector_type(lane), a, |this, x| this.b.ins().iabs(x));
    }
    fn vaddsat(&mut self, dst: Val, n: VecLen, lane: Lane, signed: Sign, a: Val, b: Val) {
        self.saturating(true, dst, n, lane, signed, (a, b));
    }
    fn vsubsat(&mut self, dst: Val, n: VecLen, lane: Lane, signed: Sign, a: Val, b: Val) {
        self.saturating(false, dst, n, lane, signed, (a, b));
    }
    fn vmin(&mut self, dst: Val, n: VecLen, lane: Lane, signed: Sign, a: Val, b: Val) {
        self.vector_extreme(false, dst, n, lane, signed, (a, b));
    }
    fn vmax(&mut self, dst: Val, n: VecLen, lane: Lane, signed: Sign, a: Val, b: Val) {
        self.vector_extreme(true, dst, n, lane, signed, (a, b));
    }
    fn vrhadd(&mut self, dst: Val, n: VecLen, lane: Lane, signed: Sign, a: Val, b: Val) {
        if signed == Sign::Signed || !matches!(lane, Lane::B | Lane::H) {
            return self.slow();
        }
        self.each2(dst, n, vector_type(lane), (a, b), |this, x, y| this.b.ins().avg_round(x, y));
    }
    fn vicmp(&mut self, dst: Val, n: VecLen, lane: Lane, cc: IntCc, a: Val, b: Val) {
        self.vector_compare(dst, n, lane, cc, (a, b));
    }
    lane_shift! {
        vshl = Left;
        vshr = Right;
        vsar = Arithmetic;
    }
    fn vpopcnt(&mut self, dst: Val, n: VecLen, lane: Lane, a: Val) {
        if lane != Lane::B {
            return self.slow();
        }
        self.each1(dst, n, types::I8X16, a, |this, x| this.b.ins().popcnt(x));
    }
    fn vnarrow(&mut self, dst: Val, n: VecLen, lane: Lane, how: Narrow, a: Val, b: Val) {
        self.narrowed(dst, n, lane, how, (a, b));
    }
    fn vwiden(&mut self, dst: Val, n: VecLen, lane: Lane, signed: Sign, half: Half, a: Val) {
        self.each1(dst, n, vector_type(lane), a, |this, x| this.widened(signed, half, x));
    }

    interpreted! {
        call(HelperId, Val, Val, Val);
        cas128(VecLen, Order, Val, Val, Val);
        load128(VecLen, Order, Val);
        load_ex(Width, Order, Val);
        load_ex128(VecLen, Order, Val);
        store_ex(Width, Order, Val, Val);
        store_ex128(Order, Val, Val);
        call_state(HelperId, Val, Val, Val);
        fpenv_get();
        call_vec(VecLen, HelperId, Val, Val, Val, u32);
        vhadd(VecLen, Lane, Sign, Val, Val);
        vhsub(VecLen, Lane, Sign, Val, Val);
        vclz(VecLen, Lane, Val);
        vestimate(VecLen, Estimate, Val);
        vtohalf(VecLen, Round, Val);
    }

    fn vreduce(&mut self, dst: Val, n: VecLen, lane: Lane, op: Reduce, a: Val) {
        self.reduce(dst, n, lane, op, a);
    }
    float_arith! {
        fadd vfadd = Add;
        fsub vfsub = Sub;
        fmul vfmul = Mul;
        fdiv vfdiv = Div;
    }
    fn fsqrt(&mut self, dst: Val, fs: FSize, a: Val) {
        self.square_root(dst, fs, a);
    }
    fn fma(&mut self, dst: Val, fs: FSize, a: Val, b: Val, c: Val) {
        self.fused(dst, fs, [a, b, c]);
    }
    fn fminmax(&mut self, dst: Val, op: MinMax, fs: FSize, a: Val, b: Val) {
        self.min_max(dst, op, fs, a, b);
    }
    fn fcmp(&mut self, dst: Val, cc: FloatCc, nans: Nans, fs: FSize, a: Val, b: Val) {
        self.float_compare(dst, cc, nans, fs, a, b);
    }
    fn fcompare(&mut self, dst: Val, nans: Nans, fs: FSize, a: Val, b: Val) {
        self.float_ordering(dst, nans, fs, a, b);
    }
    fn farm(&mut self, _dst: Val, op: ArmFloat, fs: FSize, _imm: u32, a: Val, b: Val) {
        self.arm_float(op, fs, a, b);
    }
    fn fround(&mut self, dst: Val, fs: FSize, mode: Round, inexact: Inexact, a: Val) {
        self.float_round(dst, fs, mode, inexact, a);
    }
    fn fconvert(&mut self, dst: Val, from: FSize, to: FSize, a: Val) {
        self.float_convert(dst, from, to, a);
    }
    fn ftoi(&mut self, _dst: Val, fs: FSize, w: Width, signed: Sign, mode: Round, over: Overflow, a: Val) {
        self.float_to_int(fs, w, signed, mode, over, a);
    }
    fn itof(&mut self, dst: Val, fs: FSize, w: Width, signed: Sign, a: Val) {
        self.int_to_float(dst, fs, w, signed, a);
    }

    fn vfsqrt(&mut self, dst: Val, n: VecLen, fs: FSize, a: Val) {
        self.vector_sqrt(dst, n, fs, a);
    }
    fn vfma(&mut self, dst: Val, n: VecLen, fs: FSize, a: Val, b: Val, c: Val) {
        self.vector_fused(dst, n, fs, [a, b, c]);
    }
    fn vfminmax(&mut self, dst: Val, n: VecLen, op: MinMax, fs: FSize, a: Val, b: Val) {
        self.vector_min_max(dst, n, op, fs, (a, b));
    }
    fn vfcmp(&mut self, dst: Val, n: VecLen, cc: FloatCc, nans: Nans, fs: FSize, a: Val, b: Val) {
        self.vector_float_compare(dst, n, cc, nans, fs, (a, b));
    }
    fn vfround(&mut self, dst: Val, n: VecLen, fs: FSize, mode: Round, inexact: Inexact, a: Val) {
        self.vector_round(dst, n, fs, mode, inexact, a);
    }
    fn vfwiden(&mut self, dst: Val, n: VecLen, from: FSize, half: Half, a: Val) {
        self.vector_widen(dst, n, from, half, a);
    }
    fn vfnarrow(&mut self, dst: Val, n: VecLen, from: FSize, a: Val) {
        self.vector_narrow(dst, n, from, a);
    }
    fn vftoi(&mut self, dst: Val, n: VecLen, fs: FSize, signed: Sign, mode: Round, over: Overflow, a: Val) {
        self.vector_to_int(dst, n, fs, signed, mode, over, a);
    }
    fn vitof(&mut self, dst: Val, n: VecLen, fs: FSize, signed: Sign, a: Val) {
        self.vector_from_int(dst, n, fs, signed, a);
    }
}
