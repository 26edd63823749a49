//! Out-of-line semantics: what is too rare or too long for IR.
//!
//! The table gives both the helper's index, for the lifter, and its function, for the engine.

mod fxstate;
mod identify;
mod int;
pub(crate) mod masked;
pub(crate) mod string;
mod text;
mod vector;
pub(crate) mod x87;
mod x87_convert;
mod x87_unit;
mod xstate;

pub(crate) use fxstate::{full_tags, mxcsr_of};
pub(crate) use xstate::{AREA_SIZE, Area, HEADER_AT, area_size, header_is_plain, how, load_area, save_area};

use guest::helper::{HelperContext, HelperDef, HelperFn};
use guest::{Fault, GuestAddr};

/// Writes everything, or nothing where part of it faults. `data` is shorter than a page.
fn write_whole(cx: &dyn HelperContext, addr: u64, data: &[u8]) -> Result<(), Fault> {
    const PAGE: u64 = 4096;
    let addr = GuestAddr(addr);
    if addr.0 % PAGE + data.len() as u64 > PAGE {
        cx.probe_write(addr, data.len() as u64)?;
    }
    cx.memory().write(addr, data)
}

macro_rules! helpers {
    ($($name:ident = $kind:ident($f:path);)*) => {
        #[derive(Clone, Copy)]
        #[repr(u16)]
        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        enum Index { $($name),* }

        /// What `call` ops name helpers by.
        pub(crate) mod id {
            use guest::ir::HelperId;
            $( pub const $name: HelperId = HelperId(super::Index::$name as u16); )*
        }

        /// The helper table.
        pub(crate) static HELPERS: &[HelperDef] = &[
            $( HelperDef { name: stringify!($name), f: HelperFn::$kind($f) } ),*
        ];
    };
}

helpers! {
    RCL = Int(int::rcl);
    RCL_CARRY = Int(int::rcl_carry);
    RCR = Int(int::rcr);
    RCR_CARRY = Int(int::rcr_carry);
    CRC32C = Int(int::crc32c);
    PDEP = Int(int::pdep);
    PEXT = Int(int::pext);
    MPSADBW = Vector(vector::mpsadbw);
    PHMINPOSUW = Vector(vector::phminposuw);
    VPDPBUSD = Vector(vector::vpdpbusd);
    VPDPBUSDS = Vector(vector::vpdpbusds);
    VPDPWSSD = Vector(vector::vpdpwssd);
    VPDPWSSDS = Vector(vector::vpdpwssds);
    PCMPISTR = Vector(text::pcmpistr);
    PCMPISTRM = Vector(text::pcmpistrm);
    PCMPESTR = Vector(text::pcmpestr);
    PCMPESTRM = Vector(text::pcmpestrm);
    REP_MOVS = State(string::rep_movs);
    REP_STOS = State(string::rep_stos);
    REP_LODS = State(string::rep_lods);
    REP_CMPS = State(string::rep_cmps);
    REP_SCAS = State(string::rep_scas);
    MASKED_STORE = State(string::masked_store);
    MASKED_STORE64 = State(string::masked_store64);
    MASKED_LOAD_LANES = State(masked::load);
    MASKED_STORE_LANES = State(masked::store);
    GATHER = State(masked::gather);
    CPUID = State(identify::cpuid);
    TIMESTAMP = State(identify::timestamp);
    DESCRIBE_SEGMENT = State(identify::describe_segment);
    CPU_NUMBER = State(identify::cpu_number);
    RANDOM = State(identify::random);
    XGETBV = State(xstate::xgetbv);
    XSAVE = State(xstate::xsave);
    XRSTOR = State(xstate::xrstor);
    FXSAVE = State(fxstate::fxsave);
    FXRSTOR = State(fxstate::fxrstor);
    X87_LOAD = State(x87::load);
    X87_LOAD_REGISTER = State(x87::load_register);
    X87_LOAD_CONSTANT = State(x87::load_constant);
    X87_STORE = State(x87::store);
    X87_STORE_REGISTER = State(x87::store_register);
    X87_ARITHMETIC = State(x87::arithmetic);
    X87_ARITHMETIC_MEMORY = State(x87::arithmetic_memory);
    X87_COMPARE = State(x87::compare_register);
    X87_COMPARE_MEMORY = State(x87::compare_memory);
    X87_TEST = State(x87::test);
    X87_EXAMINE = State(x87::examine);
    X87_OPERATE = State(x87::operate);
    X87_SIGN = State(x87::sign);
    X87_EXCHANGE = State(x87::exchange);
    X87_MOVE_IF = State(x87::move_if);
    X87_STACK_MOVE = State(x87::stack);
    X87_CONTROL_OP = State(x87::control);
    X87_LOAD_CONTROL = State(x87::load_control);
    X87_SAVE = State(x87::save);
    X87_RESTORE = State(x87::restore);
    ENTER_MMX = State(x87::enter_mmx);
    LEAVE_MMX = State(x87::leave_mmx);
}
