//! Sums, products, quotients, roots, comparisons.

use super::{Finite, Format, Number, Rounding, Unit, control, flag};
use crate::ir::{FSize, flags::ordering};

/// Two-operand arithmetic.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Extreme {
    Min,
    Max,
}

/// The value with its highest bit at place 126.
fn normal(x: Finite) -> Finite {
    let shift = x.significand.leading_zeros() as i32 - 1;
    Finite { significand: x.significand << shift, exponent: x.exponent - shift, ..x }
}

/// The sum, exact but for what the lowest bit notes; none where it is zero.
fn sum(x: Finite, y: Finite) -> Option<Finite> {
    let (x, y) = (normal(x), normal(y));
    let (x, y) = if (x.exponent, x.significand) < (y.exponent, y.significand) { (y, x) } else { (x, y) };
    let shift = (x.exponent - y.exponent) as u32;
    let aligned = match shift {
        0 => y.significand,
        1..=126 => {
            let kept = y.significand >> shift;
            kept | u128::from(kept << shift != y.significand)
        }
        _ => 1,
    };
    let significand = if x.sign == y.sign { x.significand + aligned } else { x.significand - aligned };
    (significand != 0).then_some(Finite { significand, ..x })
}

fn product(x: Finite, y: Finite) -> Finite {
    Finite {
        sign: x.sign != y.sign,
        significand: x.significand * y.significand,
        exponent: x.exponent + y.exponent,
    }
}

fn is_zero(n: Number) -> bool {
    matches!(n, Number::Zero(_))
}

fn is_infinite(n: Number) -> bool {
    matches!(n, Number::Infinite(_))
}

/// Zero times infinity.
fn is_void(x: Number, y: Number) -> bool {
    is_zero(x) && is_infinite(y) || is_infinite(x) && is_zero(y)
}

impl Unit {
    fn pair(&mut self, fs: FSize, a: u64, b: u64) -> (Format, Number, Number) {
        let f = Format::of(fs);
        (f, self.unpack(f, a), self.unpack(f, b))
    }

    fn total(&mut self, f: Format, value: Option<Finite>) -> u64 {
        match value {
            Some(value) => self.round(f, value),
            None => self.zero_sum(f),
        }
    }

    /// `FPAdd`
    pub fn add(&mut self, fs: FSize, a: u64, b: u64) -> u64 {
        self.sum_of(fs, a, b, false)
    }

    /// `FPSub`
    pub fn sub(&mut self, fs: FSize, a: u64, b: u64) -> u64 {
        self.sum_of(fs, a, b, true)
    }

    fn sum_of(&mut self, fs: FSize, a: u64, b: u64, minus: bool) -> u64 {
        let (f, x, y) = self.pair(fs, a, b);
        if let Some(nan) = self.nans(f, &[x, y]) {
            return nan;
        }
        match (x, y) {
            (Number::Infinite(s), Number::Infinite(t)) if s != (t != minus) => self.invalid(f),
            (Number::Infinite(s), _) => f.signed(s, f.infinity()),
            (_, Number::Infinite(t)) => f.signed(t != minus, f.infinity()),
            (Number::Zero(s), Number::Zero(t)) if s == (t != minus) => f.signed(s, 0),
            (Number::Finite(x), Number::Finite(y)) => {
                self.total(f, sum(x, Finite { sign: y.sign != minus, ..y }))
            }
            (Number::Finite(x), _) => self.round(f, x),
            (_, Number::Finite(y)) => self.round(f, Finite { sign: y.sign != minus, ..y }),
            _ => self.zero_sum(f),
        }
    }

    /// `FPMul`
    pub fn mul(&mut self, fs: FSize, a: u64, b: u64) -> u64 {
        let (f, x, y) = self.pair(fs, a, b);
        if let Some(nan) = self.nans(f, &[x, y]) {
            return nan;
        }
        if is_void(x, y) {
            return self.invalid(f);
        }
        self.product_of(f, x, y)
    }

    /// `FPMulX`: zero times infinity is two.
    pub(super) fn mulx(&mut self, fs: FSize, a: u64, b: u64) -> u64 {
        let (f, x, y) = self.pair(fs, a, b);
        if let Some(nan) = self.nans(f, &[x, y]) {
            return nan;
        }
        if is_void(x, y) {
            return f.signed(x.sign(f) != y.sign(f), 1 << (f.exponent + f.fraction - 1));
        }
        self.product_of(f, x, y)
    }

    fn product_of(&mut self, f: Format, x: Number, y: Number) -> u64 {
        let sign = x.sign(f) != y.sign(f);
        match (x, y) {
            (Number::Finite(x), Number::Finite(y)) => self.round(f, product(x, y)),
            _ if is_zero(x) || is_zero(y) => f.signed(sign, 0),
            _ => f.signed(sign, f.infinity()),
        }
    }

    /// `FPDiv`
    pub fn div(&mut self, fs: FSize, a: u64, b: u64) -> u64 {
        let (f, x, y) = self.pair(fs, a, b);
        if let Some(nan) = self.nans(f, &[x, y]) {
            return nan;
        }
        let sign = x.sign(f) != y.sign(f);
        match (x, y) {
            (Number::Infinite(_), Number::Infinite(_)) | (Number::Zero(_), Number::Zero(_)) => {
                self.invalid(f)
            }
            (Number::Infinite(_), _) => f.signed(sign, f.infinity()),
            (_, Number::Zero(_)) => {
                self.raise(flag::DIVIDE_BY_ZERO);
                f.signed(sign, f.infinity())
            }
            (Number::Finite(x), Number::Finite(y)) => {
                let x = normal(x);
                let (quotient, rest) = (x.significand / y.significand, x.significand % y.significand);
                let significand = quotient << 1 | u128::from(rest != 0);
                self.round(f, Finite { sign, significand, exponent: x.exponent - y.exponent - 1 })
            }
            _ => f.signed(sign, 0),
        }
    }

    /// `FPSqrt`
    pub fn sqrt(&mut self, fs: FSize, a: u64) -> u64 {
        let f = Format::of(fs);
        match self.unpack(f, a) {
            Number::Nan(bits, signals) => self.nan(f, (bits, signals)),
            Number::Zero(sign) => f.signed(sign, 0),
            Number::Infinite(false) => f.infinity(),
            Number::Finite(x) if !x.sign => {
                let mut x = normal(x);
                if x.exponent & 1 != 0 {
                    (x.significand, x.exponent) = (x.significand >> 1, x.exponent + 1);
                }
                let root = x.significand.isqrt();
                let significand = root << 1 | u128::from(root * root != x.significand);
                self.round(f, Finite { significand, exponent: x.exponent / 2 - 1, ..x })
            }
            _ => self.invalid(f),
        }
    }

    /// `FPMulAdd`: c + a * b.
    pub fn fma(&mut self, fs: FSize, a: u64, b: u64, c: u64) -> u64 {
        let f = Format::of(fs);
        let (z, x, y) = (self.unpack(f, c), self.unpack(f, a), self.unpack(f, b));
        let nan = self.nans(f, &[z, x, y]);
        let void = is_void(x, y);
        if let Some(nan) = nan {
            return if void && matches!(z, Number::Nan(_, false)) { self.invalid(f) } else { nan };
        }
        let sign = x.sign(f) != y.sign(f);
        let infinite = is_infinite(x) || is_infinite(y);
        match (z, infinite) {
            _ if void => self.invalid(f),
            (Number::Infinite(s), true) if s != sign => self.invalid(f),
            (Number::Infinite(s), _) => f.signed(s, f.infinity()),
            (_, true) => f.signed(sign, f.infinity()),
            _ => self.fused(f, x, y, z),
        }
    }

    /// The same of what is finite.
    fn fused(&mut self, f: Format, x: Number, y: Number, z: Number) -> u64 {
        let sign = x.sign(f) != y.sign(f);
        match (x, y, z) {
            (Number::Finite(x), Number::Finite(y), Number::Finite(z)) => self.total(f, sum(product(x, y), z)),
            (Number::Finite(x), Number::Finite(y), _) => self.round(f, product(x, y)),
            (_, _, Number::Finite(z)) => self.round(f, z),
            _ if z.sign(f) == sign => f.signed(sign, 0),
            _ => self.zero_sum(f),
        }
    }

    /// `FPRecipStepFused`: 2 - a * b.
    pub(super) fn recip_step(&mut self, fs: FSize, a: u64, b: u64) -> u64 {
        let two = Finite { sign: false, significand: 2, exponent: 0 };
        self.step(fs, a, b, two, 0)
    }

    /// `FPRSqrtStepFused`: (3 - a * b) / 2.
    pub(super) fn rsqrt_step(&mut self, fs: FSize, a: u64, b: u64) -> u64 {
        let three = Finite { sign: false, significand: 3, exponent: 0 };
        self.step(fs, a, b, three, 1)
    }

    fn step(&mut self, fs: FSize, a: u64, b: u64, addend: Finite, halvings: i32) -> u64 {
        let (f, x, y) = self.pair(fs, a ^ Format::of(fs).sign_bit(), b);
        if let Some(nan) = self.nans(f, &[x, y]) {
            return nan;
        }
        let half = |value: Finite| Finite { exponent: value.exponent - halvings, ..value };
        match (x, y) {
            _ if is_void(x, y) => self.round(f, half(addend)),
            (Number::Finite(x), Number::Finite(y)) => {
                let value = sum(product(x, y), addend);
                self.total(f, value.map(half))
            }
            _ if is_infinite(x) || is_infinite(y) => f.signed(x.sign(f) != y.sign(f), f.infinity()),
            _ => self.round(f, half(addend)),
        }
    }

    /// How a compares with b (see [`ordering`]). `FPCompare` and its kin.
    pub fn compare(&mut self, fs: FSize, signals: bool, a: u64, b: u64) -> u64 {
        let (_, x, y) = self.pair(fs, a, b);
        let nans = [x, y].map(|n| match n {
            Number::Nan(_, signalling) => (true, signalling),
            _ => (false, false),
        });
        if nans.iter().any(|n| n.0) {
            if signals || nans.iter().any(|n| n.1) {
                self.raise(flag::INVALID);
            }
            return ordering::UNORDERED;
        }
        match order(x, y) {
            std::cmp::Ordering::Less => ordering::LESS,
            std::cmp::Ordering::Equal => ordering::EQUAL,
            std::cmp::Ordering::Greater => ordering::GREATER,
        }
    }

    /// `FPMin`, `FPMax`, and with `numbers` `FPMinNum`, `FPMaxNum`.
    pub fn extreme(&mut self, fs: FSize, which: Extreme, numbers: bool, a: u64, b: u64) -> u64 {
        let (f, mut x, mut y) = self.pair(fs, a, b);
        if numbers {
            let quiet = |n| matches!(n, Number::Nan(_, false));
            let loser = Number::Infinite(which == Extreme::Max);
            match (quiet(x), quiet(y)) {
                (true, false) => x = loser,
                (false, true) => y = loser,
                _ => {}
            }
        }
        if let Some(nan) = self.nans(f, &[x, y]) {
            return nan;
        }
        if let (Number::Zero(s), Number::Zero(t)) = (x, y) {
            return f.signed(if which == Extreme::Min { s || t } else { s && t }, 0);
        }
        let first = (order(x, y) == std::cmp::Ordering::Less) == (which == Extreme::Min);
        match if first { x } else { y } {
            Number::Finite(value) => self.round(f, value),
            Number::Infinite(sign) => f.signed(sign, f.infinity()),
            Number::Zero(sign) => f.signed(sign, 0),
            Number::Nan(bits, _) => bits,
        }
    }

    /// Whether NaN results are all the default one.
    #[must_use]
    pub const fn default_nan(&self) -> bool {
        self.control & control::DEFAULT_NAN != 0
    }
}

/// How numbers that are no NaNs compare.
fn order(x: Number, y: Number) -> std::cmp::Ordering {
    /// Sign, class, exponent of the highest bit, significand.
    fn key(n: Number) -> (i32, i32, u128) {
        match n {
            Number::Zero(_) | Number::Nan(..) => (0, 0, 0),
            Number::Finite(f) => {
                let f = normal(f);
                (1, f.exponent, f.significand)
            }
            Number::Infinite(_) => (2, 0, 0),
        }
    }
    let negative = |n| match n {
        Number::Finite(f) => f.sign,
        Number::Infinite(sign) => sign,
        Number::Zero(_) | Number::Nan(..) => false,
    };
    match (negative(x), negative(y)) {
        (false, false) => key(x).cmp(&key(y)),
        (true, true) => key(y).cmp(&key(x)),
        (true, false) => std::cmp::Ordering::Less,
        (false, true) => std::cmp::Ordering::Greater,
    }
}

impl Rounding {
    /// FPCR.RMode's mode.
    #[must_use]
    pub const fn of_fpcr(bits: u64) -> Self {
        match bits & 3 {
            0 => Self::Nearest,
            1 => Self::Up,
            2 => Self::Down,
            _ => Self::Zero,
        }
    }
}
