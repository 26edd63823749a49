//! Calls and returns within a region.

use super::regions::{X, Y, Z, block};
use super::*;
use guest::ir::{Builder, Hint, IntCc, Terminator, Width};

const HEAD: u64 = 0x5_0000;
const SECOND: u64 = 0x5_1000;
const LAST: u64 = 0x5_2000;
const FUNCTION: u64 = 0x5_3000;
const ELSEWHERE: u64 = 0x5_4000;
const DONE: u64 = 0x5_5000;

fn add(b: &mut Builder, slot: Slot, n: u64) {
    let (old, n) = (b.read_slot(slot), b.imm(n));
    let sum = b.add(Width::W64, old, n);
    b.write_slot(slot, sum);
}

/// Calls `target` with the return address in Z.
fn call(b: &mut Builder, target: u64, back: u64) -> Terminator {
    let link = b.imm(back);
    b.write_slot(Z, link);
    Terminator::Jump { target: GuestAddr(target), hint: Hint::Call(GuestAddr(back)) }
}

/// A loop of two calls of one function; it ends when X is `limit`.
fn loop_of_calls(limit: u64, function: Block) -> Vec<Block> {
    let first = block(HEAD, &[&|b| add(b, Y, 1)], |b| call(b, FUNCTION, SECOND));
    let second = block(SECOND, &[&|b| add(b, Y, 100)], |b| call(b, FUNCTION, LAST));
    let last = block(LAST, &[], |b| {
        let (x, limit) = (b.read_slot(X), b.imm(limit));
        let cond = b.icmp(IntCc::Ult, Width::W64, x, limit);
        Terminator::Branch { cond, taken: GuestAddr(HEAD), other: GuestAddr(DONE) }
    });
    vec![first, second, last, function]
}

fn returning(b: &mut Builder) -> Terminator {
    let target = b.read_slot(Z);
    Terminator::Indirect { target, hint: Hint::Return }
}

#[test]
fn a_region_goes_on_behind_each_of_its_calls() {
    let _alone = alone();
    let head = compile(loop_of_calls(1000, block(FUNCTION, &[&|b| add(b, X, 1)], returning)));
    let (mut state, port, mut compiled) = (GuestState::default(), Port::default(), Compiled::new());
    // The jump cache is empty: what left the region would not come back.
    let end = run_compiled(&head, &mut state, &port, &mut compiled);
    assert_eq!(end, BlockEnd::Next(GuestAddr(DONE)));
    assert_eq!((state.u64(X), state.u64(Y)), (1000, 500 * 101));
}

#[test]
fn a_function_that_returns_elsewhere_leaves_with_exact_state() {
    let _alone = alone();
    let strays = block(FUNCTION, &[&|b| add(b, X, 1)], |b| {
        let (x, nine) = (b.read_slot(X), b.imm(9));
        let stray = b.icmp(IntCc::Eq, Width::W64, x, nine);
        let (elsewhere, link) = (b.imm(ELSEWHERE), b.read_slot(Z));
        let target = b.select(stray, elsewhere, link);
        Terminator::Indirect { target, hint: Hint::Return }
    });
    let head = compile(loop_of_calls(1000, strays));
    let (mut state, port, mut compiled) = (GuestState::default(), Port::default(), Compiled::new());
    let end = run_compiled(&head, &mut state, &port, &mut compiled);
    assert_eq!(end, BlockEnd::Next(GuestAddr(ELSEWHERE)));
    assert_eq!((state.u64(X), state.u64(Y), state.u64(Z)), (9, 4 * 101 + 1, SECOND));
}

#[test]
fn a_function_that_calls_itself_is_followed_as_deep_as_it_goes() {
    let _alone = alone();
    // X counts down on the way in; each return adds to Y.
    let head = block(HEAD, &[], |b| {
        let (x, zero) = (b.read_slot(X), b.imm(0));
        let cond = b.icmp(IntCc::Eq, Width::W64, x, zero);
        Terminator::Branch { cond, taken: GuestAddr(LAST), other: GuestAddr(SECOND) }
    });
    let deeper = block(SECOND, &[&|b| add(b, X, u64::MAX)], |b| call(b, HEAD, LAST));
    let last = block(LAST, &[&|b| add(b, Y, 1)], |b| {
        let (y, two) = (b.read_slot(Y), b.imm(2));
        let inner = b.icmp(IntCc::Ule, Width::W64, y, two);
        let (back, out) = (b.imm(LAST), b.imm(DONE));
        let target = b.select(inner, back, out);
        Terminator::Indirect { target, hint: Hint::Return }
    });
    let head = compile(vec![head, deeper, last]);
    for deep in [2, 3, 50] {
        let (mut state, port, mut compiled) = (GuestState::default(), Port::default(), Compiled::new());
        state.set_u64(X, deep);
        let end = run_compiled(&head, &mut state, &port, &mut compiled);
        // Where the calls are deeper than what is followed, the first return already leaves.
        let known = deep <= 4;
        let expected = if known { (DONE, 3) } else { (LAST, 1) };
        assert_eq!((end, state.u64(Y)), (BlockEnd::Next(GuestAddr(expected.0)), expected.1));
        assert_eq!(state.u64(X), 0);
    }
}

#[test]
fn jumps_to_places_that_share_an_entry_of_the_jump_cache_are_followed() {
    let _alone = alone();
    // Both have the same twelve bits, shifted ones included.
    let (one, two) = (0x10_0000, 0x20_0300);
    let from = block(HEAD, &[&|b| add(b, X, 1)], |b| {
        let target = b.read_slot(Z);
        Terminator::Indirect { target, hint: Hint::None }
    });
    let to = |pc| block(pc, &[&|b| add(b, X, 10)], |_| super::regions::jump(DONE));
    cache().clear();
    let [from, places @ ..] = [from, to(one), to(two)].map(|block| {
        let made = cache().insert(block);
        assert!(Compiler::new().unwrap().compile(cache(), &made, LIMITS));
        made
    });
    let (mut state, mut port, mut compiled) = (GuestState::default(), Port::default(), Compiled::new());
    for place in &places {
        compiled.interpreted();
        run_compiled(place, &mut state, &port, &mut compiled);
    }
    state.set_u64(X, 0);
    for (runs, place) in [one, two, one, two].into_iter().enumerate() {
        state.set_u64(Z, place);
        let end = run_compiled(&from, &mut state, &port, &mut compiled);
        assert_eq!((end, state.u64(X)), (BlockEnd::Next(GuestAddr(DONE)), 11 * (runs as u64 + 1)));
    }
    // What leaves because it was asked to stays outside.
    *port.poll.get_mut() = 1;
    let end = run_compiled(&places[0], &mut state, &port, &mut compiled);
    assert_eq!((end, state.u64(X)), (BlockEnd::Next(GuestAddr(one)), 44));
}
