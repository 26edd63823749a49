//! The x87 unit: stack, tags, exceptions. Arithmetic itself is the host's, through
//! [`HelperContext::x87`].
//!
//! Packed arguments: the low byte is a register index, the next what the function says. `pc` is the
//! instruction's address, which the unit remembers.

use super::x87_unit::{FLAG_INVALID, INDEFINITE, Layout, Unit, exception, status};
use super::{write_whole, x87_convert};
use guest::helper::{F80, HelperContext, HelperExit, X87Op};
use guest::ir::flag;
use guest::ir::flags::FlagRecord;
use guest::{GuestAddr, Trap};

type Cx<'a> = &'a mut dyn HelperContext;
type Outcome = Result<u64, HelperExit>;

/// Memory formats, by the number that the lifter passes.
pub(crate) mod format {
    pub const F32: u64 = 0;
    pub const F64: u64 = 1;
    pub const F80: u64 = 2;
    pub const I16: u64 = 3;
    pub const I32: u64 = 4;
    pub const I64: u64 = 5;
    pub const BCD: u64 = 6;
}

/// The bytes and the conversions of each format.
struct Format {
    len: usize,
    from: X87Op,
    to: X87Op,
    to_truncated: X87Op,
}

const fn row(len: usize, from: X87Op, to: X87Op, to_truncated: X87Op) -> Format {
    Format { len, from, to, to_truncated }
}

/// The 80-bit format needs no conversion; its row's operations are not used.
const FORMATS: [Format; 7] = [
    row(4, X87Op::FromF32, X87Op::ToF32, X87Op::ToF32),
    row(8, X87Op::FromF64, X87Op::ToF64, X87Op::ToF64),
    row(10, X87Op::FromF64, X87Op::ToF64, X87Op::ToF64),
    row(2, X87Op::FromI16, X87Op::ToI16, X87Op::ToI16Trunc),
    row(4, X87Op::FromI32, X87Op::ToI32, X87Op::ToI32Trunc),
    row(8, X87Op::FromI64, X87Op::ToI64, X87Op::ToI64Trunc),
    row(10, X87Op::FromBcd, X87Op::ToBcd, X87Op::ToBcd),
];

/// Arithmetic operations of two operands, in the order of the opcodes' digits.
pub(crate) mod arith {
    pub const ADD: u64 = 0;
    pub const MUL: u64 = 1;
    pub const SUB: u64 = 4;
    pub const SUBR: u64 = 5;
    pub const DIV: u64 = 6;
    pub const DIVR: u64 = 7;
}

/// Operations on the top of the stack, by the number that the lifter passes.
pub(crate) const OPS: [X87Op; 14] = [
    X87Op::Sqrt,
    X87Op::Rndint,
    X87Op::F2xm1,
    X87Op::Fsin,
    X87Op::Fcos,
    X87Op::Scale,
    X87Op::Prem,
    X87Op::Prem1,
    X87Op::Fyl2x,
    X87Op::Fyl2xp1,
    X87Op::Fpatan,
    X87Op::Fptan,
    X87Op::Fsincos,
    X87Op::Fxtract,
];

/// What to pop, and how to compare, in the second byte of comparisons.
pub(crate) mod compare {
    pub const POPS: u64 = 3;
    /// Quiet NaNs are no invalid operands.
    pub const UNORDERED: u64 = 4;
    /// The result goes to EFLAGS.
    pub const TO_EFLAGS: u64 = 8;
}

fn index(a: u64) -> u16 {
    (a & 7) as u16
}

fn second(a: u64) -> u64 {
    a >> 8 & 0xff
}

fn read_operand(unit: &Unit<'_>, format: &Format, addr: u64) -> Result<F80, HelperExit> {
    let mut bytes = [0; 10];
    unit.cx.memory().read(GuestAddr(addr), &mut bytes[..format.len])?;
    Ok(bytes)
}

/// A memory operand as an extended value, with the exceptions of its conversion.
fn load_operand(unit: &mut Unit<'_>, code: u64, addr: u64) -> Result<(F80, u16), HelperExit> {
    let format = &FORMATS[(code % 7) as usize];
    let raw = read_operand(unit, format, addr)?;
    if code == format::F80 {
        return Ok((raw, 0));
    }
    if let Some(value) = x87_convert::load(code, &raw) {
        return Ok((value, 0));
    }
    let converted = unit.run(format.from, raw, [0; 10]);
    Ok((converted.value, converted.status))
}

/// The same for arithmetic: a NaN keeps its signalling bit, because the operation itself is to see it.
fn arithmetic_operand(unit: &mut Unit<'_>, code: u64, addr: u64) -> Result<(F80, u16), HelperExit> {
    let raw = read_operand(unit, &FORMATS[(code % 7) as usize], addr)?;
    let bits = u64::from_le_bytes(std::array::from_fn(|i| raw[i]));
    let (fraction, sign) = match code {
        format::F32 if bits >> 23 & 0xff == 0xff => (bits << 41 >> 1, bits >> 31 & 1),
        format::F64 if bits >> 52 & 0x7ff == 0x7ff => (bits << 12 >> 1, bits >> 63),
        _ => return load_operand(unit, code, addr),
    };
    let mut value = [0xff; 10];
    value[..8].copy_from_slice(&(fraction | 1 << 63).to_le_bytes());
    value[9] = 0x7f | (sign as u8) << 7;
    Ok((value, 0))
}

/// `FLD m`, `FILD`, `FBLD`: the format in the low byte.
pub(super) fn load(cx: Cx<'_>, a: u64, addr: u64, pc: u64) -> Outcome {
    let mut unit = Unit::start(cx, pc, Some(addr))?;
    let (value, raised) = load_operand(&mut unit, a & 0xff, addr)?;
    unit.push_result(value, raised);
    Ok(0)
}

/// `FLD st(i)`
pub(super) fn load_register(cx: Cx<'_>, a: u64, _b: u64, pc: u64) -> Outcome {
    let mut unit = Unit::start(cx, pc, None)?;
    let value = unit.operand(index(a));
    match value {
        Some(value) => unit.push_result(value, 0),
        None => {
            if unit.raise(exception::STACK) {
                unit.push(INDEFINITE);
            }
        }
    }
    Ok(0)
}

/// `FLD1` and its kin, in the order of their opcodes. The rounding mode decides the last bit.
pub(super) fn load_constant(cx: Cx<'_>, a: u64, _b: u64, pc: u64) -> Outcome {
    let mut unit = Unit::start(cx, pc, None)?;
    let value = unit.constant(a & 7);
    unit.push_result(value, 0);
    Ok(0)
}

/// `FST m`, `FIST`, `FISTTP`, `FBSTP`: format; then bit 0 pops, bit 1 truncates.
pub(super) fn store(cx: Cx<'_>, a: u64, addr: u64, pc: u64) -> Outcome {
    let mut unit = Unit::start(cx, pc, Some(addr))?;
    let (code, how) = (a & 0xff, second(a));
    let format = &FORMATS[(code % 7) as usize];
    let op = if how & 2 != 0 { format.to_truncated } else { format.to };
    let (bytes, raised) = match unit.operand(0) {
        Some(value) if code == format::F80 => (value, 0),
        Some(value) => match x87_convert::store(code, &value) {
            Some(bytes) => (bytes, 0),
            None => {
                let converted = unit.run(op, value, [0; 10]);
                (converted.value, converted.status)
            }
        },
        None => (unit.indefinite(code), exception::STACK),
    };
    let stored = !unit.stops_store_at(raised);
    if stored {
        write_whole(unit.cx, addr, &bytes[..format.len])?;
    }
    if unit.raise(raised) && stored && how & 1 != 0 {
        unit.pop();
    }
    Ok(0)
}

/// `FST st(i)`, `FSTP st(i)`: the second byte pops, 2 without looking at an empty top (`FSTPNCE`).
pub(super) fn store_register(cx: Cx<'_>, a: u64, _b: u64, pc: u64) -> Outcome {
    let mut unit = Unit::start(cx, pc, None)?;
    let value = unit.operand(0);
    if value.is_none() && second(a) == 2 {
        unit.clear_c1();
        unit.pop();
        return Ok(0);
    }
    let raised = if value.is_some() { 0 } else { exception::STACK };
    if unit.raise(raised) {
        unit.set(index(a), value.unwrap_or(INDEFINITE));
        if second(a) != 0 {
            unit.pop();
        }
    }
    Ok(0)
}

fn combine(unit: &mut Unit<'_>, op: u64, top: F80, other: F80) -> (F80, u16) {
    let (op, a, b) = match op {
        arith::ADD => (X87Op::Add, top, other),
        arith::MUL => (X87Op::Mul, top, other),
        arith::SUB => (X87Op::Sub, top, other),
        arith::SUBR => (X87Op::Sub, other, top),
        arith::DIV => (X87Op::Div, top, other),
        _ => (X87Op::Div, other, top),
    };
    let result = unit.run(op, a, b);
    (result.value, result.status)
}

/// Arithmetic on registers: the source's index; the operation; the destination's index; pop.
pub(super) fn arithmetic(cx: Cx<'_>, a: u64, _b: u64, pc: u64) -> Outcome {
    let mut unit = Unit::start(cx, pc, None)?;
    let (source, destination) = (index(a), index(a >> 16));
    let (value, raised) = match (unit.operand(destination), unit.operand(source)) {
        (Some(x), Some(y)) => combine(&mut unit, second(a), x, y),
        _ => (INDEFINITE, exception::STACK),
    };
    if unit.raise(raised) {
        unit.set(destination, value);
        if a >> 24 & 1 != 0 {
            unit.pop();
        }
    }
    Ok(0)
}

/// An encoding that is no number since the 80387: an exponent without the integer bit.
fn is_unsupported(value: &F80) -> bool {
    let exponent = u16::from_le_bytes([value[8], value[9]]) & 0x7fff;
    exponent != 0 && value[7] & 0x80 == 0
}

fn is_nan(value: &F80) -> bool {
    value[9] & 0x7f == 0x7f && value[8] == 0xff && (value[7] & 0x7f != 0 || value[..7] != [0; 7])
}

/// Arithmetic with memory: format, operation.
pub(super) fn arithmetic_memory(cx: Cx<'_>, a: u64, addr: u64, pc: u64) -> Outcome {
    let mut unit = Unit::start(cx, pc, Some(addr))?;
    let (other, converting) = arithmetic_operand(&mut unit, a & 0xff, addr)?;
    let top = unit.operand(0);
    let (value, raised) = match top {
        Some(top) => combine(&mut unit, second(a), top, other),
        None => (INDEFINITE, exception::STACK),
    };
    // A NaN or no number beside it, or nothing, keeps a denormal operand from being noticed.
    // So does a division by zero.
    let unnoticed =
        top.is_none_or(|top| is_nan(&top) || is_unsupported(&top)) || raised & exception::ZERO_DIVIDE != 0;
    let converting = if unnoticed { 0 } else { converting };
    if unit.raise(raised | converting & exception::ALL) {
        unit.set(0, value);
    }
    Ok(0)
}

/// Compares the top with `other` and records the outcome where `how` says.
fn compare_with(unit: &mut Unit<'_>, how: u64, other: Option<F80>, extra: u16) {
    let op = if how & compare::UNORDERED != 0 { X87Op::Ucom } else { X87Op::Com };
    let (codes, raised) = match (unit.operand(0), other) {
        (Some(top), Some(other)) => {
            let result = unit.run(op, top, other);
            (result.status & status::CODES & !status::C1, result.status)
        }
        _ => (status::C0 | status::C2 | status::C3, exception::STACK),
    };
    let raised = raised & !status::CODES | extra & exception::ALL;
    let to_eflags = how & compare::TO_EFLAGS != 0;
    let went_on = if to_eflags { unit.raise_keeping_c1(raised) } else { unit.raise(raised) };
    if !to_eflags {
        unit.set_codes(codes);
    } else {
        let bit = |code: u16, flag: u64| if codes & code != 0 { flag } else { 0 };
        let flags = bit(status::C0, flag::C) | bit(status::C2, flag::P) | bit(status::C3, flag::Z);
        FlagRecord::packed(flags).store(unit.cx.state());
    }
    if went_on {
        for _ in 0..how & compare::POPS {
            unit.pop();
        }
    }
}

/// Comparisons with a register: index, how.
pub(super) fn compare_register(cx: Cx<'_>, a: u64, _b: u64, pc: u64) -> Outcome {
    let mut unit = Unit::start(cx, pc, None)?;
    let other = unit.operand(index(a));
    compare_with(&mut unit, second(a), other, 0);
    Ok(0)
}

/// Comparisons with memory: format, how.
pub(super) fn compare_memory(cx: Cx<'_>, a: u64, addr: u64, pc: u64) -> Outcome {
    let mut unit = Unit::start(cx, pc, Some(addr))?;
    let (other, converting) = arithmetic_operand(&mut unit, a & 0xff, addr)?;
    let noticed = unit.operand(0).is_some_and(|top| !is_nan(&top) && !is_unsupported(&top));
    let converting = if noticed { converting } else { 0 };
    compare_with(&mut unit, second(a), Some(other), converting);
    Ok(0)
}

/// `FTST`
pub(super) fn test(cx: Cx<'_>, _a: u64, _b: u64, pc: u64) -> Outcome {
    let mut unit = Unit::start(cx, pc, None)?;
    compare_with(&mut unit, 0, Some([0; 10]), 0);
    Ok(0)
}

/// `FXAM`: C1 is the sign, even of an empty register.
pub(super) fn examine(cx: Cx<'_>, _a: u64, _b: u64, pc: u64) -> Outcome {
    let mut unit = Unit::start(cx, pc, None)?;
    let value = unit.value(0);
    let codes = match unit.operand(0) {
        Some(value) => unit.run(X87Op::Xam, value, [0; 10]).status & status::CODES & !status::C1,
        None => status::C3 | status::C0,
    };
    let sign = if value[9] & 0x80 != 0 { status::C1 } else { 0 };
    unit.set_codes(codes | sign);
    Ok(0)
}

/// Operations on the top alone or on the top two registers.
pub(super) fn operate(cx: Cx<'_>, a: u64, _b: u64, pc: u64) -> Outcome {
    let mut unit = Unit::start(cx, pc, None)?;
    let op = OPS[(a & 0xff) as usize % OPS.len()];
    let binary = matches!(
        op,
        X87Op::Scale | X87Op::Prem | X87Op::Prem1 | X87Op::Fyl2x | X87Op::Fyl2xp1 | X87Op::Fpatan
    );
    let (top, below) = (unit.operand(0), unit.operand(1));
    let operands = top.zip(if binary { below } else { Some([0; 10]) });
    let Some((x, y)) = operands else {
        finish_empty(&mut unit, op);
        return Ok(0);
    };
    let result = unit.run(op, x, y);
    match op {
        X87Op::Fyl2x | X87Op::Fyl2xp1 | X87Op::Fpatan => {
            if unit.raise(result.status) {
                unit.set(1, result.value);
                unit.pop();
            }
        }
        X87Op::Fptan | X87Op::Fsincos | X87Op::Fxtract => {
            finish_twin(&mut unit, result.value, result.second, result.status)
        }
        X87Op::Prem | X87Op::Prem1 => {
            if unit.raise(result.status) {
                unit.set(0, result.value);
                if is_nan(&result.value) {
                    unit.set_c2(false);
                } else {
                    unit.set_codes(result.status & status::CODES);
                }
            } else {
                unit.set_c2(false);
            }
        }
        _ => {
            if unit.raise(result.status) {
                unit.set(0, result.value);
            }
            unit.set_c2(result.status & status::C2 != 0);
        }
    }
    Ok(0)
}

/// The two-result operations: out of range (C2) they leave the stack as it is.
fn finish_twin(unit: &mut Unit<'_>, value: F80, pushed: F80, raised: u16) {
    let full = !unit.is_empty(7);
    if raised & status::C2 != 0 && !full {
        if unit.raise(raised & !status::CODES) {
            unit.set_c2(true);
        }
        return;
    }
    let written = unit.raise(if full { exception::STACK | status::C1 } else { raised });
    unit.set_c2(false);
    if !written {
        return;
    }
    unit.set(0, if full { INDEFINITE } else { value });
    unit.push(if full { INDEFINITE } else { pushed });
}

fn finish_empty(unit: &mut Unit<'_>, op: X87Op) {
    let written = unit.raise(exception::STACK);
    if matches!(op, X87Op::Fptan | X87Op::Fsincos | X87Op::Fsin | X87Op::Fcos | X87Op::Prem | X87Op::Prem1) {
        unit.set_c2(false);
    }
    if !written {
        return;
    }
    match op {
        X87Op::Fyl2x | X87Op::Fyl2xp1 | X87Op::Fpatan => {
            unit.set(1, INDEFINITE);
            unit.pop();
        }
        X87Op::Fptan | X87Op::Fsincos | X87Op::Fxtract => {
            unit.set(0, INDEFINITE);
            unit.push(INDEFINITE);
        }
        _ => unit.set(0, INDEFINITE),
    }
}

/// `FCHS` (1) and `FABS` (0): the sign bit alone.
pub(super) fn sign(cx: Cx<'_>, a: u64, _b: u64, pc: u64) -> Outcome {
    let mut unit = Unit::start(cx, pc, None)?;
    let Some(mut value) = unit.operand(0) else {
        finish_empty(&mut unit, X87Op::Sqrt);
        return Ok(0);
    };
    value[9] = if a & 1 != 0 { value[9] ^ 0x80 } else { value[9] & 0x7f };
    unit.raise(0);
    unit.set(0, value);
    Ok(0)
}

/// `FXCH st(i)`
pub(super) fn exchange(cx: Cx<'_>, a: u64, _b: u64, pc: u64) -> Outcome {
    let mut unit = Unit::start(cx, pc, None)?;
    let (top, other) = (unit.operand(0), unit.operand(index(a)));
    let raised = if top.is_some() && other.is_some() { 0 } else { exception::STACK };
    if unit.raise(raised) {
        unit.set(0, other.unwrap_or(INDEFINITE));
        unit.set(index(a), top.unwrap_or(INDEFINITE));
    }
    Ok(0)
}

/// `FCMOVcc st, st(i)`: the condition in `b`.
pub(super) fn move_if(cx: Cx<'_>, a: u64, holds: u64, pc: u64) -> Outcome {
    let mut unit = Unit::start(cx, pc, None)?;
    match (unit.operand(0), unit.operand(index(a))) {
        (Some(_), Some(value)) => {
            if holds != 0 {
                unit.set(0, value);
            }
        }
        _ => finish_empty(&mut unit, X87Op::Sqrt),
    }
    Ok(0)
}

/// `FFREE`, `FFREEP`, `FINCSTP`, `FDECSTP`: index; then 0 to 3.
pub(super) fn stack(cx: Cx<'_>, a: u64, _b: u64, pc: u64) -> Outcome {
    let mut unit = Unit::start(cx, pc, None)?;
    match second(a) {
        0 => unit.free(index(a)),
        1 => {
            unit.free(index(a));
            unit.pop();
        }
        2 => unit.turn(1),
        _ => unit.turn(7),
    }
    unit.clear_c1();
    Ok(0)
}

/// `FNINIT`, `FNCLEX`, `FWAIT`: 0 to 2.
pub(super) fn control(cx: Cx<'_>, a: u64, _b: u64, pc: u64) -> Outcome {
    match a {
        0 => Unit::quiet(cx).reset(),
        1 => Unit::quiet(cx).clear_exceptions(),
        _ => {
            Unit::start_without_record(cx, pc)?;
        }
    }
    Ok(0)
}

/// `FLDCW m16`: may unmask what is pending.
pub(super) fn load_control(cx: Cx<'_>, _a: u64, addr: u64, pc: u64) -> Outcome {
    let mut unit = Unit::start_without_record(cx, pc)?;
    let mut bytes = [0; 2];
    unit.cx.memory().read(GuestAddr(addr), &mut bytes)?;
    unit.set_control(u16::from_le_bytes(bytes));
    Ok(0)
}

/// Which image of the unit, as the lifter passes it.
pub(crate) mod image {
    /// The registers stand behind the environment.
    pub const REGISTERS: u64 = 1;
    /// The environment is that of 16-bit code.
    pub const NARROW: u64 = 2;
}

/// The longest image's bytes: an environment and eight registers.
const SAVE_LEN: usize = Layout::Wide.len() + 80;

fn layout(how: u64) -> Layout {
    if how & image::NARROW != 0 { Layout::Narrow } else { Layout::Wide }
}

/// `FNSTENV`, `FNSAVE`
pub(super) fn save(cx: Cx<'_>, how: u64, addr: u64, _pc: u64) -> Outcome {
    let mut unit = Unit::quiet(cx);
    let mut whole = [0; SAVE_LEN];
    let len = layout(how).len();
    unit.put_environment(layout(how), &mut whole[..len]);
    if how & image::REGISTERS == 0 {
        write_whole(unit.cx, addr, &whole[..len])?;
        unit.mask_all();
        return Ok(0);
    }
    for n in 0..8 {
        whole[len + 10 * n..][..10].copy_from_slice(&unit.value(n as u16));
    }
    write_whole(unit.cx, addr, &whole[..len + 80])?;
    unit.reset();
    Ok(0)
}

/// `FLDENV`, `FRSTOR`
pub(super) fn restore(cx: Cx<'_>, how: u64, addr: u64, pc: u64) -> Outcome {
    let mut unit = Unit::start_without_record(cx, pc)?;
    let mut whole = [0; SAVE_LEN];
    let len = layout(how).len();
    let registers = how & image::REGISTERS != 0;
    unit.cx.memory().read(GuestAddr(addr), &mut whole[..if registers { len + 80 } else { len }])?;
    unit.set_environment(layout(how), &whole[..len]);
    if registers {
        for n in 0..8 {
            let mut value = [0; 10];
            value.copy_from_slice(&whole[len + 10 * n..][..10]);
            unit.put_value(n as u16, value);
        }
    }
    Ok(0)
}

/// Before an MMX instruction: the stack's top is register 0 and nothing is empty.
pub(super) fn enter_mmx(cx: Cx<'_>, _a: u64, _b: u64, pc: u64) -> Outcome {
    Unit::start_without_record(cx, pc)?.enter_mmx();
    Ok(0)
}

/// `EMMS`
pub(super) fn leave_mmx(cx: Cx<'_>, _a: u64, _b: u64, pc: u64) -> Outcome {
    Unit::start_without_record(cx, pc)?.leave_mmx();
    Ok(0)
}

/// Raised by waiting instructions while an unmasked exception is pending.
pub(super) const PENDING: HelperExit = HelperExit::Trap(Trap::X87);

const _: () = assert!(FLAG_INVALID == 1);
