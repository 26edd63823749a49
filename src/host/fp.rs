//! Floating point under the guest's own environment.
//!
//! While guest code runs, the host's MXCSR holds the guest's rounding mode, flush bits and sticky flags.
//! Rust arithmetic assumes the default environment, so every float operation of the interpreter is one
//! SSE instruction of inline assembly here, which the compiler can neither fold nor move.
#![allow(unsafe_code)] // SSE instructions by inline assembly

use std::arch::asm;
use std::arch::x86_64::__m128i;
use std::cell::Cell;

/// MXCSR as a new process has it: everything masked, round to nearest.
pub const DEFAULT_MXCSR: u32 = 0x1f80;

/// MXCSR's exception mask bits.
const MASKS: u32 = 0x1f80;
/// MXCSR's sticky flags.
pub const STICKY: u32 = 0x3f;
/// Those that operands raise: invalid, denormal, divide by zero.
pub const OF_OPERANDS: u32 = 7;

/// A sticky flag that MXCSR does not have: AArch64's flushed operand (FPSR.IDC).
pub const INPUT_DENORMAL: u32 = 1 << 16;

thread_local! {
    /// The guest's mask bits, and [`INPUT_DENORMAL`]. The host's own masks are always set: an exception that the
    /// guest has unmasked must not arrive as a signal in the middle of the emulator.
    static GUEST_MASKS: Cell<u32> = const { Cell::new(MASKS) };
}

/// The guest's MXCSR: the host's, with the guest's mask bits.
#[inline]
pub fn mxcsr() -> u32 {
    let mut value = 0u32;
    // SAFETY: stores four bytes into the local.
    unsafe { asm!("stmxcsr [{}]", in(reg) &raw mut value, options(nostack)) };
    value & !MASKS | GUEST_MASKS.get()
}

/// Sets the guest's MXCSR. Bits that the host does not have are dropped.
#[inline]
pub fn set_mxcsr(value: u32) {
    GUEST_MASKS.set(value & (MASKS | INPUT_DENORMAL));
    load(value & 0xffff | MASKS);
}

/// The sticky flags whose exceptions the guest has unmasked; usually none.
#[inline]
pub fn unmasked() -> u32 {
    !GUEST_MASKS.get() >> 7 & STICKY
}

thread_local! {
    /// Whether the host's masks are the guest's for now.
    static UNMASKED: Cell<bool> = const { Cell::new(false) };
    /// MXCSR at the exception whose instruction is being run again.
    static STEPPED: Cell<Option<u32>> = const { Cell::new(None) };
}

/// Runs `f` under the guest's masks, too; what it gives, and the flags that it raises. An instruction of the host's that
/// raises an unmasked exception runs again with all masked, and leaves the flags that it had raised first.
pub fn with_unmasked<T>(f: impl FnOnce() -> T) -> (T, u32) {
    let value = mxcsr();
    UNMASKED.set(true);
    load(value & 0xffff);
    let result = f();
    let raised = mxcsr() & STICKY;
    load(value & 0xffff | MASKS);
    UNMASKED.set(false);
    (result, raised)
}

fn load(mxcsr: u32) {
    // SAFETY: loads four bytes from the local; reserved bits are clear, so it cannot raise #GP.
    unsafe { asm!("ldmxcsr [{}]", in(reg) &raw const mxcsr, options(nostack)) };
}

/// In the signal handler: an unmasked exception of an instruction within [`with_unmasked`] is masked for one step;
/// whether it was one. Async-signal-safe.
pub fn step_over(mxcsr: &mut u32, eflags: &mut i64) -> bool {
    const TRAP_FLAG: i64 = 1 << 8;
    if !UNMASKED.get() {
        return false;
    }
    match STEPPED.take() {
        None => {
            STEPPED.set(Some(*mxcsr));
            *mxcsr |= MASKS;
            *eflags |= TRAP_FLAG;
        }
        Some(raised) => {
            *mxcsr = raised;
            *eflags &= !TRAP_FLAG;
        }
    }
    true
}

/// Whether the next step is one over an exception.
pub fn steps_over() -> bool {
    STEPPED.get().is_some()
}

fn vector(bits: u128) -> __m128i {
    // SAFETY: both types are 16 plain bytes.
    unsafe { std::mem::transmute(bits) }
}

fn bits(vector: __m128i) -> u128 {
    // SAFETY: both types are 16 plain bytes.
    unsafe { std::mem::transmute(vector) }
}

macro_rules! binary {
    ($($name:ident = $insn:literal),* $(,)?) => {$(
        #[doc = concat!("`", $insn, " a, b`")]
        #[inline]
        pub fn $name(a: u128, b: u128) -> u128 {
            let mut x = vector(a);
            // SAFETY: one register-to-register SSE instruction.
            unsafe { asm!(concat!($insn, " {}, {}"), inout(xmm_reg) x, in(xmm_reg) vector(b), options(nostack)) };
            bits(x)
        }
    )*};
}

macro_rules! unary {
    ($($name:ident = $insn:literal),* $(,)?) => {$(
        #[doc = concat!("`", $insn, "`")]
        #[inline]
        pub fn $name(a: u128) -> u128 {
            let mut x = vector(a);
            // SAFETY: one register-to-register SSE instruction.
            unsafe { asm!(concat!($insn, " {0}, {0}"), inout(xmm_reg) x, options(nostack)) };
            bits(x)
        }
    )*};
}

binary! {
    addss = "addss", addsd = "addsd", addps = "addps", addpd = "addpd",
    subss = "subss", subsd = "subsd", subps = "subps", subpd = "subpd",
    mulss = "mulss", mulsd = "mulsd", mulps = "mulps", mulpd = "mulpd",
    divss = "divss", divsd = "divsd", divps = "divps", divpd = "divpd",
    minss = "minss", minsd = "minsd", minps = "minps", minpd = "minpd",
    maxss = "maxss", maxsd = "maxsd", maxps = "maxps", maxpd = "maxpd",
    cmpeqss = "cmpeqss", cmpeqsd = "cmpeqsd", cmpltss = "cmpltss", cmpltsd = "cmpltsd",
    cmpunordss = "cmpunordss", cmpunordsd = "cmpunordsd",
}
unary! {
    sqrtss = "sqrtss", sqrtsd = "sqrtsd", sqrtps = "sqrtps", sqrtpd = "sqrtpd",
    rcpps = "rcpps", rsqrtps = "rsqrtps",
    cvtss2sd = "cvtss2sd", cvtsd2ss = "cvtsd2ss", cvtps2pd = "cvtps2pd", cvtpd2ps = "cvtpd2ps",
    cvtdq2ps = "cvtdq2ps", cvtps2dq = "cvtps2dq", cvttps2dq = "cvttps2dq",
    cvtph2ps = "vcvtph2ps",
}

macro_rules! rounding {
    ($name:ident, $insn:literal) => {
        #[doc = concat!("`", $insn, "` with the immediate `mode` (0-15)")]
        pub fn $name(a: u128, mode: u8) -> u128 {
            let mut x = vector(a);
            macro_rules! with {
                ($imm:literal) => {
                    // SAFETY: one register-to-register SSE4.1 instruction.
                    unsafe { asm!(concat!($insn, " {0}, {0}, ", $imm), inout(xmm_reg) x, options(nostack)) }
                };
            }
            match mode & 15 {
                0 => with!("0"), 1 => with!("1"), 2 => with!("2"), 3 => with!("3"),
                8 => with!("8"), 9 => with!("9"), 10 => with!("10"), 11 => with!("11"),
                12..=15 => with!("12"),
                _ => with!("4"),
            }
            bits(x)
        }
    };
}
rounding!(roundss, "roundss");
rounding!(roundsd, "roundsd");

/// f32 lanes to f16, rounded as the instruction's immediate `mode` (0-4) says.
pub fn cvtps2ph_rounded(a: u128, mode: u8) -> u128 {
    let mut x = vector(a);
    macro_rules! with {
        ($imm:literal) => {
            // SAFETY: one register-to-register instruction; the host has F16C (checked at start).
            unsafe { asm!(concat!("vcvtps2ph {0}, {0}, ", $imm), inout(xmm_reg) x, options(nostack)) }
        };
    }
    match mode {
        0 => with!("0"),
        1 => with!("1"),
        2 => with!("2"),
        3 => with!("3"),
        _ => with!("4"),
    }
    bits(x)
}

/// f32 lanes to f16 in the current rounding mode (F16C).
#[inline]
pub fn cvtps2ph(a: u128) -> u128 {
    let mut x = vector(a);
    // SAFETY: one register-to-register instruction; the host has F16C (checked at start).
    unsafe { asm!("vcvtps2ph {0}, {0}, 4", inout(xmm_reg) x, options(nostack)) };
    bits(x)
}

macro_rules! to_int {
    ($($name:ident = $insn:literal),* $(,)?) => {$(
        #[doc = concat!("`", $insn, "`")]
        #[inline]
        pub fn $name(a: u128) -> u64 {
            let out: u64;
            // SAFETY: one instruction from an SSE to a general register.
            unsafe { asm!(concat!($insn, " {}, {}"), out(reg) out, in(xmm_reg) vector(a), options(nostack)) };
            out
        }
    )*};
}
to_int! {
    cvtss2si = "cvtss2si", cvtsd2si = "cvtsd2si", cvttss2si = "cvttss2si", cvttsd2si = "cvttsd2si",
}

macro_rules! from_int {
    ($($name:ident = $insn:literal),* $(,)?) => {$(
        #[doc = concat!("`", $insn, "`")]
        #[inline]
        pub fn $name(a: u64) -> u128 {
            let mut x = vector(0);
            // SAFETY: one instruction from a general to an SSE register.
            unsafe { asm!(concat!($insn, " {}, {}"), inout(xmm_reg) x, in(reg) a, options(nostack)) };
            bits(x)
        }
    )*};
}
from_int! { cvtsi2ss = "cvtsi2ss", cvtsi2sd = "cvtsi2sd" }

macro_rules! fused {
    ($($name:ident = $insn:literal),* $(,)?) => {$(
        #[doc = concat!("`", $insn, "`: a * b + c, rounded once. Of NaNs a comes out first, then b, then c.")]
        #[inline]
        pub fn $name(a: u128, b: u128, c: u128) -> u128 {
            let mut x = vector(a);
            // SAFETY: one register-to-register instruction; the host has FMA (checked at start).
            unsafe {
                asm!(concat!($insn, " {}, {}, {}"), inout(xmm_reg) x, in(xmm_reg) vector(c),
                     in(xmm_reg) vector(b), options(nostack));
            }
            bits(x)
        }
    )*};
}
fused! {
    fmass = "vfmadd132ss", fmasd = "vfmadd132sd", fmaps = "vfmadd132ps", fmapd = "vfmadd132pd",
}

/// The exception flags that `ucomis`/`comis` raise, and how a compares with b: 0 equal, 1 less, 2
/// greater, 3 unordered.
macro_rules! compare {
    ($($name:ident = $insn:literal),* $(,)?) => {$(
        #[doc = concat!("`", $insn, "`: 0 equal, 1 less, 2 greater, 3 unordered")]
        #[inline]
        pub fn $name(a: u128, b: u128) -> u64 {
            let (carry, zero, parity): (u8, u8, u8);
            // SAFETY: compares two registers and reads the flags.
            unsafe {
                asm!(concat!($insn, " {}, {}"), "setc {}", "setz {}", "setp {}",
                     in(xmm_reg) vector(a), in(xmm_reg) vector(b),
                     out(reg_byte) carry, out(reg_byte) zero, out(reg_byte) parity, options(nostack));
            }
            match (parity, zero, carry) {
                (1, _, _) => 3,
                (_, 1, _) => 0,
                (_, _, 1) => 1,
                _ => 2,
            }
        }
    )*};
}
compare! { ucomiss = "ucomiss", ucomisd = "ucomisd", comiss = "comiss", comisd = "comisd" }
