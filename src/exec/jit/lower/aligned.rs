//! What is known of an address because the guest instruction has checked it.

use super::Lowering;
use crate::exec::jit::commit::Class;
use cranelift_codegen::ir::{self, InstructionData, Opcode, ValueDef};
use guest::ir::{Op, Val, VecLen, Width};
use guest::{Access, Trap};

/// An address that is a multiple of `bytes`.
#[derive(Clone, Copy, Debug)]
pub struct Aligned {
    address: ir::Value,
    bytes: u64,
}

/// What the host's aligned moves demand.
const DEMANDED: u64 = 16;

impl Lowering<'_, '_> {
    /// Whether the check for a trap is that of an access of 16 bytes' alignment which is all that comes of the
    /// instruction: then it is made by the access (see [`crate::exec::jit::alignment`]).
    pub(super) fn is_left_to_access(&mut self, trap: u8, c: Val) -> bool {
        let block = &self.region.blocks[self.at].translation.block;
        let mut accesses = block.ops[self.ahead.clone()].iter().filter(|&&op| Class::of(op) != Class::Inner);
        let (addr, off, access) = match (accesses.next(), accesses.next()) {
            (Some(&Op::Vload { n: VecLen::X1, addr, off, .. }), None) => (addr, off, Access::Read),
            (Some(&Op::Vstore { n: VecLen::X1, addr, off, .. }), None) => (addr, off, Access::Write),
            _ => return false,
        };
        let known = block.ops[..self.ahead.start].iter();
        let made = |v| known.clone().find(|op| op.result().is_some_and(|(dst, _)| dst == v));
        let Some(&Op::And { a: sum, b: mask, .. }) = made(c) else { return false };
        let is_address = match made(sum) {
            _ if sum == addr => off == 0,
            Some(&Op::Add { w: Width::W64, a, b, .. }) => {
                a == addr && self.vals.konst(b) == Some(i64::from(off) as u64)
            }
            _ => false,
        };
        let left = is_address
            && trap == Trap::GeneralProtection as u8
            && self.vals.konst(mask) == Some(DEMANDED - 1);
        if left {
            self.out.aligned.push(self.site + u32::from(access == Access::Write));
        }
        left
    }

    /// What holds where `condition` is 0: of an address and the bits below its alignment.
    pub(super) fn note_aligned(&mut self, condition: ir::Value) {
        let Some(known) = self.demanded(condition) else { return };
        self.aligned = Some(known);
        self.checked.push(known);
    }

    /// Whether the block has made sure already that such a condition is 0.
    pub(super) fn is_checked(&mut self, condition: ir::Value) -> bool {
        let Some(wanted) = self.demanded(condition) else { return false };
        let is_checked = self
            .checked
            .iter()
            .any(|known| known.bytes >= wanted.bytes && self.is_same_sum(known.address, wanted.address));
        if is_checked {
            self.aligned = Some(wanted);
        }
        is_checked
    }

    /// What the address is where the condition, some of its lowest bits, is 0.
    fn demanded(&self, condition: ir::Value) -> Option<Aligned> {
        let [address, mask] = self.operands_of(Opcode::Band, condition)?;
        let bytes = (self.constant(mask)? as u64).checked_add(1)?;
        bytes.is_power_of_two().then_some(Aligned { address, bytes })
    }

    /// Whether the instruction has made sure that the address is a multiple of `bytes`.
    pub(super) fn is_aligned(&self, address: ir::Value, bytes: u64) -> bool {
        self.aligned.is_some_and(|known| known.bytes >= bytes && self.is_same_sum(known.address, address))
    }

    /// Whether two values are the same sum, as far as that can be seen at once.
    fn is_same_sum(&self, a: ir::Value, b: ir::Value) -> bool {
        let ((x, by), (y, other)) = (self.offset(a), self.offset(b));
        let same = |[a, b]: [ir::Value; 2], [c, d]: [ir::Value; 2]| self.is(a, c) && self.is(b, d);
        let sums = self.operands_of(Opcode::Iadd, x).zip(self.operands_of(Opcode::Iadd, y));
        by == other && (self.is(x, y) || sums.is_some_and(|(x, y)| same(x, y)))
    }

    fn is(&self, a: ir::Value, b: ir::Value) -> bool {
        let resolve = |value| self.b.func.dfg.resolve_aliases(value);
        resolve(a) == resolve(b)
    }

    /// A value as another one and a constant.
    pub(super) fn offset(&self, value: ir::Value) -> (ir::Value, i64) {
        let sum = self.operands_of(Opcode::Iadd, value).and_then(|[a, b]| Some((a, self.constant(b)?)));
        sum.unwrap_or((value, 0))
    }

    pub(super) fn definition(&self, value: ir::Value) -> Option<InstructionData> {
        let dfg = &self.b.func.dfg;
        match dfg.value_def(dfg.resolve_aliases(value)) {
            ValueDef::Result(inst, 0) => Some(dfg.insts[inst]),
            _ => None,
        }
    }

    fn operands_of(&self, wanted: Opcode, value: ir::Value) -> Option<[ir::Value; 2]> {
        match self.definition(value)? {
            InstructionData::Binary { opcode, args } if opcode == wanted => Some(args),
            _ => None,
        }
    }

    pub(super) fn constant(&self, value: ir::Value) -> Option<i64> {
        match self.definition(value)? {
            InstructionData::UnaryImm { opcode: Opcode::Iconst, imm } => Some(imm.bits()),
            _ => None,
        }
    }
}
