//! Tests for zero of what is folded first: vectors by minima and maxima of neighbours, comparisons by conditional ones.

use super::regions::{X, Y, Z, block};
use super::*;
use guest::ir::{Builder, Cond, FlagKind, IntCc, Lane, Sign, Terminator, Val, VecLen, Width, flag};
use guest::state::VECTORS;

const N: VecLen = VecLen::X1;
const P: Slot = VECTORS;
const Q: Slot = VECTORS.plus(64);
const FOLDED: Slot = VECTORS.plus(128);

type Fold = fn(&mut Builder, Val, Val) -> Val;

/// What a program makes of two vectors before it looks at the lower half.
const FOLDS: [(&str, Fold); 7] = [
    ("a zero in two blocks", |b, p, q| {
        let least = neighbours(b, Builder::vmin, p, q);
        let least = neighbours(b, Builder::vmin, least, least);
        let zeros = equal_to(b, least, 0);
        let half = b.vimm(N, u128::from(u64::MAX));
        b.vand(N, zeros, half)
    }),
    ("a zero in the first block", |b, p, q| {
        let least = neighbours(b, Builder::vmin, p, q);
        equal_to(b, least, 0)
    }),
    ("a match in one block", |b, p, q| {
        let same = b.vicmp(N, Lane::B, IntCc::Eq, p, q);
        neighbours(b, Builder::vmax, same, same)
    }),
    ("anything in two blocks", |b, p, q| {
        let most = neighbours(b, Builder::vmax, p, q);
        neighbours(b, Builder::vmax, most, most)
    }),
    ("anything in the first block", |b, p, q| neighbours(b, Builder::vmax, p, q)),
    ("a one in two blocks", |b, p, q| {
        let least = neighbours(b, Builder::vmin, p, q);
        let least = neighbours(b, Builder::vmin, least, least);
        equal_to(b, least, 0x0101_0101_0101_0101_0101_0101_0101_0101)
    }),
    ("a part of the lower half", |b, p, q| {
        let most = neighbours(b, Builder::vmax, p, q);
        let part = b.vimm(N, 0xffff);
        b.vand(N, most, part)
    }),
];

type Extreme = fn(&mut Builder, VecLen, Lane, Sign, Val, Val) -> Val;

/// Of each pair of neighbouring bytes of both vectors the smaller or the larger.
fn neighbours(b: &mut Builder, extreme: Extreme, p: Val, q: Val) -> Val {
    let [even, odd] = [0u8, 1].map(|first| {
        let picks = std::array::from_fn(|i| first + 2 * i as u8);
        let picks = b.vimm(N, u128::from_le_bytes(picks));
        b.vshuffle(N, p, q, picks)
    });
    extreme(b, N, Lane::B, Sign::Unsigned, even, odd)
}

fn equal_to(b: &mut Builder, v: Val, unit: u128) -> Val {
    let constant = b.vimm(N, unit);
    b.vicmp(N, Lane::B, IntCc::Eq, v, constant)
}

fn folding(fold: Fold, cc: IntCc) -> Block {
    block(
        0x1_0000,
        &[
            &|b| {
                let (p, q) = (b.read_vector(N, P), b.read_vector(N, Q));
                let folded = fold(b, p, q);
                b.vput(N, FOLDED, folded);
            },
            &|b| {
                let (half, zero) = (b.read_slot(FOLDED), b.imm(0));
                let holds = b.icmp(cc, Width::W64, half, zero);
                b.write_slot(X, holds);
            },
        ],
        |_| Terminator::Resync { next: GuestAddr(0x1_0800) },
    )
}

/// Blocks of one byte with one or two others among them, everywhere.
fn blocks_of_text() -> Vec<u128> {
    let mut all = vec![0, u128::MAX, 1, 1 << 127, u128::from(u64::MAX), u128::from(u64::MAX) << 64];
    for at in 0..16 {
        let fill = 0x6161_6161_6161_6161_6161_6161_6161_6161u128;
        let hole = fill & !(0xff << (8 * at));
        all.extend([hole, hole | 1 << (8 * at), 1 << (8 * at), 0x80 << (8 * at)]);
    }
    all
}

#[test]
fn folded_vectors_are_zero_where_the_interpreter_finds_them_so() {
    let _alone = alone();
    let port = Port::default();
    for (name, fold) in FOLDS {
        for cc in [IntCc::Eq, IntCc::Ne] {
            let folding = folding(fold, cc);
            let head = compile(vec![folding.clone()]);
            let mut seen = [false; 2];
            for p in blocks_of_text() {
                for q in blocks_of_text() {
                    let mut start = GuestState::default();
                    start.set_u128(P, p);
                    start.set_u128(Q, q);
                    let (mut interpreted, mut compiled) = (start.clone(), start);
                    run_interpreted(&folding, &mut interpreted);
                    run_compiled(&head, &mut compiled, &port, &mut Compiled::new());
                    let holds = interpreted.u64(X);
                    assert_eq!(
                        (compiled.u64(X), compiled.u128(FOLDED)),
                        (holds, interpreted.u128(FOLDED)),
                        "{name} {p:032x} {q:032x}"
                    );
                    seen[holds as usize] = true;
                }
            }
            assert_eq!(seen, [true; 2], "{name}");
        }
    }
}

/// The flags of `x - y` where `z` is 0, else these; then whether the condition holds.
fn conditional_comparison(w: Width, flags: u64, cc: Cond) -> Block {
    block(
        0x1_0000,
        &[
            &|b| {
                let [x, y, z, zero] = [b.read_slot(X), b.read_slot(Y), b.read_slot(Z), b.imm(0)];
                let (c, packed, difference) =
                    (b.icmp(IntCc::Eq, Width::W64, z, zero), b.imm(flags), b.sub(w, x, y));
                b.put_flags(packed);
                b.set_flags_if(c, FlagKind::Sub, w, x, y, difference);
            },
            &|b| {
                let holds = b.condition(cc);
                b.write_slot(FOLDED, holds);
            },
        ],
        |_| Terminator::Resync { next: GuestAddr(0x1_0800) },
    )
}

#[test]
fn conditional_comparisons_hold_where_the_interpreter_finds_them_so() {
    let _alone = alone();
    let port = Port::default();
    for w in [Width::W64, Width::W32] {
        for (flags, cc) in
            [(0, Cond::Eq), (0, Cond::Ne), (flag::Z, Cond::Eq), (flag::Z, Cond::Ne), (flag::C, Cond::Ne)]
        {
            let comparison = conditional_comparison(w, flags, cc);
            let head = compile(vec![comparison.clone()]);
            for (x, y) in [(5, 5), (5, 6), (1 << 32 | 5, 5), (u64::MAX, 0)] {
                for z in [0, 1, 1 << 63] {
                    let mut start = GuestState::default();
                    [(X, x), (Y, y), (Z, z)].into_iter().for_each(|(slot, value)| start.set_u64(slot, value));
                    let (mut interpreted, mut compiled) = (start.clone(), start);
                    run_interpreted(&comparison, &mut interpreted);
                    run_compiled(&head, &mut compiled, &port, &mut Compiled::new());
                    assert_eq!(
                        compiled.u64(FOLDED),
                        interpreted.u64(FOLDED),
                        "{w:?} {flags} {cc:?} {x} {y} {z}"
                    );
                }
            }
        }
    }
}
