//! Loops, polls, faults, invalidation: what only regions have.

use super::*;
use crate::host::signals::poll;
use guest::ir::{
    Builder, Hint, InsnMark, IntCc, Kind, NanRule, Op, Order, RmwOp, Terminator, Val, Width, flag, passes,
    verify,
};
use guest::state::ARCH_BASE;
use guest::{Access, Fault, FaultKind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

pub const X: Slot = Slot(128);
pub const Y: Slot = Slot(136);
pub const Z: Slot = Slot(144);

/// A block at `pc` of instructions one byte long, each a closure, then the terminator.
pub fn block(
    pc: u64,
    insns: &[&dyn Fn(&mut Builder)],
    end: impl FnOnce(&mut Builder) -> Terminator,
) -> Block {
    let mut block = lifted(pc, insns, end);
    passes::optimize(&mut block);
    assert_eq!(verify(&block), Ok(()));
    block
}

/// The same before the passes.
pub fn lifted(
    pc: u64,
    insns: &[&dyn Fn(&mut Builder)],
    end: impl FnOnce(&mut Builder) -> Terminator,
) -> Block {
    let mut b = Builder::new(GuestAddr(pc), NanRule::X86);
    for (i, insn) in insns.iter().enumerate() {
        b.begin_insn(GuestAddr(pc + i as u64), 1);
        insn(&mut b);
    }
    b.begin_insn(GuestAddr(pc + insns.len() as u64), 1);
    let terminator = end(&mut b);
    let block = b.finish(terminator);
    assert_eq!(verify(&block), Ok(()));
    block
}

pub fn jump(target: u64) -> Terminator {
    Terminator::Jump { target: GuestAddr(target), hint: Hint::None }
}

/// x += 1; y += x; back to `pc` while x < limit.
pub fn counting_loop(pc: u64, limit: u64) -> Block {
    block(
        pc,
        &[
            &|b| {
                let (x, one) = (b.read_slot(X), b.imm(1));
                let sum = b.add(Width::W64, x, one);
                b.write_slot(X, sum);
            },
            &|b| {
                let (x, y) = (b.read_slot(X), b.read_slot(Y));
                let sum = b.add(Width::W64, x, y);
                b.write_slot(Y, sum);
            },
        ],
        |b| {
            let (x, limit) = (b.read_slot(X), b.imm(limit));
            let cond = b.icmp(IntCc::Ult, Width::W64, x, limit);
            Terminator::Branch { cond, taken: GuestAddr(pc), other: GuestAddr(pc + 0x800) }
        },
    )
}

#[test]
fn a_loop_stays_in_its_region_until_it_ends() {
    let _alone = alone();
    let head = compile(vec![counting_loop(0x1_0000, 1000)]);
    let (mut state, port, mut compiled) = (GuestState::default(), Port::default(), Compiled::new());
    let end = run_compiled(&head, &mut state, &port, &mut compiled);
    assert_eq!(end, BlockEnd::Next(GuestAddr(0x1_0800)));
    assert_eq!((state.u64(X), state.u64(Y)), (1000, 500_500));
}

#[test]
fn a_set_poll_flag_leaves_at_once_with_exact_state() {
    let _alone = alone();
    let head = compile(vec![counting_loop(0x1_0000, u64::MAX)]);
    let (mut state, port, mut compiled) = (GuestState::default(), Arc::new(Port::default()), Compiled::new());
    port.request(poll::RECHECK);
    let end = run_compiled(&head, &mut state, &port, &mut compiled);
    assert_eq!((end, state.u64(X)), (BlockEnd::Next(GuestAddr(0x1_0000)), 0));
    port.poll.store(0, Ordering::Release);
    let other = Arc::clone(&port);
    let waker = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(30));
        other.request(poll::RECHECK);
    });
    let end = run_compiled(&head, &mut state, &port, &mut compiled);
    waker.join().unwrap();
    let x = state.u64(X);
    assert_eq!(end, BlockEnd::Next(GuestAddr(0x1_0000)));
    assert!(x > 0 && state.u64(Y) == (1..=x).fold(0u64, u64::wrapping_add));
}

#[test]
fn a_spin_loop_sees_another_threads_store() {
    let _alone = alone();
    let flag = Arc::new(AtomicU64::new(0));
    let spin = block(
        0x2_0000,
        &[&|b| {
            let at = b.read_slot(X);
            let seen = b.load(Width::W64, Order::Tso, at, 0);
            b.write_slot(Y, seen);
        }],
        |b| {
            let (y, zero) = (b.read_slot(Y), b.imm(0));
            let cond = b.icmp(IntCc::Eq, Width::W64, y, zero);
            Terminator::Branch { cond, taken: GuestAddr(0x2_0000), other: GuestAddr(0x2_0800) }
        },
    );
    let head = compile(vec![spin]);
    let (mut state, port, mut compiled) = (GuestState::default(), Port::default(), Compiled::new());
    state.set_u64(X, flag.as_ptr() as u64);
    let writer = Arc::clone(&flag);
    let other = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(30));
        writer.store(7, Ordering::Release);
    });
    let end = run_compiled(&head, &mut state, &port, &mut compiled);
    other.join().unwrap();
    assert_eq!((end, state.u64(Y)), (BlockEnd::Next(GuestAddr(0x2_0800)), 7));
}

/// A loop that stores X at Z, moving Z on, until it runs into something.
pub fn storing_loop(pc: u64) -> Block {
    storing_from(pc, 0)
}

/// The loop from an instruction on.
fn storing_from(pc: u64, insn: usize) -> Block {
    block(pc + insn as u64, &STORING[insn..], |_| jump(pc))
}

const STORING: [&dyn Fn(&mut Builder); 3] = [
    &|b| {
        let (x, one) = (b.read_slot(X), b.imm(1));
        let sum = b.add(Width::W64, x, one);
        b.write_slot(X, sum);
    },
    &|b| {
        let (z, x) = (b.read_slot(Z), b.read_slot(X));
        b.store(Width::W64, Order::Tso, z, 0, x);
    },
    &|b| {
        let (z, eight) = (b.read_slot(Z), b.imm(8));
        let sum = b.add(Width::W64, z, eight);
        b.write_slot(Z, sum);
    },
];

/// Goes on in the interpreter where compiled code was sent back; `from` gives the block at an address.
pub fn replayed(end: BlockEnd, state: &mut GuestState, from: impl Fn(GuestAddr) -> Block) -> BlockEnd {
    let BlockEnd::Replay { pc } = end else { return end };
    let mut end = BlockEnd::Next(pc);
    while let BlockEnd::Next(pc) = end {
        end = run_interpreted(&from(pc), state);
    }
    end
}

#[test]
fn a_fault_in_a_loop_leaves_the_state_of_its_instruction() {
    let _alone = alone();
    let memory = Memory::new(2);
    memory.protect(1, libc::PROT_READ);
    let head = compile(vec![storing_loop(0x3_0000)]);
    let (mut state, port, mut compiled) = (GuestState::default(), Port::default(), Compiled::new());
    state.set_u64(Z, memory.start);
    let mut run = |state: &mut GuestState| {
        let end = run_compiled(&head, state, &port, &mut compiled);
        assert!(matches!(end, BlockEnd::Replay { .. }));
        replayed(end, state, |pc| storing_from(0x3_0000, (pc.raw() - 0x3_0000) as usize))
    };
    let end = run(&mut state);
    let fault =
        Fault { addr: GuestAddr(memory.start + 4096), access: Access::Write, kind: FaultKind::Protected };
    assert_eq!(end, BlockEnd::Fault { fault, pc: GuestAddr(0x3_0001) });
    assert_eq!((state.u64(X), state.u64(Z)), (513, memory.start + 4096));
    // The same way in works again after it.
    memory.protect(1, libc::PROT_READ | libc::PROT_WRITE);
    state.set_u64(Z, memory.start + 4096);
    let end = run(&mut state);
    assert!(matches!(end, BlockEnd::Fault { pc: GuestAddr(0x3_0001), .. }));
    assert_eq!(state.u64(Z), memory.start + 8192);
}

/// y += x; z = [x]; x += 8; back while x is not 0: it changes no memory.
fn reading_loop(pc: u64) -> Block {
    block(
        pc,
        &[
            &|b| {
                let (x, y) = (b.read_slot(X), b.read_slot(Y));
                let sum = b.add(Width::W64, x, y);
                b.write_slot(Y, sum);
            },
            &|b| {
                let x = b.read_slot(X);
                let z = b.load(Width::W64, Order::Relaxed, x, 0);
                b.write_slot(Z, z);
            },
            &|b| {
                let (x, eight) = (b.read_slot(X), b.imm(8));
                let sum = b.add(Width::W64, x, eight);
                b.write_slot(X, sum);
            },
        ],
        |b| {
            let (x, zero) = (b.read_slot(X), b.imm(0));
            let cond = b.icmp(IntCc::Ne, Width::W64, x, zero);
            Terminator::Branch { cond, taken: GuestAddr(pc), other: GuestAddr(pc + 0x800) }
        },
    )
}

#[test]
fn a_fault_in_a_loop_that_only_reads_does_few_rounds_again() {
    let _alone = alone();
    let memory = Memory::new(2);
    memory.fill(3);
    memory.protect(1, libc::PROT_NONE);
    for rounds in [1, 2, 31, 32, 33, 64, 100, 512] {
        let head = compile(vec![reading_loop(0x4_1000)]);
        let mut state = GuestState::default();
        let first = memory.start + 4096 - 8 * rounds;
        state.set_u64(X, first);
        let end = run_compiled(&head, &mut state, &Port::default(), &mut Compiled::new());
        assert_eq!(end, BlockEnd::Replay { pc: GuestAddr(0x4_1000) });
        let again = (memory.start + 4096 - state.u64(X)) / 8;
        assert!(again < 40, "{again} of {rounds}");
        let mut expected = GuestState::default();
        expected.set_u64(X, first);
        let found = replayed(end, &mut state, |_| reading_loop(0x4_1000));
        let right =
            replayed(BlockEnd::Replay { pc: GuestAddr(0x4_1000) }, &mut expected, |_| reading_loop(0x4_1000));
        assert_eq!(found, right);
        assert!(matches!(found, BlockEnd::Fault { pc: GuestAddr(0x4_1001), .. }));
        assert_eq!([X, Y, Z].map(|slot| state.u64(slot)), [X, Y, Z].map(|slot| expected.u64(slot)));
    }
}

#[test]
fn a_loop_that_only_reads_leaves_when_it_is_asked_to() {
    let _alone = alone();
    let memory = Memory::new(1);
    // Around the page, for ever.
    let around = |b: &mut Builder| {
        let (x, eight, mask, start) = (b.read_slot(X), b.imm(8), b.imm(0xff8), b.imm(memory.start));
        let next = b.add(Width::W64, x, eight);
        let offset = b.and(Width::W64, next, mask);
        let next = b.add(Width::W64, start, offset);
        b.write_slot(X, next);
    };
    let body = block(
        0x4_2000,
        &[
            &|b| {
                let (x, y) = (b.read_slot(X), b.read_slot(Y));
                let z = b.load(Width::W64, Order::Relaxed, x, 0);
                let sum = b.add(Width::W64, z, y);
                b.write_slot(Z, z);
                b.write_slot(Y, sum);
            },
            &around,
        ],
        |_| jump(0x4_2000),
    );
    let head = compile(vec![body]);
    let mut state = GuestState::default();
    state.set_u64(X, memory.start);
    let port = Arc::new(Port::default());
    let asks = Arc::clone(&port);
    let thread = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(10));
        asks.request(poll::RECHECK);
    });
    let end = run_compiled(&head, &mut state, &port, &mut Compiled::new());
    thread.join().unwrap();
    assert_eq!(end, BlockEnd::Next(GuestAddr(0x4_2000)));
}

#[test]
fn a_load_that_is_used_later_faults_as_itself() {
    let _alone = alone();
    let memory = Memory::new(1);
    memory.protect(0, libc::PROT_NONE);
    let loads = || {
        block(
            0x4_0000,
            &[
                &|b| {
                    let z = b.read_slot(Z);
                    let value = b.load(Width::W64, Order::Tso, z, 16);
                    b.write_slot(X, value);
                },
                &|b| {
                    let (x, y) = (b.read_slot(X), b.read_slot(Y));
                    let sum = b.add(Width::W64, y, x);
                    b.write_slot(Y, sum);
                },
            ],
            |_| jump(0x4_0800),
        )
    };
    let head = compile(vec![loads()]);
    let (mut state, port) = (GuestState::default(), Port::default());
    state.set_u64(Z, memory.start);
    let end = run_compiled(&head, &mut state, &port, &mut Compiled::new());
    assert_eq!(end, BlockEnd::Replay { pc: GuestAddr(0x4_0000) });
    let end = replayed(end, &mut state, |_| loads());
    let fault =
        Fault { addr: GuestAddr(memory.start + 16), access: Access::Read, kind: FaultKind::Protected };
    assert_eq!(end, BlockEnd::Fault { fault, pc: GuestAddr(0x4_0000) });
}

#[test]
fn only_accesses_to_guest_memory_are_left_for_a_signal() {
    let _alone = alone();
    let head = compile(vec![block(
        0x4_8000,
        &[
            &|b| {
                let z = b.read_slot(Z);
                let loaded = b.load(Width::W64, Order::Tso, z, 0);
                b.store(Width::W64, Order::Tso, z, 8, loaded);
            },
            &|b| {
                // Two accesses, the second in a loop; what follows must not lead to it again.
                let (y, z) = (b.read_slot(Y), b.read_slot(Z));
                let old = b.rmw(RmwOp::And, Width::W64, Order::SeqCst, z, y);
                b.write_slot(X, old);
            },
        ],
        |_| jump(0x4_8800),
    )]);
    let entry = head.entry.load(Ordering::Acquire) as usize;
    assert_eq!((entry..entry + 1024).filter(|&pc| crate::exec::jit::is_access(pc)).count(), 4);
}

#[test]
fn regions_chain_until_their_target_is_invalidated() {
    let _alone = alone();
    // Two loops that lead to each other, compiled apart.
    let first = block(0x5_0000, &[], |_| jump(0x6_0000));
    let second = counting_loop(0x6_0000, 10);
    cache().clear();
    let (first, second) = (cache().insert(first), cache().insert(second));
    let mut compiler = Compiler::new().unwrap();
    let one = Limits { blocks: 1, insns: 400, least: 0, follow: Follow::Ran(0) };
    assert!(compiler.compile(cache(), &first, one) && compiler.compile(cache(), &second, one));
    let (mut state, port, mut compiled) = (GuestState::default(), Port::default(), Compiled::new());
    let end = run_compiled(&first, &mut state, &port, &mut compiled);
    assert_eq!(end, BlockEnd::Next(GuestAddr(0x6_0000)));
    // The run loop goes on with the target, which links the slot.
    assert_eq!(run_compiled(&second, &mut state, &port, &mut compiled), BlockEnd::Next(GuestAddr(0x6_0800)));
    state.set_u64(X, 0);
    let end = run_compiled(&first, &mut state, &port, &mut compiled);
    assert_eq!((end, state.u64(X)), (BlockEnd::Next(GuestAddr(0x6_0800)), 10));
    use crate::mem::{CodeInvalidation, Invalidated};
    cache().invalidate(&Invalidated { pages: vec![0x6_0000] });
    assert_eq!(second.entry.load(Ordering::Acquire), 0);
    state.set_u64(X, 0);
    let end = run_compiled(&first, &mut state, &port, &mut Compiled::new());
    assert_eq!((end, state.u64(X)), (BlockEnd::Next(GuestAddr(0x6_0000)), 0));
}

#[test]
fn code_that_runs_is_left_when_it_is_invalidated() {
    let _alone = alone();
    let head = compile(vec![counting_loop(0x7_0000, u64::MAX)]);
    let port = Arc::new(Port::default());
    cache().register(Arc::clone(&port));
    let done = Arc::new(AtomicBool::new(false));
    let (theirs, their_port, their_done) = (Arc::clone(&head), Arc::clone(&port), Arc::clone(&done));
    let runner = std::thread::spawn(move || {
        let mut state = GuestState::default();
        run_compiled(&theirs, &mut state, &their_port, &mut Compiled::new());
        their_done.store(true, Ordering::Release);
    });
    std::thread::sleep(std::time::Duration::from_millis(20));
    assert!(!done.load(Ordering::Acquire));
    use crate::mem::{CodeInvalidation, Invalidated};
    cache().invalidate(&Invalidated { pages: vec![0x7_0000] });
    runner.join().unwrap();
    cache().unregister(&port);
    assert_eq!((head.entry.load(Ordering::Acquire), head.kept.load(Ordering::Acquire)), (0, false));
}

#[test]
fn registers_agree_where_branches_meet() {
    let _alone = alone();
    // A diamond in a loop: one side writes Y, the other Z and half of X.
    let blocks = |limit: u64| {
        vec![
            block(
                0x8_0000,
                &[&|b| {
                    let (x, one) = (b.read_slot(X), b.imm(1));
                    let sum = b.add(Width::W64, x, one);
                    b.write_slot(X, sum);
                }],
                |b| {
                    let x = b.read_slot(X);
                    let cond = b.extract(1, 1, x);
                    Terminator::Branch { cond, taken: GuestAddr(0x8_0100), other: GuestAddr(0x8_0200) }
                },
            ),
            block(
                0x8_0100,
                &[&|b| {
                    let (x, y) = (b.read_slot(X), b.read_slot(Y));
                    let sum = b.add(Width::W64, x, y);
                    b.write_slot(Y, sum);
                }],
                |_| jump(0x8_0300),
            ),
            block(
                0x8_0200,
                &[&|b| {
                    let (x, z) = (b.read_slot(X), b.read_slot(Z));
                    let mixed = b.xor(Width::W64, x, z);
                    b.write_slot(Z, mixed);
                    b.put(Width::W16, Z.plus(2), x);
                }],
                |_| jump(0x8_0300),
            ),
            block(0x8_0300, &[], |b| {
                let (x, limit) = (b.read_slot(X), b.imm(limit));
                let cond = b.icmp(IntCc::Ult, Width::W64, x, limit);
                Terminator::Branch { cond, taken: GuestAddr(0x8_0000), other: GuestAddr(0x8_0400) }
            }),
        ]
    };
    let made = blocks(101);
    let (mut expected, mut pc) = (GuestState::default(), GuestAddr(0x8_0000));
    while let Some(block) = made.iter().find(|b| b.pc == pc) {
        let BlockEnd::Next(next) = run_interpreted(block, &mut expected) else { panic!("it just goes on") };
        pc = next;
    }
    let head = compile(made);
    let (mut state, port) = (GuestState::default(), Port::default());
    let end = run_compiled(&head, &mut state, &port, &mut Compiled::new());
    assert_eq!(end, BlockEnd::Next(GuestAddr(0x8_0400)));
    let all = |s: &GuestState| [X, Y, Z].map(|slot| s.u64(slot));
    assert_eq!(all(&state), all(&expected));
}

#[test]
fn a_trap_keeps_what_came_before_it() {
    let _alone = alone();
    let ops = vec![
        Op::Konst { dst: Val(0), imm: 5 },
        Op::Put { w: Width::W64, slot: X, a: Val(0) },
        Op::TrapIf { trap: Trap::DivideError as u8, c: Val(0) },
    ];
    let insns = [0, 2].map(|first_op| InsnMark::new(first_op, GuestAddr(0x9_0000 + u64::from(first_op)), 2));
    let mut made = Builder::new(GuestAddr(0x9_0000), NanRule::X86).finish(jump(0x9_0100));
    (made.ops, made.insns, made.cells) = (ops, insns.to_vec(), passes::cells(Kind::Int) as u16);
    let head = compile(vec![made]);
    let mut state = GuestState::default();
    let end = run_compiled(&head, &mut state, &Port::default(), &mut Compiled::new());
    assert_eq!(end, BlockEnd::Trap { trap: Trap::DivideError, pc: GuestAddr(0x9_0002) });
    assert_eq!((state.u64(X), flag::C), (5, 1));
}

pub const STACK: Slot = Slot(ARCH_BASE.0 + 8 * 4);

const PUSHING: [&dyn Fn(&mut Builder); 5] = [
    &|b| {
        let (z, x) = (b.read_slot(Z), b.read_slot(X));
        b.store(Width::W64, Order::Tso, z, 0, x);
    },
    &push,
    &push,
    &push,
    &push,
];

/// X onto the stack, then 1 more than X in X.
pub fn push(b: &mut Builder) {
    let (sp, eight, x, one) = (b.read_slot(STACK), b.imm(8), b.read_slot(X), b.imm(1));
    let below = b.sub(Width::W64, sp, eight);
    b.store(Width::W64, Order::Tso, below, 0, x);
    b.write_slot(STACK, below);
    let more = b.add(Width::W64, x, one);
    b.write_slot(X, more);
}

#[test]
fn a_fault_of_a_push_goes_back_to_before_the_first_and_leaves_its_own_state() {
    let _alone = alone();
    assert_eq!(env().arch.stack_slot(), STACK);
    let memory = Memory::new(2);
    memory.protect(0, libc::PROT_READ);
    let pushing = |insn: usize| block(0x6_0000 + insn as u64, &PUSHING[insn..], |_| jump(0x6_0800));
    let head = compile(vec![pushing(0)]);
    let (mut state, port, mut compiled) = (GuestState::default(), Port::default(), Compiled::new());
    state.set_u64(Z, memory.start + 8000);
    state.set_u64(X, 70);
    state.set_u64(STACK, memory.start + 4096 + 24);
    let end = run_compiled(&head, &mut state, &port, &mut compiled);
    // The stores before the fault have only the store to Z before them that may not be done again.
    assert_eq!(end, BlockEnd::Replay { pc: GuestAddr(0x6_0001) });
    assert_eq!((state.u64(X), state.u64(STACK)), (70, memory.start + 4096 + 24));
    let end = replayed(end, &mut state, |pc| pushing((pc.raw() - 0x6_0000) as usize));
    let fault =
        Fault { addr: GuestAddr(memory.start + 4088), access: Access::Write, kind: FaultKind::Protected };
    assert_eq!(end, BlockEnd::Fault { fault, pc: GuestAddr(0x6_0004) });
    assert_eq!((state.u64(X), state.u64(STACK)), (73, memory.start + 4096));
}
