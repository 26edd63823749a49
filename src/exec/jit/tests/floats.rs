//! Float operations: NaNs under AArch64's rules, and sticky flags across the blocks of a region.
//!
//! Results that AArch64 makes other than the host does stand early in chains: whatever takes the last of such a chain
//! must find it as the interpreter does, flags included.

use super::random::differences;
use super::regions::{X, Y, Z, block, jump};
use super::*;
use crate::exec::jit::code_memory;
use crate::host::{fp, guest_access};
use guest::ir::{
    Builder, FSize, FloatCc, Inexact, IntCc, MinMax, NanRule, Nans, Order, Overflow, Round, Sign, Terminator,
    Val, VecLen, Width, verify,
};
use guest::state::{ARCH_BASE, VECTORS};

type Make = fn(&mut Builder, FSize, [Val; 3]) -> Val;
/// What becomes of the chain's end: `v` is the value, `other` another one, `address` in memory.
type Take = fn(&mut Builder, FSize, [Val; 3]);

const CHAINS: [(&str, Make); 7] = [
    ("add", |b, fs, [x, y, _]| b.fadd(fs, x, y)),
    ("mul add", |b, fs, [x, y, z]| {
        let product = b.fmul(fs, x, y);
        b.fadd(fs, product, z)
    }),
    ("mul mul sub", |b, fs, [x, y, z]| {
        let (first, second) = (b.fmul(fs, x, y), b.fmul(fs, y, z));
        b.fsub(fs, first, second)
    }),
    ("div", |b, fs, [x, y, _]| b.fdiv(fs, x, y)),
    ("sub sqrt mul", |b, fs, [x, y, z]| {
        let difference = b.fsub(fs, x, y);
        let root = b.fsqrt(fs, difference);
        b.fmul(fs, root, z)
    }),
    ("fma add", |b, fs, [x, y, z]| {
        let sum = b.fma(fs, x, y, z);
        b.fadd(fs, sum, x)
    }),
    ("dropped mul", |b, fs, [x, y, z]| {
        b.fmul(fs, x, y);
        b.fadd(fs, y, z)
    }),
];

const TAKERS: [(&str, Take); 12] = [
    ("register", |b, _, [v, ..]| put(b, v)),
    ("vector register", |b, _, [v, ..]| {
        let zero = b.imm(0);
        let vector = b.vpair(VecLen::X1, v, zero);
        b.vput(VecLen::X1, VECTORS, vector);
    }),
    ("memory", |b, fs, [v, _, address]| b.store(fs.width(), Order::Relaxed, address, 0, v)),
    ("quiet comparison", |b, fs, [v, other, _]| {
        let less = b.fcmp(FloatCc::Lt, Nans::Quiet, fs, v, other);
        put(b, less);
    }),
    ("signalling comparison", |b, fs, [v, other, _]| {
        let order = b.fcompare(Nans::Signal, fs, v, other);
        put(b, order);
    }),
    ("smaller", |b, fs, [v, other, _]| {
        let least = b.fminmax(MinMax::ArmMinNum, fs, v, other);
        put(b, least);
    }),
    ("integer", |b, fs, [v, ..]| {
        let whole = b.ftoi(fs, Width::W64, Sign::Signed, Round::Zero, Overflow::Saturate, v);
        put(b, whole);
    }),
    ("float of its bits", |b, fs, [v, ..]| {
        let float = b.itof(fs, Width::W64, Sign::Signed, v);
        put(b, float);
    }),
    ("rounded", |b, fs, [v, ..]| {
        let whole = b.fround(fs, Round::Nearest, Inexact::Raise, v);
        put(b, whole);
    }),
    ("other size", |b, fs, [v, ..]| {
        let to = if fs == FSize::F64 { FSize::F32 } else { FSize::F64 };
        let converted = b.fconvert(fs, to, v);
        put(b, converted);
    }),
    ("lanes", |b, fs, [v, other, _]| {
        let vector = b.vpair(VecLen::X1, v, other);
        let product = b.vfmul(VecLen::X1, fs, vector, vector);
        b.vput(VecLen::X1, VECTORS, product);
    }),
    ("nothing", |_, _, _| ()),
];

fn put(b: &mut Builder, v: Val) {
    b.write_slot(ARCH_BASE.plus(64), v);
}

fn chain(pc: u64, fs: FSize, make: Make, take: Take) -> Block {
    let mut b = Builder::new(GuestAddr(pc), NanRule::Arm);
    b.begin_insn(GuestAddr(pc), 4);
    let [x, y, z, address] = [0, 8, 16, 24].map(|at| b.read_slot(ARCH_BASE.plus(at)));
    b.begin_insn(GuestAddr(pc + 4), 4);
    let end = make(&mut b, fs, [x, y, z]);
    b.begin_insn(GuestAddr(pc + 8), 4);
    take(&mut b, fs, [end, z, address]);
    let block = b.finish(Terminator::Resync { next: GuestAddr(pc + 12) });
    assert_eq!(verify(&block), Ok(()));
    block
}

/// NaNs of both kinds and signs with payloads, what makes NaNs, and what is rounded to the smallest normal number.
fn telling(fs: FSize) -> Vec<u64> {
    match fs {
        FSize::F64 => vec![
            0x7ff0_0000_0000_0123,
            0xfff8_0000_0000_0456,
            0x7ff0 << 48,
            0xfff0 << 48,
            0,
            1 << 63,
            0x3ff8 << 48,
            0xbff0 << 48,
            0x3fef_ffff_ffff_ffff,
            1 << 52,
            1 << 63 | 1 << 52,
            0x000f_ffff_ffff_ffff,
        ],
        _ => vec![
            0x7f80_0123,
            0xffc0_0456,
            0x7f80_0000,
            0xff80_0000,
            0,
            1 << 31,
            0x3fc0_0000,
            0xbf80_0000,
            0x3f7f_ffff,
            1 << 23,
            1 << 31 | 1 << 23,
            0x007f_ffff,
        ],
    }
}

/// What a run leaves: end, sticky flags without the one that AArch64 lacks, memory.
fn under(memory: &Memory, run: &mut dyn FnMut() -> BlockEnd) -> (BlockEnd, u32, [u8; 8]) {
    let mut bytes = [0; 8];
    guest_access::copy_out(GuestAddr(memory.start), &bytes).unwrap();
    fp::set_mxcsr(0x1f80);
    let end = run();
    let flags = fp::mxcsr() & !2;
    fp::set_mxcsr(fp::DEFAULT_MXCSR);
    guest_access::copy_in(&mut bytes, GuestAddr(memory.start)).unwrap();
    (end, flags, bytes)
}

#[test]
fn nans_in_chains_are_aarch64s_for_whatever_takes_them() {
    let _alone = alone();
    let (memory, port) = (Memory::new(1), Port::default());
    let mut pc = 0x1000;
    for fs in [FSize::F64, FSize::F32] {
        for (chain_name, make) in CHAINS {
            for (taker, take) in TAKERS {
                pc += 64;
                let block = chain(pc, fs, make, take);
                let what = format!("{fs:?}, {chain_name}, {taker}");
                check(&what, &block, &telling(fs), &memory, &port);
            }
        }
    }
}

/// With an address in memory, and that of a next instruction.
type MakeLanes = fn(&mut Builder, FSize, [Val; 3], (Val, GuestAddr));

const X1: VecLen = VecLen::X1;

/// Where chains of vectors leave what they make on the way.
fn keep(b: &mut Builder, number: u16, v: Val) {
    b.vput(X1, VECTORS.plus(64 * number), v);
}

const CHAINS_OF_LANES: [(&str, MakeLanes); 7] = [
    ("mul mul add sqrt sub", |b, fs, [x, y, z], _| {
        let (first, second) = (b.vfmul(X1, fs, x, x), b.vfmul(X1, fs, y, z));
        keep(b, 1, second);
        let sum = b.vfadd(X1, fs, first, y);
        let root = b.vfsqrt(X1, fs, sum);
        let end = b.vfsub(X1, fs, root, second);
        keep(b, 0, end);
    }),
    ("overwritten", |b, fs, [x, y, z], _| {
        let product = b.vfmul(X1, fs, x, y);
        keep(b, 0, product);
        keep(b, 1, product);
        let sum = b.vfadd(X1, fs, product, z);
        keep(b, 0, sum);
    }),
    ("seen before it is looked at", |b, fs, [x, y, z], _| {
        let product = b.vfmul(X1, fs, x, y);
        keep(b, 0, product);
        let again = b.vget(X1, VECTORS);
        let sign = b.vmovmask(X1, fs.lane(), again);
        put(b, sign);
        let sum = b.vfadd(X1, fs, product, z);
        keep(b, 1, sum);
    }),
    ("a load between", |b, fs, [x, y, z], (address, next)| {
        let quotient = b.vfdiv(X1, fs, x, y);
        keep(b, 0, quotient);
        b.begin_insn(next, 4);
        let loaded = b.load(Width::W64, Order::Relaxed, address, 0);
        put(b, loaded);
        let sum = b.vfadd(X1, fs, quotient, z);
        keep(b, 1, sum);
    }),
    ("used twice", |b, fs, [x, y, z], _| {
        let product = b.vfmul(X1, fs, x, y);
        let (sum, difference) = (b.vfadd(X1, fs, product, z), b.vfsub(X1, fs, z, product));
        keep(b, 0, difference);
        let end = b.vfmul(X1, fs, sum, difference);
        keep(b, 1, end);
        keep(b, 2, product);
    }),
    ("compared on the way", |b, fs, [x, y, z], _| {
        let product = b.vfmul(X1, fs, x, y);
        let sum = b.vfadd(X1, fs, product, z);
        let equal = b.vfcmp(X1, FloatCc::Eq, Nans::Quiet, fs, product, z);
        keep(b, 0, equal);
        let end = b.vfsub(X1, fs, sum, y);
        keep(b, 1, end);
        keep(b, 2, sum);
    }),
    ("looked at for two chains", |b, fs, [x, y, z], _| {
        let (one, other) = (b.vfmul(X1, fs, x, y), b.vfmul(X1, fs, y, z));
        let first = b.vfadd(X1, fs, one, one);
        keep(b, 0, first);
        let second = b.vfadd(X1, fs, other, z);
        keep(b, 1, second);
        keep(b, 2, other);
        let both = b.vfadd(X1, fs, first, other);
        keep(b, 3, both);
    }),
];

fn chain_of_lanes(pc: u64, fs: FSize, make: MakeLanes) -> Block {
    let mut b = Builder::new(GuestAddr(pc), NanRule::Arm);
    b.begin_insn(GuestAddr(pc), 4);
    let [x, y, z, address] = [0, 8, 16, 24].map(|at| b.read_slot(ARCH_BASE.plus(at)));
    let words = [(x, y), (y, z), (z, x)].map(|(low, high)| match fs {
        FSize::F64 => (low, high),
        _ => {
            let bits = b.imm(32);
            let moved = b.shl(Width::W64, high, bits);
            let both = b.or(Width::W64, low, moved);
            (both, both)
        }
    });
    let vectors = words.map(|(low, high)| b.vpair(X1, low, high));
    b.begin_insn(GuestAddr(pc + 4), 4);
    make(&mut b, fs, vectors, (address, GuestAddr(pc + 8)));
    let block = b.finish(Terminator::Resync { next: GuestAddr(pc + 12) });
    assert_eq!(verify(&block), Ok(()));
    block
}

#[test]
fn nans_in_chains_of_lanes_are_aarch64s_wherever_they_are_looked_at() {
    let _alone = alone();
    let (memory, port) = (Memory::new(1), Port::default());
    let mut pc = 0x1000;
    for fs in [FSize::F64, FSize::F32] {
        for (name, make) in CHAINS_OF_LANES {
            pc += 64;
            let block = chain_of_lanes(pc, fs, make);
            check(&format!("{fs:?}, {name}"), &block, &telling(fs), &memory, &port);
        }
    }
}

/// The block on all tiers, for all triples of these values.
fn check(what: &str, block: &Block, values: &[u64], memory: &Memory, port: &Port) {
    let start = GuestState::default();
    for tier in ["region", "template"] {
        let head = match tier {
            "region" => compile(vec![block.clone()]),
            _ => compile_template(block.clone(), &start),
        };
        if let Some(template) = head.template() {
            code_memory::set_counter(template.counter, i32::MAX as u32);
        }
        let mut context = Compiled::new();
        for index in 0..values.len().pow(3) {
            let n = values.len();
            let [x, y, z] = [index % n, index / n % n, index / n / n].map(|at| values[at]);
            let mut start = start.clone();
            for (at, value) in [x, y, z, memory.start].into_iter().enumerate() {
                start.set_u64(ARCH_BASE.plus(8 * at as u16), value);
            }
            let (mut expected, mut got) = (start.clone(), start);
            let one = under(memory, &mut || run_interpreted(block, &mut expected));
            let other = under(memory, &mut || run_compiled(&head, &mut got, port, &mut context));
            let state = differences(&expected, &got);
            assert!(one == other && state.is_empty(), "{what}, {tier}, {x:#x} {y:#x} {z:#x}\n{block}{state}");
        }
    }
}

/// Rounds of each loop in [`conditional_division`].
const ROUNDS: u64 = 10;

/// Where both loops begin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Heads {
    Two,
    /// The outer one's next round begins with the inner one's first.
    One,
}

/// A loop in a loop: the outer one makes two floats, the inner one divides one by the other where y is not 0.
fn conditional_division(pc: u64, heads: Heads) -> Vec<Block> {
    let [outer, inner, divides, next, last] = [0, 0x100, 0x200, 0x300, 0x400].map(|at| pc + at);
    let lane = |n: u16| VECTORS.plus(64 * n);
    let counted = move |b: &mut Builder, slot| {
        let (count, one, limit) = (b.read_slot(slot), b.imm(1), b.imm(ROUNDS));
        let count = b.add(Width::W64, count, one);
        b.write_slot(slot, count);
        b.icmp(IntCc::Ult, Width::W64, count, limit)
    };
    let floats = move |b: &mut Builder| {
        let (x, two, zero) = (b.read_slot(X), b.imm(2), b.imm(0));
        let more = b.add(Width::W64, x, two);
        for (n, int) in [(0, x), (1, more)] {
            let float = b.itof(FSize::F64, Width::W64, Sign::Signed, int);
            b.write_slot(lane(n), float);
        }
        b.write_slot(Z, zero);
    };
    let branch =
        |cond, taken, other| Terminator::Branch { cond, taken: GuestAddr(taken), other: GuestAddr(other) };
    let last = |round| match heads {
        Heads::Two => block(last, &[], |b| branch(counted(b, X), round, pc + 0x800)),
        Heads::One => block(last, &[&floats], |b| branch(counted(b, X), round, pc + 0x800)),
    };
    let rest = |round| {
        vec![
            block(inner, &[], |b| {
                let y = b.read_slot(Y);
                branch(y, divides, next)
            }),
            block(
                divides,
                &[&|b| {
                    let (one, other) = (b.read_slot(lane(0)), b.read_slot(lane(1)));
                    let quotient = b.fdiv(FSize::F64, one, other);
                    b.write_slot(lane(2), quotient);
                }],
                |_| jump(next),
            ),
            block(next, &[], |b| branch(counted(b, Z), inner, pc + 0x400)),
            last(round),
        ]
    };
    match heads {
        Heads::Two => {
            let mut blocks = vec![block(outer, &[&floats], |_| jump(inner))];
            blocks.extend(rest(outer));
            blocks
        }
        Heads::One => rest(inner),
    }
}

#[test]
fn a_loop_raises_flags_of_what_it_does_alone() {
    const INEXACT: u32 = 0x20;
    let _alone = alone();
    let cases = [(Heads::Two, 0, 0), (Heads::Two, 1, INEXACT), (Heads::One, 0, 0), (Heads::One, 1, INEXACT)];
    for (heads, y, flags) in cases {
        let head = compile(conditional_division(0x7_0000, heads));
        let mut state = GuestState::default();
        state.set_u64(X, 1);
        state.set_u64(Y, y);
        [0, 1]
            .into_iter()
            .for_each(|n| state.set_u64(VECTORS.plus(64 * n), (1.0 + 2.0 * f64::from(n)).to_bits()));
        fp::set_mxcsr(0x1f80);
        let end = run_compiled(&head, &mut state, &Port::default(), &mut Compiled::new());
        let raised = fp::mxcsr() & 0x3f;
        fp::set_mxcsr(fp::DEFAULT_MXCSR);
        assert_eq!((end, state.u64(X)), (BlockEnd::Next(GuestAddr(0x7_0800)), ROUNDS));
        assert_eq!(raised, flags, "{heads:?}, y is {y}");
    }
}

#[test]
fn flags_of_a_result_stay_that_is_overwritten_after_a_load() {
    const INEXACT: u32 = 0x20;
    let _alone = alone();
    let memory = Memory::new(1);
    let lane = |n: u16| VECTORS.plus(64 * n);
    for (slot, above) in [(X, false), (lane(2), false), (lane(2), true)] {
        let made = block(
            0x8_0000,
            &[
                &|b| {
                    let (one, other, zero) = (b.read_slot(lane(0)), b.read_slot(lane(1)), b.imm(0));
                    let quotient = b.fdiv(FSize::F64, one, other);
                    b.write_slot(slot, quotient);
                    if above {
                        b.write_slot(slot.plus(8), zero);
                    }
                },
                &|b| {
                    let y = b.read_slot(Y);
                    let loaded = b.load(Width::W64, Order::Relaxed, y, 0);
                    b.write_slot(slot, loaded);
                },
            ],
            |_| jump(0x8_0800),
        );
        let head = compile(vec![made]);
        let mut state = GuestState::default();
        state.set_u64(lane(0), 1f64.to_bits());
        state.set_u64(lane(1), 3f64.to_bits());
        state.set_u64(Y, memory.start);
        fp::set_mxcsr(0x1f80);
        let end = run_compiled(&head, &mut state, &Port::default(), &mut Compiled::new());
        let raised = fp::mxcsr() & 0x3f;
        fp::set_mxcsr(fp::DEFAULT_MXCSR);
        assert_eq!((end, raised), (BlockEnd::Next(GuestAddr(0x8_0800)), INEXACT), "{slot:?} {above}");
    }
}

#[test]
fn a_constant_above_a_loaded_float_is_hidden_where_it_was_copied() {
    const INEXACT: u32 = 0x20;
    let _alone = alone();
    let memory = Memory::new(1);
    let (from, to) = (VECTORS, VECTORS.plus(64));
    let made = block(
        0x8_4000,
        &[
            &|b| {
                let (y, one) = (b.read_slot(Y), b.imm(1f64.to_bits()));
                let loaded = b.load(Width::W64, Order::Relaxed, y, 0);
                b.write_slot(from, loaded);
                b.write_slot(from.plus(8), one);
            },
            &|b| {
                let vector = b.read_vector(VecLen::X1, from);
                b.vput(VecLen::X1, to, vector);
            },
        ],
        |_| jump(0x8_4400),
    );
    let divides = block(
        0x8_4400,
        &[&|b| {
            let (one, three) = (b.read_slot(to.plus(8)), b.imm(3f64.to_bits()));
            let quotient = b.fdiv(FSize::F64, one, three);
            b.write_slot(X, quotient);
        }],
        |_| jump(0x8_4800),
    );
    let head = compile(vec![made, divides]);
    let mut state = GuestState::default();
    state.set_u64(Y, memory.start);
    fp::set_mxcsr(0x1f80);
    let end = run_compiled(&head, &mut state, &Port::default(), &mut Compiled::new());
    let raised = fp::mxcsr() & 0x3f;
    fp::set_mxcsr(fp::DEFAULT_MXCSR);
    assert_eq!((end, raised), (BlockEnd::Next(GuestAddr(0x8_4800)), INEXACT));
    assert_eq!(f64::from_bits(state.u64(X)), 1.0 / 3.0);
}
