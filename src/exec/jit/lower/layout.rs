//! Where loops begin, and where a branch's ways come to lie.
//!
//! Loops that begin with the same block have a head of their own each, or they would be one to Cranelift, which keeps in
//! registers what is used in the innermost.
//!
//! Cranelift puts the second way of a branch right behind it, and the first somewhere after that. A loop that goes on by
//! the first one would be torn apart: two jumps in each round, and registers that what lies in between wants, too.

use super::Lowering;
use crate::exec::jit::loops::{Loop, Loops};
use crate::exec::jit::region::{Edge, RegionBlock};
use cranelift_codegen::cursor::{Cursor, FuncCursor};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{self, InstBuilder, InstructionData, Opcode};
use guest::ir::Terminator;

/// The loops that begin with a block, from the innermost outwards: what is in each, and where it is entered.
pub type Heads = Vec<(Vec<bool>, ir::Block)>;

impl Lowering<'_, '_> {
    /// What enters each block.
    pub(super) fn create_heads(&mut self) -> Vec<Heads> {
        let mut heads = vec![Heads::new(); self.blocks.len()];
        for Loop { head, body, .. } in Loops::of(&self.region.blocks, &self.region.cells).natural {
            let entered = if heads[head].is_empty() { self.blocks[head] } else { self.b.create_block() };
            heads[head].push((body, entered));
        }
        heads
    }

    /// The heads of the loops that begin with a block, which is the innermost's own.
    pub(super) fn lower_heads(&mut self, block: usize) {
        let heads: Vec<ir::Block> = self.heads[block].iter().map(|(_, entered)| *entered).collect();
        for pair in heads.windows(2).rev() {
            self.b.switch_to_block(pair[1]);
            self.b.ins().jump(pair[0], &[]);
        }
    }

    /// Where the edge from the block at hand to `block` leads.
    pub(super) fn entrance(&self, block: usize) -> ir::Block {
        let heads = &self.heads[block];
        let of_loop = heads.iter().find(|(body, _)| body[self.at]).or(heads.last());
        of_loop.map_or(self.blocks[block], |(_, entered)| *entered)
    }

    /// Makes the way that stays in more loops the second of the branch that ends the block `from`.
    pub(super) fn arrange_ways(&mut self, from: Option<ir::Block>, planned: &RegionBlock) {
        let loops = |edge| match edge {
            Edge::Inside { block, .. } => self.region.blocks[block].loops,
            Edge::Outside => 0,
        };
        let branches = matches!(planned.translation.block.terminator, Terminator::Branch { .. });
        if !branches || loops(planned.taken) <= loops(planned.other) {
            return;
        }
        let Some(branch) = from.and_then(|block| self.b.func.layout.last_inst(block)) else { return };
        let InstructionData::Brif { arg, .. } = self.b.func.dfg.insts[branch] else { return };
        let Some(arg) = self.plain_condition(arg) else { return };
        let inverse = FuncCursor::new(self.b.func).at_inst(branch).ins().icmp_imm_u(IntCC::Equal, arg, 0);
        if let InstructionData::Brif { arg, blocks, .. } = &mut self.b.func.dfg.insts[branch] {
            *arg = inverse;
            blocks.swap(0, 1);
        }
    }

    /// What the condition was before it was extended; `None` for a comparison of floats, of which Cranelift does not know
    /// the inverse.
    fn plain_condition(&self, condition: ir::Value) -> Option<ir::Value> {
        let mut condition = self.b.func.dfg.resolve_aliases(condition);
        loop {
            match self.definition(condition) {
                Some(InstructionData::Unary { opcode: Opcode::Uextend, arg }) => {
                    condition = self.b.func.dfg.resolve_aliases(arg);
                }
                Some(InstructionData::FloatCompare { .. }) => return None,
                _ => return Some(condition),
            }
        }
    }
}
