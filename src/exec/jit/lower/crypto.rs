//! Steps of ciphers and hashes: the host's instructions, or calls of portable code with the vectors in registers. And
//! prefetches, which are made like the former.

use super::Lowering;
use crate::exec::jit::entry;
use crate::exec::jit::steps::{self, Step};
use crate::host::crypto;
use cranelift_codegen::ir::{self, AbiParam, ExtFuncData, ExternalName, InstBuilder, Signature, types};
use cranelift_codegen::isa::CallConv;
use guest::ir::{Crypto, Locality, Val, VecLen};

fn signature() -> Signature {
    let mut signature = Signature::new(CallConv::SystemV);
    signature.params.extend([AbiParam::new(types::I8X16); 3]);
    signature.returns.push(AbiParam::new(types::I8X16));
    signature
}

impl Lowering<'_, '_> {
    pub(super) fn crypto_step(&mut self, dst: Val, n: VecLen, op: Crypto, abc: [Val; 3]) {
        let step = Step::Crypto(op);
        let Some(instruction) = step.instruction() else { return self.crypto_call(dst, n, op, abc) };
        for unit in 0..n.units() {
            let operands = abc.map(|v| self.unit(v, unit));
            let value = self.host_step(step, &instruction, &operands);
            self.set_unit(dst, unit, value);
        }
    }

    /// The host's instruction on these vectors.
    pub(super) fn host_step(
        &mut self,
        step: Step,
        instruction: &crypto::Instruction,
        vectors: &[ir::Value],
    ) -> ir::Value {
        let function = self.instruction(step, || steps::signature(instruction));
        let operands: Vec<_> = instruction.operands.iter().map(|&i| vectors[i]).collect();
        let call = self.b.ins().call(function, &operands);
        self.b.inst_results(call)[instruction.result]
    }

    /// What stands for the host's instruction, the same for all steps of this kind.
    fn instruction(&mut self, step: Step, signature: impl FnOnce() -> Signature) -> ir::FuncRef {
        if let Some(&(_, function)) = self.steps.iter().find(|(known, _)| *known == step) {
            return function;
        }
        let signature = self.b.import_signature(signature());
        self.out.preserving.push(signature);
        let name = self.b.func.declare_imported_user_function(steps::name(step));
        let name = ExternalName::user(name);
        let function =
            self.b.import_function(ExtFuncData { name, signature, colocated: true, patchable: false });
        self.steps.push((step, function));
        function
    }

    /// Asks for the cache line at an address.
    pub(super) fn guest_prefetch(&mut self, how: Locality, addr: Val, off: i32) {
        let function = self.instruction(Step::Prefetch(how), steps::prefetch_signature);
        let address = self.int(addr);
        let address = if off == 0 { address } else { self.b.ins().iadd_imm_s(address, i64::from(off)) };
        self.b.ins().call(function, &[address]);
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
