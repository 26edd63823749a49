//! FMA3: a product and a sum, rounded once.
//!
//! The digits of a mnemonic say which operands are multiplied and which is added. Subtracting forms negate an
//! operand first, but not if it is a NaN: those come out as they are.

use super::avx::repeated;
use super::{Handler, Lifter};
use guest::ir::{FSize, IntCc, Lane, Val, VecLen};
use iced_x86::{Instruction, Mnemonic as M};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Add,
    Sub,
    NegAdd,
    NegSub,
    /// Odd lanes add, even ones subtract.
    AddSub,
    SubAdd,
}

/// Which operands (1 to 3) are factors, and which is the addend.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    O132,
    O213,
    O231,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Packed,
    Scalar,
}

#[derive(Clone, Copy)]
struct Form {
    kind: Kind,
    order: Order,
    shape: Shape,
    fs: FSize,
}

macro_rules! forms {
    ($($mnemonic:ident: $kind:ident $order:ident $shape:ident $fs:ident;)*) => {
        fn form(mnemonic: M) -> Option<Form> {
            Some(match mnemonic {
                $( M::$mnemonic => {
                    Form { kind: Kind::$kind, order: Order::$order, shape: Shape::$shape, fs: FSize::$fs }
                } )*
                _ => return None,
            })
        }
    };
}

#[rustfmt::skip]
forms! {
    Vfmadd132ps: Add O132 Packed F32; Vfmadd132pd: Add O132 Packed F64;
    Vfmadd132ss: Add O132 Scalar F32; Vfmadd132sd: Add O132 Scalar F64;
    Vfmadd213ps: Add O213 Packed F32; Vfmadd213pd: Add O213 Packed F64;
    Vfmadd213ss: Add O213 Scalar F32; Vfmadd213sd: Add O213 Scalar F64;
    Vfmadd231ps: Add O231 Packed F32; Vfmadd231pd: Add O231 Packed F64;
    Vfmadd231ss: Add O231 Scalar F32; Vfmadd231sd: Add O231 Scalar F64;
    Vfmsub132ps: Sub O132 Packed F32; Vfmsub132pd: Sub O132 Packed F64;
    Vfmsub132ss: Sub O132 Scalar F32; Vfmsub132sd: Sub O132 Scalar F64;
    Vfmsub213ps: Sub O213 Packed F32; Vfmsub213pd: Sub O213 Packed F64;
    Vfmsub213ss: Sub O213 Scalar F32; Vfmsub213sd: Sub O213 Scalar F64;
    Vfmsub231ps: Sub O231 Packed F32; Vfmsub231pd: Sub O231 Packed F64;
    Vfmsub231ss: Sub O231 Scalar F32; Vfmsub231sd: Sub O231 Scalar F64;
    Vfnmadd132ps: NegAdd O132 Packed F32; Vfnmadd132pd: NegAdd O132 Packed F64;
    Vfnmadd132ss: NegAdd O132 Scalar F32; Vfnmadd132sd: NegAdd O132 Scalar F64;
    Vfnmadd213ps: NegAdd O213 Packed F32; Vfnmadd213pd: NegAdd O213 Packed F64;
    Vfnmadd213ss: NegAdd O213 Scalar F32; Vfnmadd213sd: NegAdd O213 Scalar F64;
    Vfnmadd231ps: NegAdd O231 Packed F32; Vfnmadd231pd: NegAdd O231 Packed F64;
    Vfnmadd231ss: NegAdd O231 Scalar F32; Vfnmadd231sd: NegAdd O231 Scalar F64;
    Vfnmsub132ps: NegSub O132 Packed F32; Vfnmsub132pd: NegSub O132 Packed F64;
    Vfnmsub132ss: NegSub O132 Scalar F32; Vfnmsub132sd: NegSub O132 Scalar F64;
    Vfnmsub213ps: NegSub O213 Packed F32; Vfnmsub213pd: NegSub O213 Packed F64;
    Vfnmsub213ss: NegSub O213 Scalar F32; Vfnmsub213sd: NegSub O213 Scalar F64;
    Vfnmsub231ps: NegSub O231 Packed F32; Vfnmsub231pd: NegSub O231 Packed F64;
    Vfnmsub231ss: NegSub O231 Scalar F32; Vfnmsub231sd: NegSub O231 Scalar F64;
    Vfmaddsub132ps: AddSub O132 Packed F32; Vfmaddsub132pd: AddSub O132 Packed F64;
    Vfmaddsub213ps: AddSub O213 Packed F32; Vfmaddsub213pd: AddSub O213 Packed F64;
    Vfmaddsub231ps: AddSub O231 Packed F32; Vfmaddsub231pd: AddSub O231 Packed F64;
    Vfmsubadd132ps: SubAdd O132 Packed F32; Vfmsubadd132pd: SubAdd O132 Packed F64;
    Vfmsubadd213ps: SubAdd O213 Packed F32; Vfmsubadd213pd: SubAdd O213 Packed F64;
    Vfmsubadd231ps: SubAdd O231 Packed F32; Vfmsubadd231pd: SubAdd O231 Packed F64;
}

pub(super) fn lookup(insn: &Instruction) -> Option<Handler> {
    form(insn.mnemonic()).map(|_| Lifter::fused as Handler)
}

impl Lifter {
    fn fused(&mut self) {
        let Some(form) = form(self.insn.mnemonic()) else { return };
        match form.shape {
            Shape::Packed => self.fused_packed(form),
            Shape::Scalar => self.fused_scalar(form),
        }
    }

    fn fused_packed(&mut self, form: Form) {
        let third = self.read_vec(2);
        let (first, second) = (self.read_vec(0), self.read_vec(1));
        let (mut a, b, mut c) = arrange(form.order, first, second, third);
        let sign = repeated(form.fs.lane(), form.fs.width().sign_bit());
        let even = even_signs(form.fs);
        match form.kind {
            Kind::Add => {}
            Kind::Sub => c = self.negate_lanes(form.fs, c, sign),
            Kind::NegAdd => a = self.negate_lanes(form.fs, a, sign),
            Kind::NegSub => {
                a = self.negate_lanes(form.fs, a, sign);
                c = self.negate_lanes(form.fs, c, sign);
            }
            Kind::AddSub => c = self.negate_lanes(form.fs, c, even),
            Kind::SubAdd => c = self.negate_lanes(form.fs, c, sign & !even),
        }
        let r = self.ir.vfma(self.n, form.fs, a, b, c);
        self.write_vec(r);
    }

    /// Negates the lanes whose sign bit is in `signs`, but for NaNs.
    fn negate_lanes(&mut self, fs: FSize, v: Val, signs: u128) -> Val {
        let (n, lane) = (self.n, fs.lane());
        let magnitude = self.ir.vimm(n, repeated(lane, fs.width().mask() >> 1));
        let infinity = self.ir.vimm(n, repeated(lane, infinity(fs)));
        let signs = self.ir.vimm(n, signs);
        let absolute = self.ir.vand(n, v, magnitude);
        let nan = self.ir.vicmp(n, lane, IntCc::Sgt, absolute, infinity);
        let signs = self.ir.vandnot(n, signs, nan);
        self.ir.vxor(n, v, signs)
    }

    fn fused_scalar(&mut self, form: Form) {
        let fs = form.fs;
        let third = self.read_float(2, fs);
        let (first, second) = (self.read_float(0, fs), self.read_float(1, fs));
        let (mut a, b, mut c) = arrange(form.order, first, second, third);
        if matches!(form.kind, Kind::Sub | Kind::NegSub) {
            c = self.negate_float(fs, c);
        }
        if matches!(form.kind, Kind::NegAdd | Kind::NegSub) {
            a = self.negate_float(fs, a);
        }
        let r = self.ir.fma(fs, a, b, c);
        let whole = self.read_xmm(self.reg(0));
        let r = self.ir.vinsert(VecLen::X1, fs.lane(), 0, whole, r);
        self.write_vector(self.reg(0), r);
    }

    fn negate_float(&mut self, fs: FSize, v: Val) -> Val {
        let w = fs.width();
        let (magnitude, infinity) = (self.ir.imm(w.mask() >> 1), self.ir.imm(infinity(fs)));
        let absolute = self.ir.and(w, v, magnitude);
        let nan = self.ir.icmp(IntCc::Ugt, w, absolute, infinity);
        let sign = self.ir.imm(w.sign_bit());
        let negated = self.ir.xor(w, v, sign);
        self.ir.select(nan, v, negated)
    }
}

/// Both factors and the addend.
fn arrange(order: Order, first: Val, second: Val, third: Val) -> (Val, Val, Val) {
    match order {
        Order::O132 => (first, third, second),
        Order::O213 => (second, first, third),
        Order::O231 => (second, third, first),
    }
}

/// The sign bits of a unit's even lanes.
fn even_signs(fs: FSize) -> u128 {
    match fs {
        FSize::F64 => 1 << 63,
        _ => repeated(Lane::D, 1 << 31),
    }
}

fn infinity(fs: FSize) -> u64 {
    match fs {
        FSize::F64 => 0x7ff << 52,
        _ => 0xff << 23,
    }
}
