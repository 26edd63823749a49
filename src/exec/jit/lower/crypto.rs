//! Steps of ciphers and hashes: the host's instructions, or calls of portable code with the vectors in registers.

use super::Lowering;
use crate::exec::jit::{entry, steps};
use crate::host::crypto;
use cranelift_codegen::ir::{self, AbiParam, ExtFuncData, ExternalName, InstBuilder, Signature, types};
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
        match crypto::instruction(op) {
            Some(step) => {
                let function = self.instruction(op, &step);
                for unit in 0..n.units() {
                    let operands: Vec<_> = step.operands.iter().map(|&i| self.unit(abc[i], unit)).collect();
                    let call = self.b.ins().call(function, &operands);
                    let value = self.b.inst_results(call)[step.result];
                    self.set_unit(dst, unit, value);
                }
            }
            None => self.crypto_call(dst, n, op, abc),
        }
    }

    /// What stands for the host's instruction, the same for all steps of this kind.
    fn instruction(&mut self, op: Crypto, step: &crypto::Instruction) -> ir::FuncRef {
        if let Some(&(_, function)) = self.steps.iter().find(|(known, _)| *known == op) {
            return function;
        }
        let signature = self.b.import_signature(steps::signature(step));
        self.out.preserving.push(signature);
        let name = self.b.func.declare_imported_user_function(steps::name(op));
        let name = ExternalName::user(name);
        let function =
            self.b.import_function(ExtFuncData { name, signature, colocated: true, patchable: false });
        self.steps.push((op, function));
        function
    }

    fn crypto_call(&mut self, dst: Val, n: VecLen, op: Crypto, abc: [Val; 3]) {
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
