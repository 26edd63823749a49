//! The shapes that many op methods share: what is left of each op is one expression.

use super::{Interp, Stopped, scalar};
use guest::GuestAddr;
use guest::ir::{Order, Sign, Val, VecLen, Width};
use guest::state::{MONITOR_ADDR, MONITOR_SIZE, MONITOR_VALUE};

pub(super) type Done = Result<(), Stopped>;

impl Interp<'_> {
    #[inline(always)]
    pub(super) fn addr(&self, addr: Val, off: i32) -> GuestAddr {
        GuestAddr(self.int(addr)).offset(i64::from(off))
    }

    #[inline(always)]
    pub(super) fn int2(&mut self, dst: Val, w: Width, a: Val, b: Val, f: impl Fn(u64, u64) -> u64) -> Done {
        let value = f(self.int(a), self.int(b)) & w.mask();
        self.set(dst, value);
        Ok(())
    }

    #[inline(always)]
    pub(super) fn int1(&mut self, dst: Val, w: Width, a: Val, f: impl Fn(u64) -> u64) -> Done {
        let value = f(self.int(a)) & w.mask();
        self.set(dst, value);
        Ok(())
    }

    #[inline(always)]
    pub(super) fn units1(&mut self, dst: Val, n: VecLen, a: Val, f: impl Fn(u128) -> u128) -> Done {
        for u in 0..n.units() {
            let value = f(self.unit(a, u));
            self.set_unit(dst, u, value);
        }
        Ok(())
    }

    /// An integer result.
    #[inline(always)]
    pub(super) fn gives(&mut self, dst: Val, value: u64) -> Done {
        self.set(dst, value);
        Ok(())
    }

    #[inline(always)]
    pub(super) fn units3(
        &mut self,
        dst: Val,
        n: VecLen,
        [a, b, c]: [Val; 3],
        f: impl Fn(u128, u128, u128) -> u128,
    ) -> Done {
        for u in 0..n.units() {
            let value = f(self.unit(a, u), self.unit(b, u), self.unit(c, u));
            self.set_unit(dst, u, value);
        }
        Ok(())
    }

    #[inline(always)]
    pub(super) fn units2(
        &mut self,
        dst: Val,
        n: VecLen,
        a: Val,
        b: Val,
        f: impl Fn(u128, u128) -> u128,
    ) -> Done {
        for u in 0..n.units() {
            let value = f(self.unit(a, u), self.unit(b, u));
            self.set_unit(dst, u, value);
        }
        Ok(())
    }

    pub(super) fn wide_div(&self, w: Width, signed: Sign, n: (Val, Val), b: Val) -> (u64, u64) {
        scalar::div_wide(w, signed, self.int(n.0), self.int(n.1), self.int(b))
    }

    pub(super) fn arm_monitor(&mut self, addr: GuestAddr, size: u64, value: u128) {
        self.state.set_u64(MONITOR_ADDR, addr.raw());
        self.state.set_u64(MONITOR_SIZE, size);
        self.state.set_u128(MONITOR_VALUE, value);
    }

    /// The value a store-exclusive must find, if the monitor is armed for it. A tag does not count.
    pub(super) fn monitored(&self, addr: GuestAddr, size: u64) -> Option<u128> {
        let same_place = (self.state.u64(MONITOR_ADDR) ^ addr.raw()) << 8 == 0;
        let armed = self.state.u64(MONITOR_SIZE) == size && same_place;
        armed.then(|| self.state.u128(MONITOR_VALUE))
    }

    /// A sequentially consistent store is one that later loads do not pass.
    #[inline(always)]
    pub(super) fn fence_after_store(&self, ord: Order) {
        if ord == Order::SeqCst {
            std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
        }
    }
}

macro_rules! int_binary {
    ($($name:ident = $f:expr;)*) => {$(
        #[inline(always)]
        fn $name(&mut self, dst: Val, w: Width, a: Val, b: Val) -> Done {
            #[allow(clippy::redundant_closure_call)]
            self.int2(dst, w, a, b, |x, y| ($f)(w, x, y))
        }
    )*};
}

macro_rules! int_unary {
    ($($name:ident = $f:expr;)*) => {$(
        #[inline(always)]
        fn $name(&mut self, dst: Val, w: Width, a: Val) -> Done {
            #[allow(clippy::redundant_closure_call)]
            self.int1(dst, w, a, |x| ($f)(w, x))
        }
    )*};
}

macro_rules! vector_bitwise {
    ($($name:ident = $f:expr;)*) => {$(
        fn $name(&mut self, dst: Val, n: VecLen, a: Val, b: Val) -> Done {
            self.units2(dst, n, a, b, $f)
        }
    )*};
}

macro_rules! lane_binary {
    ($($name:ident = $f:expr;)*) => {$(
        fn $name(&mut self, dst: Val, n: VecLen, lane: Lane, a: Val, b: Val) -> Done {
            #[allow(clippy::redundant_closure_call)]
            self.units2(dst, n, a, b, |x, y| map2(lane, x, y, |p, q| ($f)(lane, p, q)))
        }
    )*};
}

macro_rules! lane_signed {
    ($($name:ident = $how:ident $f:expr;)*) => {$(
        fn $name(&mut self, dst: Val, n: VecLen, lane: Lane, signed: Sign, a: Val, b: Val) -> Done {
            self.units2(dst, n, a, b, |x, y| lanes::$how(lane, signed, x, y, $f))
        }
    )*};
}

macro_rules! lane_shift {
    ($($name:ident = $f:expr;)*) => {$(
        fn $name(&mut self, dst: Val, n: VecLen, lane: Lane, a: Val, count: Val) -> Done {
            let count = self.int(count);
            self.units1(dst, n, a, |x| map1(lane, x, |p| $f(lane, p, count)))
        }
    )*};
}

macro_rules! float_arith {
    ($($scalar:ident $vector:ident = $op:expr;)*) => {$(
        fn $scalar(&mut self, dst: Val, fs: FSize, a: Val, b: Val) -> Done {
            let value = float::arith(self.nan_rule, $op, fs, self.int(a), self.int(b));
            self.set(dst, value);
            Ok(())
        }
        fn $vector(&mut self, dst: Val, n: VecLen, fs: FSize, a: Val, b: Val) -> Done {
            let rule = self.nan_rule;
            self.units2(dst, n, a, b, |x, y| float::arith_unit(rule, $op, fs, x, y))
        }
    )*};
}

pub(super) use {float_arith, int_binary, int_unary, lane_binary, lane_shift, lane_signed, vector_bitwise};
