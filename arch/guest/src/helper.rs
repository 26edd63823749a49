//! Helpers: out-of-line semantics that both tiers call by index.
//!
//! They are safe Rust functions of the architecture crate. What they need of the machine they are given:
//! the state, guest memory, time, random bytes and the host's x87.

use crate::ir::Width;
use crate::state::GuestState;
use crate::{Fault, GuestAddr, GuestMemory, Trap};

/// Why a helper did not return normally.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HelperExit {
    Trap(Trap),
    Fault(Fault),
}

impl From<Fault> for HelperExit {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<Trap> for HelperExit {
    fn from(trap: Trap) -> Self {
        Self::Trap(trap)
    }
}

/// The machine, as a helper with state sees it.
pub trait HelperContext {
    fn state(&mut self) -> &mut GuestState;
    fn memory(&self) -> &dyn GuestMemory;
    /// Faults as a write of `len` bytes at `addr` would.
    fn probe_write(&self, addr: GuestAddr, len: u64) -> Result<(), Fault>;
    /// Runs a repeated string operation on `run.count` elements at most, which is not 0. At a fault `run` says how far
    /// it has come.
    fn repeat_string(
        &mut self,
        op: StringOp,
        w: Width,
        direction: Direction,
        run: &mut StringRun,
    ) -> Result<(), Fault>;
    /// The time stamp counter.
    fn timestamp(&mut self) -> u64;
    /// A steady clock, in nanoseconds.
    fn nanoseconds(&mut self) -> u64;
    /// The processor number the thread runs on.
    fn cpu_number(&mut self) -> u32;
    fn random(&mut self) -> u64;
    /// Translations of the page at `addr` are dropped: the guest says that its code has changed.
    fn drop_code(&mut self, addr: GuestAddr);
    /// The CPU model's feature bits.
    fn features(&self) -> u64;
    /// An extended-precision operation on the x87 unit.
    fn x87(&mut self, op: X87Op, control: u16, a: F80, b: F80) -> X87Result;
}

/// x86's repeated string operations.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StringOp {
    Movs,
    Stos,
    Lods,
    CmpsWhileEqual,
    CmpsUntilEqual,
    ScasWhileEqual,
    ScasUntilEqual,
}

impl StringOp {
    #[must_use]
    pub const fn compares(self) -> bool {
        !matches!(self, Self::Movs | Self::Stos | Self::Lods)
    }
}

/// Which way a string operation's addresses move.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    Up,
    Down,
}

/// A string operation's registers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct StringRun {
    pub source: u64,
    pub dest: u64,
    pub count: u64,
    pub accumulator: u64,
    /// EFLAGS after the last comparison.
    pub flags: u64,
}

/// An 80-bit extended float: 64-bit significand, then sign and exponent, little endian.
pub type F80 = [u8; 10];

/// Operations of an x87 unit on 80-bit values. `a` is st(0), `b` the other operand. Integer and
/// narrower float operands and results stand in the low bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum X87Op {
    Add,
    Sub,
    Mul,
    Div,
    Sqrt,
    /// Round to integral.
    Rndint,
    Scale,
    Prem,
    Prem1,
    F2xm1,
    Fyl2x,
    Fyl2xp1,
    Fpatan,
    /// tan(a); `second` is the 1.0 that is pushed.
    Fptan,
    Fsin,
    Fcos,
    /// sin(a) in `value`, cos(a) in `second`.
    Fsincos,
    /// Exponent in `value`, significand in `second`.
    Fxtract,
    /// Compares; the condition codes are in the status.
    Com,
    /// Compares, quiet NaNs raise nothing.
    Ucom,
    /// Examines; the condition codes are in the status.
    Xam,
    FromF32,
    FromF64,
    FromI16,
    FromI32,
    FromI64,
    ToF32,
    ToF64,
    ToI16,
    ToI32,
    ToI64,
    /// Conversions that truncate (`fisttp`).
    ToI16Trunc,
    ToI32Trunc,
    ToI64Trunc,
    FromBcd,
    ToBcd,
}

/// What an x87 operation gave.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct X87Result {
    pub value: F80,
    pub second: F80,
    /// The status word after it: exception flags (bits 0-6), C0-C3.
    pub status: u16,
}

/// A helper's function, by what it may touch.
#[derive(Clone, Copy)]
pub enum HelperFn {
    /// For op `call`: no state, no floats.
    Int(fn(u64, u64, u64) -> u64),
    /// For op `call_vec`: one 16-byte unit at a time (a, b, c, imm). No state, no floats.
    Vector(fn(u128, u128, u128, u32) -> u128),
    /// For op `call_state`. The state is exact when it is called and what it changes counts; where it
    /// fails it has changed nothing but what the guest may see (a string instruction's progress).
    State(fn(&mut dyn HelperContext, u64, u64, u64) -> Result<u64, HelperExit>),
}

/// One row of an architecture's helper table.
#[derive(Clone, Copy)]
pub struct HelperDef {
    pub name: &'static str,
    pub f: HelperFn,
}
