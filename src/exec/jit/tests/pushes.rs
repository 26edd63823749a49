//! Pushes, which may be done again, in several blocks.

use super::regions::{STACK, X, Y, Z, block, jump, push};
use super::*;
use guest::ir::{Builder, Order, Width};
use guest::{Access, Fault, FaultKind};

const FIRST: u64 = 0x6_1000;
const SECOND: u64 = 0x6_1800;
const DONE: u64 = 0x6_2000;

/// The blocks, from an instruction on: two pushes; a push, a load, a push, a store.
fn from(pc: GuestAddr) -> Block {
    let load = |b: &mut Builder| {
        let (z, y) = (b.read_slot(Z), b.read_slot(Y));
        let loaded = b.load(Width::W64, Order::Relaxed, z, 0);
        let sum = b.add(Width::W64, loaded, y);
        b.write_slot(Y, sum);
    };
    let store = |b: &mut Builder| {
        let (z, y) = (b.read_slot(Z), b.read_slot(Y));
        b.store(Width::W64, Order::Tso, z, 8, y);
    };
    if pc.raw() < SECOND {
        let insns: [&dyn Fn(&mut Builder); 2] = [&push, &push];
        return block(pc.raw(), &insns[(pc.raw() - FIRST) as usize..], |_| jump(SECOND));
    }
    let insns: [&dyn Fn(&mut Builder); 4] = [&push, &load, &push, &store];
    block(pc.raw(), &insns[(pc.raw() - SECOND) as usize..], |_| jump(DONE))
}

/// Runs them with room for so many pushes and with the data's page protected so: where a fault went back to, and the
/// fault at last. State and memory are compared with the interpreter's.
fn run_with(room: u64, prot: i32) -> (BlockEnd, BlockEnd) {
    let memory = Memory::new(3);
    memory.fill(7);
    let (kept, data) = (memory.contents(), memory.start + 8192);
    let mut before = GuestState::default();
    before.set_u64(X, 70);
    before.set_u64(Y, 3);
    before.set_u64(Z, data);
    before.set_u64(STACK, memory.start + 4096 + 8 * room);
    memory.protect(0, libc::PROT_READ);
    memory.protect(2, prot);
    let finish = |mut end: BlockEnd, state: &mut GuestState| {
        while let BlockEnd::Next(pc) | BlockEnd::Replay { pc } = end
            && pc != GuestAddr(DONE)
        {
            end = run_interpreted(&from(pc), state);
        }
        end
    };
    let contents = || {
        memory.protect(2, libc::PROT_READ);
        let contents = memory.contents();
        memory.protect(2, prot);
        contents
    };
    let mut expected = before.clone();
    let expected_end = finish(BlockEnd::Next(GuestAddr(FIRST)), &mut expected);
    let expected_memory = contents();
    (0..3).for_each(|page| memory.protect(page, libc::PROT_READ | libc::PROT_WRITE));
    crate::host::guest_access::copy_out(GuestAddr(memory.start), &kept).unwrap();
    memory.protect(0, libc::PROT_READ);
    memory.protect(2, prot);

    let head = compile([FIRST, SECOND].map(|pc| from(GuestAddr(pc))).to_vec());
    let (mut state, port) = (before, Port::default());
    let back = run_compiled(&head, &mut state, &port, &mut Compiled::new());
    let end = finish(back, &mut state);
    assert_eq!(end, expected_end);
    let all = |s: &GuestState| [X, Y, Z, STACK].map(|slot| s.u64(slot));
    assert_eq!(all(&state), all(&expected));
    assert_eq!(contents(), expected_memory);
    (back, end)
}

fn fault_at(end: BlockEnd) -> (Fault, GuestAddr) {
    let BlockEnd::Fault { fault, pc } = end else { panic!("{end:?}") };
    (fault, pc)
}

#[test]
fn what_follows_pushes_in_another_block_goes_back_to_before_the_first() {
    let _alone = alone();
    let all = libc::PROT_READ | libc::PROT_WRITE;
    let first = BlockEnd::Replay { pc: GuestAddr(FIRST) };
    // The push of the second block, and the one behind a load.
    for (room, pc) in [(2, SECOND), (3, SECOND + 2)] {
        let (back, end) = run_with(room, all);
        assert_eq!((back, fault_at(end).1), (first, GuestAddr(pc)));
        assert_eq!(fault_at(end).0.access, Access::Write);
    }
    let (back, end) = run_with(8, libc::PROT_NONE);
    assert_eq!((back, fault_at(end).1), (first, GuestAddr(SECOND + 1)));
    assert_eq!(fault_at(end).0.kind, FaultKind::Protected);
    let (end, _) = run_with(8, all);
    assert_eq!(end, BlockEnd::Next(GuestAddr(DONE)));
}

#[test]
fn a_push_behind_a_load_is_not_done_again() {
    let _alone = alone();
    let (back, end) = run_with(8, libc::PROT_READ);
    assert_eq!(back, BlockEnd::Replay { pc: GuestAddr(SECOND + 3) });
    assert_eq!(fault_at(end).1, GuestAddr(SECOND + 3));
}
