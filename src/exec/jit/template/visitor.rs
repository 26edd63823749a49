//! One method per op: its piece of code, or that it is left to the interpreter.

use super::Emitter;
use super::asm::{Alu, Shift, op0f, sse};
use super::divide::Part;
use super::regs::Loc;
use super::vector::{ADD, LaneShift, MUL, ROUNDED_MEAN, SUB};
use guest::ir::{
    ArmFloat, Cond, Crypto, Estimate, FSize, FlagKind, FloatCc, Half, HelperId, Inexact, IntCc, Lane,
    Locality, MinMax, Nans, Narrow, OpVisitor, Order, Overflow, Reduce, RmwOp, Round, Sign, Val, VecLen,
    When, Width,
};
use guest::state::Slot;

macro_rules! int_alu {
    ($($name:ident = $op:ident;)*) => {$(
        fn $name(&mut self, dst: Val, w: Width, a: Val, b: Val) {
            self.alu(Alu::$op, dst, w, a, b);
        }
    )*};
}

macro_rules! int_shift {
    ($($name:ident = $op:ident;)*) => {$(
        fn $name(&mut self, dst: Val, w: Width, a: Val, b: Val) {
            self.shift(Shift::$op, dst, w, a, b);
        }
    )*};
}

macro_rules! vector_code {
    ($($name:ident = $code:expr;)*) => {$(
        fn $name(&mut self, dst: Val, n: VecLen, a: Val, b: Val) {
            self.vector2($code, dst, n, a, b);
        }
    )*};
}

macro_rules! per_lane {
    ($($name:ident = $codes:ident;)*) => {$(
        fn $name(&mut self, dst: Val, n: VecLen, lane: Lane, a: Val, b: Val) {
            self.per_lane($codes, lane, dst, n, a, b);
        }
    )*};
}

macro_rules! with_sign {
    ($($name:ident = $how:ident $what:expr;)*) => {$(
        fn $name(&mut self, dst: Val, n: VecLen, lane: Lane, signed: Sign, a: Val, b: Val) {
            self.$how($what, dst, n, lane, signed, a, b);
        }
    )*};
}

macro_rules! lane_shift {
    ($($name:ident = $how:ident;)*) => {$(
        fn $name(&mut self, dst: Val, n: VecLen, lane: Lane, a: Val, count: Val) {
            self.shift_lanes(LaneShift::$how, dst, n, lane, a, count);
        }
    )*};
}

macro_rules! float_arith {
    ($($name:ident $vector:ident = $byte:literal;)*) => {$(
        fn $name(&mut self, dst: Val, fs: FSize, a: Val, b: Val) {
            self.arithmetic($byte, dst, fs, a, b);
        }
        fn $vector(&mut self, dst: Val, n: VecLen, fs: FSize, a: Val, b: Val) {
            self.vector_arithmetic($byte, dst, n, fs, a, b);
        }
    )*};
}

/// Ops without a piece of their own.
macro_rules! interpreted {
    ($($name:ident($($t:ty),*);)*) => {$(
        fn $name(&mut self, $(_: $t),*) {
            self.slow();
        }
    )*};
}

impl OpVisitor for Emitter {
    type Out = ();

    fn konst(&mut self, dst: Val, imm: u64) {
        self.regs.set_loc(dst, Loc::Konst(imm));
    }
    fn vconst(&mut self, dst: Val, n: VecLen, index: u16) {
        let value = self.pool[usize::from(index)];
        self.regs.note_vconst(dst, value);
        if n == VecLen::X1 { self.vector_constant(dst, value) } else { self.wide_constant(dst, n, value) }
    }
    fn get(&mut self, dst: Val, w: Width, slot: Slot) {
        self.read_slot(dst, w, slot);
    }
    fn vget(&mut self, dst: Val, n: VecLen, slot: Slot) {
        self.read_vector_slot(dst, n, slot);
    }
    fn put(&mut self, w: Width, slot: Slot, a: Val) {
        self.write_slot(w, slot, a);
    }
    fn vput(&mut self, n: VecLen, slot: Slot, a: Val) {
        self.write_vector_slot(n, slot, a);
    }

    int_alu! {
        add = Add;
        sub = Sub;
        and = And;
        or = Or;
        xor = Xor;
    }
    int_shift! {
        shl = Shl;
        shr = Shr;
        sar = Sar;
        rotl = Rol;
        rotr = Ror;
    }
    fn mul(&mut self, dst: Val, w: Width, a: Val, b: Val) {
        self.multiply(dst, w, a, b);
    }
    fn umulh(&mut self, dst: Val, w: Width, a: Val, b: Val) {
        self.multiply_high(dst, w, Sign::Unsigned, a, b);
    }
    fn smulh(&mut self, dst: Val, w: Width, a: Val, b: Val) {
        self.multiply_high(dst, w, Sign::Signed, a, b);
    }
    fn udiv(&mut self, dst: Val, w: Width, a: Val, b: Val) {
        self.quotient(dst, w, Sign::Unsigned, a, b);
    }
    fn sdiv(&mut self, dst: Val, w: Width, a: Val, b: Val) {
        self.quotient(dst, w, Sign::Signed, a, b);
    }
    fn udiv_wide(&mut self, dst: Val, w: Width, hi: Val, lo: Val, b: Val) {
        self.divide(dst, w, Sign::Unsigned, Part::Quotient, (hi, lo), b);
    }
    fn urem_wide(&mut self, dst: Val, w: Width, hi: Val, lo: Val, b: Val) {
        self.divide(dst, w, Sign::Unsigned, Part::Remainder, (hi, lo), b);
    }
    fn sdiv_wide(&mut self, dst: Val, w: Width, hi: Val, lo: Val, b: Val) {
        self.divide(dst, w, Sign::Signed, Part::Quotient, (hi, lo), b);
    }
    fn srem_wide(&mut self, dst: Val, w: Width, hi: Val, lo: Val, b: Val) {
        self.divide(dst, w, Sign::Signed, Part::Remainder, (hi, lo), b);
    }
    fn div_overflows(&mut self, dst: Val, w: Width, signed: Sign, hi: Val, lo: Val, b: Val) {
        self.overflows(dst, w, signed, (hi, lo), b);
    }
    fn andnot(&mut self, dst: Val, w: Width, a: Val, b: Val) {
        self.and_not(dst, w, a, b);
    }
    fn not(&mut self, dst: Val, w: Width, a: Val) {
        self.unary(2, dst, w, a);
    }
    fn neg(&mut self, dst: Val, w: Width, a: Val) {
        self.unary(3, dst, w, a);
    }
    fn clz(&mut self, dst: Val, w: Width, a: Val) {
        self.leading_zeros(dst, w, a);
    }
    fn ctz(&mut self, dst: Val, w: Width, a: Val) {
        self.trailing_zeros(dst, w, a);
    }
    fn popcnt(&mut self, dst: Val, w: Width, a: Val) {
        self.population(dst, w, a);
    }
    fn bswap(&mut self, dst: Val, w: Width, a: Val) {
        self.byte_swap(dst, w, a);
    }
    fn sext(&mut self, dst: Val, from: Width, a: Val) {
        self.extend(dst, from, Sign::Signed, a);
    }
    fn zext(&mut self, dst: Val, from: Width, a: Val) {
        self.extend(dst, from, Sign::Unsigned, a);
    }
    fn extract(&mut self, dst: Val, lsb: u8, len: u8, a: Val) {
        self.bit_field(dst, Sign::Unsigned, lsb, len, a);
    }
    fn sextract(&mut self, dst: Val, lsb: u8, len: u8, a: Val) {
        self.bit_field(dst, Sign::Signed, lsb, len, a);
    }
    fn deposit(&mut self, dst: Val, lsb: u8, len: u8, a: Val, b: Val) {
        self.deposit_bits(dst, lsb, len, a, b);
    }
    fn icmp(&mut self, dst: Val, cc: IntCc, w: Width, a: Val, b: Val) {
        // Where its one user makes the comparison, nothing is to be done here.
        if !matches!(self.regs.loc(dst), Loc::Compare(..)) {
            let host = self.compare(cc, w, a, b);
            self.set_from(dst, host);
        }
    }
    fn select(&mut self, dst: Val, c: Val, a: Val, b: Val) {
        self.choose(dst, c, a, b);
    }
    fn cond(&mut self, dst: Val, cc: Cond) {
        self.record_condition(dst, cc);
    }
    fn get_flags(&mut self, dst: Val) {
        self.record_packed(dst);
    }
    fn set_flags(&mut self, kind: FlagKind, w: Width, a: Val, b: Val, r: Val) {
        self.record_flags(kind, w, a, b, r);
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
    fn fence(&mut self, _ord: Order) {
        self.full_fence();
    }
    fn prefetch(&mut self, how: Locality, addr: Val, off: i32) {
        self.guest_prefetch(how, addr, off);
    }
    fn trap_if(&mut self, trap: u8, c: Val) {
        self.trap_when(trap, c);
    }
    fn side_exit(&mut self, when: When, c: Val, off: i32) {
        self.leave_when(when, c, off);
    }

    vector_code! {
        vand = op0f(0x54);
        vor = op0f(0x56);
        vxor = op0f(0x57);
        vmaddw = sse(0x66, 0xf5);
        vsad = sse(0x66, 0xf6);
    }
    fn vandnot(&mut self, dst: Val, n: VecLen, a: Val, b: Val) {
        self.vector_and_not(dst, n, a, b);
    }
    fn vnot(&mut self, dst: Val, n: VecLen, a: Val) {
        self.vector_not(dst, n, a);
    }
    fn vbitsel(&mut self, dst: Val, n: VecLen, m: Val, a: Val, b: Val) {
        self.bit_select(dst, n, m, a, b);
    }
    fn vpair(&mut self, dst: Val, n: VecLen, lo: Val, hi: Val) {
        self.narrow(n, |e| e.pair(dst, lo, hi));
    }
    fn vsplat(&mut self, dst: Val, n: VecLen, lane: Lane, a: Val) {
        self.splat(dst, n, lane, a);
    }
    fn vextract(&mut self, dst: Val, _n: VecLen, lane: Lane, index: u8, a: Val) {
        self.extract_lane(dst, lane, index, a);
    }
    fn vinsert(&mut self, dst: Val, n: VecLen, lane: Lane, index: u8, a: Val, b: Val) {
        self.narrow(n, |e| e.insert_lane(dst, lane, index, a, b));
    }
    fn vshuffle(&mut self, dst: Val, n: VecLen, a: Val, b: Val, idx: Val) {
        match self.regs.vconst(idx) {
            Some(indices) => self.shuffle(dst, n, a, b, indices),
            None if a == b => self.table_shuffle(dst, n, a, idx),
            None => self.slow(),
        }
    }
    fn vmovmask(&mut self, dst: Val, n: VecLen, lane: Lane, a: Val) {
        self.move_mask(dst, n, lane, a);
    }
    per_lane! {
        vadd = ADD;
        vsub = SUB;
        vmul = MUL;
    }
    with_sign! {
        vaddsat = saturated true;
        vsubsat = saturated false;
        vmin = extreme false;
        vmax = extreme true;
    }
    fn vabs(&mut self, dst: Val, n: VecLen, lane: Lane, a: Val) {
        self.absolute(dst, n, lane, a);
    }
    fn vicmp(&mut self, dst: Val, n: VecLen, lane: Lane, cc: IntCc, a: Val, b: Val) {
        self.vector_compare(dst, n, lane, cc, a, b);
    }
    lane_shift! {
        vshl = Left;
        vshr = Right;
        vsar = Arithmetic;
    }
    fn vnarrow(&mut self, dst: Val, n: VecLen, lane: Lane, how: Narrow, a: Val, b: Val) {
        self.narrowed(dst, n, lane, how, a, b);
    }
    fn vjoin(&mut self, dst: Val, n: VecLen, lo: Val, hi: Val) {
        self.join(dst, n, lo, hi);
    }
    fn vpart(&mut self, dst: Val, n: VecLen, from: u8, a: Val) {
        self.part(dst, n, from, a);
    }
    fn vneg(&mut self, dst: Val, n: VecLen, lane: Lane, a: Val) {
        self.negated(dst, n, lane, a);
    }
    fn vrhadd(&mut self, dst: Val, n: VecLen, lane: Lane, signed: Sign, a: Val, b: Val) {
        match signed {
            Sign::Unsigned => self.per_lane(ROUNDED_MEAN, lane, dst, n, a, b),
            Sign::Signed => self.slow(),
        }
    }
    fn vmull(&mut self, dst: Val, n: VecLen, lane: Lane, signed: Sign, half: Half, a: Val, b: Val) {
        self.long_products(dst, n, lane, signed, half, a, b);
    }
    fn vwiden(&mut self, dst: Val, n: VecLen, lane: Lane, signed: Sign, half: Half, a: Val) {
        self.widened(dst, n, lane, signed, half, a);
    }

    float_arith! {
        fadd vfadd = 0x58;
        fmul vfmul = 0x59;
        fsub vfsub = 0x5c;
        fdiv vfdiv = 0x5e;
    }
    fn vfsqrt(&mut self, dst: Val, n: VecLen, fs: FSize, a: Val) {
        self.vector_root(dst, n, fs, a);
    }
    fn vfcmp(&mut self, dst: Val, n: VecLen, cc: FloatCc, nans: Nans, fs: FSize, a: Val, b: Val) {
        self.vector_float_compare(dst, n, cc, nans, fs, a, b);
    }
    fn vftoi(&mut self, dst: Val, n: VecLen, fs: FSize, signed: Sign, mode: Round, over: Overflow, a: Val) {
        self.vector_to_int(dst, n, fs, signed, mode, over, a);
    }
    fn vitof(&mut self, dst: Val, n: VecLen, fs: FSize, signed: Sign, a: Val) {
        self.vector_from_int(dst, n, fs, signed, a);
    }
    fn fminmax(&mut self, dst: Val, op: MinMax, fs: FSize, a: Val, b: Val) {
        self.float_extreme(op, dst, fs, a, b);
    }
    fn vfminmax(&mut self, dst: Val, n: VecLen, op: MinMax, fs: FSize, a: Val, b: Val) {
        self.vector_float_extreme(op, dst, n, fs, a, b);
    }
    fn fsqrt(&mut self, dst: Val, fs: FSize, a: Val) {
        self.square_root(dst, fs, a);
    }
    fn fcmp(&mut self, dst: Val, cc: FloatCc, nans: Nans, fs: FSize, a: Val, b: Val) {
        self.float_compare(dst, cc, nans, fs, a, b);
    }
    fn fcompare(&mut self, dst: Val, nans: Nans, fs: FSize, a: Val, b: Val) {
        self.float_ordering(dst, nans, fs, a, b);
    }
    fn fconvert(&mut self, dst: Val, from: FSize, to: FSize, a: Val) {
        self.convert(dst, from, to, a);
    }
    fn ftoi(&mut self, dst: Val, fs: FSize, w: Width, signed: Sign, mode: Round, over: Overflow, a: Val) {
        self.float_to_int(dst, fs, w, signed, mode, over, a);
    }
    fn itof(&mut self, dst: Val, fs: FSize, w: Width, signed: Sign, a: Val) {
        self.int_to_float(dst, fs, w, signed, a);
    }

    fn vcrypto(&mut self, dst: Val, n: VecLen, op: Crypto, a: Val, b: Val, c: Val) {
        self.narrow(n, |this| this.crypto_step(dst, op, [a, b, c]));
    }

    interpreted! {
        vmaddub(Val, VecLen, Val, Val);
        vmulhrs(Val, VecLen, Val, Val);
        vtohalf(Val, VecLen, Round, Val);
        bitrev(Val, Width, Val);
        call(Val, HelperId, Val, Val, Val);
        probe_write(u8, Val, i32);
        clear_ex();
        fpenv_get(Val);
        fpenv_set(Val);
        cas128(Val, VecLen, Order, Val, Val, Val);
        load128(Val, VecLen, Order, Val);
        load_ex(Val, Width, Order, Val);
        load_ex128(Val, VecLen, Order, Val);
        store_ex(Val, Width, Order, Val, Val);
        store_ex128(Val, Order, Val, Val);
        call_state(Val, HelperId, Val, Val, Val);
        call_vec(Val, VecLen, HelperId, Val, Val, Val, u32);
        vmulh(Val, VecLen, Lane, Sign, Val, Val);
        vhadd(Val, VecLen, Lane, Sign, Val, Val);
        vhsub(Val, VecLen, Lane, Sign, Val, Val);
        vshlv(Val, VecLen, Lane, Val, Val);
        vshrv(Val, VecLen, Lane, Val, Val);
        vsarv(Val, VecLen, Lane, Val, Val);
        vpopcnt(Val, VecLen, Lane, Val);
        vclz(Val, VecLen, Lane, Val);
        vreduce(Val, VecLen, Lane, Reduce, Val);
        farm(Val, ArmFloat, FSize, u32, Val, Val);
        fma(Val, FSize, Val, Val, Val);
        fround(Val, FSize, Round, Inexact, Val);
        vfma(Val, VecLen, FSize, Val, Val, Val);
        vfround(Val, VecLen, FSize, Round, Inexact, Val);
        vfwiden(Val, VecLen, FSize, Half, Val);
        vfnarrow(Val, VecLen, FSize, Val);
        vestimate(Val, VecLen, Estimate, Val);
    }
}
