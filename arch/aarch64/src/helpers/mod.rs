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

use guest::helper::{HelperDef, HelperFn};
use guest::ir::HelperId;

pub use bfloat::BfOp;
pub use crypto::CryptoOp;
pub use lanes::{LaneOp, lane_imm};

pub const CRC32: HelperId = HelperId(0);
pub const COUNTER: HelperId = HelperId(1);
pub const FPSR_READ: HelperId = HelperId(2);
pub const FPSR_TO_ENVIRONMENT: HelperId = HelperId(3);
pub const FPSR_MERGE: HelperId = HelperId(4);
pub const FPCR_TO_ENVIRONMENT: HelperId = HelperId(5);
/// The lane operations of [`LaneOp`].
pub const LANES: HelperId = HelperId(6);
/// Which lanes of such an operation have saturated.
pub const LANES_SATURATED: HelperId = HelperId(7);
pub const RECIPROCAL: HelperId = HelperId(8);
pub const RECIPROCAL_SQRT: HelperId = HelperId(9);
pub const RECIPROCAL_EXPONENT: HelperId = HelperId(10);
pub const ROUND_TO_ODD: HelperId = HelperId(11);
/// The operations of [`CryptoOp`].
pub const CRYPTO: HelperId = HelperId(12);

/// A random word.
pub const RANDOM: HelperId = HelperId(13);

/// An integer that a double holds, rounded to odd.
pub const INTEGER_TO_ODD: HelperId = HelperId(14);
/// A double modulo 2^32.
pub const TO_INT32_MODULO: HelperId = HelperId(15);

/// The operations of [`BfOp`].
pub const BFLOAT: HelperId = HelperId(16);
pub const BFLOAT_FROM_SINGLE: HelperId = HelperId(17);

pub const SET_PROLOGUE: HelperId = HelperId(18);
pub const SET_MAIN: HelperId = HelperId(19);
pub const COPY_PROLOGUE: HelperId = HelperId(20);
pub const COPY_MAIN: HelperId = HelperId(21);

pub static TABLE: &[HelperDef] = &[
    HelperDef { name: "crc32", f: HelperFn::Int(scalar::crc32) },
    HelperDef { name: "counter", f: HelperFn::State(|cx, _, _, _| Ok(cx.nanoseconds())) },
    HelperDef { name: "fpsr_read", f: HelperFn::Int(scalar::fpsr_read) },
    HelperDef { name: "fpsr_to_environment", f: HelperFn::Int(scalar::fpsr_to_environment) },
    HelperDef { name: "fpsr_merge", f: HelperFn::Int(scalar::fpsr_merge) },
    HelperDef { name: "fpcr_to_environment", f: HelperFn::Int(scalar::fpcr_to_environment) },
    HelperDef { name: "lanes", f: HelperFn::Vector(lanes::result) },
    HelperDef { name: "lanes_saturated", f: HelperFn::Vector(lanes::saturated) },
    HelperDef { name: "reciprocal", f: HelperFn::Int(scalar::reciprocal) },
    HelperDef { name: "reciprocal_sqrt", f: HelperFn::Int(scalar::reciprocal_sqrt) },
    HelperDef { name: "reciprocal_exponent", f: HelperFn::Int(scalar::reciprocal_exponent) },
    HelperDef { name: "round_to_odd", f: HelperFn::Int(scalar::round_to_odd) },
    HelperDef { name: "crypto", f: HelperFn::Vector(crypto::execute) },
    HelperDef { name: "random", f: HelperFn::State(|cx, _, _, _| Ok(cx.random())) },
    HelperDef { name: "integer_to_odd", f: HelperFn::Int(scalar::integer_to_odd) },
    HelperDef { name: "to_int32_modulo", f: HelperFn::Int(scalar::to_int32_modulo) },
    HelperDef { name: "bfloat", f: HelperFn::Vector(bfloat::execute) },
    HelperDef { name: "bfloat_from_single", f: HelperFn::Int(bfloat::from_single) },
    HelperDef { name: "set_prologue", f: HelperFn::State(mops::set_prologue) },
    HelperDef { name: "set_main", f: HelperFn::State(mops::set_main) },
    HelperDef { name: "copy_prologue", f: HelperFn::State(mops::copy_prologue) },
    HelperDef { name: "copy_main", f: HelperFn::State(mops::copy_main) },
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
            (FPSR_MERGE, "fpsr_merge"),
            (FPCR_TO_ENVIRONMENT, "fpcr_to_environment"),
            (LANES, "lanes"),
            (LANES_SATURATED, "lanes_saturated"),
            (RECIPROCAL, "reciprocal"),
            (RECIPROCAL_SQRT, "reciprocal_sqrt"),
            (RECIPROCAL_EXPONENT, "reciprocal_exponent"),
            (ROUND_TO_ODD, "round_to_odd"),
            (CRYPTO, "crypto"),
            (RANDOM, "random"),
            (INTEGER_TO_ODD, "integer_to_odd"),
            (TO_INT32_MODULO, "to_int32_modulo"),
            (BFLOAT, "bfloat"),
            (BFLOAT_FROM_SINGLE, "bfloat_from_single"),
            (SET_PROLOGUE, "set_prologue"),
            (SET_MAIN, "set_main"),
            (COPY_PROLOGUE, "copy_prologue"),
            (COPY_MAIN, "copy_main"),
        ];
        assert_eq!(named.len(), TABLE.len());
        for (id, name) in named {
            assert_eq!(TABLE[usize::from(id.0)].name, name);
        }
    }
}
