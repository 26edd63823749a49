//! Traces against their blocks, one after the other.

use super::random::{Rng, differences, make_block, random_state};
use super::regions::{X, Y, Z, block, jump};
use super::*;
use crate::exec::jit::{LENGTHENED, code_memory};
use crate::exec::tier::{Tier, TierMode, TierPolicy};
use crate::host::fp;
use crate::mem::{CodeInvalidation, Invalidated};
use guest::ir::{Cond, FlagKind, Hint, Kind, NanRule, Op, Order, Terminator, Val, VecLen, Width};
use guest::state::{ARCH_BASE, VECTORS};
use std::sync::atomic::Ordering;

const BLOCKS: usize = 4;

/// A random block that writes what blocks read, and leads on to `next`, or with a branch that way or another.
fn linked(rng: &mut Rng, pc: u64, next: u64, memory: &Memory) -> Block {
    let mut made = loop {
        let made = make_block(rng, pc, memory, None);
        // Blocks that lifters make have none.
        if !made.ops.iter().any(|op| matches!(op, Op::SideExit { .. })) {
            break made;
        }
    };
    made.nan_rule = NanRule::X86;
    for op in &mut made.ops {
        match op {
            Op::Put { slot, w, .. } => {
                *slot = ARCH_BASE.plus(8 * rng.below(6) as u16);
                *w = rng.pick(&[Width::W64, Width::W64, Width::W32, Width::W8]);
            }
            Op::Vput { slot, n, .. } => {
                *slot = VECTORS.plus(
                    64 * rng.below(6) as u16 + if *n == VecLen::X1 { 16 * rng.below(2) as u16 } else { 0 },
                );
            }
            _ => {}
        }
    }
    // Instructions of more than one op, as long as none writes before it may leave.
    let ops = made.ops.clone();
    made.insns.retain(|mark| mark.first_op == 0 || ops[mark.first_op as usize].effect().may_exit());
    let results = made.ops.iter().filter_map(|op| op.result());
    let ints: Vec<Val> = results.filter(|(_, kind)| *kind == Kind::Int).map(|(v, _)| v).collect();
    let (other, cond) = (GuestAddr(pc + 0x800), rng.pick(&ints));
    made.terminator = match rng.below(3) {
        0 => Terminator::Jump { target: GuestAddr(next), hint: Hint::None },
        1 => Terminator::Branch { cond, taken: GuestAddr(next), other },
        _ => Terminator::Branch { cond, taken: other, other: GuestAddr(next) },
    };
    made
}

/// Puts blocks into the cache, each of which others have seen run.
fn insert_all(blocks: &[Block]) -> Vec<Arc<Translation>> {
    cache().clear();
    let made: Vec<_> = blocks.iter().map(|block| cache().insert(block.clone())).collect();
    made.iter().for_each(|translation| translation.runs.store(5, Ordering::Relaxed));
    made
}

/// Runs blocks one after the other, as long as each leads to the next.
fn run_each(blocks: &[Block], state: &mut GuestState) -> BlockEnd {
    let mut at = 0;
    loop {
        let end = run_interpreted(&blocks[at], state);
        at += 1;
        if at == blocks.len() || end != BlockEnd::Next(blocks[at].pc) {
            return end;
        }
    }
}

fn compare(blocks: &[Block], rng: &mut Rng, memory: &Memory) {
    let (start, seed) = (random_state(rng), rng.next());
    let made = insert_all(blocks);
    assert!(compile_trace(&mut Emitter::default(), cache(), &made[0], &start), "{}", blocks[0]);
    let under = |run: &mut dyn FnMut() -> BlockEnd| {
        memory.fill(seed);
        fp::set_mxcsr(fp::DEFAULT_MXCSR);
        let end = run();
        let after = fp::mxcsr();
        fp::set_mxcsr(fp::DEFAULT_MXCSR);
        (end, after, memory.contents())
    };
    let (mut expected, mut got) = (start.clone(), start);
    let interpreted = under(&mut || run_each(blocks, &mut expected));
    let compiled = under(&mut || run_compiled(&made[0], &mut got, &Port::default(), &mut Compiled::new()));
    let state = differences(&expected, &got);
    let all: String = blocks.iter().map(|block| format!("{block}\n")).collect();
    assert!(
        interpreted == compiled && state.is_empty(),
        "{all}{:?} {:?}\n{state}",
        interpreted.0,
        compiled.0
    );
}

#[test]
fn traces_do_what_their_blocks_do() {
    let _alone = alone();
    let memory = Memory::new(2);
    let seed = std::env::var("JIT_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(0x9876_5432);
    let rounds = std::env::var("JIT_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(400);
    let mut rng = Rng(seed);
    for round in 0..rounds {
        let pc = |number: usize| 0x20_0000 + ((round * (BLOCKS + 1) + number) as u64) * 0x1000;
        let blocks: Vec<Block> =
            (0..BLOCKS).map(|number| linked(&mut rng, pc(number), pc(number + 1), &memory)).collect();
        (0..3).for_each(|_| compare(&blocks, &mut rng, &memory));
    }
}

/// Two blocks: the first sets flags and X, which the second sets again behind a load.
fn setting_again(pc: u64) -> [Block; 2] {
    let first = block(
        pc,
        &[&|b| {
            let (x, y) = (b.read_slot(X), b.read_slot(Y));
            let sum = b.add(Width::W64, x, y);
            b.set_flags(FlagKind::Add, Width::W64, x, y, sum);
            b.write_slot(X, sum);
        }],
        |b| {
            let cond = b.condition(Cond::Eq);
            Terminator::Branch { cond, taken: GuestAddr(pc + 0x800), other: GuestAddr(pc + 0x1000) }
        },
    );
    let second = block(
        pc + 0x1000,
        &[&|b| {
            let (x, z) = (b.read_slot(X), b.read_slot(Z));
            let loaded = b.load(Width::W64, Order::Tso, z, 0);
            let less = b.sub(Width::W64, x, loaded);
            b.set_flags(FlagKind::Sub, Width::W64, x, loaded, less);
            b.write_slot(X, less);
        }],
        |_| jump(pc + 0x2000),
    );
    [first, second]
}

#[test]
fn what_a_trace_leaves_out_is_there_at_side_exits_and_faults() {
    let _alone = alone();
    for (x, closed) in [(5, false), (5, true), (7_u64.wrapping_neg(), false)] {
        let memory = Memory::new(1);
        if closed {
            memory.protect(0, libc::PROT_NONE);
        }
        let mut start = GuestState::default();
        for (slot, value) in [(X, x), (Y, 7), (Z, memory.start)] {
            start.set_u64(slot, value);
        }
        let blocks = setting_again(0x50_0000);
        let made = insert_all(&blocks);
        assert!(compile_trace(&mut Emitter::default(), cache(), &made[0], &start));
        let (mut expected, mut got) = (start.clone(), start);
        let interpreted = run_each(&blocks, &mut expected);
        let compiled = run_compiled(&made[0], &mut got, &Port::default(), &mut Compiled::new());
        assert_eq!(interpreted, compiled);
        assert_eq!(matches!(compiled, BlockEnd::Fault { .. }), closed);
        assert_eq!(differences(&expected, &got), "", "{x} {closed}");
    }
}

/// Runs from `head` on, in whatever tier, until `count` runs have come to their end there.
fn run_often(
    policy: &TierPolicy,
    compiled: &mut Compiled,
    head: &Arc<Translation>,
    state: &mut GuestState,
    count: u32,
) {
    let port = Port::default();
    for _ in 0..count {
        let hot = compiled.take_hot();
        match policy.choose(cache(), head, None, state, hot) {
            Tier::Interpreter => {
                compiled.interpreted();
                run_interpreted(&head.block, state);
            }
            Tier::Compiled(code) => {
                compiled.run(code, head, state, env(), &port);
            }
        }
    }
}

#[test]
fn a_block_becomes_a_trace_and_that_goes_with_its_blocks() {
    let _alone = alone();
    let memory = Memory::new(1);
    let mut state = GuestState::default();
    state.set_u64(Z, memory.start);
    let made = insert_all(&setting_again(0x60_0000));
    let (policy, mut compiled) = (TierPolicy::new(TierMode::Auto), Compiled::new());
    made[0].runs.store(0, Ordering::Relaxed);
    state.set_u64(Y, 1);
    run_often(&policy, &mut compiled, &made[0], &mut state, LENGTHENED);
    assert_eq!((made[0].trace(), made[0].has_region()), (None, false));
    let template = made[0].template().unwrap();
    run_often(&policy, &mut compiled, &made[0], &mut state, 4);
    let trace = made[0].trace().expect("it has run often enough");
    assert_eq!((made[0].entry.load(Ordering::Acquire), made[0].has_region()), (trace.entry, false));
    assert_eq!(code_memory::counter(template.counter), 0);
    assert!(made[0].runs() >= LENGTHENED && made[0].runs() < LENGTHENED + 10, "{}", made[0].runs());
    assert_eq!(made[1].runs_in_traces(), made[1].runs() + made[0].runs());
    // Who enters the block's old code is sent to its trace.
    let end = compiled.run(template.entry, &made[0], &mut state, env(), &Port::default());
    assert_eq!(end, BlockEnd::Next(made[0].pc));
    let hot = compiled.take_hot();
    assert_eq!(policy.choose(cache(), &made[0], None, &state, hot), Tier::Compiled(trace.entry));
    assert!(!made[0].asked.load(Ordering::Relaxed), "its trace has not run often enough for a region");
    // The second block changes: the first is entered alone again, and counts anew.
    cache().invalidate(&Invalidated { pages: vec![made[1].pc.raw()] });
    assert_eq!((made[0].trace(), made[0].entry.load(Ordering::Acquire)), (None, template.entry));
    assert_eq!(code_memory::counter(template.counter), LENGTHENED as i32);
}

#[test]
fn a_region_takes_the_place_of_its_heads_trace() {
    let _alone = alone();
    let mut state = GuestState::default();
    let made = insert_all(&setting_again(0x70_0000));
    let mut emitter = Emitter::default();
    assert!(compile_block(&mut emitter, cache(), &made[0], &state));
    assert!(compile_trace(&mut emitter, cache(), &made[0], &state));
    assert!(Compiler::new().unwrap().compile(cache(), &made[0], LIMITS));
    let (template, trace) = (made[0].template().unwrap(), made[0].trace().unwrap());
    assert!(made[0].has_region());
    assert_eq!([template, trace].map(|code| code_memory::counter(code.counter)), [0, 0]);
    let end = Compiled::new().run(trace.entry, &made[0], &mut state, env(), &Port::default());
    assert_eq!(end, BlockEnd::Next(made[0].pc));
    // It is cut off with the second block, and so is the trace.
    cache().invalidate(&Invalidated { pages: vec![made[1].pc.raw()] });
    assert_eq!((made[0].trace(), made[0].entry.load(Ordering::Acquire)), (None, template.entry));
    assert_eq!((code_memory::counter(template.counter), made[0].runs()), (LENGTHENED as i32, 0));
}
