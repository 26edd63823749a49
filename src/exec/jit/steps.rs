//! Steps of ciphers in regions: the host's instructions, in the place of calls.
//!
//! Cranelift has no operation for such an instruction. So it is told of a call that takes operands in registers, gives
//! its result in one, and changes no other (what `PreserveAll` means where it is called); in the finished code the call
//! becomes the instruction. Where that is longer than a call, the call stays, and leads to it behind the region.

use crate::host::crypto::{Instruction, instruction};
use cranelift_codegen::ir::{AbiParam, Signature, UserExternalName, types};
use cranelift_codegen::isa::CallConv;
use guest::ir::Crypto;

/// The name space of steps in relocations; their numbers are those of `Crypto`.
pub const NAMESPACE: u32 = 1;

const CALL: u8 = 0xe8;
const CALL_LEN: usize = 5;
const RETURN: u8 = 0xc3;
const NOP: u8 = 0x90;

/// What Cranelift knows the step by.
pub fn name(op: Crypto) -> UserExternalName {
    UserExternalName { namespace: NAMESPACE, index: op as u32 }
}

/// The step's signature, still of a convention whose functions may return something to Cranelift's verifier.
pub fn signature(step: &Instruction) -> Signature {
    let mut signature = Signature::new(CallConv::SystemV);
    signature.params.extend(vec![AbiParam::new(types::I8X16); step.operands.len()]);
    signature.returns.extend(vec![AbiParam::new(types::I8X16); step.result + 1]);
    signature
}

/// Puts the instruction into the place of the call whose distance is at `at`. Whether there was such a call.
pub fn put(code: &mut Vec<u8>, at: usize, name: &UserExternalName) -> bool {
    let Some(step) = Crypto::ALL.get(name.index as usize).and_then(|&op| instruction(op)) else {
        return false;
    };
    let Some(call) = at.checked_sub(1).filter(|&call| code.get(call) == Some(&CALL)) else { return false };
    if step.bytes.len() <= CALL_LEN {
        let place = &mut code[call..call + CALL_LEN];
        place.fill(NOP);
        place[..step.bytes.len()].copy_from_slice(step.bytes);
    } else {
        let distance = (code.len() - (call + CALL_LEN)) as u32;
        code[at..at + 4].copy_from_slice(&distance.to_le_bytes());
        code.extend_from_slice(step.bytes);
        code.push(RETURN);
    }
    true
}
