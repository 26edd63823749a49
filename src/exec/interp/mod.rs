//! Tier 0: the interpreter. Everything cold runs here, and it is the reference for compiled code.
//!
//! A block's values live in a flat file of 64-bit cells; each op reads its operands' cells and writes its
//! own. Loops over lanes are plain Rust; floats go through `host/fp` because the guest's rounding mode
//! and sticky flags are in the host's MXCSR while guest code runs.

mod float;
mod lanes;
mod scalar;
mod shapes;
mod unmasked;
mod visitor;

use crate::exec::Env;
use crate::exec::context::Context;
use crate::host::fp;
use guest::helper::{HelperContext, HelperExit};
use guest::ir::{Block, Hint, MAX_CELLS, NanRule, OP_COUNT, Op, Terminator, Val};
use guest::state::{GuestState, JUMPED_FROM};
use guest::{Fault, GuestAddr, Trap};

/// How a block ended.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum BlockEnd {
    /// Goes on at this address.
    Next(GuestAddr),
    /// The same, but code or control state may have changed.
    Resync(GuestAddr),
    Syscall {
        next: GuestAddr,
    },
    Trap {
        trap: Trap,
        pc: GuestAddr,
    },
    /// A memory access failed; the state is that before the instruction at `pc`.
    Fault {
        fault: Fault,
        pc: GuestAddr,
    },
    /// A memory access of compiled code failed; the state is that before the instruction at `pc`, somewhat earlier.
    /// The interpreter is to go on there: it meets the fault, if there still is one.
    Replay {
        pc: GuestAddr,
    },
    /// A signal has come at a memory access of compiled code by the instruction at `at`; the state is that before the
    /// instruction at `from`, somewhat earlier.
    Interrupted {
        from: GuestAddr,
        at: GuestAddr,
    },
}

/// Why an op left the block.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Stop {
    Fault(Fault),
    Trap(Trap),
    /// A side exit, so many bytes behind the block's start.
    Leave {
        off: i32,
    },
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<HelperExit> for Stop {
    fn from(exit: HelperExit) -> Self {
        match exit {
            HelperExit::Fault(fault) => Self::Fault(fault),
            HelperExit::Trap(trap) => Self::Trap(trap),
        }
    }
}

/// The value file; reused from block to block.
pub struct Cells(Box<[u64; MAX_CELLS]>);

impl Default for Cells {
    fn default() -> Self {
        Self(Box::new([0; MAX_CELLS]))
    }
}

/// Says that the run is over; why is in [`Interp::stop`].
struct Stopped;

/// One run of one block.
struct Interp<'a> {
    stop: Option<Stop>,
    cells: &'a mut [u64; MAX_CELLS],
    state: &'a mut GuestState,
    env: &'a Env,
    pool: &'a [u128],
    nan_rule: NanRule,
}

/// Runs one op.
type Handler<V> = fn(&mut V, &Op) -> Result<(), Stopped>;

impl Interp<'_> {
    /// One function per op: smaller functions are better code than one match over all of them.
    const HANDLERS: [Handler<Self>; OP_COUNT] = Op::handlers::<Self>();

    /// The value, or the end of the run.
    #[inline(always)]
    fn check<T, E: Into<Stop>>(&mut self, result: Result<T, E>) -> Result<T, Stopped> {
        result.map_err(|error| self.end(error.into()))
    }

    #[cold]
    fn end(&mut self, stop: Stop) -> Stopped {
        self.stop = Some(stop);
        Stopped
    }

    #[inline(always)]
    fn int(&self, v: Val) -> u64 {
        self.cells[usize::from(v.0) & (MAX_CELLS - 1)]
    }

    #[inline(always)]
    fn set(&mut self, v: Val, value: u64) {
        self.cells[usize::from(v.0) & (MAX_CELLS - 1)] = value;
    }

    /// 16-byte unit `unit` of a vector value.
    #[inline(always)]
    fn unit(&self, v: Val, unit: usize) -> u128 {
        let at = usize::from(v.0) + 2 * unit;
        u128::from(self.cells[at & (MAX_CELLS - 1)])
            | u128::from(self.cells[(at + 1) & (MAX_CELLS - 1)]) << 64
    }

    #[inline(always)]
    fn set_unit(&mut self, v: Val, unit: usize, value: u128) {
        let at = usize::from(v.0) + 2 * unit;
        self.cells[at & (MAX_CELLS - 1)] = value as u64;
        self.cells[(at + 1) & (MAX_CELLS - 1)] = (value >> 64) as u64;
    }
}

impl Interp<'_> {
    /// Runs the ops; where one stops, its index.
    #[inline]
    fn run(&mut self, ops: &[Op]) -> Result<(), (usize, Stopped)> {
        for (index, op) in ops.iter().enumerate() {
            if let Err(stopped) = Self::HANDLERS[op.number()](self, op) {
                return Err((index, stopped));
            }
        }
        Ok(())
    }
}

/// Runs a helper that works on the state.
#[inline(always)]
pub fn call_state(
    f: fn(&mut dyn HelperContext, u64, u64, u64) -> Result<u64, HelperExit>,
    state: &mut GuestState,
    env: &Env,
    [a, b, c]: [u64; 3],
) -> Result<u64, Stop> {
    f(&mut Context::new(state, env), a, b, c).map_err(Stop::from)
}

/// Runs one op on values in `cells`: what compiled code does with ops it has no code for.
pub fn run_op(
    op: Op,
    nan_rule: NanRule,
    state: &mut GuestState,
    env: &Env,
    cells: &mut [u64; MAX_CELLS],
) -> Result<(), Stop> {
    let mut interp = Interp { stop: None, cells, state, env, pool: &[], nan_rule };
    match op.visit(&mut interp) {
        Ok(()) => Ok(()),
        Err(Stopped) => Err(interp.stop.unwrap_or(Stop::Trap(Trap::Illegal))),
    }
}

/// Runs `block` on `state`. The state's pc is left to the caller, which knows it from the result.
pub fn run_block(block: &Block, state: &mut GuestState, env: &Env, cells: &mut Cells) -> BlockEnd {
    let mut interp =
        Interp { stop: None, cells: &mut cells.0, state, env, pool: &block.pool, nan_rule: block.nan_rule };
    let done = match fp::unmasked() {
        0 => interp.run(&block.ops),
        unmasked => interp.run_unmasked(block, unmasked),
    };
    if let Err((index, Stopped)) = done {
        let pc = block.insn_at(index).map_or(block.pc, |mark| mark.pc);
        return match interp.stop {
            Some(Stop::Fault(fault)) => BlockEnd::Fault { fault, pc },
            Some(Stop::Trap(trap)) => BlockEnd::Trap { trap, pc },
            Some(Stop::Leave { off }) => BlockEnd::Next(block.pc.offset(off.into())),
            None => unreachable!("whoever stops says why"),
        };
    }
    match block.terminator {
        Terminator::Jump { target, .. } => BlockEnd::Next(target),
        Terminator::Branch { cond, taken, other } => {
            BlockEnd::Next(if interp.int(cond) != 0 { taken } else { other })
        }
        Terminator::Indirect { target, hint: Hint::Resync } => {
            BlockEnd::Resync(GuestAddr(interp.int(target)))
        }
        Terminator::Indirect { target, .. } => {
            let target = interp.int(target);
            state.set_u64(JUMPED_FROM, block.last_pc().0);
            BlockEnd::Next(GuestAddr(target))
        }
        Terminator::Syscall { next } => BlockEnd::Syscall { next },
        Terminator::Trap { trap, pc } => BlockEnd::Trap { trap, pc },
        Terminator::FetchFault { pc, fault } => BlockEnd::Fault { fault: crate::mem::fetch_fault(fault), pc },
        Terminator::Resync { next } => BlockEnd::Resync(next),
    }
}
