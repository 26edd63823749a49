//! The operand types of IR ops: small, `Copy`, and each printable and parsable by name.

use crate::state::Slot;
use std::fmt;

/// A block-local value. The number is that of its first 64-bit cell in the interpreter's value file:
/// an integer takes one cell, a vector two per 16-byte unit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Val(pub u16);

impl Val {
    /// No value; an array with [`VALUE_PLACES`] entries has a place for it.
    pub const NONE: Self = Self(super::MAX_CELLS as u16);
}

/// How many entries an array by value has.
pub const VALUE_PLACES: usize = super::MAX_CELLS + 1;

/// What kind of value a [`Val`] is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A 64-bit integer, or the bits of a float.
    Int,
    /// A vector of that many 16-byte units.
    Vector(VecLen),
}

/// Index into the architecture's helper table.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct HelperId(pub u16);

/// A field type of the op table: printable, parsable, and able to name the values it uses.
pub trait Field: Sized + Copy {
    fn print(self, f: &mut fmt::Formatter<'_>) -> fmt::Result;
    /// `None` where the text is not of this type.
    fn parse(text: &str) -> Option<Self>;
    /// The value this field reads, if it is an operand.
    fn value(self) -> Option<Val> {
        None
    }
    /// The field with its value replaced, if it is an operand.
    #[must_use]
    fn renamed(self, _map: &mut dyn FnMut(Val) -> Val) -> Self {
        self
    }
}

impl Field for Val {
    fn print(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.0)
    }
    fn parse(text: &str) -> Option<Self> {
        text.strip_prefix('v')?.parse().ok().map(Val)
    }
    fn value(self) -> Option<Val> {
        Some(self)
    }
    fn renamed(self, map: &mut dyn FnMut(Val) -> Val) -> Self {
        map(self)
    }
}

impl Field for Slot {
    fn print(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s{}", self.0)
    }
    fn parse(text: &str) -> Option<Self> {
        text.strip_prefix('s')?.parse().ok().map(Slot)
    }
}

impl Field for HelperId {
    fn print(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "h{}", self.0)
    }
    fn parse(text: &str) -> Option<Self> {
        text.strip_prefix('h')?.parse().ok().map(HelperId)
    }
}

macro_rules! number_field {
    ($($t:ty),*) => {$(
        impl Field for $t {
            fn print(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{self}")
            }
            fn parse(text: &str) -> Option<Self> {
                text.parse().ok()
            }
        }
    )*};
}
number_field!(u8, u16, i32, u32, u64);

/// Declares enums whose variants print and parse as a lower-case word.
macro_rules! word_enums {
    ($($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $word:literal),* $(,)? })*) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        #[repr(u8)]
        pub enum $name { $($(#[$vmeta])* $variant),* }

        impl $name {
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];
        }

        impl Field for $name {
            fn print(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $word),* })
            }
            fn parse(text: &str) -> Option<Self> {
                match text { $($word => Some(Self::$variant),)* _ => None }
            }
        }
    )*};
}

impl When {
    /// Whether it happens for this value of the condition.
    #[must_use]
    pub const fn happens(self, c: u64) -> bool {
        (c != 0) == matches!(self, Self::Holds)
    }
}

word_enums! {
    /// Width of an integer operation. Operand bits above it are ignored; results are zero-extended.
    Width { W8 = "w8", W16 = "w16", W32 = "w32", W64 = "w64" }

    /// Whether something happens where a condition holds, or where it fails.
    When { Holds = "holds", Fails = "fails" }

    /// Length of a vector value, in 16-byte units.
    VecLen { X1 = "x1", X2 = "x2", X4 = "x4" }

    /// Lane size of a vector operation.
    Lane { B = "b", H = "h", S = "s", D = "d" }

    /// Size of a floating-point value.
    FSize { F16 = "f16", F32 = "f32", F64 = "f64" }

    Sign { Unsigned = "u", Signed = "i" }

    /// Which half of a vector an operation reads (of each 16-byte unit).
    Half { Low = "lo", High = "hi" }

    /// Memory ordering of an access. `Tso` is x86's: loads acquire, stores release.
    Order { Relaxed = "rlx", Acquire = "acq", Release = "rel", AcqRel = "ar", SeqCst = "sc", Tso = "tso" }

    /// What a prefetch is for: which level of cache, data that is used once, or a store.
    Locality { L1 = "l1", L2 = "l2", L3 = "l3", Once = "once", Write = "write" }

    /// Integer comparisons.
    IntCc {
        Eq = "eq", Ne = "ne", Ult = "ult", Ule = "ule", Ugt = "ugt", Uge = "uge",
        Slt = "slt", Sle = "sle", Sgt = "sgt", Sge = "sge",
    }

    /// Floating-point comparisons. `U...` is true where the operands are unordered.
    FloatCc {
        Eq = "feq", Lt = "flt", Le = "fle", Gt = "fgt", Ge = "fge", Ord = "ford",
        Une = "fune", Uge = "fuge", Ugt = "fugt", Ule = "fule", Ult = "fult", Uno = "funo",
        Ueq = "fueq", One = "fone", True = "ftrue", False = "ffalse",
    }

    /// Atomic read-modify-write operations.
    RmwOp {
        Xchg = "xchg", Add = "add", Sub = "sub", And = "and", Or = "or", Xor = "xor", AndNot = "bic",
        Smin = "smin", Smax = "smax", Umin = "umin", Umax = "umax",
    }

    /// Rounding modes. `Current` is the one in the floating-point environment.
    Round {
        Current = "cur", Nearest = "near", Down = "down", Up = "up", Zero = "zero", Away = "away",
    }

    /// Whether rounding to integral raises Inexact.
    Inexact { Suppress = "quiet", Raise = "exact" }

    /// What a float-to-integer conversion gives when the value does not fit.
    Overflow {
        /// x86: the "integer indefinite" value, only the top bit set.
        Indefinite = "indef",
        /// AArch64: the nearest representable integer, zero for a NaN.
        Saturate = "sat",
    }

    /// Minimum and maximum, which no two architectures define alike.
    MinMax {
        /// `a < b ? a : b` (x86 `MINSS`: the second operand where unordered or both zero).
        X86Min = "x86min", X86Max = "x86max",
        /// AArch64 `FMIN`: NaNs propagate, -0 < +0.
        ArmMin = "armmin", ArmMax = "armmax",
        /// AArch64 `FMINNM`: a quiet NaN loses to a number.
        ArmMinNum = "armminnm", ArmMaxNum = "armmaxnm",
    }

    /// AArch64 operations that no other op says ([`crate::arm_float`]).
    ArmFloat {
        Mulx = "mulx", RecipStep = "recps", RsqrtStep = "rsqrts", RecipEstimate = "recpe",
        RsqrtEstimate = "rsqrte", RecipExponent = "recpx",
        /// f64 to f32, rounded to odd.
        ToSingleOdd = "xn",
        /// f32 to a brain float.
        ToBrain = "bf",
        /// With fraction bits (bits 7:0), signedness (bit 8) and the integer's width (bits 11:10) as immediate.
        FixedToHalf = "fixtoh", HalfToFixed = "htofix",
    }

    /// Whether a floating comparison raises Invalid for quiet NaNs too.
    Nans { Quiet = "quiet", Signal = "signal" }

    /// How a vector narrowing treats what does not fit.
    Narrow {
        Truncate = "trunc",
        /// Signed to signed.
        Signed = "ss",
        /// Signed to unsigned.
        SignedToUnsigned = "su",
        /// Unsigned to unsigned.
        Unsigned = "uu",
    }

    /// Low-precision estimates as the x86 host's own unit gives them.
    Estimate { Reciprocal = "rcp", ReciprocalSqrt = "rsqrt" }

    /// Steps of ciphers and hashes, as x86 cuts them (SDM vol. 2). What an op does not name it ignores.
    Crypto {
        /// `AESENC a, b` and its kin.
        AesEnc = "aesenc", AesEncLast = "aesenclast", AesDec = "aesdec", AesDecLast = "aesdeclast",
        /// `AESIMC a`
        AesImc = "aesimc",
        /// `AESKEYGENASSIST a, 0`
        AesKeygen = "aeskeygen",
        /// The carry-less product of a's low (`0`) or high (`1`) half and b's.
        Clmul00 = "clmul00", Clmul10 = "clmul10", Clmul01 = "clmul01", Clmul11 = "clmul11",
        Sha1Msg1 = "sha1msg1", Sha1Msg2 = "sha1msg2", Sha1NextE = "sha1nexte",
        /// `SHA1RNDS4 a, b` with each of the four functions.
        Sha1Rounds0 = "sha1rnds0", Sha1Rounds1 = "sha1rnds1", Sha1Rounds2 = "sha1rnds2",
        Sha1Rounds3 = "sha1rnds3",
        Sha256Msg1 = "sha256msg1", Sha256Msg2 = "sha256msg2",
        /// `SHA256RNDS2 a, b`; c is what the instruction takes from xmm0.
        Sha256Rounds2 = "sha256rnds2",
        /// Products of bytes modulo x^8 + x^4 + x^3 + x + 1.
        GfMul = "gfmul",
        /// Each byte of a (its inverse, for the second) times the bit matrix of 8 bytes of b.
        GfAffine = "gfaffine", GfAffineInv = "gfaffineinv",
    }

    /// Vector reductions to one lane.
    Reduce { Add = "add", Smin = "smin", Smax = "smax", Umin = "umin", Umax = "umax" }

    /// What the last flag-setting operation was. `a`, `b` and `r` are the record's operands.
    /// In packed form flags stand where x86's EFLAGS has them (see [`flag`]).
    FlagKind {
        /// `a` holds all flags, packed.
        Packed = "packed",
        /// r = a + b; C is the carry.
        Add = "add",
        /// r = a + b + carry.
        Adc = "adc",
        /// r = a - b; C is the borrow (x86).
        Sub = "sub",
        /// r = a - b - borrow (x86).
        Sbb = "sbb",
        /// r = a - b; C is the inverted borrow (AArch64).
        SubInv = "subi",
        /// r = a - b - !C; C is the inverted borrow (AArch64).
        SbcInv = "sbci",
        /// C = V = 0.
        Logic = "logic",
        /// r = a + 1; C is bit 0 of b.
        Inc = "inc",
        /// r = a - 1; C is bit 0 of b.
        Dec = "dec",
        /// Z, S and P from r; C is bit 0 of a, V bit 0 of b; A = 0.
        ResultCv = "rescv",
        /// r holds the others, packed; C is bit 0 of a, V bit 0 of b.
        PackedCv = "packedcv",
        /// r is an ordering (see op `fcompare`) as x86's COMISD reports it: Z, P, C; others 0.
        FcmpX86 = "fcx86",
        /// r is an ordering as AArch64's FCMP reports it: N, Z, C, V.
        FcmpArm = "fcarm",
    }

    /// Conditions on the flag record. `Le` is Z or S != V, `Be` is C or Z, `Hi` is C and not Z.
    Cond {
        Eq = "z", Ne = "nz", Cs = "c", Cc = "nc", Mi = "s", Pl = "ns", Vs = "v", Vc = "nv",
        Pe = "p", Po = "np", Be = "be", Nbe = "nbe", Hi = "hi", Ls = "ls",
        Lt = "lt", Ge = "ge", Le = "le", Gt = "gt",
    }
}

/// Bits of packed flags: where x86's EFLAGS has them.
pub mod flag {
    pub const C: u64 = 1;
    pub const P: u64 = 1 << 2;
    pub const A: u64 = 1 << 4;
    pub const Z: u64 = 1 << 6;
    /// Sign; AArch64's N.
    pub const S: u64 = 1 << 7;
    /// Overflow; x86's O.
    pub const V: u64 = 1 << 11;
    pub const ALL: u64 = C | P | A | Z | S | V;
    /// All but carry and overflow.
    pub const OTHERS: u64 = ALL & !(C | V);
}

impl Width {
    #[must_use]
    pub const fn bits(self) -> u32 {
        8 << self as u32
    }
    #[must_use]
    pub const fn bytes(self) -> u32 {
        1 << self as u32
    }
    /// The value bits of this width.
    #[must_use]
    pub const fn mask(self) -> u64 {
        u64::MAX >> (64 - self.bits())
    }
    #[must_use]
    pub const fn sign_bit(self) -> u64 {
        1 << (self.bits() - 1)
    }
    /// The width of that many bytes.
    #[must_use]
    pub const fn from_bytes(bytes: usize) -> Option<Self> {
        match bytes {
            1 => Some(Self::W8),
            2 => Some(Self::W16),
            4 => Some(Self::W32),
            8 => Some(Self::W64),
            _ => None,
        }
    }
    /// Sign-extends the low bits of this width to 64.
    #[must_use]
    pub const fn sign_extend(self, value: u64) -> u64 {
        let shift = 64 - self.bits();
        (((value << shift) as i64) >> shift) as u64
    }
}

impl VecLen {
    /// 16-byte units.
    #[must_use]
    pub const fn units(self) -> usize {
        1 << self as usize
    }
    /// Half as many units.
    #[must_use]
    pub const fn half(self) -> Option<Self> {
        match self {
            Self::X1 => None,
            Self::X2 => Some(Self::X1),
            Self::X4 => Some(Self::X2),
        }
    }
}

impl Lane {
    #[must_use]
    pub const fn bytes(self) -> usize {
        1 << self as usize
    }
    #[must_use]
    pub const fn bits(self) -> u32 {
        8 << self as u32
    }
    /// The integer width of one lane.
    #[must_use]
    pub const fn width(self) -> Width {
        match self {
            Self::B => Width::W8,
            Self::H => Width::W16,
            Self::S => Width::W32,
            Self::D => Width::W64,
        }
    }
    /// The lane of twice the size.
    #[must_use]
    pub const fn wider(self) -> Option<Self> {
        match self {
            Self::B => Some(Self::H),
            Self::H => Some(Self::S),
            Self::S => Some(Self::D),
            Self::D => None,
        }
    }
    /// The lane of half the size.
    #[must_use]
    pub const fn narrower(self) -> Option<Self> {
        match self {
            Self::B => None,
            Self::H => Some(Self::B),
            Self::S => Some(Self::H),
            Self::D => Some(Self::S),
        }
    }
}

impl FSize {
    #[must_use]
    pub const fn lane(self) -> Lane {
        match self {
            Self::F16 => Lane::H,
            Self::F32 => Lane::S,
            Self::F64 => Lane::D,
        }
    }
    #[must_use]
    pub const fn width(self) -> Width {
        self.lane().width()
    }
}

impl Cond {
    /// The opposite condition.
    #[must_use]
    pub const fn negated(self) -> Self {
        match self {
            Self::Eq => Self::Ne,
            Self::Ne => Self::Eq,
            Self::Cs => Self::Cc,
            Self::Cc => Self::Cs,
            Self::Mi => Self::Pl,
            Self::Pl => Self::Mi,
            Self::Vs => Self::Vc,
            Self::Vc => Self::Vs,
            Self::Pe => Self::Po,
            Self::Po => Self::Pe,
            Self::Be => Self::Nbe,
            Self::Nbe => Self::Be,
            Self::Hi => Self::Ls,
            Self::Ls => Self::Hi,
            Self::Lt => Self::Ge,
            Self::Ge => Self::Lt,
            Self::Le => Self::Gt,
            Self::Gt => Self::Le,
        }
    }
    /// Whether packed flags satisfy the condition.
    #[inline]
    #[must_use]
    pub const fn holds(self, flags: u64) -> bool {
        let c = flags & flag::C != 0;
        let z = flags & flag::Z != 0;
        let s = flags & flag::S != 0;
        let v = flags & flag::V != 0;
        match self {
            Self::Eq => z,
            Self::Ne => !z,
            Self::Cs => c,
            Self::Cc => !c,
            Self::Mi => s,
            Self::Pl => !s,
            Self::Vs => v,
            Self::Vc => !v,
            Self::Pe => flags & flag::P != 0,
            Self::Po => flags & flag::P == 0,
            Self::Be => c || z,
            Self::Nbe => !(c || z),
            Self::Hi => c && !z,
            Self::Ls => !c || z,
            Self::Lt => s != v,
            Self::Ge => s == v,
            Self::Le => z || s != v,
            Self::Gt => !z && s == v,
        }
    }
}

impl IntCc {
    /// The comparison's result on the low bits of `a` and `b`.
    #[inline]
    #[must_use]
    pub const fn holds(self, w: Width, a: u64, b: u64) -> bool {
        let (ua, ub) = (a & w.mask(), b & w.mask());
        let (sa, sb) = (w.sign_extend(a) as i64, w.sign_extend(b) as i64);
        match self {
            Self::Eq => ua == ub,
            Self::Ne => ua != ub,
            Self::Ult => ua < ub,
            Self::Ule => ua <= ub,
            Self::Ugt => ua > ub,
            Self::Uge => ua >= ub,
            Self::Slt => sa < sb,
            Self::Sle => sa <= sb,
            Self::Sgt => sa > sb,
            Self::Sge => sa >= sb,
        }
    }
}
