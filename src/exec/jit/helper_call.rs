//! Calls of helpers from compiled code: past the interpreter, which would have to look at the op first.
//!
//! Operands and result have places of their own in the thread's context, and one number says the rest.

use super::entry::{HELPER_PLACES, PLACE_BYTES};
use guest::ir::{HelperId, Op, Val, VecLen};

/// A helper and how it is called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HelperCall {
    pub f: HelperId,
    /// Units of its vectors.
    pub n: VecLen,
    pub imm: u32,
}

/// Where operand `index` is in the context, or the result, which is the last.
pub fn place(index: usize) -> i32 {
    HELPER_PLACES + (index * PLACE_BYTES) as i32
}

/// The result's index.
pub const RESULT: usize = 3;

impl HelperCall {
    /// The call that `op` is, and its operands.
    pub fn of(op: Op) -> Option<(Self, [Val; 3])> {
        let (f, n, imm, operands) = match op {
            Op::Call { f, a, b, c, .. } | Op::CallState { f, a, b, c, .. } => (f, VecLen::X1, 0, [a, b, c]),
            Op::CallVec { n, f, a, b, c, imm, .. } => (f, n, imm, [a, b, c]),
            _ => return None,
        };
        Some((Self { f, n, imm }, operands))
    }

    /// All of it in a number. Those with another `nonce` are different ones: Cranelift keeps a constant that is needed twice
    /// in a register throughout a loop.
    pub fn number(self, nonce: usize) -> u64 {
        u64::from(self.f.0) | (self.n as u64) << 16 | (nonce as u64 & 0xfff) << 20 | u64::from(self.imm) << 32
    }

    pub fn numbered(number: u64) -> Self {
        let n = VecLen::ALL[(number >> 16 & 0xf) as usize];
        Self { f: HelperId(number as u16), n, imm: (number >> 32) as u32 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_what_its_number_says() {
        for &n in VecLen::ALL {
            let call = HelperCall { f: HelperId(0x1234), n, imm: 0x8765_4321 };
            assert_eq!([0, 1, 0xfff].map(|nonce| HelperCall::numbered(call.number(nonce))), [call; 3]);
            assert_ne!(call.number(1), call.number(2));
        }
    }
}
