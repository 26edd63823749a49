//! Guest memory: plain accesses and atomics as host instructions, the rest in the interpreter's code.
//!
//! Every access may fault, and then goes back to a commit point (see [`crate::exec::jit::commit`]). Every access has
//! a `sequence_point` before it, so that Cranelift neither merges nor moves it, and loads have one behind
//! them: folded into an instruction that Cranelift has rewritten, a load would fault where no source location
//! says which guest instruction it is of.

use super::values::int_type;
use super::{Back, Lowering};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{self, AtomicRmwOp, InstBuilder, MemFlagsData, types};
use guest::Access;
use guest::ir::{Order, RmwOp, Val, VecLen, Width};

const PAGE: u64 = 4096;

/// Guest memory: any alignment, may trap.
const GUEST: MemFlagsData = MemFlagsData::new();

impl Lowering<'_, '_> {
    /// What stands before a guest access.
    fn access(&mut self, access: Access) {
        self.b.ins().sequence_point();
        self.set_access(access);
    }

    /// What stands behind a guest access.
    fn accessed(&mut self) {
        self.set_access(Access::Read);
        if self.back == Back::Own {
            self.mark_way_out();
        }
    }

    /// The address of an access, and an offset to it: where the instruction has made the address itself by adding a
    /// constant, what that was added to. Then the sum, which goes on as the register's new value, need not be made before
    /// the access, and may take its place behind.
    fn address(&mut self, addr: Val, off: i32) -> (ir::Value, i32) {
        let address = self.int(addr);
        let (base, by) = self.offset(address);
        match i32::try_from(by + i64::from(off)) {
            Ok(sum) if self.is_of_insn(address) => (base, sum),
            _ => (address, off),
        }
    }

    /// Whether the value was made for the instruction at hand.
    fn is_of_insn(&self, value: ir::Value) -> bool {
        self.b.func.dfg.resolve_aliases(value).as_u32() >= self.first_value
    }

    pub(super) fn guest_load(&mut self, dst: Val, w: Width, addr: Val, off: i32) {
        let (address, off) = self.address(addr, off);
        self.access(Access::Read);
        let float = self.floats.contains(dst) && w.bits() >= 32;
        let ty = match w {
            Width::W64 if float => types::F64,
            _ if float => types::F32,
            _ => int_type(w),
        };
        let value = self.b.ins().load(ty, GUEST, address, off);
        self.accessed();
        self.b.ins().sequence_point();
        if float { self.set_float(dst, value) } else { self.set_narrow(dst, value) }
    }

    pub(super) fn guest_store(&mut self, w: Width, ord: Order, addr: Val, off: i32, a: Val) {
        let (address, off) = self.address(addr, off);
        let value = match self.whole_float(w, a) {
            Some(float) if w.bits() >= 32 => float,
            _ => self.narrow(w, a),
        };
        self.access(Access::Write);
        self.b.ins().store(GUEST, value, address, off);
        self.accessed();
        if ord == Order::SeqCst {
            self.b.ins().fence();
        }
    }

    pub(super) fn guest_vload(&mut self, dst: Val, n: VecLen, addr: Val, off: i32) {
        let (address, off) = self.address(addr, off);
        for unit in 0..n.units() {
            self.access(Access::Read);
            // The last unit's end may be 2^31 further on than the offset can say.
            let value = match off.checked_add(16 * unit as i32) {
                Some(at) => self.b.ins().load(types::I8X16, GUEST, address, at),
                None => {
                    let further = self.b.ins().iadd_imm_s(address, 16 * unit as i64);
                    self.b.ins().load(types::I8X16, GUEST, further, off)
                }
            };
            self.accessed();
            self.set_unit(dst, unit, value);
        }
        self.b.ins().sequence_point();
    }

    pub(super) fn guest_vstore(&mut self, n: VecLen, addr: Val, off: i32, a: Val) {
        if n != VecLen::X1 {
            return self.long_vstore(n, addr, off, a);
        }
        let (address, off) = self.address(addr, off);
        let value = self.unit(a, 0);
        self.access(Access::Write);
        self.b.ins().store(GUEST, value, address, off);
        self.accessed();
    }

    /// Within one page only the first of several stores can fault; across two the interpreter tries both first.
    fn long_vstore(&mut self, n: VecLen, addr: Val, off: i32, a: Val) {
        let address = self.int(addr);
        let address = if off == 0 { address } else { self.b.ins().iadd_imm_s(address, i64::from(off)) };
        let values: Vec<_> = (0..n.units()).map(|unit| self.unit(a, unit)).collect();
        if self.is_aligned(address, 16 * n.units() as u64) {
            return self.store_units(address, &values);
        }
        let mask = self.iconst(PAGE - 1);
        let offset = self.b.ins().band(address, mask);
        let last = self.iconst(PAGE - 16 * n.units() as u64);
        let inside = self.b.ins().icmp(IntCC::UnsignedLessThanOrEqual, offset, last);
        self.prepare_operands();
        let (near, far, join) = (self.b.create_block(), self.b.create_block(), self.b.create_block());
        self.b.set_cold_block(far);
        // As arguments, so that the values are computed before the branch, and not on each side and behind it again.
        let arguments: Vec<_> = values.iter().map(|&value| value.into()).collect();
        let values: Vec<_> = values.iter().map(|_| self.b.append_block_param(near, types::I8X16)).collect();
        self.b.ins().brif(inside, near, &arguments, far, &[]);
        self.seal(&[near, far]);
        self.b.switch_to_block(far);
        self.slow();
        self.b.ins().jump(join, &[]);
        self.b.switch_to_block(near);
        self.store_units(address, &values);
        self.b.ins().jump(join, &[]);
        self.seal(&[join]);
        self.b.switch_to_block(join);
    }

    fn store_units(&mut self, address: ir::Value, values: &[ir::Value]) {
        for (&value, at) in values.iter().zip((0..).step_by(16)) {
            self.access(Access::Write);
            self.b.ins().store(GUEST, value, address, at);
            self.accessed();
        }
    }

    pub(super) fn guest_rmw(&mut self, dst: Val, op: RmwOp, w: Width, addr: Val, a: Val) {
        let address = self.int(addr);
        let operand = self.narrow(w, a);
        let (op, operand) = match op {
            RmwOp::Xchg => (AtomicRmwOp::Xchg, operand),
            RmwOp::Add => (AtomicRmwOp::Add, operand),
            RmwOp::Sub => (AtomicRmwOp::Sub, operand),
            RmwOp::And => (AtomicRmwOp::And, operand),
            RmwOp::Or => (AtomicRmwOp::Or, operand),
            RmwOp::Xor => (AtomicRmwOp::Xor, operand),
            RmwOp::AndNot => (AtomicRmwOp::And, self.b.ins().bnot(operand)),
            RmwOp::Smin => (AtomicRmwOp::Smin, operand),
            RmwOp::Smax => (AtomicRmwOp::Smax, operand),
            RmwOp::Umin => (AtomicRmwOp::Umin, operand),
            RmwOp::Umax => (AtomicRmwOp::Umax, operand),
        };
        self.access(Access::Write);
        let old = self.b.ins().atomic_rmw(int_type(w), GUEST, op, address, operand);
        self.set_access(Access::Read);
        self.set_narrow(dst, old);
    }

    pub(super) fn guest_cas(&mut self, dst: Val, w: Width, addr: Val, expected: Val, new: Val) {
        let address = self.int(addr);
        let (expected, new) = (self.narrow(w, expected), self.narrow(w, new));
        self.access(Access::Write);
        let old = self.b.ins().atomic_cas(GUEST, address, expected, new);
        self.set_access(Access::Read);
        self.set_narrow(dst, old);
    }

    /// On this host only a full fence is an instruction; the compiler must keep every order.
    pub(super) fn guest_fence(&mut self, ord: Order) {
        let _: ir::Inst = match ord {
            Order::SeqCst | Order::AcqRel => self.b.ins().fence(),
            _ => self.b.ins().sequence_point(),
        };
    }
}
