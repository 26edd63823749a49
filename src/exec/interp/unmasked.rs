//! Float ops while exceptions are unmasked.
//!
//! The host runs them with the guest's masks, because flags differ then: an exact result that is tiny underflows, and
//! what is inexact about a result that is out of range is another question (SDM vol. 1, 4.9.1).
//!
//! One guest instruction may be several ops, for its halves or (`DPPS`) for its steps. Ops of one step know nothing of
//! each other's results: the processor looks at a step's exceptions together, and traps before the next.

use super::{Interp, Stop, Stopped};
use crate::host::fp;
use guest::Trap;
use guest::ir::{Block, Effect, MAX_CELLS, Op};

/// Steps that one instruction may have.
const STEPS: usize = 8;

/// What an instruction has raised.
#[derive(Clone, Copy)]
struct Raised {
    /// MXCSR before it.
    before: u32,
    by_step: [u32; STEPS],
}

impl Raised {
    fn new() -> Self {
        Self { before: fp::mxcsr(), by_step: [0; STEPS] }
    }

    /// Its flags up to the first step that traps, and whether there is one.
    fn flags(&self, unmasked: u32) -> (u32, bool) {
        let mut flags = 0;
        for &step in &self.by_step {
            if step & unmasked != 0 {
                // What operands raise comes before there is a result (SDM vol. 1, 11.5.2).
                let by_operands = step & unmasked & fp::OF_OPERANDS != 0;
                return (flags | if by_operands { step & fp::OF_OPERANDS } else { step }, true);
            }
            flags |= step;
        }
        (flags, false)
    }
}

impl Interp<'_> {
    /// Runs the ops; where one stops, its index. An instruction that raises an unmasked exception traps.
    #[cold]
    pub(super) fn run_unmasked(&mut self, block: &Block, unmasked: u32) -> Result<(), (usize, Stopped)> {
        let mut starts = block.insns.iter().skip(1).map(|mark| mark.first_op as usize).peekable();
        let (mut steps, mut raised) = ([0; MAX_CELLS], Raised::new());
        for (index, op) in block.ops.iter().enumerate() {
            while starts.next_if(|&start| start <= index).is_some() {
                (steps, raised) = ([0; MAX_CELLS], Raised::new());
            }
            if op.effect() != Effect::Float {
                note_step(op, &mut steps);
                op.visit(self).map_err(|stopped| (index, stopped))?;
                continue;
            }
            self.run_float(op, &mut steps, &mut raised).map_err(|stopped| (index, stopped))?;
            if raised.flags(unmasked).1 {
                let end = starts.peek().copied().unwrap_or(block.ops.len());
                self.run_rest(&block.ops[index + 1..end], &mut steps, &mut raised);
                fp::set_mxcsr(raised.before | raised.flags(unmasked).0);
                return Err((index, self.end(Stop::Trap(Trap::FloatingPoint))));
            }
            fp::set_mxcsr(raised.before | raised.flags(unmasked).0);
        }
        Ok(())
    }

    /// Runs a float op and takes what it raises.
    fn run_float(
        &mut self,
        op: &Op,
        steps: &mut [u8; MAX_CELLS],
        raised: &mut Raised,
    ) -> Result<(), Stopped> {
        let step = note_step(op, steps);
        let before = fp::mxcsr();
        fp::set_mxcsr(before & !fp::STICKY);
        let (result, flags) = fp::with_unmasked(|| op.visit(self));
        fp::set_mxcsr(before);
        raised.by_step[usize::from(step).min(STEPS) - 1] |= flags;
        result
    }

    /// The rest of an instruction that traps, as far as it only computes: more of the same step may raise something.
    fn run_rest(&mut self, ops: &[Op], steps: &mut [u8; MAX_CELLS], raised: &mut Raised) {
        for op in ops {
            let done = match op.effect() {
                Effect::Float => self.run_float(op, steps, raised).is_ok(),
                Effect::Pure | Effect::ReadsState => {
                    note_step(op, steps);
                    op.visit(self).is_ok()
                }
                _ => false,
            };
            if !done {
                break;
            }
        }
    }
}

/// The step that the op's result belongs to: one more than those of a float op's operands, at least 1.
fn note_step(op: &Op, steps: &mut [u8; MAX_CELLS]) -> u8 {
    let mut step = 0;
    op.for_each_use(|v| step = step.max(steps[usize::from(v.0)]));
    if op.effect() == Effect::Float {
        step = step.saturating_add(1);
    }
    if let Some((result, _)) = op.result() {
        steps[usize::from(result.0)] = step;
    }
    step
}
