//! The vDSO's functions: each makes the real system call, so that rules and traces see it.

use guest::linux::{VdsoDescription, VdsoFunction};

/// `mov eax, number; syscall; ret`
macro_rules! calls {
    ($name:literal, $number:literal) => {
        VdsoFunction {
            name: $name,
            code: &[0xb8, $number as u8, ($number >> 8) as u8, 0, 0, 0x0f, 0x05, 0xc3],
        }
    };
}

static FUNCTIONS: &[VdsoFunction] = &[
    calls!("__vdso_clock_gettime", 228u16),
    calls!("__vdso_gettimeofday", 96u16),
    calls!("__vdso_time", 201u16),
    calls!("__vdso_getcpu", 309u16),
    calls!("__vdso_clock_getres", 229u16),
    calls!("clock_gettime", 228u16),
    calls!("gettimeofday", 96u16),
    calls!("time", 201u16),
    calls!("getcpu", 309u16),
    calls!("clock_getres", 229u16),
];

/// The vDSO as the kernel names and versions it.
pub(super) const fn description() -> VdsoDescription {
    VdsoDescription { soname: "linux-vdso.so.1", version: "LINUX_2.6", functions: FUNCTIONS, sigreturn: None }
}
