//! Mistakes to plant, one in each family of instructions: the fuzzer must find every one of them.
//!
//! They change the IR behind the lifter, as a wrong lift would; nothing of the product knows of them.

use crate::machine::Bug;
use arch_x86_64::X86_64;
use guest::arch::GuestArch;
use guest::ir::{
    Block, Cond, Crypto, FSize, FlagKind, HelperId, IntCc, Lane, MinMax, Op, RmwOp, Round, Sign, Width,
};

fn change(block: &mut Block, mistake: impl Fn(Op) -> Option<Op>) {
    for op in &mut block.ops {
        *op = mistake(*op).unwrap_or(*op);
    }
}

/// Calls the second helper where the first is meant.
fn confuse(block: &mut Block, meant: &str, called: &str) {
    let id = |name| {
        let at = X86_64.helpers().iter().position(|helper| helper.name == name);
        HelperId(at.unwrap_or_else(|| panic!("no helper is called {name}")) as u16)
    };
    let (meant, called) = (id(meant), id(called));
    change(block, |op| match op {
        Op::Call { dst, f, a, b, c } if f == meant => Some(Op::Call { dst, f: called, a, b, c }),
        Op::CallState { dst, f, a, b, c } if f == meant => Some(Op::CallState { dst, f: called, a, b, c }),
        Op::CallVec { dst, n, f, a, b, c, imm } if f == meant => {
            Some(Op::CallVec { dst, n, f: called, a, b, c, imm })
        }
        _ => None,
    });
}

/// What is wrong, and how it is done.
pub const BUGS: [(&str, Bug); 20] = [
    ("flags: the carry of a 16-bit sum", |block| {
        change(block, |op| match op {
            Op::SetFlags { kind: FlagKind::Add, w: Width::W16, a, b, r } => {
                Some(Op::SetFlags { kind: FlagKind::Logic, w: Width::W16, a, b, r })
            }
            _ => None,
        });
    }),
    ("conditions: not above, but below", |block| {
        change(block, |op| match op {
            Op::CondOp { dst, cc: Cond::Be } => Some(Op::CondOp { dst, cc: Cond::Cs }),
            Op::Icmp { dst, cc: IntCc::Ule, w, a, b } => Some(Op::Icmp { dst, cc: IntCc::Ult, w, a, b }),
            _ => None,
        });
    }),
    ("shifts: the sign of 32 bits", |block| {
        change(block, |op| match op {
            Op::Sar { dst, w: Width::W32, a, b } => Some(Op::Sar { dst, w: Width::W64, a, b }),
            _ => None,
        });
    }),
    ("rotates: the carry of RCR", |block| confuse(block, "RCR_CARRY", "RCL_CARRY")),
    ("products: the high half of a signed one", |block| {
        change(block, |op| match op {
            Op::Smulh { dst, w, a, b } => Some(Op::Umulh { dst, w, a, b }),
            _ => None,
        });
    }),
    ("quotients: signed ones of 16 bits", |block| {
        change(block, |op| match op {
            Op::SdivWide { dst, w: Width::W16, hi, lo, b } => {
                Some(Op::UdivWide { dst, w: Width::W16, hi, lo, b })
            }
            _ => None,
        });
    }),
    ("strings: SCAS for CMPS", |block| confuse(block, "REP_CMPS", "REP_SCAS")),
    ("lock: a 16-bit sum", |block| {
        change(block, |op| match op {
            Op::Rmw { dst, op: RmwOp::Add, w: Width::W16, ord, addr, a } => {
                Some(Op::Rmw { dst, op: RmwOp::Xchg, w: Width::W16, ord, addr, a })
            }
            _ => None,
        });
    }),
    ("BMI: PEXT for PDEP", |block| confuse(block, "PDEP", "PEXT")),
    ("bits: trailing zeros of 64 bits", |block| {
        change(block, |op| match op {
            Op::Ctz { dst, w: Width::W64, a } => Some(Op::Ctz { dst, w: Width::W32, a }),
            _ => None,
        });
    }),
    ("MMX: the tags", |block| confuse(block, "ENTER_MMX", "LEAVE_MMX")),
    ("SSE integers: saturation of signed bytes", |block| {
        change(block, |op| match op {
            Op::Vaddsat { dst, n, lane: Lane::B, signed: Sign::Signed, a, b } => {
                Some(Op::Vaddsat { dst, n, lane: Lane::B, signed: Sign::Unsigned, a, b })
            }
            _ => None,
        });
    }),
    ("SSE floats: which of two zeros or NaNs is the smaller", |block| {
        change(block, |op| match op {
            Op::Vfminmax { dst, n, op: MinMax::X86Min, fs, a, b } => {
                Some(Op::Vfminmax { dst, n, op: MinMax::X86Min, fs, a: b, b: a })
            }
            _ => None,
        });
    }),
    ("SSE conversions: truncation", |block| {
        change(block, |op| match op {
            Op::Ftoi { dst, fs, w, signed, mode: Round::Zero, over, a } => {
                Some(Op::Ftoi { dst, fs, w, signed, mode: Round::Nearest, over, a })
            }
            _ => None,
        });
    }),
    ("SSE text: lengths that are implicit", |block| confuse(block, "PCMPISTR", "PCMPESTR")),
    ("AVX: the upper half", |block| {
        change(block, |op| match op {
            Op::Vpart { dst, n, from: 1, a } => Some(Op::Vpart { dst, n, from: 0, a }),
            _ => None,
        });
    }),
    ("AVX: masked stores", |block| confuse(block, "MASKED_STORE_LANES", "MASKED_LOAD_LANES")),
    ("FMA: the addend of f32", |block| {
        change(block, |op| match op {
            Op::Fma { dst, fs: FSize::F32, a, b, c } => Some(Op::Fma { dst, fs: FSize::F32, a, b: c, c: b }),
            _ => None,
        });
    }),
    ("crypto: the last round for a middle one", |block| {
        change(block, |op| match op {
            Op::Vcrypto { dst, n, op: Crypto::AesDecLast, a, b, c } => {
                Some(Op::Vcrypto { dst, n, op: Crypto::AesDec, a, b, c })
            }
            _ => None,
        });
    }),
    ("x87: FXAM for FTST", |block| confuse(block, "X87_TEST", "X87_EXAMINE")),
];
