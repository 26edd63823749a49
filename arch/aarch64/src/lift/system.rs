//! System registers, barriers, cache maintenance, hints.

use super::Lifter;
use crate::decode::Insn;
use crate::features::{self, IdRegister};
use crate::state::{FPCR, FPSR, PSTATE, QC, TPIDR};
use crate::{fpenv, helpers};
use guest::ir::{Order, Val, VecLen, Width};

/// A system register that EL0 can name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SystemRegister {
    Nzcv,
    Fpcr,
    Fpsr,
    Tpidr,
    /// CNTVCT_EL0
    Counter,
    /// Reads as a constant, as hardware or the kernel's emulation (HWCAP_CPUID) has it.
    Fixed(Fixed),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fixed {
    Value(u64),
    Midr,
    Id(IdRegister),
}

/// CTR_EL0: 64-byte lines, IDC = DIC = 0, so that guests announce new code with IC IVAU.
const CTR: u64 = 0x8444_c004;
/// DCZID_EL0: DC ZVA clears 64 bytes.
const DCZID: u64 = 4;
const ZVA_BYTES: u64 = 64;
/// CNTFRQ_EL0: the counter counts nanoseconds.
const COUNTER_FREQUENCY: u64 = 1_000_000_000;
/// MPIDR_EL1 as the kernel shows it.
const MPIDR: u64 = 1 << 31;

/// The register that bits 20:5 name, as op0, op1, CRn, CRm, op2.
fn named(insn: Insn) -> Option<SystemRegister> {
    use SystemRegister as R;
    let place = (2 + insn.bits(19, 1), insn.bits(16, 3), insn.bits(12, 4), insn.bits(8, 4), insn.bits(5, 3));
    let fixed = match place {
        (3, 3, 4, 2, 0) => return Some(R::Nzcv),
        (3, 3, 4, 4, 0) => return Some(R::Fpcr),
        (3, 3, 4, 4, 1) => return Some(R::Fpsr),
        (3, 3, 13, 0, 2) => return Some(R::Tpidr),
        (3, 3, 14, 0, 2) => return Some(R::Counter),
        (3, 3, 14, 0, 0) => Fixed::Value(COUNTER_FREQUENCY),
        (3, 3, 0, 0, 1) => Fixed::Value(CTR),
        (3, 3, 0, 0, 7) => Fixed::Value(DCZID),
        // TPIDRRO_EL0, which the kernel keeps at zero.
        (3, 3, 13, 0, 3) => Fixed::Value(0),
        (3, 0, 0, 0, 0) => Fixed::Midr,
        (3, 0, 0, 0, 5) => Fixed::Value(MPIDR),
        (3, 0, 0, 0, 6) => Fixed::Value(0),
        (3, 0, 0, 4, 0) => Fixed::Id(IdRegister::Pfr0),
        (3, 0, 0, 4, 1) => Fixed::Id(IdRegister::Pfr1),
        (3, 0, 0, 6, 0) => Fixed::Id(IdRegister::Isar0),
        (3, 0, 0, 6, 1) => Fixed::Id(IdRegister::Isar1),
        (3, 0, 0, 6, 2) => Fixed::Id(IdRegister::Isar2),
        (3, 0, 0, 7, 0) => Fixed::Id(IdRegister::Mmfr0),
        (3, 0, 0, 7, 2) => Fixed::Id(IdRegister::Mmfr2),
        // ID_AA64DFR0_EL1: the debug architecture of Armv8.0, and nothing of it for user space.
        (3, 0, 0, 5, 0) => Fixed::Value(6),
        (3, 0, 0, 2..=7, _) => Fixed::Value(0),
        _ => return None,
    };
    Some(R::Fixed(fixed))
}

pub fn is_readable(insn: Insn) -> bool {
    named(insn).is_some()
}

pub fn is_writable(insn: Insn) -> bool {
    named(insn).is_some_and(|r| !matches!(r, SystemRegister::Fixed(_) | SystemRegister::Counter))
}

impl Lifter {
    pub fn nop(&mut self, _: Insn) {}

    pub fn clrex(&mut self, _: Insn) {
        self.ir.clear_ex();
    }

    /// `DMB`, `DSB`: bits 9:8 say which accesses are ordered.
    pub fn barrier(&mut self, insn: Insn) {
        self.ir.fence(match insn.bits(8, 2) {
            1 => Order::Acquire,
            2 => Order::Release,
            _ => Order::SeqCst,
        });
    }

    pub fn isb(&mut self, _: Insn) {
        self.resync();
    }

    /// Stores into code are noticed by themselves, but not those that come through another mapping of it. What follows
    /// must be looked up anew.
    pub fn ic_ivau(&mut self, insn: Insn) {
        let (addr, zero) = (self.x(insn.rd()), self.imm(0));
        self.ir.call_state(helpers::DROP_CODE, addr, zero, zero);
        self.resync();
    }

    /// Caches are coherent, but the address must be readable.
    pub fn dc_clean(&mut self, insn: Insn) {
        let addr = self.x(insn.rd());
        self.ir.load(Width::W8, Order::Relaxed, addr, 0);
    }

    pub fn dc_zva(&mut self, insn: Insn) {
        let (addr, mask) = (self.x(insn.rd()), self.imm(!(ZVA_BYTES - 1)));
        let line = self.ir.and(Width::W64, addr, mask);
        let zeros = self.ir.vimm(VecLen::X4, 0);
        self.ir.vstore(VecLen::X4, line, 0, zeros);
    }

    pub fn mrs(&mut self, insn: Insn) {
        let value = match named(insn) {
            Some(SystemRegister::Nzcv) => self.read_nzcv(),
            Some(SystemRegister::Fpcr) => self.ir.read_slot(FPCR),
            Some(SystemRegister::Fpsr) => self.read_fpsr(),
            Some(SystemRegister::Tpidr) => self.ir.read_slot(TPIDR),
            Some(SystemRegister::Counter) => {
                let zero = self.imm(0);
                self.ir.call_state(helpers::COUNTER, zero, zero, zero)
            }
            Some(SystemRegister::Fixed(fixed)) => {
                let value = match fixed {
                    Fixed::Value(value) => value,
                    Fixed::Midr => features::midr(self.features),
                    Fixed::Id(register) => features::id_register(register, self.features),
                };
                self.imm(value)
            }
            None => return,
        };
        self.set_x(insn.rd(), value);
    }

    pub fn msr(&mut self, insn: Insn) {
        let value = self.x(insn.rd());
        match named(insn) {
            Some(SystemRegister::Nzcv) => self.write_nzcv(value),
            Some(SystemRegister::Fpcr) => self.write_fpcr(value),
            Some(SystemRegister::Fpsr) => self.write_fpsr(value),
            Some(SystemRegister::Tpidr) => self.ir.write_slot(TPIDR, value),
            _ => {}
        }
    }

    /// SSBS or DIT: bit 12 or 24 of the register form, told apart by bit 5.
    const fn pstate_bit(insn: Insn) -> u8 {
        match (insn.bit(20), insn.bits(5, 2)) {
            (true, 1) | (false, 2) => 24,
            _ => 12,
        }
    }

    pub fn mrs_pstate(&mut self, insn: Insn) {
        let (bits, mask) = (self.ir.read_slot(PSTATE), self.imm(1 << Self::pstate_bit(insn)));
        let value = self.ir.and(Width::W64, bits, mask);
        self.set_x(insn.rd(), value);
    }

    /// With a constant (bit 20 clear) or a register.
    pub fn msr_pstate(&mut self, insn: Insn) {
        let place = Self::pstate_bit(insn);
        let bit = if insn.bit(20) {
            let value = self.x(insn.rd());
            self.ir.extract(place, 1, value)
        } else {
            self.imm(u64::from(insn.bits(8, 1)))
        };
        let old = self.ir.read_slot(PSTATE);
        let new = self.ir.deposit(place, 1, old, bit);
        self.ir.write_slot(PSTATE, new);
    }

    /// A random number; the flags say that there was one.
    pub fn rndr(&mut self, insn: Insn) {
        let zero = self.imm(0);
        let value = self.ir.call_state(helpers::RANDOM, zero, zero, zero);
        self.ir.put_flags(zero);
        self.set_x(insn.rd(), value);
    }

    fn read_nzcv(&mut self) -> Val {
        let flags = self.ir.get_flags();
        let nz = self.ir.extract(6, 2, flags);
        let v = self.ir.extract(11, 1, flags);
        let cv = self.ir.deposit(1, 1, v, flags);
        let nzcv = self.ir.deposit(2, 2, cv, nz);
        let place = self.imm(28);
        self.ir.shl(Width::W64, nzcv, place)
    }

    fn write_nzcv(&mut self, value: Val) {
        let nz = self.ir.extract(30, 2, value);
        let c = self.ir.extract(29, 1, value);
        let v = self.ir.extract(28, 1, value);
        let flags = self.ir.deposit(6, 2, c, nz);
        let flags = self.ir.deposit(11, 1, flags, v);
        self.ir.put_flags(flags);
    }

    fn read_fpsr(&mut self) -> Val {
        let environment = self.ir.fpenv_get();
        let (low, high) = (self.ir.read_slot(QC), self.ir.read_slot(QC.plus(8)));
        let qc = self.ir.or(Width::W64, low, high);
        let zero = self.imm(0);
        self.ir.call(helpers::FPSR_READ, environment, qc, zero)
    }

    /// The environment op comes last: it leaves the state's registers as written here.
    fn write_fpsr(&mut self, value: Val) {
        let fpcr = self.ir.read_slot(FPCR);
        let zero = self.imm(0);
        let environment = self.ir.call(helpers::FPSR_TO_ENVIRONMENT, value, fpcr, zero);
        let mask = self.imm(fpenv::FPSR_STICKY);
        let sticky = self.ir.and(Width::W64, value, mask);
        let qc = self.ir.extract(27, 1, value);
        self.ir.write_slot(FPSR, sticky);
        self.ir.write_slot(QC, qc);
        self.ir.write_slot(QC.plus(8), zero);
        self.ir.fpenv_set(environment);
        self.resync();
    }

    fn write_fpcr(&mut self, value: Val) {
        let old = self.ir.fpenv_get();
        let (mask, zero) = (self.imm(fpenv::FPCR_MASK), self.imm(0));
        let fpcr = self.ir.and(Width::W64, value, mask);
        let sticky = self.ir.call(helpers::FPSR_READ, old, zero, zero);
        let environment = self.ir.call(helpers::FPCR_TO_ENVIRONMENT, old, fpcr, zero);
        self.ir.write_slot(FPSR, sticky);
        self.ir.write_slot(FPCR, fpcr);
        self.ir.fpenv_set(environment);
        self.resync();
    }
}
