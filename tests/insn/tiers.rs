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

/// A block made ready for a tier.
pub enum Made {
    /// The interpreter runs it as it is.
    Block,
    Code(Arc<Translation>),
}

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

    /// Whether compiled code of the block comes to an end: what leads to itself is not left until it is done,
    /// which is never, unless it does something.
    pub fn ends(block: &Block) -> bool {
        let again = match block.terminator {
            Terminator::Jump { target, .. } => target == block.pc,
            Terminator::Branch { taken, other, .. } => taken == block.pc || other == block.pc,
            _ => false,
        };
        !again || block.ops.iter().any(|op| op.effect() == Effect::Commits)
    }

    /// Drops what was made.
    pub fn forget(&self) {
        Cache::get(self.env).clear();
    }

    /// Makes the block ready for runs on that tier; `state` is one that it may run from.
    pub fn make(&mut self, block: &Block, tier: Tier, state: &GuestState) -> Made {
        if tier == Tier::Interpreter {
            return Made::Block;
        }
        let cache = Cache::get(self.env);
        let made = cache.insert(block.clone());
        let done = match tier {
            Tier::Template => jit::compile_block(&mut self.emitter, cache, &made, state),
            _ => self.compiler.compile(cache, &made, LIMITS),
        };
        assert!(done, "no code for {block}");
        Made::Code(made)
    }

    /// Runs the block that was made ready.
    pub fn run(&mut self, made: &Made, block: &Block, state: &mut GuestState) -> BlockEnd {
        match made {
            Made::Code(made) => {
                let entry = made.entry.load(Ordering::Acquire);
                self.compiled.interpreted();
                self.compiled.run(entry, made, state, self.env, &self.port)
            }
            Made::Block => run_block(block, state, self.env, &mut self.cells),
        }
    }
}
