//! SSE conversions.

use super::mmx::touches_mmx;
use super::{Handler, Lifter};
use guest::ir::{FSize, Half, Lane, Overflow, Round, Sign, Val, VecLen, Width};
use iced_x86::{Instruction, Mnemonic as M};

const X1: VecLen = VecLen::X1;

pub(super) fn lookup(insn: &Instruction, mnemonic: M) -> Option<Handler> {
    use FSize::{F32, F64};
    if touches_mmx(insn) {
        return None;
    }
    Some(match mnemonic {
        M::Cvtsi2ss => |l| l.int_to_float(F32),
        M::Cvtsi2sd => |l| l.int_to_float(F64),
        M::Cvtss2si => |l| l.float_to_int(F32, Round::Current),
        M::Cvtsd2si => |l| l.float_to_int(F64, Round::Current),
        M::Cvttss2si => |l| l.float_to_int(F32, Round::Zero),
        M::Cvttsd2si => |l| l.float_to_int(F64, Round::Zero),
        M::Cvtss2sd => |l| l.float_to_float(F32, F64),
        M::Cvtsd2ss => |l| l.float_to_float(F64, F32),
        M::Cvtps2pd => |l| l.widen_floats(F32),
        M::Cvtpd2ps => Lifter::cvtpd2ps,
        M::Cvtdq2ps => Lifter::cvtdq2ps,
        M::Cvtdq2pd => Lifter::cvtdq2pd,
        M::Cvtps2dq => |l| l.cvtps2dq(Round::Current),
        M::Cvttps2dq => |l| l.cvtps2dq(Round::Zero),
        M::Cvtpd2dq => |l| l.cvtpd2dq(Round::Current),
        M::Cvttpd2dq => |l| l.cvtpd2dq(Round::Zero),
        _ => return None,
    })
}

impl Lifter {
    /// `CVTSI2SS`, `CVTSI2SD`
    fn int_to_float(&mut self, fs: FSize) {
        let source = self.sources().1;
        let (w, a) = (self.width(source), self.read(source));
        let r = self.ir.itof(fs, w, Sign::Signed, a);
        self.write_low(fs.width(), r);
    }

    /// `CVTSS2SI`, `CVTTSD2SI`, ...
    fn float_to_int(&mut self, fs: FSize, mode: Round) {
        let (w, a) = (self.width(0), self.read_float(1, fs));
        let r = self.ir.ftoi(fs, w, Sign::Signed, mode, Overflow::Indefinite, a);
        self.write_reg(self.reg(0), r);
    }

    /// `CVTSS2SD`, `CVTSD2SS`
    fn float_to_float(&mut self, from: FSize, to: FSize) {
        let a = self.read_float(self.sources().1, from);
        let r = self.ir.fconvert(from, to, a);
        self.write_low(to.width(), r);
    }

    /// An operand half as long as the destination.
    fn read_half(&mut self, op: u32) -> Val {
        if self.n == X1 {
            return self.read_vec_low(op, Width::W64);
        }
        if !self.is_mem(op) {
            return self.read_xmm(self.reg(op));
        }
        let mem = self.address();
        self.ir.vload(X1, mem.addr, mem.off)
    }

    /// `CVTPS2PD`, `VCVTPH2PS`
    pub(super) fn widen_floats(&mut self, from: FSize) {
        let a = self.read_half(1);
        let r = self.by_unit(|l, unit| {
            let half = if unit == 0 { Half::Low } else { Half::High };
            l.ir.vfwiden(X1, from, half, a)
        });
        self.write_vec(r);
    }

    /// Results half as long as the source, from each unit's lower half.
    fn lower_halves(&mut self, halves: Val) -> Val {
        if self.n == X1 {
            return halves;
        }
        let (lo, hi) = (self.unit_of(halves, 0), self.unit_of(halves, 1));
        self.pick_lanes_of(X1, Lane::D, lo, hi, &[0, 2])
    }

    /// `CVTPD2PS`
    fn cvtpd2ps(&mut self) {
        let a = self.read_vec(1);
        let halves = self.ir.vfnarrow(self.n, FSize::F64, a);
        let r = self.lower_halves(halves);
        self.write_vec(r);
    }

    /// `CVTDQ2PS`
    fn cvtdq2ps(&mut self) {
        let a = self.read_vec(1);
        let r = self.ir.vitof(self.n, FSize::F32, Sign::Signed, a);
        self.write_vec(r);
    }

    /// `CVTDQ2PD`
    fn cvtdq2pd(&mut self) {
        let a = self.read_half(1);
        let r = self.by_unit(|l, unit| {
            let [lo, hi] = [0, 1].map(|i| {
                let lane = l.lane_of(Lane::S, 2 * unit as u8 + i, a);
                l.ir.itof(FSize::F64, Width::W32, Sign::Signed, lane)
            });
            l.ir.vpair(X1, lo, hi)
        });
        self.write_vec(r);
    }

    /// `CVTPS2DQ`, `CVTTPS2DQ`
    fn cvtps2dq(&mut self, mode: Round) {
        let a = self.read_vec(1);
        let r = self.ir.vftoi(self.n, FSize::F32, Sign::Signed, mode, Overflow::Indefinite, a);
        self.write_vec(r);
    }

    /// `CVTPD2DQ`, `CVTTPD2DQ`
    fn cvtpd2dq(&mut self, mode: Round) {
        let a = self.read_vec(1);
        let mut pairs = [0, 1].map(|unit| {
            if unit >= self.n.units() {
                return self.ir.imm(0);
            }
            let part = self.unit_of(a, unit);
            let (lo, hi) = (self.double_lane_to_int(part, 0, mode), self.double_lane_to_int(part, 1, mode));
            self.ir.deposit(32, 32, lo, hi)
        });
        if self.n == X1 {
            return self.write_low_zeroing(self.reg(0), pairs[0]);
        }
        pairs[0] = self.ir.vpair(X1, pairs[0], pairs[1]);
        self.write_vec(pairs[0]);
    }

    fn double_lane_to_int(&mut self, a: Val, index: u8, mode: Round) -> Val {
        let lane = self.lane_of(Lane::D, index, a);
        self.ir.ftoi(FSize::F64, Width::W32, Sign::Signed, mode, Overflow::Indefinite, lane)
    }

    /// `VCVTPS2PH`: the immediate names the rounding mode, or says to use the current one.
    pub(super) fn vcvtps2ph(&mut self) {
        if self.is_mem(0) {
            // A fault comes before any exception flag.
            let mem = self.address();
            self.ir.probe_write(8 * self.n.units() as u8, mem.addr, mem.off);
        }
        let a = self.read_vector(self.reg(1));
        let mode = match self.last_immediate() & 7 {
            0 => Round::Nearest,
            1 => Round::Down,
            2 => Round::Up,
            3 => Round::Zero,
            _ => Round::Current,
        };
        let halves = self.ir.vtohalf(self.n, mode, a);
        if self.n == X1 {
            let low = self.lane_of(Lane::D, 0, halves);
            if self.is_mem(0) {
                let mem = self.address();
                return self.store(Width::W64, mem, low);
            }
            return self.write_low_zeroing(self.reg(0), low);
        }
        let r = self.lower_halves(halves);
        if self.is_mem(0) {
            let mem = self.address();
            return self.ir.vstore(X1, mem.addr, mem.off, r);
        }
        self.write_vec(r);
    }
}
