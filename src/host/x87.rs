//! The host's own x87 unit, for guests that have one.
//!
//! Every operation loads its operands from memory, runs one instruction under the guest's control word
//! and stores what came of it; the host's register stack is empty before and after.
#![allow(unsafe_code)] // x87 instructions by inline assembly

use guest::helper::{F80, X87Op, X87Result};
use std::arch::asm;

/// Operands and results, where the assembly finds them.
#[repr(C)]
struct Frame {
    a: [u8; 16],
    b: [u8; 16],
    value: [u8; 16],
    second: [u8; 16],
    control: u16,
    status: u16,
    /// Not 0 where something may be pending after the operation.
    unmasked: u16,
}

/// Keeps the status; what is pending then must not be raised by what waits for the unit.
macro_rules! status {
    () => {
        "fnstsw word ptr [{f} + 66]\ncmp word ptr [{f} + 68], 0\nje 2f\nfnclex\n2:"
    };
}

macro_rules! run {
    ($frame:ident: $($line:expr),* $(,)?) => {
        // SAFETY: reads and writes only the frame, leaves the register stack as it found it (empty: Rust keeps nothing in
        // the x87 unit, and fninit clears it), and changes no control state that outlives it.
        unsafe {
            asm!(
                "fldcw word ptr [{f} + 64]",
                $($line,)*
                "fninit",
                f = in(reg) &raw mut $frame, out("ax") _,
                out("st(0)") _, out("st(1)") _, out("st(2)") _, out("st(3)") _,
                out("st(4)") _, out("st(5)") _, out("st(6)") _, out("st(7)") _,
                options(nostack)
            )
        }
    };
}

/// st(0) = a, st(1) = b; then the instruction; the result is popped from st(0).
macro_rules! binary {
    ($frame:ident, $insn:literal) => {
        run!($frame: "fld tbyte ptr [{f} + 16]", "fld tbyte ptr [{f}]", $insn,
             status!(), "fstp tbyte ptr [{f} + 32]")
    };
}

macro_rules! unary {
    ($frame:ident, $insn:literal) => {
        run!($frame: "fld tbyte ptr [{f}]", $insn, status!(),
             "fstp tbyte ptr [{f} + 32]")
    };
}

/// Two results: st(0) to `second`, st(1) to `value`.
macro_rules! twin {
    ($frame:ident, $insn:literal) => {
        run!($frame: "fld tbyte ptr [{f}]", $insn, status!(),
             "fstp tbyte ptr [{f} + 48]", "fstp tbyte ptr [{f} + 32]")
    };
}

/// A load that converts from memory.
macro_rules! load {
    ($frame:ident, $insn:literal) => {
        run!($frame: $insn, status!(), "fstp tbyte ptr [{f} + 32]")
    };
}

/// A store that converts to memory.
macro_rules! store {
    ($frame:ident, $insn:literal) => {
        run!($frame: "fld tbyte ptr [{f}]", $insn, "fnstsw word ptr [{f} + 66]")
    };
}

macro_rules! compare {
    ($frame:ident, $insn:literal) => {
        run!($frame: "fld tbyte ptr [{f} + 16]", "fld tbyte ptr [{f}]", $insn,
             "fnstsw word ptr [{f} + 66]")
    };
}

/// Runs `op` on `a` (st(0)) and `b` under the control word.
pub fn execute(op: X87Op, control: u16, a: F80, b: F80) -> X87Result {
    // The caller looks at the status and raises what its guest has unmasked. Here only overflow and underflow are, because
    // then results are others; what waits for the unit would raise them, so they are cleared before.
    const OTHERS: u16 = 0x27;
    let control = control | OTHERS;
    let mut frame = Frame {
        a: wide(a),
        b: wide(b),
        value: [0; 16],
        second: [0; 16],
        control,
        status: 0,
        unmasked: !control & 0x3f,
    };
    match op {
        X87Op::Add => binary!(frame, "fadd st(0), st(1)"),
        X87Op::Sub => binary!(frame, "fsub st(0), st(1)"),
        X87Op::Mul => binary!(frame, "fmul st(0), st(1)"),
        X87Op::Div => binary!(frame, "fdiv st(0), st(1)"),
        X87Op::Scale => binary!(frame, "fscale"),
        X87Op::Prem => binary!(frame, "fprem"),
        X87Op::Prem1 => binary!(frame, "fprem1"),
        X87Op::Fyl2x => binary!(frame, "fyl2x"),
        X87Op::Fyl2xp1 => binary!(frame, "fyl2xp1"),
        X87Op::Fpatan => binary!(frame, "fpatan"),
        X87Op::Sqrt => unary!(frame, "fsqrt"),
        X87Op::Rndint => unary!(frame, "frndint"),
        X87Op::F2xm1 => unary!(frame, "f2xm1"),
        X87Op::Fsin => unary!(frame, "fsin"),
        X87Op::Fcos => unary!(frame, "fcos"),
        X87Op::Fptan => twin!(frame, "fptan"),
        X87Op::Fsincos => twin!(frame, "fsincos"),
        X87Op::Fxtract => twin!(frame, "fxtract"),
        X87Op::Com => compare!(frame, "fcom st(1)"),
        X87Op::Ucom => compare!(frame, "fucom st(1)"),
        X87Op::Xam => compare!(frame, "fxam"),
        X87Op::FromF32 => load!(frame, "fld dword ptr [{f}]"),
        X87Op::FromF64 => load!(frame, "fld qword ptr [{f}]"),
        X87Op::FromI16 => load!(frame, "fild word ptr [{f}]"),
        X87Op::FromI32 => load!(frame, "fild dword ptr [{f}]"),
        X87Op::FromI64 => load!(frame, "fild qword ptr [{f}]"),
        X87Op::FromBcd => load!(frame, "fbld tbyte ptr [{f}]"),
        X87Op::ToF32 => store!(frame, "fstp dword ptr [{f} + 32]"),
        X87Op::ToF64 => store!(frame, "fstp qword ptr [{f} + 32]"),
        X87Op::ToI16 => store!(frame, "fistp word ptr [{f} + 32]"),
        X87Op::ToI32 => store!(frame, "fistp dword ptr [{f} + 32]"),
        X87Op::ToI64 => store!(frame, "fistp qword ptr [{f} + 32]"),
        X87Op::ToI16Trunc => store!(frame, "fisttp word ptr [{f} + 32]"),
        X87Op::ToI32Trunc => store!(frame, "fisttp dword ptr [{f} + 32]"),
        X87Op::ToI64Trunc => store!(frame, "fisttp qword ptr [{f} + 32]"),
        X87Op::ToBcd => store!(frame, "fbstp tbyte ptr [{f} + 32]"),
    }
    X87Result { value: narrow(frame.value), second: narrow(frame.second), status: frame.status }
}

fn wide(v: F80) -> [u8; 16] {
    let mut out = [0; 16];
    out[..10].copy_from_slice(&v);
    out
}

fn narrow(v: [u8; 16]) -> F80 {
    let mut out = [0; 10];
    out.copy_from_slice(&v[..10]);
    out
}
