//! Moves, arithmetic and logic on integers.

use super::operand::Place;
use super::{Handler, Lifter};
use guest::ir::{Cond, FlagKind, IntCc, Order, Reads, RmwOp, Val, Width};
use iced_x86::{Instruction, Mnemonic as M, Register};

pub(super) fn lookup(insn: &Instruction) -> Option<Handler> {
    Some(match insn.mnemonic() {
        M::Mov => mov_handler(insn)?,
        M::Lea => Lifter::lea,
        M::Add => |l| l.binary(Binary::Add),
        M::Sub => |l| l.binary(Binary::Sub),
        M::And => |l| l.binary(Binary::And),
        M::Or => |l| l.binary(Binary::Or),
        M::Xor => |l| l.binary(Binary::Xor),
        M::Adc => |l| l.binary(Binary::Adc),
        M::Sbb => |l| l.binary(Binary::Sbb),
        M::Cmp => Lifter::cmp,
        M::Test => Lifter::test,
        M::Inc => |l| l.step(Step::Inc),
        M::Dec => |l| l.step(Step::Dec),
        M::Neg => Lifter::neg,
        M::Not => Lifter::not,
        M::Movzx => Lifter::movzx,
        M::Movsx | M::Movsxd => Lifter::movsx,
        M::Movnti => Lifter::mov,
        M::Movbe => Lifter::movbe,
        M::Cbw => |l| l.widen_acc(Width::W8, Register::AX),
        M::Cwde => |l| l.widen_acc(Width::W16, Register::EAX),
        M::Cdqe => |l| l.widen_acc(Width::W32, Register::RAX),
        M::Cwd => |l| l.sign_of_acc(Width::W16, Register::DX),
        M::Cdq => |l| l.sign_of_acc(Width::W32, Register::EDX),
        M::Cqo => |l| l.sign_of_acc(Width::W64, Register::RDX),
        M::Bswap => Lifter::bswap,
        _ => return None,
    })
}

/// `MOV` also reaches segment, control and debug registers.
fn mov_handler(insn: &Instruction) -> Option<Handler> {
    let special = |op| {
        let reg = insn.op_register(op);
        reg.is_segment_register() || reg.is_cr() || reg.is_dr() || reg.is_tr()
    };
    if special(0) || special(1) { None } else { Some(Lifter::mov) }
}

/// The two-operand operations that share one shape.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Binary {
    Add,
    Sub,
    And,
    Or,
    Xor,
    Adc,
    Sbb,
}

impl Binary {
    const fn flags(self) -> FlagKind {
        match self {
            Self::Add => FlagKind::Add,
            Self::Sub => FlagKind::Sub,
            Self::And | Self::Or | Self::Xor => FlagKind::Logic,
            Self::Adc => FlagKind::Adc,
            Self::Sbb => FlagKind::Sbb,
        }
    }

    const fn rmw(self) -> RmwOp {
        match self {
            Self::Add | Self::Adc => RmwOp::Add,
            Self::Sub | Self::Sbb => RmwOp::Sub,
            Self::And => RmwOp::And,
            Self::Or => RmwOp::Or,
            Self::Xor => RmwOp::Xor,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Inc,
    Dec,
}

impl Lifter {
    // ---- flags, as handlers set them ----

    /// Records how flags were set.
    pub(super) fn set_flags(&mut self, kind: FlagKind, w: Width, a: Val, b: Val, r: Val) {
        self.carry = None;
        self.ir.set_flags(kind, w, a, b, r);
    }

    pub(super) fn put_flags(&mut self, packed: Val) {
        self.carry = None;
        self.ir.put_flags(packed);
    }

    /// The flags but for carry and overflow, packed, and these two as 0 or 1.
    pub(super) fn parted_flags(&mut self) -> [Val; 3] {
        let [others, carry, overflow] = self.ir.parted_flags();
        [others, self.carry.unwrap_or(carry), overflow]
    }

    pub(super) fn put_parted_flags(&mut self, flags: [Val; 3]) {
        self.ir.put_parted_flags(flags);
        self.carry = Some(flags[1]);
    }

    /// 1 where the condition holds, else 0.
    pub(super) fn condition(&mut self, cc: Cond) -> Val {
        let carry = self.carry.filter(|_| matches!(cc, Cond::Cs | Cond::Cc));
        if carry.is_some() {
            self.ir.reads(Reads::FLAGS);
        }
        match (carry, cc) {
            (Some(carry), Cond::Cs) => carry,
            (Some(carry), _) => {
                let one = self.ir.imm(1);
                self.ir.xor(Width::W64, carry, one)
            }
            _ => self.ir.condition(cc),
        }
    }

    pub(super) fn carry_in(&mut self) -> Val {
        self.condition(Cond::Cs)
    }

    // ---- moves ----

    /// `MOV dst, src`
    fn mov(&mut self) {
        let value = self.read_clean(1);
        self.write(0, value);
    }

    /// `LEA dst, [mem]`: no memory is accessed and segments do not count.
    fn lea(&mut self) {
        let w = self.width(0);
        let address = self.effective_address(if w == Width::W32 { w } else { Width::W64 });
        self.write_reg(self.reg(0), address);
    }

    /// `MOVZX dst, src`
    fn movzx(&mut self) {
        let value = self.read_clean(1);
        self.write(0, value);
    }

    /// `MOVSX dst, src`, `MOVSXD`
    fn movsx(&mut self) {
        let (from, to) = (self.width(1), self.width(0));
        let value = self.read(1);
        let wide = self.ir.sext(from, value);
        let clean = if to == Width::W32 { self.ir.zext(to, wide) } else { wide };
        self.write(0, clean);
    }

    /// `MOVBE`: a move that reverses the bytes.
    fn movbe(&mut self) {
        let (w, value) = (self.width(0), self.read(1));
        let swapped = self.ir.bswap(w, value);
        self.write(0, swapped);
    }

    /// `BSWAP r`; on a 16-bit register the result is undefined, processors give 0.
    fn bswap(&mut self) {
        let w = self.width(0);
        let value = self.read(0);
        let swapped = if w == Width::W16 { self.ir.imm(0) } else { self.ir.bswap(w, value) };
        self.write(0, swapped);
    }

    /// `CBW`, `CWDE`, `CDQE`
    fn widen_acc(&mut self, from: Width, to: Register) {
        let value = self.read_reg(Register::RAX);
        let wide = self.ir.sext(from, value);
        let clean = if to == Register::EAX { self.ir.zext(Width::W32, wide) } else { wide };
        self.write_reg(to, clean);
    }

    /// `CWD`, `CDQ`, `CQO`: rdx is the sign of rax.
    fn sign_of_acc(&mut self, w: Width, to: Register) {
        let value = self.read_reg(Register::RAX);
        let bits = self.ir.imm(u64::from(w.bits()) - 1);
        let sign = self.ir.sar(w, value, bits);
        self.write_reg(to, sign);
    }

    // ---- arithmetic ----

    /// `ADD`, `SUB`, `AND`, `OR`, `XOR`, `ADC`, `SBB`
    fn binary(&mut self, op: Binary) {
        if self.insn.has_lock_prefix() {
            return self.binary_locked(op);
        }
        if self.same_regs(0, 1) && matches!(op, Binary::Sub | Binary::Xor) {
            return self.zero_idiom();
        }
        let w = self.width(0);
        let place = self.place(0);
        let a = self.get_place(place, w);
        let b = self.read(1);
        let r = self.combine(op, w, a, b);
        self.put_place(place, w, r);
        self.set_binary_flags(op, w, a, b, r);
    }

    fn combine(&mut self, op: Binary, w: Width, a: Val, b: Val) -> Val {
        match op {
            Binary::Add => self.ir.add(w, a, b),
            Binary::Sub => self.ir.sub(w, a, b),
            Binary::And => self.ir.and(w, a, b),
            Binary::Or => self.ir.or(w, a, b),
            Binary::Xor => self.ir.xor(w, a, b),
            Binary::Adc => {
                let carry = self.carry_in();
                let sum = self.ir.add(w, a, b);
                self.ir.add(w, sum, carry)
            }
            Binary::Sbb => {
                let carry = self.carry_in();
                let difference = self.ir.sub(w, a, b);
                self.ir.sub(w, difference, carry)
            }
        }
    }

    fn set_binary_flags(&mut self, op: Binary, w: Width, a: Val, b: Val, r: Val) {
        match op.flags() {
            FlagKind::Logic => self.set_flags(FlagKind::Logic, w, r, r, r),
            kind => self.set_flags(kind, w, a, b, r),
        }
    }

    /// `XOR r, r` and `SUB r, r`.
    fn zero_idiom(&mut self) {
        let (w, zero) = (self.width(0), self.ir.imm(0));
        self.write(0, zero);
        self.set_flags(FlagKind::Logic, w, zero, zero, zero);
    }

    fn binary_locked(&mut self, op: Binary) {
        let (w, b) = (self.width(0), self.read(1));
        let mem = self.address();
        let addr = self.flat(mem);
        let operand = match op {
            Binary::Adc | Binary::Sbb => {
                let carry = self.carry_in();
                self.ir.add(w, b, carry)
            }
            _ => b,
        };
        let old = self.ir.rmw(op.rmw(), w, Order::SeqCst, addr, operand);
        let r = match op {
            Binary::Adc => self.ir.add(w, old, operand),
            Binary::Sbb => self.ir.sub(w, old, operand),
            _ => self.combine(op, w, old, b),
        };
        self.set_binary_flags(op, w, old, b, r);
    }

    /// `CMP a, b`
    fn cmp(&mut self) {
        let w = self.width(0);
        let (a, b) = (self.read(0), self.read(1));
        let r = self.ir.sub(w, a, b);
        self.set_flags(FlagKind::Sub, w, a, b, r);
    }

    /// `TEST a, b`
    fn test(&mut self) {
        let w = self.width(0);
        let a = self.read(0);
        let r = if self.same_regs(0, 1) {
            a
        } else {
            let b = self.read(1);
            self.ir.and(w, a, b)
        };
        self.set_flags(FlagKind::Logic, w, r, r, r);
    }

    /// `INC`, `DEC`: the carry stays.
    fn step(&mut self, step: Step) {
        let w = self.width(0);
        let (one, carry) = (self.ir.imm(1), self.carry_in());
        let (kind, rmw) = match step {
            Step::Inc => (FlagKind::Inc, RmwOp::Add),
            Step::Dec => (FlagKind::Dec, RmwOp::Sub),
        };
        let place = self.place(0);
        let locked = self.insn.has_lock_prefix();
        let a = match place {
            Place::Mem(mem) if locked => {
                let addr = self.flat(mem);
                self.ir.rmw(rmw, w, Order::SeqCst, addr, one)
            }
            _ => self.get_place(place, w),
        };
        let r = match step {
            Step::Inc => self.ir.add(w, a, one),
            Step::Dec => self.ir.sub(w, a, one),
        };
        if !locked {
            self.put_place(place, w, r);
        }
        self.set_flags(kind, w, a, carry, r);
        self.carry = Some(carry);
    }

    /// `NEG`
    fn neg(&mut self) {
        if self.insn.has_lock_prefix() {
            return self.neg_locked();
        }
        let (w, zero) = (self.width(0), self.ir.imm(0));
        let place = self.place(0);
        let a = self.get_place(place, w);
        let r = self.ir.neg(w, a);
        self.put_place(place, w, r);
        self.set_flags(FlagKind::Sub, w, zero, a, r);
    }

    /// `NOT` sets no flags.
    fn not(&mut self) {
        let w = self.width(0);
        let place = self.place(0);
        if let (Place::Mem(mem), true) = (place, self.insn.has_lock_prefix()) {
            let (addr, ones) = (self.flat(mem), self.ir.imm(w.mask()));
            self.ir.rmw(RmwOp::Xor, w, Order::SeqCst, addr, ones);
            return;
        }
        let a = self.get_place(place, w);
        let r = self.ir.not(w, a);
        self.put_place(place, w, r);
    }

    // ---- small things others use ----

    /// `a == 0` as 0 or 1.
    pub(super) fn is_zero(&mut self, w: Width, a: Val) -> Val {
        let zero = self.ir.imm(0);
        self.ir.icmp(IntCc::Eq, w, a, zero)
    }
}
