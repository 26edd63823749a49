//! Blocks, run by each way that the engine has of running them.

use guest::ir::{Block, Effect, Terminator};
use guest::state::GuestState;
use qemu_lua::exec::Env;
use qemu_lua::exec::cache::Cache;
use qemu_lua::exec::interp::{BlockEnd, Cells, run_block};
use qemu_lua::exec::jit::template::Emitter;
use qemu_lua::exec::jit::{self, Compiler, Follow, Limits};
use qemu_lua::exec::tier::Compiled;
use qemu_lua::exec::translation::Translation;
use qemu_lua::host::signals::Port;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What runs a block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tier {
    Interpreter,
    Template,
    Region,
}

impl Tier {
    pub const ALL: [Self; 3] = [Self::Interpreter, Self::Template, Self::Region];
}

/// A region takes in what the block leads to, as far as that is in the cache.
const LIMITS: Limits = Limits { blocks: 16, insns: 400, least: 0, follow: Follow::Ran(0) };

pub struct Tiers {
    pub env: &'static Env,
    cells: Cells,
    compiler: Compiler,
    emitter: Emitter,
    compiled: Compiled,
    port: Port,
}

impl Tiers {
    pub fn new(env: &'static Env) -> Self {
        Self {
            env,
            cells: Cells::default(),
            compiler: Compiler::new().unwrap(),
            emitter: Emitter::default(),
            compiled: Compiled::new(),
            port: Port::default(),
        }
    }

    /// Drops all translations.
    pub fn forget(&mut self) {
        Cache::get(self.env).clear();
        self.compiled.forget();
    }

    /// Puts the block into the cache.
    pub fn insert(&self, block: &Block, control: u64) -> Arc<Translation> {
        Cache::get(self.env).insert_for(block.clone(), control)
    }

    /// Makes code of the block for runs on that tier.
    pub fn compile(&mut self, made: &Arc<Translation>, tier: Tier, state: &GuestState) {
        let cache = Cache::get(self.env);
        let done = match tier {
            Tier::Interpreter => true,
            Tier::Template => jit::compile_block(&mut self.emitter, cache, made, state),
            Tier::Region => self.compiler.compile(cache, made, LIMITS),
        };
        assert!(done, "no code for {}", made.block);
    }

    pub fn interpret(&mut self, block: &Block, state: &mut GuestState) -> BlockEnd {
        run_block(block, state, self.env, &mut self.cells)
    }

    /// Runs the block, by the code made for that tier.
    pub fn run(&mut self, made: &Arc<Translation>, tier: Tier, state: &mut GuestState) -> BlockEnd {
        if tier == Tier::Interpreter {
            return self.interpret(&made.block, state);
        }
        let entry = made.entry.load(Ordering::Acquire);
        self.compiled.interpreted();
        self.compiled.run(entry, made, state, self.env, &self.port)
    }
}

/// Whether the block, once compiled, would run for ever.
pub fn is_endless(block: &Block) -> bool {
    let again = match block.terminator {
        Terminator::Jump { target, .. } => target == block.pc,
        Terminator::Branch { taken, other, .. } => taken == block.pc || other == block.pc,
        _ => false,
    };
    again && !block.ops.iter().any(|op| op.effect() == Effect::Commits)
}
