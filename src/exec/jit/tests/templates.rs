//! What only blocks from templates have: a flag record that is foretold, a counter, a region that takes
//! their place.

use super::random::differences;
use super::regions::{X, Y, Z, block, counting_loop, jump, lifted, storing_loop};
use super::*;
use crate::exec::jit::jumps::Stack;
use crate::exec::jit::lower::Counting;
use crate::exec::jit::{LENGTHENED, code_memory};
use crate::mem::{CodeInvalidation, Invalidated};
use guest::ir::flags::FlagRecord;
use guest::ir::{Builder, Cond, FlagKind, Order, Terminator, Width, passes};
use guest::{Access, Fault, FaultKind};
use std::sync::atomic::Ordering;

/// A record that its kind can make.
fn record(kind: FlagKind, w: Width, a: u64, b: u64) -> FlagRecord {
    let carry = (a ^ b) >> 1 & 1;
    let r = match kind {
        FlagKind::Add => a.wrapping_add(b),
        FlagKind::Sub | FlagKind::SubInv => a.wrapping_sub(b),
        FlagKind::Adc => a.wrapping_add(b).wrapping_add(carry),
        FlagKind::Sbb | FlagKind::SbcInv => a.wrapping_sub(b).wrapping_sub(carry),
        FlagKind::Inc => a.wrapping_add(1),
        FlagKind::Dec => a.wrapping_sub(1),
        FlagKind::FcmpX86 | FlagKind::FcmpArm => a & 3,
        _ => a ^ b,
    };
    FlagRecord { kind, w, a, b, r: r & w.mask() }
}

/// What puts a condition into X and the flags into Y does so for this record.
fn assert_condition(head: &Translation, cc: Cond, record: FlagRecord, other: (&str, FlagKind)) {
    let mut state = GuestState::default();
    record.store(&mut state);
    run_compiled(head, &mut state, &Port::default(), &mut Compiled::new());
    let expected = (u64::from(cc.holds(record.pack())), record.pack());
    assert_eq!((state.u64(X), state.u64(Y)), expected, "{cc:?} on {record:?}, {other:?}");
}

#[test]
fn conditions_hold_whatever_the_record_was_foretold_to_be() {
    let _alone = alone();
    let operands = [(5, 5), (4, 5), (0x80, 1), (0x7fff_ffff_ffff_ffff, u64::MAX), (0xffff_fff0, 0x20)];
    for (index, &cc) in Cond::ALL.iter().enumerate() {
        let made = block(
            0xa_0000 + 64 * index as u64,
            &[&|b| {
                let (value, packed) = (b.condition(cc), b.get_flags());
                b.write_slot(X, value);
                b.write_slot(Y, packed);
            }],
            |_| jump(0xa_f000),
        );
        for &foretold in FlagKind::ALL {
            let mut seen = GuestState::default();
            record(foretold, Width::W32, 1, 2).store(&mut seen);
            let head = compile_template(made.clone(), &seen);
            for &kind in FlagKind::ALL {
                for (w, (a, b)) in [Width::W8, Width::W32, Width::W64]
                    .into_iter()
                    .zip(operands)
                    .chain([Width::W32; 5].into_iter().zip(operands))
                {
                    assert_condition(&head, cc, record(kind, w, a, b), ("foretold", foretold));
                }
            }
        }
    }
}

#[test]
fn conditions_hold_whatever_the_record_is_where_a_loop_is_entered() {
    let _alone = alone();
    let here = 0xa_0000;
    let operands = [(5, 5), (4, 5), (0x80, 1), (0xffff_fff0, 0x20)];
    for &cc in Cond::ALL {
        for &in_loop in FlagKind::ALL {
            let head = compile(vec![block(
                here,
                &[&|b| {
                    let (value, packed) = (b.condition(cc), b.get_flags());
                    b.write_slot(X, value);
                    b.write_slot(Y, packed);
                    let operands = [1, 2, 3].map(|n| b.imm(n));
                    b.set_flags(in_loop, Width::W32, operands[0], operands[1], operands[2]);
                }],
                |b| Terminator::Branch {
                    cond: b.read_slot(Z),
                    taken: GuestAddr(here),
                    other: GuestAddr(0xa_f000),
                },
            )]);
            for &kind in FlagKind::ALL {
                for (w, (a, b)) in [Width::W8, Width::W32, Width::W64, Width::W32].into_iter().zip(operands) {
                    assert_condition(&head, cc, record(kind, w, a, b), ("in the loop", in_loop));
                }
            }
        }
    }
}

#[test]
fn a_fault_leaves_the_state_of_its_instruction() {
    let _alone = alone();
    let memory = Memory::new(2);
    memory.protect(1, libc::PROT_READ);
    let (mut state, port) = (GuestState::default(), Port::default());
    let head = compile_template(storing_loop(0xb_0000), &state);
    state.set_u64(Z, memory.start);
    let end = run_compiled(&head, &mut state, &port, &mut Compiled::new());
    let fault =
        Fault { addr: GuestAddr(memory.start + 4096), access: Access::Write, kind: FaultKind::Protected };
    assert_eq!(end, BlockEnd::Fault { fault, pc: GuestAddr(0xb_0001) });
    assert_eq!((state.u64(X), state.u64(Z)), (513, memory.start + 4096));
}

/// Writes X and the flags before each of its accesses and between them, with so many values alive that some are not in
/// registers; the accesses are to the page at Z and to the next one, and a last write of each stands behind them.
fn writing_again(pc: u64) -> Block {
    let sum = |b: &mut Builder| {
        let (x, y) = (b.read_slot(X), b.read_slot(Y));
        let sum = b.add(Width::W64, x, y);
        b.set_flags(FlagKind::Add, Width::W64, x, y, sum);
        b.write_slot(X, sum);
    };
    let store = |b: &mut Builder| {
        let (sum, z) = (b.read_slot(X), b.read_slot(Z));
        let values: Vec<_> = (0..12).map(|i| b.add_imm(sum, 3 * i)).collect();
        b.store(Width::W64, Order::Tso, z, 0, sum);
        // Used from the last to the first, so that they are all alive before.
        let all = values.iter().rev().fold(sum, |all, &value| b.xor(Width::W64, all, value));
        b.set_flags(FlagKind::Logic, Width::W32, all, all, all);
        b.write_slot(Y, all);
    };
    let constant = |b: &mut Builder| {
        let constant = b.imm(0x77);
        b.write_slot(X, constant);
    };
    let load = |b: &mut Builder| {
        let (x, y, z) = (b.read_slot(X), b.read_slot(Y), b.read_slot(Z));
        let loaded = b.load(Width::W64, Order::Tso, z, 4096);
        b.set_flags(FlagKind::Sub, Width::W64, loaded, x, y);
        b.write_slot(X, loaded);
        b.write_slot(Y, x);
    };
    block(pc, &[&sum, &store, &constant, &load], |_| jump(pc + 4))
}

#[test]
fn what_is_written_late_is_written_where_an_access_faults() {
    let _alone = alone();
    for closed in [None, Some(0), Some(1)] {
        let memory = Memory::new(2);
        if let Some(page) = closed {
            memory.protect(page, libc::PROT_NONE);
        }
        let mut start = GuestState::default();
        for (slot, value) in [(X, 5), (Y, 0x1234_5678_9abc), (Z, memory.start)] {
            start.set_u64(slot, value);
        }
        let (mut expected, mut got) = (start.clone(), start);
        let head = compile_template(writing_again(0xb_1000), &got);
        let interpreted = run_interpreted(&head.block, &mut expected);
        let compiled = run_compiled(&head, &mut got, &Port::default(), &mut Compiled::new());
        assert_eq!((closed, interpreted), (closed, compiled));
        assert_eq!(matches!(interpreted, BlockEnd::Fault { .. }), closed.is_some());
        assert_eq!(FlagRecord::load(&got).pack(), FlagRecord::load(&expected).pack(), "{closed:?}");
        assert_eq!(differences(&expected, &got), "", "{closed:?}");
    }
}

/// A block that leads to itself for ever.
fn endless(pc: u64) -> Block {
    block(
        pc,
        &[&|b| {
            let (x, y) = (b.read_slot(X), b.read_slot(Y));
            let sum = b.add(Width::W64, x, y);
            b.write_slot(X, sum);
        }],
        |_| jump(pc),
    )
}

#[test]
fn a_counter_that_has_run_out_asks_for_more() {
    let _alone = alone();
    let (mut state, port, mut compiled) = (GuestState::default(), Port::default(), Compiled::new());
    state.set_u64(Y, 1);
    let head = compile_template(endless(0xc_0000), &state);
    let end = run_compiled(&head, &mut state, &port, &mut compiled);
    assert_eq!((end, state.u64(X)), (BlockEnd::Next(GuestAddr(0xc_0000)), u64::from(LENGTHENED)));
    assert!(matches!(compiled.take_hot(), crate::exec::tier::Hot::Block { .. }));
    assert_eq!((head.runs(), head.has_region()), (LENGTHENED, false));
}

#[test]
fn a_region_takes_the_place_of_its_heads_template() {
    let _alone = alone();
    let (mut state, port, mut compiled) = (GuestState::default(), Port::default(), Compiled::new());
    cache().clear();
    let first = cache().insert(block(0xd_0000, &[], |_| jump(0xe_0000)));
    let second = cache().insert(counting_loop(0xe_0000, 10));
    let mut emitter = Emitter::default();
    assert!(compile_block(&mut emitter, cache(), &first, &state));
    assert!(compile_block(&mut emitter, cache(), &second, &state));
    // The first leads to the second's template from now on ...
    assert_eq!(run_compiled(&first, &mut state, &port, &mut compiled), BlockEnd::Next(GuestAddr(0xe_0000)));
    run_compiled(&second, &mut state, &port, &mut compiled);
    state.set_u64(X, 0);
    assert_eq!(run_compiled(&first, &mut state, &port, &mut compiled), BlockEnd::Next(GuestAddr(0xe_0800)));
    let template = second.template().unwrap();
    let left = code_memory::counter(template.counter);
    assert_eq!(left, LENGTHENED as i32 - 20);
    // ... and to its region when there is one; the template, entered by its address, leaves at once.
    assert!(Compiler::new().unwrap().compile(cache(), &second, LIMITS));
    assert!(second.has_region());
    state.set_u64(X, 0);
    assert_eq!(run_compiled(&first, &mut state, &port, &mut compiled), BlockEnd::Next(GuestAddr(0xe_0800)));
    assert_eq!((state.u64(X), code_memory::counter(template.counter)), (10, 0));
    state.set_u64(X, 0);
    let end = compiled.run(template.entry, &second, &mut state, env(), &port);
    assert_eq!((end, state.u64(X)), (BlockEnd::Next(GuestAddr(0xe_0000)), 0));
    // Its code changes: nothing leads to either any more.
    cache().invalidate(&Invalidated { pages: vec![0xe_0000] });
    assert_eq!((second.entry.load(Ordering::Acquire), second.template()), (0, None));
    let end = run_compiled(&first, &mut state, &port, &mut Compiled::new());
    assert_eq!((end, state.u64(X)), (BlockEnd::Next(GuestAddr(0xe_0000)), 0));
}

#[test]
fn a_running_template_is_left_when_its_code_changes() {
    let _alone = alone();
    let port = Arc::new(Port::default());
    let head = compile_template(endless(0xf_0000), &GuestState::default());
    code_memory::set_counter(head.template().unwrap().counter, i32::MAX as u32);
    cache().register(Arc::clone(&port));
    let (theirs, their_port) = (Arc::clone(&head), Arc::clone(&port));
    let runner = std::thread::spawn(move || {
        let mut state = GuestState::default();
        run_compiled(&theirs, &mut state, &their_port, &mut Compiled::new())
    });
    std::thread::sleep(std::time::Duration::from_millis(20));
    assert!(!runner.is_finished());
    cache().invalidate(&Invalidated { pages: vec![0xf_0000] });
    assert_eq!(runner.join().unwrap(), BlockEnd::Next(GuestAddr(0xf_0000)));
    cache().unregister(&port);
}

#[test]
fn a_branch_on_a_constant_goes_one_way() {
    let _alone = alone();
    for (value, target) in [(0, 0x11_0200), (7, 0x11_0100)] {
        let made = block(0x11_0000, &[], |b| {
            let cond = b.imm(value);
            Terminator::Branch { cond, taken: GuestAddr(0x11_0100), other: GuestAddr(0x11_0200) }
        });
        let mut state = GuestState::default();
        let head = compile_template(made, &state);
        let end = run_compiled(&head, &mut state, &Port::default(), &mut Compiled::new());
        assert_eq!(end, BlockEnd::Next(GuestAddr(target)));
    }
}

#[test]
fn what_nobody_sees_gets_no_code() {
    // Each instruction writes X and the flags, which only the last one and an access in between can let anybody see.
    let sum = |b: &mut Builder| {
        let (x, y) = (b.read_slot(X), b.read_slot(Y));
        let (sum, _) = (b.add(Width::W64, x, y), b.mul(Width::W64, y, y));
        b.write_slot(X, sum);
        b.set_flags(FlagKind::Add, Width::W64, x, y, sum);
    };
    let load = |b: &mut Builder| {
        let address = b.read_slot(Z);
        let value = b.load(Width::W64, Order::Relaxed, address, 0);
        b.write_slot(Y, value);
    };
    let raw = lifted(0x12_0000, &[&sum, &sum, &load, &sum, &sum], |b| {
        let cond = b.condition(Cond::Eq);
        Terminator::Branch { cond, taken: GuestAddr(0x12_0100), other: GuestAddr(0x12_0200) }
    });
    let mut optimized = raw.clone();
    passes::optimize(&mut optimized);
    assert!(optimized.ops.len() < raw.ops.len());
    let emit = |block: &Block| {
        let (mut emitter, stack) = (Emitter::default(), Stack::of(env().arch));
        let made = emitter.emit(block, &GuestState::default(), stack, Counting::Off).unwrap();
        let faults: Vec<_> = made.faults.iter().map(|point| (point.offset, point.pc)).collect();
        (made.code.to_vec(), made.slots.to_vec(), faults, made.owed.to_vec())
    };
    assert_eq!(emit(&raw), emit(&optimized));
}
