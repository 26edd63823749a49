//! Registers that are two values in a region: their upper halves are what they were, wherever the state is looked at.

use super::random::differences;
use super::*;
use guest::ir::{Builder, FSize, NanRule, Order, Terminator, VecLen, Width, passes, verify};
use guest::state::{ARCH_BASE, VECTORS};

const FIRST: u64 = 0x7_3000;
const SECOND: u64 = 0x7_3100;
const DONE: u64 = 0x7_3800;
const X1: VecLen = VecLen::X1;
const F64: FSize = FSize::F64;

const ROUNDS: Slot = ARCH_BASE.plus(0);
const ADDRESS: Slot = ARCH_BASE.plus(8);

fn register(n: u16) -> Slot {
    VECTORS.plus(64 * n)
}

type Insn = fn(&mut Builder);

/// As x86-64 computes: what is above stays.
fn add_low(b: &mut Builder) {
    let (x, y) = (b.read_slot(register(0)), b.read_slot(register(1)));
    let sum = b.fadd(F64, x, y);
    b.write_slot(register(0), sum);
}

/// As AArch64 does: zeros come above.
fn multiply(b: &mut Builder) {
    let (x, y, zero) = (b.read_slot(register(2)), b.read_slot(register(1)), b.imm(0));
    let product = b.fmul(F64, x, y);
    let vector = b.vpair(X1, product, zero);
    b.vput(X1, register(3), vector);
}

fn copy(b: &mut Builder) {
    let vector = b.read_vector(X1, register(0));
    b.vput(X1, register(2), vector);
}

fn copy_product(b: &mut Builder) {
    let vector = b.read_vector(X1, register(3));
    b.vput(X1, register(4), vector);
}

fn load_low(b: &mut Builder) {
    let address = b.read_slot(ADDRESS);
    let loaded = b.load(Width::W64, Order::Relaxed, address, 0);
    b.write_slot(register(5), loaded);
}

/// As `vaddsd` does: one register's lower half replaced goes to another.
fn insert(b: &mut Builder) {
    let (vector, x) = (b.read_vector(X1, register(0)), b.read_slot(register(5)));
    let sum = b.fsub(F64, x, x);
    let new = b.vinsert(X1, guest::ir::Lane::D, 0, vector, sum);
    b.vput(X1, register(6), new);
}

/// All of a register is an operand.
fn use_whole(b: &mut Builder) {
    let vector = b.read_vector(X1, register(4));
    let sum = b.vadd(X1, guest::ir::Lane::S, vector, vector);
    b.vput(X1, register(7), sum);
}

fn advance(b: &mut Builder) {
    let (address, eight) = (b.read_slot(ADDRESS), b.imm(8));
    let next = b.add(Width::W64, address, eight);
    b.write_slot(ADDRESS, next);
}

fn count(b: &mut Builder) {
    let (rounds, one) = (b.read_slot(ROUNDS), b.imm(1));
    let left = b.sub(Width::W64, rounds, one);
    b.write_slot(ROUNDS, left);
}

/// Of both blocks: what is in a loop of them.
const LOOPS: [[&[Insn]; 2]; 3] = [
    [&[add_low, copy, load_low], &[multiply, copy_product, advance, count]],
    [&[load_low, add_low, insert, copy], &[multiply, advance, copy_product, use_whole, count]],
    [&[count, advance, add_low], &[load_low, insert, multiply]],
];

/// A block of the loop, from an instruction on.
fn from(pc: GuestAddr, insns: [&[Insn]; 2], rule: NanRule) -> Block {
    let which = usize::from(pc.raw() >= SECOND);
    let first = pc.raw() - [FIRST, SECOND][which];
    let mut b = Builder::new(pc, rule);
    for (insn, at) in insns[which].iter().zip(0..).skip(first as usize) {
        b.begin_insn(GuestAddr(pc.raw() + at - first), 1);
        insn(&mut b);
    }
    b.begin_insn(GuestAddr(pc.raw() + insns[which].len() as u64 - first), 1);
    let left = b.read_slot(ROUNDS);
    let (taken, other) = if which == 0 { (SECOND, DONE) } else { (FIRST, DONE) };
    let branch = Terminator::Branch { cond: left, taken: GuestAddr(taken), other: GuestAddr(other) };
    let mut block = b.finish(branch);
    passes::optimize(&mut block);
    assert_eq!(verify(&block), Ok(()));
    block
}

fn start(memory: &Memory, rounds: u64) -> GuestState {
    let mut state = GuestState::default();
    for n in 0..8 {
        state.set_u64(register(n), (1.5 + f64::from(n)).to_bits());
        state.set_u64(register(n).plus(8), 0x1234_5678_0000_0001 * u64::from(n + 1));
    }
    state.set_u64(ROUNDS, rounds);
    // The second page comes in the fifth round.
    state.set_u64(ADDRESS, memory.start + 4096 - 4 * 8);
    state
}

#[test]
fn upper_halves_are_what_they_were_where_doubles_are_computed() {
    let _alone = alone();
    let memory = Memory::new(2);
    memory.fill(3);
    memory.protect(1, libc::PROT_NONE);
    for (index, insns) in LOOPS.into_iter().enumerate() {
        for rule in [NanRule::X86, NanRule::Arm] {
            // Without a fault, and with one.
            for rounds in [1, 2, 3, 4, 40] {
                let interpreted = |state: &mut GuestState, pc| {
                    let mut end = BlockEnd::Next(pc);
                    while let BlockEnd::Next(pc) = end
                        && pc != GuestAddr(DONE)
                    {
                        end = run_interpreted(&from(pc, insns, rule), state);
                    }
                    end
                };
                let mut expected = start(&memory, rounds);
                let expected_end = interpreted(&mut expected, GuestAddr(FIRST));
                let head = compile([FIRST, SECOND].map(|pc| from(GuestAddr(pc), insns, rule)).into());
                let mut state = start(&memory, rounds);
                let mut end = run_compiled(&head, &mut state, &Port::default(), &mut Compiled::new());
                if let BlockEnd::Replay { pc } = end {
                    end = interpreted(&mut state, pc);
                }
                let differences = differences(&expected, &state);
                let what = format!("loop {index}, {rule:?}, {rounds} rounds: {end:?}");
                assert!(end == expected_end && differences.is_empty(), "{what}\n{differences}");
            }
        }
    }
}
