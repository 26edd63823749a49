//! Compiled code against the interpreter: random ops on telling operands, and what only compiled code has.

mod alignment;
mod calls;
mod floats;
mod folded;
mod marks;
mod pushes;
mod random;
mod regions;
mod split;
mod templates;
mod traces;

use super::template::Emitter;
use super::{Compiler, Follow, Limits, compile_block, compile_trace};
use crate::exec::Env;
use crate::exec::cache::Cache;
use crate::exec::interp::{BlockEnd, Cells, run_block};
use crate::exec::tier::Compiled;
use crate::exec::translation::Translation;
use crate::host::signals::{self, Port};
use guest::helper::{HelperContext, HelperDef, HelperExit, HelperFn};
use guest::ir::Block;
use guest::state::{GuestState, Slot};
use guest::{GuestAddr, Trap};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// Where blocks under test put their results.
const RESULTS: Slot = Slot(2048 + 1024);

static HELPERS: &[HelperDef] = &[
    HelperDef { name: "mix", f: HelperFn::Int(|a, b, c| a.rotate_left(7) ^ b.wrapping_mul(3) ^ c) },
    HelperDef {
        name: "vmix",
        f: HelperFn::Vector(|a, b, c, imm| a ^ b.rotate_left(9) ^ c ^ u128::from(imm)),
    },
    HelperDef { name: "change", f: HelperFn::State(change) },
];

fn change(cx: &mut dyn HelperContext, a: u64, b: u64, c: u64) -> Result<u64, HelperExit> {
    if a & 0x1f == 3 {
        return Err(HelperExit::Trap(Trap::GeneralProtection));
    }
    cx.state().set_u64(Slot(136), b ^ c);
    Ok(a ^ b)
}

fn env() -> &'static Env {
    static ENV: OnceLock<Env> = OnceLock::new();
    ENV.get_or_init(|| {
        signals::install_fault_handlers();
        let arch = crate::guests::by_name("x86_64").unwrap();
        Env { helpers: HELPERS, ..Env::new(arch, 0) }
    })
}

fn cache() -> &'static Cache {
    Cache::get(env())
}

/// One test at a time uses the cache: its tests invent guest addresses.
fn alone() -> MutexGuard<'static, ()> {
    static LOCK: Mutex<()> = Mutex::new(());
    LOCK.lock().unwrap_or_else(PoisonError::into_inner)
}

const LIMITS: Limits = Limits { blocks: 60, insns: 400, least: 0, follow: Follow::Ran(0) };

/// Puts blocks into the cache; the first is compiled with the others it reaches.
fn compile(blocks: Vec<Block>) -> Arc<Translation> {
    let (made, done) = try_compile(blocks);
    assert!(done, "{}", made.block);
    made
}

/// The same for blocks that regions may refuse.
fn try_compile(blocks: Vec<Block>) -> (Arc<Translation>, bool) {
    cache().clear();
    let made: Vec<_> = blocks.into_iter().map(|block| cache().insert(block)).collect();
    let done = Compiler::new().unwrap().compile(cache(), &made[0], LIMITS);
    (Arc::clone(&made[0]), done)
}

/// Puts a block into the cache and makes code of it from templates, for a state like this.
fn compile_template(block: Block, state: &GuestState) -> Arc<Translation> {
    cache().clear();
    let made = cache().insert(block);
    assert!(compile_block(&mut Emitter::default(), cache(), &made, state), "{}", made.block);
    made
}

/// Runs what was compiled once, from the head.
fn run_compiled(
    head: &Translation,
    state: &mut GuestState,
    port: &Port,
    compiled: &mut Compiled,
) -> BlockEnd {
    let entry = head.entry.load(std::sync::atomic::Ordering::Acquire);
    assert_ne!(entry, 0);
    compiled.run(entry, head, state, env(), port)
}

fn run_interpreted(block: &Block, state: &mut GuestState) -> BlockEnd {
    run_block(block, state, env(), &mut Cells::default())
}

/// Guest memory for a test: pages of the host's, unknown to the address space.
struct Memory {
    start: u64,
    pages: usize,
}

impl Memory {
    fn new(pages: usize) -> Self {
        let args = [0, pages as u64 * 4096, 3, (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as u64, u64::MAX, 0];
        let start = crate::host::sys::syscall(libc::SYS_mmap, args);
        assert!(start > 0);
        Self { start: start as u64, pages }
    }
    fn fill(&self, seed: u64) {
        let bytes: Vec<u8> =
            (0..self.pages * 4096).map(|i| (i as u64 * 37 + seed) as u8 ^ (i >> 8) as u8).collect();
        crate::host::guest_access::copy_out(GuestAddr(self.start), &bytes).unwrap();
    }
    fn contents(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.pages * 4096];
        crate::host::guest_access::copy_in(&mut bytes, GuestAddr(self.start)).unwrap();
        bytes
    }
    fn protect(&self, page: usize, prot: i32) {
        let args = [self.start + page as u64 * 4096, 4096, prot as u64, 0, 0, 0];
        assert_eq!(crate::host::sys::syscall(libc::SYS_mprotect, args), 0);
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        crate::host::sys::syscall(libc::SYS_munmap, [self.start, self.pages as u64 * 4096, 0, 0, 0, 0]);
    }
}
