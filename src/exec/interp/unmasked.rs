//! Float ops while exceptions are unmasked.
//!
//! The host runs them with the guest's masks, because flags differ then: an exact result that is tiny underflows, and
//! what is inexact about a result that is out of range is another question (SDM vol. 1, 4.9.1). One guest instruction
//! may be several ops and several instructions of the host's: all of them run before it traps.

use super::{Interp, Stop, Stopped};
use crate::host::fp;
use guest::Trap;
use guest::ir::{Block, Effect, Op};

impl Interp<'_> {
    /// Runs the ops; where one stops, its index. An instruction that raises an unmasked exception traps.
    #[cold]
    pub(super) fn run_unmasked(&mut self, block: &Block, unmasked: u32) -> Result<(), (usize, Stopped)> {
        let mut ends = block.insns.iter().skip(1).map(|mark| mark.first_op as usize);
        let mut end = ends.next().unwrap_or(block.ops.len());
        // MXCSR before the instruction, and what that has raised.
        let (mut before, mut raised) = (fp::mxcsr(), 0);
        for (index, op) in block.ops.iter().enumerate() {
            while index >= end && end < block.ops.len() {
                end = ends.next().unwrap_or(block.ops.len());
                (before, raised) = (fp::mxcsr(), 0);
            }
            if op.effect() != Effect::Float {
                op.visit(self).map_err(|stopped| (index, stopped))?;
                continue;
            }
            raised |= self.flags_of(op).map_err(|stopped| (index, stopped))?;
            if raised & unmasked == 0 {
                fp::set_mxcsr(before | raised);
                continue;
            }
            raised |= self.flags_of_rest(&block.ops[index + 1..end]);
            // What operands raise comes before there is a result (SDM vol. 1, 11.5.2).
            if raised & unmasked & fp::OF_OPERANDS != 0 {
                raised &= fp::OF_OPERANDS;
            }
            fp::set_mxcsr(before | raised);
            return Err((index, self.end(Stop::Trap(Trap::FloatingPoint))));
        }
        Ok(())
    }

    /// Runs the float op; what it raises by itself.
    fn flags_of(&mut self, op: &Op) -> Result<u32, Stopped> {
        let before = fp::mxcsr();
        fp::set_mxcsr(before & !fp::STICKY);
        let (result, raised) = fp::with_unmasked(|| op.visit(self));
        fp::set_mxcsr(before);
        result.map(|()| raised)
    }

    /// What the rest of the instruction raises, as far as it only computes.
    fn flags_of_rest(&mut self, ops: &[Op]) -> u32 {
        let mut raised = 0;
        for op in ops {
            match op.effect() {
                Effect::Float => raised |= self.flags_of(op).unwrap_or(0),
                Effect::Pure | Effect::ReadsState if op.visit(self).is_ok() => {}
                _ => break,
            }
        }
        raised
    }
}
