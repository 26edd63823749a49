//! Accesses of 16 bytes that must be aligned: the host's instruction checks that, and a fault of it is the trap.

use super::regions::{X, Y, Z, block, replayed};
use super::*;
use guest::ir::{Builder, Terminator, Val, VecLen, Width};
use guest::state::VECTORS;

const PC: u64 = 0xb_0000;
const OFFSET: i32 = 32;

/// Raises #GP where `base` and the offset are no multiple of 16.
fn demand(b: &mut Builder, base: Val, off: i32) {
    let (at, mask) = (b.add_imm(base, off.into()), b.imm(15));
    let rest = b.and(Width::W64, at, mask);
    b.trap_when(Trap::GeneralProtection, rest);
}

/// x += 1; a vector from [z]; to [y + 32]; x += 1.
const INSNS: [&dyn Fn(&mut Builder); 4] = [
    &count,
    &|b| {
        let z = b.read_slot(Z);
        demand(b, z, 0);
        let vector = b.vload(VecLen::X1, z, 0);
        b.vput(VecLen::X1, VECTORS, vector);
    },
    &|b| {
        let y = b.read_slot(Y);
        demand(b, y, OFFSET);
        let vector = b.read_vector(VecLen::X1, VECTORS);
        b.vstore(VecLen::X1, y, OFFSET, vector);
    },
    &count,
];

fn count(b: &mut Builder) {
    let x = b.read_slot(X);
    let sum = b.add_imm(x, 1);
    b.write_slot(X, sum);
}

fn copying_from(first: usize) -> Block {
    block(PC + first as u64, &INSNS[first..], |_| Terminator::Resync { next: GuestAddr(PC + 0x800) })
}

#[test]
fn a_misaligned_access_is_a_trap_with_the_state_of_its_instruction() {
    let _alone = alone();
    let memory = Memory::new(1);
    let head = compile(vec![copying_from(0)]);
    let port = Port::default();
    for (from, to) in [(0, 0), (8, 0), (0, 1), (16, 15), (15, 16)] {
        let mut start = GuestState::default();
        start.set_u64(X, 7);
        start.set_u64(Z, memory.start + from);
        start.set_u64(Y, memory.start + 1024 + to);
        let (mut interpreted, mut compiled) = (start.clone(), start);
        memory.fill(3);
        let expected = run_interpreted(&copying_from(0), &mut interpreted);
        let contents = memory.contents();
        memory.fill(3);
        let mut end = run_compiled(&head, &mut compiled, &port, &mut Compiled::new());
        assert_eq!(matches!(end, BlockEnd::Replay { .. }), (from | to) % 16 != 0);
        if matches!(end, BlockEnd::Replay { .. }) {
            end = replayed(end, &mut compiled, |pc| copying_from((pc.raw() - PC) as usize));
        }
        assert_eq!(end, expected);
        assert_eq!(
            (compiled.u64(X), compiled.u128(VECTORS)),
            (interpreted.u64(X), interpreted.u128(VECTORS))
        );
        assert!(memory.contents() == contents);
    }
}

#[test]
fn an_access_that_need_not_be_aligned_is_not() {
    let _alone = alone();
    let memory = Memory::new(1);
    let plain = block(
        PC,
        &[&|b| {
            let (z, y) = (b.read_slot(Z), b.read_slot(Y));
            demand(b, y, 0);
            let vector = b.vload(VecLen::X1, z, 0);
            b.vput(VecLen::X1, VECTORS, vector);
        }],
        |_| Terminator::Resync { next: GuestAddr(PC + 0x800) },
    );
    let head = compile(vec![plain]);
    let mut state = GuestState::default();
    for (y, expected) in [
        (16, BlockEnd::Resync(GuestAddr(PC + 0x800))),
        (8, BlockEnd::Trap { trap: Trap::GeneralProtection, pc: GuestAddr(PC) }),
    ] {
        state.set_u64(Z, memory.start + 1);
        state.set_u64(Y, y);
        assert_eq!(run_compiled(&head, &mut state, &Port::default(), &mut Compiled::new()), expected);
    }
}

#[test]
fn a_check_that_was_made_says_nothing_of_other_addresses_and_more_bits() {
    let _alone = alone();
    let check = |b: &mut Builder, base: Slot, mask: u64| {
        let base = b.read_slot(base);
        let (at, mask) = (b.add_imm(base, OFFSET.into()), b.imm(mask));
        let rest = b.and(Width::W64, at, mask);
        b.trap_when(Trap::GeneralProtection, rest);
    };
    let checks: [&dyn Fn(&mut Builder); 4] =
        [&|b| check(b, Z, 31), &|b| check(b, Z, 31), &|b| check(b, Y, 31), &|b| check(b, Z, 63)];
    let checking = block(PC, &checks, |_| Terminator::Resync { next: GuestAddr(PC + 0x800) });
    let head = compile(vec![checking]);
    let trap = |insn| BlockEnd::Trap { trap: Trap::GeneralProtection, pc: GuestAddr(PC + insn) };
    for (z, y, expected) in [
        (32, 32, BlockEnd::Resync(GuestAddr(PC + 0x800))),
        (33, 32, trap(0)),
        (32, 48, trap(2)),
        (64, 32, trap(3)),
    ] {
        let mut state = GuestState::default();
        state.set_u64(Z, z);
        state.set_u64(Y, y);
        assert_eq!(run_compiled(&head, &mut state, &Port::default(), &mut Compiled::new()), expected);
    }
}
