//! x87: every instruction is a helper call. Long doubles are rare, and the unit's stack, tags and
//! exceptions would take more IR than the call costs.

use super::{Handler, Lifter};
use crate::helpers::id;
use crate::helpers::x87::{OPS, arith, compare, format, image};
use crate::state::{X87_CONTROL, X87_STATUS};
use guest::helper::X87Op;
use guest::ir::{Cond, HelperId, Val, Width};
use guest::state::Slot;
use iced_x86::{Instruction, MemorySize, Mnemonic as M, OpKind};

pub(super) fn lookup(insn: &Instruction) -> Option<Handler> {
    transfer(insn)
        .or_else(|| arithmetic(insn))
        .or_else(|| comparison(insn))
        .or_else(|| operation(insn))
        .or_else(|| control(insn))
}

fn transfer(insn: &Instruction) -> Option<Handler> {
    Some(match insn.mnemonic() {
        M::Fld if insn.op0_kind() == OpKind::Memory => Lifter::x87_load,
        M::Fld => |l| l.x87_register(id::X87_LOAD_REGISTER, 0, 0),
        M::Fild | M::Fbld => Lifter::x87_load,
        M::Fst if insn.op0_kind() == OpKind::Memory => |l| l.x87_store(0),
        M::Fstp if insn.op0_kind() == OpKind::Memory => |l| l.x87_store(1),
        M::Fst => |l| l.x87_register(id::X87_STORE_REGISTER, 0, 0),
        M::Fstp => |l| l.x87_register(id::X87_STORE_REGISTER, 0, 1),
        M::Fstpnce => |l| l.x87_register(id::X87_STORE_REGISTER, 0, 2),
        M::Fist => |l| l.x87_store(0),
        M::Fistp | M::Fbstp => |l| l.x87_store(1),
        M::Fisttp => |l| l.x87_store(3),
        M::Fld1 => |l| l.x87_plain(id::X87_LOAD_CONSTANT, 0),
        M::Fldl2t => |l| l.x87_plain(id::X87_LOAD_CONSTANT, 1),
        M::Fldl2e => |l| l.x87_plain(id::X87_LOAD_CONSTANT, 2),
        M::Fldpi => |l| l.x87_plain(id::X87_LOAD_CONSTANT, 3),
        M::Fldlg2 => |l| l.x87_plain(id::X87_LOAD_CONSTANT, 4),
        M::Fldln2 => |l| l.x87_plain(id::X87_LOAD_CONSTANT, 5),
        M::Fldz => |l| l.x87_plain(id::X87_LOAD_CONSTANT, 6),
        M::Fxch => |l| l.x87_register(id::X87_EXCHANGE, 1, 0),
        M::Fcmovb => |l| l.x87_move_if(Cond::Cs),
        M::Fcmovnb => |l| l.x87_move_if(Cond::Cc),
        M::Fcmove => |l| l.x87_move_if(Cond::Eq),
        M::Fcmovne => |l| l.x87_move_if(Cond::Ne),
        M::Fcmovbe => |l| l.x87_move_if(Cond::Be),
        M::Fcmovnbe => |l| l.x87_move_if(Cond::Nbe),
        M::Fcmovu => |l| l.x87_move_if(Cond::Pe),
        M::Fcmovnu => |l| l.x87_move_if(Cond::Po),
        _ => return None,
    })
}

fn arithmetic(insn: &Instruction) -> Option<Handler> {
    Some(match insn.mnemonic() {
        M::Fadd | M::Fiadd => |l| l.x87_arithmetic(arith::ADD, 0),
        M::Fmul | M::Fimul => |l| l.x87_arithmetic(arith::MUL, 0),
        M::Fsub | M::Fisub => |l| l.x87_arithmetic(arith::SUB, 0),
        M::Fsubr | M::Fisubr => |l| l.x87_arithmetic(arith::SUBR, 0),
        M::Fdiv | M::Fidiv => |l| l.x87_arithmetic(arith::DIV, 0),
        M::Fdivr | M::Fidivr => |l| l.x87_arithmetic(arith::DIVR, 0),
        M::Faddp => |l| l.x87_arithmetic(arith::ADD, 1),
        M::Fmulp => |l| l.x87_arithmetic(arith::MUL, 1),
        M::Fsubp => |l| l.x87_arithmetic(arith::SUB, 1),
        M::Fsubrp => |l| l.x87_arithmetic(arith::SUBR, 1),
        M::Fdivp => |l| l.x87_arithmetic(arith::DIV, 1),
        M::Fdivrp => |l| l.x87_arithmetic(arith::DIVR, 1),
        _ => return None,
    })
}

fn comparison(insn: &Instruction) -> Option<Handler> {
    use compare::{TO_EFLAGS, UNORDERED};
    Some(match insn.mnemonic() {
        M::Fcom | M::Ficom => |l| l.x87_compare(0),
        M::Fcomp | M::Ficomp => |l| l.x87_compare(1),
        M::Fcompp => |l| l.x87_compare(2),
        M::Fucom => |l| l.x87_compare(UNORDERED),
        M::Fucomp => |l| l.x87_compare(UNORDERED | 1),
        M::Fucompp => |l| l.x87_compare(UNORDERED | 2),
        M::Fcomi => |l| l.x87_compare(TO_EFLAGS),
        M::Fcomip => |l| l.x87_compare(TO_EFLAGS | 1),
        M::Fucomi => |l| l.x87_compare(TO_EFLAGS | UNORDERED),
        M::Fucomip => |l| l.x87_compare(TO_EFLAGS | UNORDERED | 1),
        M::Ftst => |l| l.x87_plain(id::X87_TEST, 0),
        M::Fxam => |l| l.x87_plain(id::X87_EXAMINE, 0),
        _ => return None,
    })
}

fn operation(insn: &Instruction) -> Option<Handler> {
    Some(match insn.mnemonic() {
        M::Fsqrt => |l| l.x87_operate(X87Op::Sqrt),
        M::Frndint => |l| l.x87_operate(X87Op::Rndint),
        M::Fscale => |l| l.x87_operate(X87Op::Scale),
        M::Fprem => |l| l.x87_operate(X87Op::Prem),
        M::Fprem1 => |l| l.x87_operate(X87Op::Prem1),
        M::F2xm1 => |l| l.x87_operate(X87Op::F2xm1),
        M::Fyl2x => |l| l.x87_operate(X87Op::Fyl2x),
        M::Fyl2xp1 => |l| l.x87_operate(X87Op::Fyl2xp1),
        M::Fpatan => |l| l.x87_operate(X87Op::Fpatan),
        M::Fptan => |l| l.x87_operate(X87Op::Fptan),
        M::Fsin => |l| l.x87_operate(X87Op::Fsin),
        M::Fcos => |l| l.x87_operate(X87Op::Fcos),
        M::Fsincos => |l| l.x87_operate(X87Op::Fsincos),
        M::Fxtract => |l| l.x87_operate(X87Op::Fxtract),
        M::Fabs => |l| l.x87_plain(id::X87_SIGN, 0),
        M::Fchs => |l| l.x87_plain(id::X87_SIGN, 1),
        M::Ffree => |l| l.x87_register(id::X87_STACK_MOVE, 0, 0),
        M::Ffreep => |l| l.x87_register(id::X87_STACK_MOVE, 0, 1),
        M::Fincstp => |l| l.x87_plain(id::X87_STACK_MOVE, 2 << 8),
        M::Fdecstp => |l| l.x87_plain(id::X87_STACK_MOVE, 3 << 8),
        _ => return None,
    })
}

fn control(insn: &Instruction) -> Option<Handler> {
    use iced_x86::Code as C;
    Some(match insn.mnemonic() {
        M::Fninit | M::Finit => |l| l.x87_plain(id::X87_CONTROL_OP, 0),
        // 8087 and 80287 controls: nothing since.
        M::Fneni | M::Fndisi | M::Fnsetpm => |_| {},
        M::Fnclex | M::Fclex => |l| l.x87_plain(id::X87_CONTROL_OP, 1),
        M::Wait | M::Fnop => |l| l.x87_plain(id::X87_CONTROL_OP, 2),
        M::Fnstcw | M::Fstcw => |l| l.x87_store_word(X87_CONTROL),
        M::Fnstsw | M::Fstsw => |l| l.x87_store_word(X87_STATUS),
        M::Fldcw => |l| l.x87_memory(id::X87_LOAD_CONTROL, 0),
        M::Emms => |l| l.x87_plain(id::LEAVE_MMX, 0),
        _ => match insn.code() {
            C::Fnstenv_m28byte | C::Fstenv_m28byte => |l| l.x87_memory(id::X87_SAVE, 0),
            C::Fnsave_m108byte | C::Fsave_m108byte => |l| l.x87_memory(id::X87_SAVE, image::REGISTERS),
            C::Fldenv_m28byte => |l| l.x87_memory(id::X87_RESTORE, 0),
            C::Frstor_m108byte => |l| l.x87_memory(id::X87_RESTORE, image::REGISTERS),
            C::Fnstenv_m14byte | C::Fstenv_m14byte => |l| l.x87_memory(id::X87_SAVE, image::NARROW),
            C::Fnsave_m94byte | C::Fsave_m94byte => {
                |l| l.x87_memory(id::X87_SAVE, image::NARROW | image::REGISTERS)
            }
            C::Fldenv_m14byte => |l| l.x87_memory(id::X87_RESTORE, image::NARROW),
            C::Frstor_m94byte => |l| l.x87_memory(id::X87_RESTORE, image::NARROW | image::REGISTERS),
            _ => return None,
        },
    })
}

/// The helpers' number of an operand format.
fn format_code(size: MemorySize) -> u64 {
    match size {
        MemorySize::Float32 => format::F32,
        MemorySize::Float64 => format::F64,
        MemorySize::Int16 => format::I16,
        MemorySize::Int32 => format::I32,
        MemorySize::Int64 => format::I64,
        MemorySize::Bcd => format::BCD,
        _ => format::F80,
    }
}

impl Lifter {
    fn x87_call(&mut self, helper: HelperId, how: u64, b: Val) {
        let (how, pc) = (self.ir.imm(how), self.ir.imm(self.here().0));
        self.call_state(helper, how, b, pc);
    }

    fn x87_plain(&mut self, helper: HelperId, how: u64) {
        let zero = self.ir.imm(0);
        self.x87_call(helper, how, zero);
    }

    /// A helper that takes the memory operand's address.
    fn x87_memory(&mut self, helper: HelperId, how: u64) {
        let mem = self.address();
        let addr = self.flat(mem);
        self.x87_call(helper, how, addr);
    }

    fn x87_index(&self, op: u32) -> u64 {
        self.reg(op).number() as u64 & 7
    }

    /// A helper that takes a register index, and something of its own above it.
    fn x87_register(&mut self, helper: HelperId, op: u32, more: u64) {
        let op = op.min(self.insn.op_count().saturating_sub(1));
        // FLD st(0), st(i) and FST st(i) have their register where iced shows it last or alone.
        let op = if helper == id::X87_LOAD_REGISTER { self.insn.op_count() - 1 } else { op };
        let how = self.x87_index(op) | more << 8;
        self.x87_plain(helper, how);
    }

    fn x87_load(&mut self) {
        self.x87_memory(id::X87_LOAD, format_code(self.insn.memory_size()));
    }

    /// Bit 0 of `how` pops, bit 1 truncates.
    fn x87_store(&mut self, how: u64) {
        self.x87_memory(id::X87_STORE, format_code(self.insn.memory_size()) | how << 8);
    }

    fn x87_arithmetic(&mut self, op: u64, pop: u64) {
        if self.is_mem(0) {
            let how = format_code(self.insn.memory_size()) | op << 8;
            return self.x87_memory(id::X87_ARITHMETIC_MEMORY, how);
        }
        let how = self.x87_index(1) | op << 8 | self.x87_index(0) << 16 | pop << 24;
        self.x87_plain(id::X87_ARITHMETIC, how);
    }

    fn x87_compare(&mut self, how: u64) {
        if self.is_mem(0) {
            let how = format_code(self.insn.memory_size()) | how << 8;
            return self.x87_memory(id::X87_COMPARE_MEMORY, how);
        }
        let index = if self.insn.op_count() == 2 { self.x87_index(1) } else { 1 };
        self.x87_plain(id::X87_COMPARE, index | how << 8);
    }

    fn x87_operate(&mut self, op: X87Op) {
        let number = OPS.iter().position(|&o| o == op).unwrap_or(0);
        self.x87_plain(id::X87_OPERATE, number as u64);
    }

    fn x87_move_if(&mut self, cc: Cond) {
        let holds = self.condition(cc);
        self.x87_call(id::X87_MOVE_IF, self.x87_index(1), holds);
    }

    /// `FNSTCW`, `FNSTSW`
    fn x87_store_word(&mut self, slot: Slot) {
        let value = self.ir.read_slot_w(Width::W16, slot);
        self.write(0, value);
    }
}
