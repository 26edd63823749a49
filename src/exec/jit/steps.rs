//! Steps of ciphers in regions, products of every other lane, and prefetches: the host's instructions, in the place of calls.
//!
//! Cranelift has no operation for such an instruction. So it is told of a call that takes operands in registers, gives
//! its result in one, if it has any, and changes no other (what `PreserveAll` means where it is called); in the finished code the call
//! becomes the instruction. Where that is longer than a call, the call stays, and leads to it behind the region.

use super::marks::NO_SEGMENT;
use crate::host::crypto::{Instruction, instruction};
use cranelift_codegen::ir::{AbiParam, Signature, UserExternalName, types};
use cranelift_codegen::isa::CallConv;
use guest::ir::{Crypto, Locality, Sign};
use smallvec::SmallVec;
use std::arch::is_x86_feature_detected as has;

/// The name space of steps in relocations.
pub const NAMESPACE: u32 = 1;

/// What an instruction of the host does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    Crypto(Crypto),
    /// The whole products of two vectors' even 32-bit lanes.
    EvenProducts(Sign),
    /// Asks for the cache line at an address.
    Prefetch(Locality),
}

/// How a prefetch is encoded (SDM vol. 2, `PREFETCHh` and `PREFETCHW`): `0f`, this byte, and a memory operand with this in
/// the place of a register. Where the host has no `PREFETCHW`, that does nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Prefetch {
    pub opcode: u8,
    pub extension: u8,
}

impl Prefetch {
    pub fn of(how: Locality) -> Self {
        let (opcode, extension) = match how {
            Locality::Once => (0x18, 0),
            Locality::L1 => (0x18, 1),
            Locality::L2 => (0x18, 2),
            Locality::L3 => (0x18, 3),
            Locality::Write => (0x0d, 1),
        };
        Self { opcode, extension }
    }

    /// The one of what the first argument points to.
    fn of_argument(self) -> [u8; 3] {
        const RDI: u8 = 7;
        [0x0f, self.opcode, self.extension << 3 | RDI]
    }
}

const UNSIGNED_PRODUCTS: u32 = 1 << 16;
const SIGNED_PRODUCTS: u32 = UNSIGNED_PRODUCTS + 1;
const FIRST_PREFETCH: u32 = 1 << 17;

impl Step {
    /// The instruction of a step on vectors, if the host has it.
    pub fn instruction(self) -> Option<Instruction> {
        // SDM vol. 2, `PMULUDQ` and `PMULDQ` of xmm0 and xmm1.
        let (is_there, bytes): (bool, &[u8]) = match self {
            Self::Crypto(op) => return instruction(op),
            Self::EvenProducts(Sign::Unsigned) => (true, &[0x66, 0x0f, 0xf4, 0xc1]),
            Self::EvenProducts(Sign::Signed) => (has!("sse4.1"), &[0x66, 0x0f, 0x38, 0x28, 0xc1]),
            Self::Prefetch(_) => return None,
        };
        is_there.then_some(Instruction { bytes, operands: &[0, 1], result: 0 })
    }

    /// Its bytes, if the host has it.
    fn bytes(self) -> Option<SmallVec<[u8; 8]>> {
        match self {
            Self::Prefetch(how) => Some(SmallVec::from_slice(&Prefetch::of(how).of_argument())),
            _ => self.instruction().map(|step| SmallVec::from_slice(step.bytes)),
        }
    }

    fn number(self) -> u32 {
        match self {
            Self::Crypto(op) => op as u32,
            Self::Prefetch(how) => FIRST_PREFETCH + how as u32,
            Self::EvenProducts(Sign::Unsigned) => UNSIGNED_PRODUCTS,
            Self::EvenProducts(Sign::Signed) => SIGNED_PRODUCTS,
        }
    }

    fn numbered(number: u32) -> Option<Self> {
        match number {
            UNSIGNED_PRODUCTS => Some(Self::EvenProducts(Sign::Unsigned)),
            SIGNED_PRODUCTS => Some(Self::EvenProducts(Sign::Signed)),
            FIRST_PREFETCH.. => {
                Locality::ALL.get((number - FIRST_PREFETCH) as usize).copied().map(Self::Prefetch)
            }
            _ => Crypto::ALL.get(number as usize).copied().map(Self::Crypto),
        }
    }
}

const CALL: u8 = 0xe8;
const CALL_LEN: usize = 5;
const RETURN: u8 = 0xc3;

/// What Cranelift knows the step by.
pub fn name(step: Step) -> UserExternalName {
    UserExternalName { namespace: NAMESPACE, index: step.number() }
}

/// The step's signature, still of a convention whose functions may return something to Cranelift's verifier.
pub fn signature(step: &Instruction) -> Signature {
    let mut signature = Signature::new(CallConv::SystemV);
    signature.params.extend(vec![AbiParam::new(types::I8X16); step.operands.len()]);
    signature.returns.extend(vec![AbiParam::new(types::I8X16); step.result + 1]);
    signature
}

/// The signature of a prefetch.
pub fn prefetch_signature() -> Signature {
    let mut signature = Signature::new(CallConv::SystemV);
    signature.params.push(AbiParam::new(types::I64));
    signature
}

/// Puts the instruction into the place of the call whose distance is at `at`. Whether there was such a call.
pub fn put(code: &mut Vec<u8>, at: usize, name: &UserExternalName) -> bool {
    let Some(bytes) = Step::numbered(name.index).and_then(Step::bytes) else { return false };
    let Some(call) = at.checked_sub(1).filter(|&call| code.get(call) == Some(&CALL)) else { return false };
    if bytes.len() <= CALL_LEN {
        let (before, place) = code[call..call + CALL_LEN].split_at_mut(CALL_LEN - bytes.len());
        before.fill(NO_SEGMENT);
        place.copy_from_slice(&bytes);
    } else {
        let distance = (code.len() - (call + CALL_LEN)) as u32;
        code[at..at + 4].copy_from_slice(&distance.to_le_bytes());
        code.extend_from_slice(&bytes);
        code.push(RETURN);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefetches_stand_where_their_calls_stood() {
        // SDM vol. 2: `prefetchnta`, `prefetcht0` to `t2` and `prefetchw` of [rdi].
        let encoded = [
            (Locality::Once, [0x0f, 0x18, 0x07]),
            (Locality::L1, [0x0f, 0x18, 0x0f]),
            (Locality::L2, [0x0f, 0x18, 0x17]),
            (Locality::L3, [0x0f, 0x18, 0x1f]),
            (Locality::Write, [0x0f, 0x0d, 0x0f]),
        ];
        for (how, [a, b, c]) in encoded {
            let mut code = vec![0x55, CALL, 0, 0, 0, 0, RETURN];
            assert!(put(&mut code, 2, &name(Step::Prefetch(how))));
            assert_eq!(code, [0x55, NO_SEGMENT, NO_SEGMENT, a, b, c, RETURN]);
        }
    }
}
