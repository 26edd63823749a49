//! Whether anything in a vector is zero, or is not: what string functions ask of a block of text.
//!
//! AArch64 has no such test. Programs fold the block by minima or maxima of neighbours, or by a narrowing shift, until it
//! fits a general register, and compare that with zero. The comparison is made of the block itself here, and the folding
//! is left to where a program needs its result: most often behind the loop.

use super::Lowering;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{self, InstBuilder, InstructionData, Opcode, types};
use guest::ir::{Val, Width};

/// Bytes 0, 2, 4 and so on of two vectors.
const EVEN: [u8; 16] = [0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30];
const ODD: [u8; 16] = [1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31];

impl Lowering<'_, '_> {
    /// Whether a value that is a vector's lower half is not zero (0 or not), where the vector is made of a whole one.
    pub(super) fn is_half_set(&mut self, v: Val) -> Option<ir::Value> {
        match self.vals.lane(v)? {
            (vector, Width::W64, 0) => self.is_low_half_set(vector),
            _ => None,
        }
    }

    fn is_low_half_set(&mut self, vector: ir::Value) -> Option<ir::Value> {
        let (opcode, [x, y]) = self.binary_of(vector)?;
        match opcode {
            Opcode::Band if self.vector_constant_of(y)? as u64 == u64::MAX => self.is_low_half_set(x),
            Opcode::Umax => self.neighbours(x, y).map(|[low, _]| self.is_any_set(low)),
            Opcode::Icmp if self.vector_constant_of(y)? == 0 => {
                let (opcode, [even, odd]) = self.binary_of(x)?;
                let [low, _] = self.neighbours(even, odd).filter(|_| opcode == Opcode::Umin)?;
                Some(self.is_any_zero(low))
            }
            _ => None,
        }
    }

    /// Whether a byte is not zero.
    fn is_any_set(&mut self, vector: ir::Value) -> ir::Value {
        let folded = self.binary_of(vector).filter(|(opcode, _)| *opcode == Opcode::Umax);
        if let Some([x, y]) = folded.and_then(|(_, [even, odd])| self.neighbours(even, odd)) {
            let both = self.b.ins().bor(x, y);
            return self.is_any_set(both);
        }
        self.b.ins().vany_true(vector)
    }

    /// Whether a byte is zero.
    fn is_any_zero(&mut self, vector: ir::Value) -> ir::Value {
        let folded = self.binary_of(vector).filter(|(opcode, _)| *opcode == Opcode::Umin);
        if let Some([x, y]) = folded.and_then(|(_, [even, odd])| self.neighbours(even, odd)) {
            let least = self.b.ins().umin(x, y);
            return self.is_any_zero(least);
        }
        let zero = self.vector_constant(0);
        let zeros = self.b.ins().icmp(IntCC::Equal, vector, zero);
        self.b.ins().vany_true(zeros)
    }

    /// The two vectors whose even and odd bytes these are.
    fn neighbours(&self, even: ir::Value, odd: ir::Value) -> Option<[ir::Value; 2]> {
        let pair = self.shuffled(even, &EVEN)?;
        (self.shuffled(odd, &ODD)? == pair).then_some(pair)
    }

    /// The vectors that these bytes are picked from.
    fn shuffled(&self, vector: ir::Value, picks: &[u8; 16]) -> Option<[ir::Value; 2]> {
        match self.definition(self.uncast(vector))? {
            InstructionData::Shuffle { args, imm, .. }
                if self.b.func.dfg.immediates.get(imm)?.as_slice() == picks =>
            {
                Some(args.map(|arg| self.b.func.dfg.resolve_aliases(arg)))
            }
            _ => None,
        }
    }

    /// An operation on two vectors of bytes; of comparisons, that for equality.
    fn binary_of(&self, vector: ir::Value) -> Option<(Opcode, [ir::Value; 2])> {
        match self.definition(self.uncast(vector))? {
            InstructionData::Binary { opcode, args }
            | InstructionData::IntCompare { opcode, args, cond: IntCC::Equal } => {
                (self.b.func.dfg.value_type(args[0]) == types::I8X16).then_some((opcode, args))
            }
            _ => None,
        }
    }

    fn vector_constant_of(&self, vector: ir::Value) -> Option<u128> {
        match self.definition(self.uncast(vector))? {
            InstructionData::UnaryConst { constant_handle, .. } => {
                let bytes = self.b.func.dfg.constants.get(constant_handle).as_slice();
                Some(u128::from_le_bytes(bytes.try_into().ok()?))
            }
            _ => None,
        }
    }
}
