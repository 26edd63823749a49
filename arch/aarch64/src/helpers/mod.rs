//! Out-of-line semantics: what would take too many ops, or what no op says.
//!
//! The ids are positions in [`TABLE`]; `ids_are_positions` keeps the two together.

mod bfloat;
mod crypto;
mod lanes;
mod mops;
mod scalar;
mod sha512;
mod sm;

use guest::GuestAddr;
use guest::helper::{HelperDef, HelperFn};
use guest::ir::HelperId;

pub use bfloat::BfOp;
pub use crypto::CryptoOp;
pub use lanes::{LaneOp, lane_imm};

pub const CRC32: HelperId = HelperId(0);
pub const COUNTER: HelperId = HelperId(1);
pub const FPSR_READ: HelperId = HelperId(2);
pub const FPSR_TO_ENVIRONMENT: HelperId = HelperId(3);
pub const FPCR_TO_ENVIRONMENT: HelperId = HelperId(4);
/// The lane operations of [`LaneOp`].
pub const LANES: HelperId = HelperId(5);
/// Which lanes of such an operation have saturated.
pub const LANES_SATURATED: HelperId = HelperId(6);
/// The operations of [`CryptoOp`].
pub const CRYPTO: HelperId = HelperId(7);

/// A random word.
pub const RANDOM: HelperId = HelperId(8);

/// A double modulo 2^32.
pub const TO_INT32_MODULO: HelperId = HelperId(9);

/// The operations of [`BfOp`].
pub const BFLOAT: HelperId = HelperId(10);

pub const SET_PROLOGUE: HelperId = HelperId(11);
pub const SET_MAIN: HelperId = HelperId(12);
pub const COPY_PROLOGUE: HelperId = HelperId(13);
pub const COPY_MAIN: HelperId = HelperId(14);

/// The code at an address has changed.
pub const DROP_CODE: HelperId = HelperId(15);

pub static TABLE: &[HelperDef] = &[
    HelperDef { name: "crc32", f: HelperFn::Int(scalar::crc32) },
    HelperDef { name: "counter", f: HelperFn::State(|cx, _, _, _| Ok(cx.nanoseconds())) },
    HelperDef { name: "fpsr_read", f: HelperFn::Int(scalar::fpsr_read) },
    HelperDef { name: "fpsr_to_environment", f: HelperFn::Int(scalar::fpsr_to_environment) },
    HelperDef { name: "fpcr_to_environment", f: HelperFn::Int(scalar::fpcr_to_environment) },
    HelperDef { name: "lanes", f: HelperFn::Vector(lanes::result) },
    HelperDef { name: "lanes_saturated", f: HelperFn::Vector(lanes::saturated) },
    HelperDef { name: "crypto", f: HelperFn::Vector(crypto::execute) },
    HelperDef { name: "random", f: HelperFn::State(|cx, _, _, _| Ok(cx.random())) },
    HelperDef { name: "to_int32_modulo", f: HelperFn::Int(scalar::to_int32_modulo) },
    HelperDef { name: "bfloat", f: HelperFn::Vector(bfloat::execute) },
    HelperDef { name: "set_prologue", f: HelperFn::State(mops::set_prologue) },
    HelperDef { name: "set_main", f: HelperFn::State(mops::set_main) },
    HelperDef { name: "copy_prologue", f: HelperFn::State(mops::copy_prologue) },
    HelperDef { name: "copy_main", f: HelperFn::State(mops::copy_main) },
    HelperDef {
        name: "drop_code",
        f: HelperFn::State(|cx, addr, _, _| {
            cx.drop_code(GuestAddr(addr));
            Ok(0)
        }),
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_positions() {
        let named = [
            (CRC32, "crc32"),
            (COUNTER, "counter"),
            (FPSR_READ, "fpsr_read"),
            (FPSR_TO_ENVIRONMENT, "fpsr_to_environment"),
            (FPCR_TO_ENVIRONMENT, "fpcr_to_environment"),
            (LANES, "lanes"),
            (LANES_SATURATED, "lanes_saturated"),
            (CRYPTO, "crypto"),
            (RANDOM, "random"),
            (TO_INT32_MODULO, "to_int32_modulo"),
            (BFLOAT, "bfloat"),
            (SET_PROLOGUE, "set_prologue"),
            (SET_MAIN, "set_main"),
            (COPY_PROLOGUE, "copy_prologue"),
            (COPY_MAIN, "copy_main"),
            (DROP_CODE, "drop_code"),
        ];
        assert_eq!(named.len(), TABLE.len());
        for (id, name) in named {
            assert_eq!(TABLE[usize::from(id.0)].name, name);
        }
    }
}
