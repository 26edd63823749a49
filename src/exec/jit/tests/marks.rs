//! Loops without commit points: each access has a way out of its own.

use super::regions::{X, Y, Z, block, jump};
use super::*;
use guest::ir::{Builder, FlagKind, IntCc, Order, Terminator, VecLen, Width};
use guest::state::VECTORS;

const LOOP: u64 = 0x7_1000;
const DONE: u64 = 0x7_2000;
/// Rounds, if nothing faults.
const ROUNDS: u64 = 20;
/// How far the data of one access is from that of the next.
const APART: i32 = 8192;

/// The accesses of the loop, by the number of their instruction.
const ACCESSES: [u64; 4] = [1, 2, 3, 4];

const INSNS: [&dyn Fn(&mut Builder); 6] = [
    &|b| {
        let (x, one) = (b.read_slot(X), b.imm(1));
        let sum = b.add(Width::W64, x, one);
        b.write_slot(X, sum);
        b.set_flags(FlagKind::Add, Width::W64, x, one, sum);
    },
    &|b| {
        let (y, z) = (b.read_slot(Y), b.read_slot(Z));
        let loaded = b.load(Width::W64, Order::Relaxed, z, 0);
        let sum = b.add(Width::W64, loaded, y);
        b.write_slot(Y, sum);
    },
    &|b| {
        let (y, z) = (b.read_slot(Y), b.read_slot(Z));
        b.store(Width::W32, Order::Tso, z, APART, y);
    },
    &|b| {
        let z = b.read_slot(Z);
        let loaded = b.vload(VecLen::X2, z, 2 * APART);
        b.vput(VecLen::X2, VECTORS, loaded);
    },
    &|b| {
        let (z, vector) = (b.read_slot(Z), b.read_vector(VecLen::X2, VECTORS));
        b.vstore(VecLen::X2, z, 3 * APART, vector);
    },
    &|b| {
        let (z, n) = (b.read_slot(Z), b.imm(32));
        let sum = b.add(Width::W64, z, n);
        b.write_slot(Z, sum);
    },
];

/// The loop from an instruction on.
fn from(pc: GuestAddr) -> Block {
    inner_from(pc, ROUNDS, DONE)
}

fn inner_from(pc: GuestAddr, rounds: u64, other: u64) -> Block {
    let first = (pc.raw() - LOOP) as usize;
    block(pc.raw(), &INSNS[first.min(INSNS.len())..], |b| {
        let (x, limit) = (b.read_slot(X), b.imm(rounds));
        let cond = b.icmp(IntCc::Ult, Width::W64, x, limit);
        Terminator::Branch { cond, taken: GuestAddr(LOOP), other: GuestAddr(other) }
    })
}

const OUTER: u64 = LOOP + 0x800;
const ROUNDS_INSIDE: u64 = 3;

/// A loop around it, whose second round begins like the inner one's, from an instruction of either on.
fn nest_from(pc: GuestAddr) -> Block {
    if pc.raw() < OUTER {
        return inner_from(pc, ROUNDS_INSIDE, OUTER);
    }
    let insns: [&dyn Fn(&mut Builder); 2] = [
        &|b| {
            let zero = b.imm(0);
            b.write_slot(X, zero);
        },
        &|b| {
            let (y, z) = (b.read_slot(Y), b.read_slot(Z));
            b.store(Width::W64, Order::Tso, z, 4 * APART, y);
        },
    ];
    block(pc.raw(), &insns[(pc.raw() - OUTER) as usize..], |b| {
        let (z, limit) = (b.read_slot(Z), b.imm(4096));
        let cond = b.icmp(IntCc::Ult, Width::W64, z, limit);
        Terminator::Branch { cond, taken: GuestAddr(DONE), other: GuestAddr(LOOP) }
    })
}

fn start(memory: &Memory) -> GuestState {
    let mut state = GuestState::default();
    state.set_u64(Y, 5);
    // The second page comes in the fifth round.
    state.set_u64(Z, memory.start + 4096 - 4 * 32);
    state
}

/// What the loop and its accesses may have changed.
fn all(state: &GuestState) -> Vec<u64> {
    let flags = (0..4).map(|word| Slot(guest::state::FLAG_KIND.0 + 8 * word));
    let vector = (0..4).map(|word| Slot(VECTORS.0 + 8 * word));
    [X, Y, Z].into_iter().chain(flags).chain(vector).map(|slot| state.u64(slot)).collect()
}

/// Access `number` of the code that starts with `heads` faults, at `pc`: the state is as the interpreter has it there.
fn assert_exact(number: usize, pc: u64, heads: &[u64], from: impl Fn(GuestAddr) -> Block) {
    let memory = Memory::new(10);
    let prepare = || {
        memory.protect(2 * number + 1, libc::PROT_READ | libc::PROT_WRITE);
        memory.fill(9);
        memory.protect(2 * number + 1, libc::PROT_NONE);
    };
    prepare();
    let mut expected = start(&memory);
    let mut expected_end = BlockEnd::Next(GuestAddr(LOOP));
    while let BlockEnd::Next(pc) = expected_end {
        expected_end = run_interpreted(&from(pc), &mut expected);
    }
    assert!(matches!(expected_end, BlockEnd::Fault { pc: at, .. } if at == GuestAddr(pc)));
    prepare();
    let head = compile(heads.iter().map(|&head| from(GuestAddr(head))).collect());
    let (mut state, port) = (start(&memory), Port::default());
    let end = run_compiled(&head, &mut state, &port, &mut Compiled::new());
    assert_eq!(end, BlockEnd::Replay { pc: GuestAddr(pc) });
    assert_eq!(all(&state), all(&expected), "instruction {pc:#x}");
    assert_eq!(run_interpreted(&from(GuestAddr(pc)), &mut state), expected_end);
}

#[test]
fn a_fault_leaves_the_state_before_its_own_instruction() {
    let _alone = alone();
    for (number, insn) in ACCESSES.into_iter().enumerate() {
        assert_exact(number, LOOP + insn, &[LOOP], from);
    }
}

#[test]
fn a_fault_in_a_loop_of_loops_leaves_the_state_before_its_own_instruction() {
    let _alone = alone();
    let accesses = ACCESSES.map(|insn| LOOP + insn).into_iter().chain([OUTER + 1]);
    for (number, pc) in accesses.enumerate() {
        assert_exact(number, pc, &[LOOP, OUTER], nest_from);
    }
}

#[test]
fn what_faults_behind_the_loop_goes_back_to_its_end() {
    let _alone = alone();
    let memory = Memory::new(8);
    memory.fill(11);
    let mut expected = start(&memory);
    let mut end = BlockEnd::Next(GuestAddr(LOOP));
    while end != BlockEnd::Next(GuestAddr(DONE)) {
        end = run_interpreted(&from(GuestAddr(LOOP)), &mut expected);
    }
    memory.fill(11);
    // What follows faults at once: it goes back to behind the loop.
    let behind = block(
        DONE,
        &[&|b| {
            let x = b.read_slot(X);
            let loaded = b.load(Width::W64, Order::Relaxed, x, 0);
            b.write_slot(X, loaded);
        }],
        |_| jump(DONE + 0x800),
    );
    let head = compile(vec![from(GuestAddr(LOOP)), behind]);
    let (mut state, port) = (start(&memory), Port::default());
    let end = run_compiled(&head, &mut state, &port, &mut Compiled::new());
    assert_eq!((end, all(&state)), (BlockEnd::Replay { pc: GuestAddr(DONE) }, all(&expected)));
}
