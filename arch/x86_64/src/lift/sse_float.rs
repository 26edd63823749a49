//! SSE arithmetic and comparisons.

use super::{Handler, Lifter};
use guest::ir::{Estimate, FSize, FlagKind, FloatCc, Inexact, Lane, MinMax, Nans, Round, Val, VecLen, Width};
use iced_x86::{Instruction, Mnemonic as M};

const X1: VecLen = VecLen::X1;

pub(super) fn lookup(insn: &Instruction, mnemonic: M) -> Option<Handler> {
    use Arith as A;
    use FSize::{F32, F64};
    Some(match mnemonic {
        M::Addss => |l| l.scalar(A::Add, F32),
        M::Addsd => |l| l.scalar(A::Add, F64),
        M::Addps => |l| l.packed(A::Add, F32),
        M::Addpd => |l| l.packed(A::Add, F64),
        M::Subss => |l| l.scalar(A::Sub, F32),
        M::Subsd => |l| l.scalar(A::Sub, F64),
        M::Subps => |l| l.packed(A::Sub, F32),
        M::Subpd => |l| l.packed(A::Sub, F64),
        M::Mulss => |l| l.scalar(A::Mul, F32),
        M::Mulsd => |l| l.scalar(A::Mul, F64),
        M::Mulps => |l| l.packed(A::Mul, F32),
        M::Mulpd => |l| l.packed(A::Mul, F64),
        M::Divss => |l| l.scalar(A::Div, F32),
        M::Divsd => |l| l.scalar(A::Div, F64),
        M::Divps => |l| l.packed(A::Div, F32),
        M::Divpd => |l| l.packed(A::Div, F64),
        M::Minss => |l| l.scalar(A::Min, F32),
        M::Minsd => |l| l.scalar(A::Min, F64),
        M::Minps => |l| l.packed(A::Min, F32),
        M::Minpd => |l| l.packed(A::Min, F64),
        M::Maxss => |l| l.scalar(A::Max, F32),
        M::Maxsd => |l| l.scalar(A::Max, F64),
        M::Maxps => |l| l.packed(A::Max, F32),
        M::Maxpd => |l| l.packed(A::Max, F64),
        M::Sqrtss => |l| l.sqrt_scalar(F32),
        M::Sqrtsd => |l| l.sqrt_scalar(F64),
        M::Sqrtps => |l| l.sqrt_packed(F32),
        M::Sqrtpd => |l| l.sqrt_packed(F64),
        M::Rcpps => |l| l.estimate_packed(Estimate::Reciprocal),
        M::Rsqrtps => |l| l.estimate_packed(Estimate::ReciprocalSqrt),
        M::Rcpss => |l| l.estimate_scalar(Estimate::Reciprocal),
        M::Rsqrtss => |l| l.estimate_scalar(Estimate::ReciprocalSqrt),
        M::Ucomiss => |l| l.compare_flags(F32, Nans::Quiet),
        M::Ucomisd => |l| l.compare_flags(F64, Nans::Quiet),
        M::Comiss => |l| l.compare_flags(F32, Nans::Signal),
        M::Comisd => |l| l.compare_flags(F64, Nans::Signal),
        _ => return rarer(insn, mnemonic),
    })
}

fn rarer(insn: &Instruction, mnemonic: M) -> Option<Handler> {
    use FSize::{F32, F64};
    Some(match mnemonic {
        M::Cmpss => |l| l.compare_scalar(F32),
        M::Cmpsd if !insn.is_string_instruction() => |l| l.compare_scalar(F64),
        M::Cmpps => |l| l.compare_packed(F32),
        M::Cmppd => |l| l.compare_packed(F64),
        M::Haddps => |l| l.horizontal(Arith::Add, F32),
        M::Haddpd => |l| l.horizontal(Arith::Add, F64),
        M::Hsubps => |l| l.horizontal(Arith::Sub, F32),
        M::Hsubpd => |l| l.horizontal(Arith::Sub, F64),
        M::Addsubps => |l| l.addsub(F32),
        M::Addsubpd => |l| l.addsub(F64),
        M::Roundss => |l| l.round_scalar(F32),
        M::Roundsd => |l| l.round_scalar(F64),
        M::Roundps => |l| l.round_packed(F32),
        M::Roundpd => |l| l.round_packed(F64),
        M::Dpps => |l| l.dot_product(F32),
        M::Dppd => |l| l.dot_product(F64),
        _ => return None,
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Arith {
    Add,
    Sub,
    Mul,
    Div,
    Min,
    Max,
}

/// The comparison that the low five bits of an immediate name, and whether quiet NaNs signal.
fn predicate(imm: u64) -> (FloatCc, Nans) {
    const ROWS: [(FloatCc, bool); 16] = [
        (FloatCc::Eq, false),
        (FloatCc::Lt, true),
        (FloatCc::Le, true),
        (FloatCc::Uno, false),
        (FloatCc::Une, false),
        (FloatCc::Uge, true),
        (FloatCc::Ugt, true),
        (FloatCc::Ord, false),
        (FloatCc::Ueq, false),
        (FloatCc::Ult, true),
        (FloatCc::Ule, true),
        (FloatCc::False, false),
        (FloatCc::One, false),
        (FloatCc::Ge, true),
        (FloatCc::Gt, true),
        (FloatCc::True, false),
    ];
    let (cc, signals) = ROWS[imm as usize & 15];
    (cc, if signals != (imm & 16 != 0) { Nans::Signal } else { Nans::Quiet })
}

/// How an immediate of `ROUND*` rounds.
fn rounding(imm: u64) -> (Round, Inexact) {
    let mode = match imm & 7 {
        0 => Round::Nearest,
        1 => Round::Down,
        2 => Round::Up,
        3 => Round::Zero,
        _ => Round::Current,
    };
    (mode, if imm & 8 == 0 { Inexact::Raise } else { Inexact::Suppress })
}

impl Lifter {
    fn arith(&mut self, op: Arith, fs: FSize, a: Val, b: Val) -> Val {
        match op {
            Arith::Add => self.ir.fadd(fs, a, b),
            Arith::Sub => self.ir.fsub(fs, a, b),
            Arith::Mul => self.ir.fmul(fs, a, b),
            Arith::Div => self.ir.fdiv(fs, a, b),
            Arith::Min => self.ir.fminmax(MinMax::X86Min, fs, a, b),
            Arith::Max => self.ir.fminmax(MinMax::X86Max, fs, a, b),
        }
    }

    fn vector_arith(&mut self, op: Arith, fs: FSize, a: Val, b: Val) -> Val {
        match op {
            Arith::Add => self.ir.vfadd(self.n, fs, a, b),
            Arith::Sub => self.ir.vfsub(self.n, fs, a, b),
            Arith::Mul => self.ir.vfmul(self.n, fs, a, b),
            Arith::Div => self.ir.vfdiv(self.n, fs, a, b),
            Arith::Min => self.ir.vfminmax(self.n, MinMax::X86Min, fs, a, b),
            Arith::Max => self.ir.vfminmax(self.n, MinMax::X86Max, fs, a, b),
        }
    }

    /// The two sources of a scalar operation.
    fn read_scalars(&mut self, fs: FSize) -> (Val, Val) {
        let (a, b) = self.sources();
        let b = self.read_float(b, fs);
        (self.read_float(a, fs), b)
    }

    /// The one source of a scalar operation, which under VEX has another for the upper bits.
    fn read_scalar(&mut self, fs: FSize) -> Val {
        self.read_float(self.sources().1, fs)
    }

    /// `ADDSS` and the like: the destination's upper bits stay.
    fn scalar(&mut self, op: Arith, fs: FSize) {
        let (a, b) = self.read_scalars(fs);
        let r = self.arith(op, fs, a, b);
        self.write_low(fs.width(), r);
    }

    /// `ADDPS` and the like.
    fn packed(&mut self, op: Arith, fs: FSize) {
        let (a, b) = self.read_sources();
        let r = self.vector_arith(op, fs, a, b);
        self.write_vec(r);
    }

    /// `SQRTSS`, `SQRTSD`
    fn sqrt_scalar(&mut self, fs: FSize) {
        let a = self.read_scalar(fs);
        let r = self.ir.fsqrt(fs, a);
        self.write_low(fs.width(), r);
    }

    /// `SQRTPS`, `SQRTPD`
    fn sqrt_packed(&mut self, fs: FSize) {
        let a = self.read_vec(1);
        let r = self.ir.vfsqrt(self.n, fs, a);
        self.write_vec(r);
    }

    /// `RCPPS`, `RSQRTPS`
    fn estimate_packed(&mut self, op: Estimate) {
        let a = self.read_vec(1);
        let r = self.ir.vestimate(self.n, op, a);
        self.write_vec(r);
    }

    /// `RCPSS`, `RSQRTSS`
    fn estimate_scalar(&mut self, op: Estimate) {
        let a = self.read_vec_low(self.sources().1, Width::W32);
        let r = self.ir.vestimate(X1, op, a);
        let low = self.lane_of(Lane::S, 0, r);
        self.write_low(Width::W32, low);
    }

    /// `UCOMISS`, `COMISS` and the double forms.
    fn compare_flags(&mut self, fs: FSize, nans: Nans) {
        let b = self.read_float(1, fs);
        let a = self.read_float(0, fs);
        let code = self.ir.fcompare(nans, fs, a, b);
        self.carry = None;
        self.ir.set_fcmp_flags(FlagKind::FcmpX86, fs, a, b, code);
    }

    /// Without VEX there are eight comparisons.
    fn predicate(&self) -> (FloatCc, Nans) {
        predicate(self.last_immediate() & if self.vex { 31 } else { 7 })
    }

    /// `CMPSS`, `CMPSD`: all ones or zeros.
    fn compare_scalar(&mut self, fs: FSize) {
        let (cc, nans) = self.predicate();
        let (a, b) = self.read_scalars(fs);
        let holds = self.ir.fcmp(cc, nans, fs, a, b);
        let mask = self.ir.neg(fs.width(), holds);
        self.write_low(fs.width(), mask);
    }

    /// `CMPPS`, `CMPPD`
    fn compare_packed(&mut self, fs: FSize) {
        let (cc, nans) = self.predicate();
        let (a, b) = self.read_sources();
        let r = self.ir.vfcmp(self.n, cc, nans, fs, a, b);
        self.write_vec(r);
    }

    /// `HADDPS` and the like: adjacent lanes, the destination's below the source's.
    fn horizontal(&mut self, op: Arith, fs: FSize) {
        let (a, b) = self.read_sources();
        let (even, odd) = match fs {
            FSize::F64 => ([0, 2].as_slice(), [1, 3].as_slice()),
            _ => ([0, 2, 4, 6].as_slice(), [1, 3, 5, 7].as_slice()),
        };
        let first = self.pick_lanes(fs.lane(), a, b, even);
        let second = self.pick_lanes(fs.lane(), a, b, odd);
        let r = self.vector_arith(op, fs, first, second);
        self.write_vec(r);
    }

    /// `ADDSUBPS`, `ADDSUBPD`: even lanes subtract. Lane by lane, because a lane computed for nothing
    /// could raise a sticky flag.
    fn addsub(&mut self, fs: FSize) {
        let (a, b) = self.read_sources();
        let (n, mut to) = (self.n, a);
        for index in 0..(16 * n.units() / fs.lane().bytes()) as u8 {
            let x = self.ir.vextract(n, fs.lane(), index, a);
            let y = self.ir.vextract(n, fs.lane(), index, b);
            let op = if index % 2 == 0 { Arith::Sub } else { Arith::Add };
            let r = self.arith(op, fs, x, y);
            to = self.ir.vinsert(n, fs.lane(), index, to, r);
        }
        self.write_vec(to);
    }

    /// `ROUNDSS`, `ROUNDSD`
    fn round_scalar(&mut self, fs: FSize) {
        let (mode, inexact) = rounding(self.last_immediate());
        let a = self.read_scalar(fs);
        let r = self.ir.fround(fs, mode, inexact, a);
        self.write_low(fs.width(), r);
    }

    /// `ROUNDPS`, `ROUNDPD`
    fn round_packed(&mut self, fs: FSize) {
        let (mode, inexact) = rounding(self.last_immediate());
        let a = self.read_vec(1);
        let r = self.ir.vfround(self.n, fs, mode, inexact, a);
        self.write_vec(r);
    }

    /// `DPPS`, `DPPD`: products of the chosen lanes (others count as +0), summed pairwise.
    fn dot_product(&mut self, fs: FSize) {
        let (a, b) = self.read_sources();
        let r = self.by_unit(|l, unit| {
            let (x, y) = (l.unit_of(a, unit), l.unit_of(b, unit));
            l.unit_dot_product(fs, x, y)
        });
        self.write_vec(r);
    }

    fn unit_dot_product(&mut self, fs: FSize, a: Val, b: Val) -> Val {
        let imm = self.last_immediate();
        let lanes = (16 / fs.lane().bytes()) as u8;
        let zero = self.ir.imm(0);
        let mut terms = Vec::with_capacity(4);
        for index in 0..lanes {
            let chosen = imm >> (4 + index) & 1 != 0;
            terms.push(if chosen { self.lane_product(fs, index, a, b) } else { zero });
        }
        while terms.len() > 1 {
            terms = terms.chunks(2).map(|pair| self.ir.fadd(fs, pair[1], pair[0])).collect();
        }
        let mut r = self.ir.vimm(X1, 0);
        for index in (0..lanes).filter(|index| imm >> index & 1 != 0) {
            r = self.ir.vinsert(X1, fs.lane(), index, r, terms[0]);
        }
        r
    }

    fn lane_product(&mut self, fs: FSize, index: u8, a: Val, b: Val) -> Val {
        let (x, y) = (self.lane_of(fs.lane(), index, a), self.lane_of(fs.lane(), index, b));
        self.ir.fmul(fs, x, y)
    }
}
