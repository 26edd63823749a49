//! Steps of ciphers and hashes: calls of the host's functions, with the vectors in registers.

use super::Lowering;
use crate::exec::jit::entry;
use cranelift_codegen::ir::{AbiParam, InstBuilder, Signature, types};
use cranelift_codegen::isa::CallConv;
use guest::ir::{Crypto, Val, VecLen};

fn signature() -> Signature {
    let mut signature = Signature::new(CallConv::SystemV);
    signature.params.extend([AbiParam::new(types::I8X16); 3]);
    signature.returns.push(AbiParam::new(types::I8X16));
    signature
}

impl Lowering<'_, '_> {
    pub(super) fn crypto_step(&mut self, dst: Val, n: VecLen, op: Crypto, abc: [Val; 3]) {
        let signature = self.b.import_signature(signature());
        let context = self.context();
        let at = entry::CRYPTO + 8 * op as i32;
        let flags = self.context_flags.with_readonly();
        let callee = self.b.ins().load(types::I64, flags, context, at);
        for unit in 0..n.units() {
            let operands = abc.map(|v| self.unit(v, unit));
            let call = self.b.ins().call_indirect(signature, callee, &operands);
            let value = self.b.inst_results(call)[0];
            self.set_unit(dst, unit, value);
        }
    }
}
