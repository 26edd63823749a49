//! One block, run by each way that the engine has of running it.

use guest::ir::{Block, Effect, Terminator};
use guest::state::GuestState;
use qemu_lua::exec::Env;
use qemu_lua::exec::cache::{Cache, Translation};
use qemu_lua::exec::interp::{BlockEnd, Cells, run_block};
use qemu_lua::exec::jit::template::Emitter;
use qemu_lua::exec::jit::{self, Compiler, Follow, Limits};
use qemu_lua::exec::tier::Compiled;
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

/// A region is the block alone.
const LIMITS: Limits = Limits { blocks: 1, insns: 400, follow: Follow::Ran(0) };

pub struct Tiers {
    pub env: &'static Env,
    cells: Cells,
    compiler: Compiler,
    emitter: Emitter,
    compiled: Compiled,
    port: Port,
    made: Option<Arc<Translation>>,
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
            made: None,
        }
    }

    /// Makes code of the block for runs on that tier; not if it would never end.
    pub fn prepare(&mut self, block: &Block, tier: Tier, state: &GuestState) -> bool {
        self.made = None;
        if tier == Tier::Interpreter {
            return true;
        }
        let again = match block.terminator {
            Terminator::Jump { target, .. } => target == block.pc,
            Terminator::Branch { taken, other, .. } => taken == block.pc || other == block.pc,
            _ => false,
        };
        if again && !block.ops.iter().any(|op| op.effect() == Effect::Commits) {
            return false;
        }
        let cache = Cache::get(self.env);
        cache.clear();
        let made = cache.insert(block.clone());
        let done = match tier {
            Tier::Template => jit::compile_block(&mut self.emitter, cache, &made, state),
            _ => self.compiler.compile(cache, &made, LIMITS),
        };
        assert!(done, "no code for {block}");
        self.made = Some(made);
        true
    }

    /// Runs the block that was prepared.
    pub fn run(&mut self, block: &Block, state: &mut GuestState) -> BlockEnd {
        match &self.made {
            Some(made) => {
                let entry = made.entry.load(Ordering::Acquire);
                self.compiled.interpreted();
                self.compiled.run(entry, made, state, self.env, &self.port)
            }
            None => run_block(block, state, self.env, &mut self.cells),
        }
    }
}
