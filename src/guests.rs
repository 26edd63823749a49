//! The guest architectures: the one place of the engine that names them.

use guest::arch::GuestArch;

/// Every architecture that this build can run.
pub static ALL: &[&dyn GuestArch] = &[&arch_x86_64::X86_64, &arch_aarch64::AARCH64];

/// The architecture of that name.
#[must_use]
pub fn by_name(name: &str) -> Option<&'static dyn GuestArch> {
    ALL.iter().copied().find(|arch| arch.name() == name)
}

/// The architecture of ELF files with this `e_machine`.
#[must_use]
pub fn by_machine(machine: u16) -> Option<&'static dyn GuestArch> {
    ALL.iter().copied().find(|arch| arch.elf_machine() == machine)
}

/// `e_machine` of programs that the host runs.
#[must_use]
pub fn host_machine() -> Option<u16> {
    by_name(std::env::consts::ARCH).map(|arch| arch.elf_machine())
}

/// The host's own system call numbers.
#[must_use]
pub fn host_syscalls() -> &'static [(u32, &'static str)] {
    by_name(std::env::consts::ARCH).map_or(&[], |arch| arch.linux().syscall_table())
}
