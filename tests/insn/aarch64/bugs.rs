//! Mistakes to plant, one in each family of instructions: the fuzzer must find every one of them.
//!
//! They change the IR behind the lifter, as a wrong lift would; nothing of the product knows of them.

use crate::machine::Bug;
use guest::ir::{Block, Crypto, FlagKind, Lane, MinMax, NanRule, Narrow, Op, RmwOp, Round, Sign, Width};

fn change(block: &mut Block, mistake: impl Fn(Op) -> Option<Op>) {
    for op in &mut block.ops {
        *op = mistake(*op).unwrap_or(*op);
    }
}

/// What is wrong, and how it is done.
pub const BUGS: [(&str, Bug); 14] = [
    ("integers: 32-bit arithmetic shifts by 16 or more", |block| {
        change(block, |op| match op {
            Op::Sar { dst, w: Width::W32, a, b } => Some(Op::Sar { dst, w: Width::W64, a, b }),
            _ => None,
        });
    }),
    ("flags: the carry of a difference", |block| {
        change(block, |op| match op {
            Op::SetFlags { kind: FlagKind::SubInv, w: Width::W32, a, b, r } => {
                Some(Op::SetFlags { kind: FlagKind::Sub, w: Width::W32, a, b, r })
            }
            _ => None,
        });
    }),
    ("products: the high half of a signed one", |block| {
        change(block, |op| match op {
            Op::Smulh { dst, w, a, b } => Some(Op::Umulh { dst, w, a, b }),
            _ => None,
        });
    }),
    ("bit fields: the sign of a field that ends at bit 31", |block| {
        change(block, |op| match op {
            Op::Sextract { dst, lsb, len, a } if lsb + len == 32 => Some(Op::Extract { dst, lsb, len, a }),
            _ => None,
        });
    }),
    ("loads and stores: the offset of the second of a pair", |block| {
        change(block, |op| match op {
            Op::Store { w: Width::W32, ord, addr, off: 4, a } => {
                Some(Op::Store { w: Width::W32, ord, addr, off: 8, a })
            }
            _ => None,
        });
    }),
    ("atomics: a signed maximum of halfwords", |block| {
        change(block, |op| match op {
            Op::Rmw { dst, op: RmwOp::Smax, w: Width::W16, ord, addr, a } => {
                Some(Op::Rmw { dst, op: RmwOp::Umax, w: Width::W16, ord, addr, a })
            }
            _ => None,
        });
    }),
    ("exclusives: a store that does not look at the monitor", |block| {
        change(block, |op| match op {
            Op::StoreEx { dst, w, ord, addr, a } => Some(Op::Rmw { dst, op: RmwOp::Xchg, w, ord, addr, a }),
            _ => None,
        });
    }),
    ("SIMD integers: saturation of words", |block| {
        change(block, |op| match op {
            Op::Vaddsat { dst, n, lane: Lane::S, signed: Sign::Signed, a, b } => {
                Some(Op::Vaddsat { dst, n, lane: Lane::S, signed: Sign::Unsigned, a, b })
            }
            _ => None,
        });
    }),
    ("SIMD narrowing: unsigned saturation of signed doublewords", |block| {
        change(block, |op| match op {
            Op::Vnarrow { dst, n, lane, how: Narrow::SignedToUnsigned, a, b } => {
                Some(Op::Vnarrow { dst, n, lane, how: Narrow::Signed, a, b })
            }
            _ => None,
        });
    }),
    ("floats: a quiet NaN against a number", |block| {
        change(block, |op| match op {
            Op::Vfminmax { dst, n, op: MinMax::ArmMinNum, fs, a, b } => {
                Some(Op::Vfminmax { dst, n, op: MinMax::ArmMin, fs, a, b })
            }
            _ => None,
        });
    }),
    ("conversions: ties away from zero", |block| {
        change(block, |op| match op {
            Op::Ftoi { dst, fs, w, signed, mode: Round::Away, over, a } => {
                Some(Op::Ftoi { dst, fs, w, signed, mode: Round::Nearest, over, a })
            }
            _ => None,
        });
    }),
    ("NaNs: payloads", |block| {
        if block.nan_rule == NanRule::Arm {
            block.nan_rule = NanRule::ArmDefault;
        }
    }),
    ("crypto: the last round for a middle one", |block| {
        change(block, |op| match op {
            Op::Vcrypto { dst, n, op: Crypto::AesDecLast, a, b, c } => {
                Some(Op::Vcrypto { dst, n, op: Crypto::AesDec, a, b, c })
            }
            _ => None,
        });
    }),
    ("conditions: of a comparison that is made where it holds", |block| {
        change(block, |op| match op {
            Op::SetFlagsIf { c, kind: FlagKind::Add, w, a, b, r } => {
                Some(Op::SetFlagsIf { c, kind: FlagKind::SubInv, w, a, b, r })
            }
            _ => None,
        });
    }),
];
