//! One method per op: the interpreter's reading of the op table.

use super::float::{self, Arith};
use super::lanes::{self, build, lane_of, map1, map2};
use super::shapes::{
    Done, float_arith, int_binary, int_unary, lane_binary, lane_shift, lane_signed, vector_bitwise,
};
use super::{Interp, Stop, call_state, scalar};
use crate::host::{crypto, fp};
use crate::mem::access;
use guest::Trap;
use guest::helper::HelperFn;
use guest::ir::flags::FlagRecord;
use guest::ir::{
    ArmFloat, Cond, Crypto, Estimate, FSize, FlagKind, FloatCc, Half, HelperId, Inexact, IntCc, Lane,
    Locality, MinMax, Nans, Narrow, OpVisitor, Order, Overflow, Reduce, RmwOp, Round, Sign, Val, VecLen,
    When, Width,
};
use guest::state::{MONITOR_SIZE, Slot};

impl OpVisitor for Interp<'_> {
    type Out = Done;

    #[inline(always)]
    fn konst(&mut self, dst: Val, imm: u64) -> Done {
        self.gives(dst, imm)
    }
    fn vconst(&mut self, dst: Val, n: VecLen, index: u16) -> Done {
        for u in 0..n.units() {
            self.set_unit(dst, u, self.pool[usize::from(index)]);
        }
        Ok(())
    }
    #[inline(always)]
    fn get(&mut self, dst: Val, w: Width, slot: Slot) -> Done {
        let value = match w {
            Width::W8 => u64::from(self.state.u8(slot)),
            Width::W16 => u64::from(self.state.u16(slot)),
            Width::W32 => u64::from(self.state.u32(slot)),
            Width::W64 => self.state.u64(slot),
        };
        self.gives(dst, value)
    }
    #[inline(always)]
    fn vget(&mut self, dst: Val, n: VecLen, slot: Slot) -> Done {
        for u in 0..n.units() {
            let value = self.state.u128(slot.plus(16 * u as u16));
            self.set_unit(dst, u, value);
        }
        Ok(())
    }
    #[inline(always)]
    fn put(&mut self, w: Width, slot: Slot, a: Val) -> Done {
        let value = self.int(a);
        match w {
            Width::W8 => self.state.set_u8(slot, value as u8),
            Width::W16 => self.state.set_u16(slot, value as u16),
            Width::W32 => self.state.set_u32(slot, value as u32),
            Width::W64 => self.state.set_u64(slot, value),
        }
        Ok(())
    }
    #[inline(always)]
    fn vput(&mut self, n: VecLen, slot: Slot, a: Val) -> Done {
        for u in 0..n.units() {
            self.state.set_u128(slot.plus(16 * u as u16), self.unit(a, u));
        }
        Ok(())
    }

    int_binary! {
        add = |_, a: u64, b| a.wrapping_add(b);
        sub = |_, a: u64, b| a.wrapping_sub(b);
        mul = |_, a: u64, b| a.wrapping_mul(b);
        umulh = scalar::umulh;
        smulh = scalar::smulh;
        udiv = scalar::udiv;
        sdiv = scalar::sdiv;
        and = |_, a, b| a & b;
        or = |_, a, b| a | b;
        xor = |_, a, b| a ^ b;
        andnot = |_, a: u64, b: u64| a & !b;
        shl = |w: Width, a: u64, b: u64| a << (b % u64::from(w.bits()));
        shr = |w: Width, a: u64, b: u64| (a & w.mask()) >> (b % u64::from(w.bits()));
        sar = |w: Width, a: u64, b: u64| ((w.sign_extend(a) as i64) >> (b % u64::from(w.bits()))) as u64;
        rotl = scalar::rotl;
        rotr = |w: Width, a, b: u64| scalar::rotl(w, a, b.wrapping_neg());
    }
    int_unary! {
        not = |_, a: u64| !a;
        neg = |_, a: u64| a.wrapping_neg();
        clz = scalar::clz;
        ctz = scalar::ctz;
        popcnt = |w: Width, a: u64| u64::from((a & w.mask()).count_ones());
        bswap = |w: Width, a: u64| a.swap_bytes() >> (64 - w.bits());
        bitrev = |w: Width, a: u64| a.reverse_bits() >> (64 - w.bits());
    }
    fn udiv_wide(&mut self, dst: Val, w: Width, hi: Val, lo: Val, b: Val) -> Done {
        let (q, _) = self.wide_div(w, Sign::Unsigned, (hi, lo), b);
        self.gives(dst, q)
    }
    fn urem_wide(&mut self, dst: Val, w: Width, hi: Val, lo: Val, b: Val) -> Done {
        let (_, r) = self.wide_div(w, Sign::Unsigned, (hi, lo), b);
        self.gives(dst, r)
    }
    fn sdiv_wide(&mut self, dst: Val, w: Width, hi: Val, lo: Val, b: Val) -> Done {
        let (q, _) = self.wide_div(w, Sign::Signed, (hi, lo), b);
        self.gives(dst, q)
    }
    fn srem_wide(&mut self, dst: Val, w: Width, hi: Val, lo: Val, b: Val) -> Done {
        let (_, r) = self.wide_div(w, Sign::Signed, (hi, lo), b);
        self.gives(dst, r)
    }
    fn div_overflows(&mut self, dst: Val, w: Width, signed: Sign, hi: Val, lo: Val, b: Val) -> Done {
        let over = scalar::div_overflows(w, signed, self.int(hi), self.int(lo), self.int(b));
        self.gives(dst, u64::from(over))
    }
    #[inline(always)]
    fn sext(&mut self, dst: Val, from: Width, a: Val) -> Done {
        self.gives(dst, from.sign_extend(self.int(a)))
    }
    #[inline(always)]
    fn zext(&mut self, dst: Val, from: Width, a: Val) -> Done {
        self.gives(dst, self.int(a) & from.mask())
    }
    #[inline(always)]
    fn extract(&mut self, dst: Val, lsb: u8, len: u8, a: Val) -> Done {
        self.gives(dst, self.int(a) >> lsb & scalar::low_mask(len))
    }
    #[inline(always)]
    fn sextract(&mut self, dst: Val, lsb: u8, len: u8, a: Val) -> Done {
        let up = 64 - u32::from(len);
        self.gives(dst, (((self.int(a) >> lsb << up) as i64) >> up) as u64)
    }
    #[inline(always)]
    fn deposit(&mut self, dst: Val, lsb: u8, len: u8, a: Val, b: Val) -> Done {
        let mask = scalar::low_mask(len) << lsb;
        self.gives(dst, (self.int(a) & !mask) | (self.int(b) << lsb & mask))
    }
    #[inline(always)]
    fn icmp(&mut self, dst: Val, cc: IntCc, w: Width, a: Val, b: Val) -> Done {
        self.gives(dst, u64::from(cc.holds(w, self.int(a), self.int(b))))
    }
    #[inline(always)]
    fn select(&mut self, dst: Val, c: Val, a: Val, b: Val) -> Done {
        self.gives(dst, if self.int(c) != 0 { self.int(a) } else { self.int(b) })
    }
    fn call(&mut self, dst: Val, f: HelperId, a: Val, b: Val, c: Val) -> Done {
        let HelperFn::Int(f) = self.env.helper(f).f else { unreachable!("op call names an integer helper") };
        self.gives(dst, f(self.int(a), self.int(b), self.int(c)))
    }

    #[inline(always)]
    fn cond(&mut self, dst: Val, cc: Cond) -> Done {
        self.gives(dst, u64::from(cc.holds(FlagRecord::load(self.state).pack())))
    }
    fn get_flags(&mut self, dst: Val) -> Done {
        self.gives(dst, FlagRecord::load(self.state).pack())
    }
    #[inline(always)]
    fn set_flags(&mut self, kind: FlagKind, w: Width, a: Val, b: Val, r: Val) -> Done {
        FlagRecord { kind, w, a: self.int(a), b: self.int(b), r: self.int(r) }.store(self.state);
        Ok(())
    }
    fn set_flags_if(&mut self, c: Val, kind: FlagKind, w: Width, a: Val, b: Val, r: Val) -> Done {
        if self.int(c) != 0 { self.set_flags(kind, w, a, b, r) } else { Ok(()) }
    }

    #[inline(always)]
    fn load(&mut self, dst: Val, w: Width, _ord: Order, addr: Val, off: i32) -> Done {
        let value = self.check(access::load(w, self.addr(addr, off)))?;
        self.gives(dst, value)
    }
    #[inline(always)]
    fn store(&mut self, w: Width, ord: Order, addr: Val, off: i32, a: Val) -> Done {
        let done = access::store(w, self.addr(addr, off), self.int(a));
        self.check(done)?;
        self.fence_after_store(ord);
        Ok(())
    }
    fn vload(&mut self, dst: Val, n: VecLen, addr: Val, off: i32) -> Done {
        let at = self.addr(addr, off);
        for u in 0..n.units() {
            let value = self.check(access::load128(at.offset(16 * u as i64)))?;
            self.set_unit(dst, u, value);
        }
        Ok(())
    }
    fn vstore(&mut self, n: VecLen, addr: Val, off: i32, a: Val) -> Done {
        let at = self.addr(addr, off);
        if n != VecLen::X1 {
            self.check(access::probe_write(at, 16 * n.units() as u64))?;
        }
        for u in 0..n.units() {
            let done = access::store128(at.offset(16 * u as i64), self.unit(a, u));
            self.check(done)?;
        }
        Ok(())
    }
    fn probe_write(&mut self, size: u8, addr: Val, off: i32) -> Done {
        let done = access::probe_write(self.addr(addr, off), u64::from(size));
        self.check(done)
    }
    fn rmw(&mut self, dst: Val, op: RmwOp, w: Width, _ord: Order, addr: Val, a: Val) -> Done {
        let old = access::rmw(op, w, self.addr(addr, 0), self.int(a));
        let old = self.check(old)?;
        self.gives(dst, old & w.mask())
    }
    fn cas(&mut self, dst: Val, w: Width, _ord: Order, addr: Val, expected: Val, new: Val) -> Done {
        let old = access::cas(w, self.addr(addr, 0), self.int(expected), self.int(new));
        let old = self.check(old)?;
        self.gives(dst, old & w.mask())
    }
    fn cas128(&mut self, dst: Val, _n: VecLen, _ord: Order, addr: Val, expected: Val, new: Val) -> Done {
        let old = access::cas128(self.addr(addr, 0), self.unit(expected, 0), self.unit(new, 0));
        let old = self.check(old)?;
        self.set_unit(dst, 0, old);
        Ok(())
    }
    fn load128(&mut self, dst: Val, _n: VecLen, _ord: Order, addr: Val) -> Done {
        let value = self.check(access::load128(self.addr(addr, 0)))?;
        self.set_unit(dst, 0, value);
        Ok(())
    }
    fn load_ex(&mut self, dst: Val, w: Width, _ord: Order, addr: Val) -> Done {
        let at = self.addr(addr, 0);
        let value = self.check(access::load(w, at))?;
        self.arm_monitor(at, u64::from(w.bytes()), u128::from(value));
        self.gives(dst, value)
    }
    fn load_ex128(&mut self, dst: Val, _n: VecLen, _ord: Order, addr: Val) -> Done {
        let at = self.addr(addr, 0);
        let value = self.check(access::load128(at))?;
        self.arm_monitor(at, 16, value);
        self.set_unit(dst, 0, value);
        Ok(())
    }
    // A store that faults leaves the monitor armed: the instruction is run again after a page with code was released.
    fn store_ex(&mut self, dst: Val, w: Width, _ord: Order, addr: Val, a: Val) -> Done {
        let at = self.addr(addr, 0);
        let stored = match self.monitored(at, u64::from(w.bytes())) {
            Some(seen) => {
                let old = access::cas(w, at, seen as u64, self.int(a));
                self.check(old)? & w.mask() == seen as u64
            }
            None => false,
        };
        self.state.set_u64(MONITOR_SIZE, 0);
        self.gives(dst, u64::from(!stored))
    }
    fn store_ex128(&mut self, dst: Val, _ord: Order, addr: Val, a: Val) -> Done {
        let at = self.addr(addr, 0);
        let stored = match self.monitored(at, 16) {
            Some(seen) => {
                let old = access::cas128(at, seen, self.unit(a, 0));
                self.check(old)? == seen
            }
            None => false,
        };
        self.state.set_u64(MONITOR_SIZE, 0);
        self.gives(dst, u64::from(!stored))
    }
    fn clear_ex(&mut self) -> Done {
        self.state.set_u64(MONITOR_SIZE, 0);
        Ok(())
    }
    fn fence(&mut self, _ord: Order) -> Done {
        std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
        Ok(())
    }
    /// At this pace nothing is to be gained by it.
    fn prefetch(&mut self, _how: Locality, _addr: Val, _off: i32) -> Done {
        Ok(())
    }
    fn call_state(&mut self, dst: Val, f: HelperId, a: Val, b: Val, c: Val) -> Done {
        let HelperFn::State(f) = self.env.helper(f).f else {
            unreachable!("op call_state names a state helper")
        };
        let operands = [a, b, c].map(|v| self.int(v));
        let value = call_state(f, self.state, self.env, operands);
        let value = self.check(value)?;
        self.gives(dst, value)
    }
    fn trap_if(&mut self, trap: u8, c: Val) -> Done {
        if self.int(c) == 0 {
            return Ok(());
        }
        Err(self.end(Stop::Trap(Trap::from_number(trap).unwrap_or(Trap::Illegal))))
    }
    fn side_exit(&mut self, when: When, c: Val, off: i32) -> Done {
        if !when.happens(self.int(c)) {
            return Ok(());
        }
        Err(self.end(Stop::Leave { off }))
    }
    fn fpenv_get(&mut self, dst: Val) -> Done {
        self.gives(dst, u64::from(fp::mxcsr()))
    }
    fn fpenv_set(&mut self, a: Val) -> Done {
        fp::set_mxcsr(self.int(a) as u32);
        Ok(())
    }

    vector_bitwise! {
        vand = |x, y| x & y;
        vor = |x, y| x | y;
        vxor = |x, y| x ^ y;
        vandnot = |x, y| x & !y;
        vsad = lanes::sum_of_differences;
        vmaddw = lanes::multiply_add_pairs;
        vmaddub = lanes::multiply_add_bytes;
        vmulhrs = lanes::rounded_high_products;
    }
    fn vnot(&mut self, dst: Val, n: VecLen, a: Val) -> Done {
        self.units1(dst, n, a, |x| !x)
    }
    fn vbitsel(&mut self, dst: Val, n: VecLen, m: Val, a: Val, b: Val) -> Done {
        self.units3(dst, n, [m, a, b], |mask, x, y| (x & mask) | (y & !mask))
    }
    fn vpair(&mut self, dst: Val, n: VecLen, lo: Val, hi: Val) -> Done {
        let unit = u128::from(self.int(lo)) | u128::from(self.int(hi)) << 64;
        for u in 0..n.units() {
            self.set_unit(dst, u, if u == 0 { unit } else { 0 });
        }
        Ok(())
    }
    fn vjoin(&mut self, dst: Val, n: VecLen, lo: Val, hi: Val) -> Done {
        let half = n.units() / 2;
        for u in 0..n.units() {
            let value = if u < half { self.unit(lo, u) } else { self.unit(hi, u - half) };
            self.set_unit(dst, u, value);
        }
        Ok(())
    }
    fn vpart(&mut self, dst: Val, n: VecLen, from: u8, a: Val) -> Done {
        for u in 0..n.units() {
            let value = self.unit(a, usize::from(from) + u);
            self.set_unit(dst, u, value);
        }
        Ok(())
    }
    fn vsplat(&mut self, dst: Val, n: VecLen, lane: Lane, a: Val) -> Done {
        let value = self.int(a);
        for u in 0..n.units() {
            self.set_unit(dst, u, build(lane, |_| value));
        }
        Ok(())
    }
    fn vextract(&mut self, dst: Val, _n: VecLen, lane: Lane, index: u8, a: Val) -> Done {
        let per_unit = 16 / lane.bytes();
        let unit = self.unit(a, usize::from(index) / per_unit);
        self.gives(dst, lane_of(lane, unit, usize::from(index) % per_unit))
    }
    fn vinsert(&mut self, dst: Val, n: VecLen, lane: Lane, index: u8, a: Val, b: Val) -> Done {
        let (per_unit, value) = (16 / lane.bytes(), self.int(b) & lane.width().mask());
        for u in 0..n.units() {
            let mut unit = self.unit(a, u);
            if usize::from(index) / per_unit == u {
                let shift = (usize::from(index) % per_unit) as u32 * lane.bits();
                unit = (unit & !(u128::from(lane.width().mask()) << shift)) | u128::from(value) << shift;
            }
            self.set_unit(dst, u, unit);
        }
        Ok(())
    }
    fn vshuffle(&mut self, dst: Val, n: VecLen, a: Val, b: Val, idx: Val) -> Done {
        self.units3(dst, n, [a, b, idx], lanes::shuffle)
    }
    fn vmovmask(&mut self, dst: Val, n: VecLen, lane: Lane, a: Val) -> Done {
        let (per_unit, mut mask) = (16 / lane.bytes(), 0);
        for i in 0..n.units() * per_unit {
            mask |= (lane_of(lane, self.unit(a, i / per_unit), i % per_unit) >> (lane.bits() - 1)) << i;
        }
        self.gives(dst, mask)
    }
    fn call_vec(&mut self, dst: Val, n: VecLen, f: HelperId, a: Val, b: Val, c: Val, imm: u32) -> Done {
        let HelperFn::Vector(f) = self.env.helper(f).f else {
            unreachable!("op call_vec names a vector helper")
        };
        self.units3(dst, n, [a, b, c], |x, y, z| f(x, y, z, imm))
    }

    fn vcrypto(&mut self, dst: Val, n: VecLen, op: Crypto, a: Val, b: Val, c: Val) -> Done {
        self.units3(dst, n, [a, b, c], |x, y, z| crypto::execute(op, x, y, z))
    }

    lane_binary! {
        vadd = |_, a: u64, b| a.wrapping_add(b);
        vsub = |_, a: u64, b| a.wrapping_sub(b);
        vmul = |_, a: u64, b| a.wrapping_mul(b);
        vshlv = lanes::shl;
        vshrv = lanes::shr;
        vsarv = lanes::sar;
    }
    lane_signed! {
        vaddsat = saturating |a, b| a + b;
        vsubsat = saturating |a, b| a - b;
        vmin = numeric |a, b| a.min(b);
        vmax = numeric |a, b| a.max(b);
        vhadd = numeric |a, b| (a + b) >> 1;
        vrhadd = numeric |a, b| (a + b + 1) >> 1;
        vhsub = numeric |a, b| (a - b) >> 1;
    }
    fn vmulh(&mut self, dst: Val, n: VecLen, lane: Lane, signed: Sign, a: Val, b: Val) -> Done {
        self.units2(dst, n, a, b, |x, y| lanes::numeric(lane, signed, x, y, |p, q| (p * q) >> lane.bits()))
    }
    fn vmull(&mut self, dst: Val, n: VecLen, lane: Lane, signed: Sign, half: Half, a: Val, b: Val) -> Done {
        let Some(wide) = lane.wider() else { unreachable!("the verifier demands a lane that can widen") };
        self.units2(dst, n, a, b, |x, y| lanes::widening_product(lane, wide, signed, half, x, y))
    }
    fn vneg(&mut self, dst: Val, n: VecLen, lane: Lane, a: Val) -> Done {
        self.units1(dst, n, a, |x| map1(lane, x, u64::wrapping_neg))
    }
    fn vabs(&mut self, dst: Val, n: VecLen, lane: Lane, a: Val) -> Done {
        self.units1(dst, n, a, |x| map1(lane, x, |p| (lane.width().sign_extend(p) as i64).unsigned_abs()))
    }
    fn vicmp(&mut self, dst: Val, n: VecLen, lane: Lane, cc: IntCc, a: Val, b: Val) -> Done {
        self.units2(dst, n, a, b, |x, y| lanes::compare(lane, cc, x, y))
    }
    lane_shift! {
        vshl = lanes::shl;
        vshr = lanes::shr;
        vsar = lanes::sar;
    }
    fn vpopcnt(&mut self, dst: Val, n: VecLen, lane: Lane, a: Val) -> Done {
        self.units1(dst, n, a, |x| map1(lane, x, |p| u64::from(p.count_ones())))
    }
    fn vclz(&mut self, dst: Val, n: VecLen, lane: Lane, a: Val) -> Done {
        self.units1(dst, n, a, |x| map1(lane, x, |p| scalar::clz(lane.width(), p)))
    }
    fn vnarrow(&mut self, dst: Val, n: VecLen, lane: Lane, how: Narrow, a: Val, b: Val) -> Done {
        let Some(narrow) = lane.narrower() else {
            unreachable!("the verifier demands a lane that can narrow")
        };
        self.units2(dst, n, a, b, |x, y| lanes::narrow(lane, narrow, how, x, y))
    }
    fn vwiden(&mut self, dst: Val, n: VecLen, lane: Lane, signed: Sign, half: Half, a: Val) -> Done {
        let Some(wide) = lane.wider() else { unreachable!("the verifier demands a lane that can widen") };
        self.units1(dst, n, a, |x| lanes::widen(lane, wide, signed, half, x))
    }
    fn vreduce(&mut self, dst: Val, n: VecLen, lane: Lane, op: Reduce, a: Val) -> Done {
        let per_unit = 16 / lane.bytes();
        let signed = if matches!(op, Reduce::Smin | Reduce::Smax) { Sign::Signed } else { Sign::Unsigned };
        let all = (0..n.units() * per_unit)
            .map(|i| lanes::number(lane, signed, lane_of(lane, self.unit(a, i / per_unit), i % per_unit)));
        let value = match op {
            Reduce::Add => all.sum(),
            Reduce::Smin | Reduce::Umin => all.min().unwrap_or(0),
            Reduce::Smax | Reduce::Umax => all.max().unwrap_or(0),
        };
        self.gives(dst, value as u64 & lane.width().mask())
    }

    float_arith! {
        fadd vfadd = Arith::Add;
        fsub vfsub = Arith::Sub;
        fmul vfmul = Arith::Mul;
        fdiv vfdiv = Arith::Div;
    }
    fn fsqrt(&mut self, dst: Val, fs: FSize, a: Val) -> Done {
        self.gives(dst, float::sqrt(self.nan_rule, fs, self.int(a)))
    }
    fn fma(&mut self, dst: Val, fs: FSize, a: Val, b: Val, c: Val) -> Done {
        self.gives(dst, float::fma(self.nan_rule, fs, self.int(a), self.int(b), self.int(c)))
    }
    fn fminmax(&mut self, dst: Val, op: MinMax, fs: FSize, a: Val, b: Val) -> Done {
        self.gives(dst, float::minmax(self.nan_rule, op, fs, self.int(a), self.int(b)))
    }
    fn fcmp(&mut self, dst: Val, cc: FloatCc, nans: Nans, fs: FSize, a: Val, b: Val) -> Done {
        let order = float::compare(self.nan_rule, nans, fs, self.int(a), self.int(b));
        self.gives(dst, u64::from(float::holds(cc, order)))
    }
    fn fcompare(&mut self, dst: Val, nans: Nans, fs: FSize, a: Val, b: Val) -> Done {
        let order = float::compare(self.nan_rule, nans, fs, self.int(a), self.int(b));
        self.gives(dst, order)
    }
    fn fround(&mut self, dst: Val, fs: FSize, mode: Round, inexact: Inexact, a: Val) -> Done {
        self.gives(dst, float::round(self.nan_rule, fs, mode, inexact, self.int(a)))
    }
    fn fconvert(&mut self, dst: Val, from: FSize, to: FSize, a: Val) -> Done {
        self.gives(dst, float::convert(self.nan_rule, from, to, self.int(a)))
    }
    fn ftoi(
        &mut self,
        dst: Val,
        fs: FSize,
        w: Width,
        signed: Sign,
        mode: Round,
        over: Overflow,
        a: Val,
    ) -> Done {
        self.gives(dst, float::to_int(self.nan_rule, fs, w, signed, mode, over, self.int(a)))
    }
    fn farm(&mut self, dst: Val, op: ArmFloat, fs: FSize, imm: u32, a: Val, b: Val) -> Done {
        self.gives(dst, float::arm(self.nan_rule, op, fs, imm, self.int(a), self.int(b)))
    }
    fn itof(&mut self, dst: Val, fs: FSize, w: Width, signed: Sign, a: Val) -> Done {
        self.gives(dst, float::from_int(self.nan_rule, fs, w, signed, self.int(a)))
    }

    fn vfsqrt(&mut self, dst: Val, n: VecLen, fs: FSize, a: Val) -> Done {
        let rule = self.nan_rule;
        self.units1(dst, n, a, |x| float::sqrt_unit(rule, fs, x))
    }
    fn vfma(&mut self, dst: Val, n: VecLen, fs: FSize, a: Val, b: Val, c: Val) -> Done {
        let rule = self.nan_rule;
        self.units3(dst, n, [a, b, c], |x, y, z| float::fma_unit(rule, fs, x, y, z))
    }
    fn vfminmax(&mut self, dst: Val, n: VecLen, op: MinMax, fs: FSize, a: Val, b: Val) -> Done {
        let rule = self.nan_rule;
        self.units2(dst, n, a, b, |x, y| map2(fs.lane(), x, y, |p, q| float::minmax(rule, op, fs, p, q)))
    }
    fn vfcmp(&mut self, dst: Val, n: VecLen, cc: FloatCc, nans: Nans, fs: FSize, a: Val, b: Val) -> Done {
        let rule = self.nan_rule;
        let test = |p, q| if float::holds(cc, float::compare(rule, nans, fs, p, q)) { u64::MAX } else { 0 };
        self.units2(dst, n, a, b, |x, y| map2(fs.lane(), x, y, test))
    }
    fn vfround(&mut self, dst: Val, n: VecLen, fs: FSize, mode: Round, inexact: Inexact, a: Val) -> Done {
        let rule = self.nan_rule;
        self.units1(dst, n, a, |x| map1(fs.lane(), x, |p| float::round(rule, fs, mode, inexact, p)))
    }
    fn vfwiden(&mut self, dst: Val, n: VecLen, from: FSize, half: Half, a: Val) -> Done {
        let to = if from == FSize::F16 { FSize::F32 } else { FSize::F64 };
        let (rule, count) = (self.nan_rule, 16 / to.lane().bytes());
        let start = if half == Half::High { count } else { 0 };
        self.units1(dst, n, a, |x| {
            build(to.lane(), |i| float::convert(rule, from, to, lane_of(from.lane(), x, start + i)))
        })
    }
    fn vfnarrow(&mut self, dst: Val, n: VecLen, from: FSize, a: Val) -> Done {
        let to = if from == FSize::F64 { FSize::F32 } else { FSize::F16 };
        let (rule, count) = (self.nan_rule, 16 / from.lane().bytes());
        self.units1(dst, n, a, |x| {
            build(to.lane(), |i| {
                if i < count { float::convert(rule, from, to, lane_of(from.lane(), x, i)) } else { 0 }
            })
        })
    }
    fn vtohalf(&mut self, dst: Val, n: VecLen, mode: Round, a: Val) -> Done {
        self.units1(dst, n, a, |x| float::to_half_unit(mode, x))
    }
    fn vftoi(
        &mut self,
        dst: Val,
        n: VecLen,
        fs: FSize,
        signed: Sign,
        mode: Round,
        over: Overflow,
        a: Val,
    ) -> Done {
        let (rule, w) = (self.nan_rule, fs.width());
        self.units1(dst, n, a, |x| map1(fs.lane(), x, |p| float::to_int(rule, fs, w, signed, mode, over, p)))
    }
    fn vitof(&mut self, dst: Val, n: VecLen, fs: FSize, signed: Sign, a: Val) -> Done {
        let (rule, w) = (self.nan_rule, fs.width());
        self.units1(dst, n, a, |x| map1(fs.lane(), x, |p| float::from_int(rule, fs, w, signed, p)))
    }
    fn vestimate(&mut self, dst: Val, n: VecLen, op: Estimate, a: Val) -> Done {
        self.units1(
            dst,
            n,
            a,
            match op {
                Estimate::Reciprocal => fp::rcpps,
                Estimate::ReciprocalSqrt => fp::rsqrtps,
            },
        )
    }
}
