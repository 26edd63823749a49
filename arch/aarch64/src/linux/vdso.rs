//! The vDSO's functions: each makes the real system call, so that rules see it.

use guest::linux::{VdsoDescription, VdsoFunction};

const CLOCK_GETTIME: u32 = 113;
const CLOCK_GETRES: u32 = 114;
const RT_SIGRETURN: u32 = 139;
const GETTIMEOFDAY: u32 = 169;

/// `mov x8, #number; svc #0; ret`
const fn call(number: u32) -> [u8; 12] {
    let words = [0xd280_0008 | number << 5, 0xd400_0001, 0xd65f_03c0u32];
    let mut code = [0; 12];
    let mut i = 0;
    while i < 12 {
        code[i] = words[i / 4].to_le_bytes()[i % 4];
        i += 1;
    }
    code
}

pub const VDSO: VdsoDescription = VdsoDescription {
    soname: "linux-vdso.so.1",
    version: "LINUX_2.6.39",
    functions: &[
        // Unwinders know the trampoline by its first two instructions.
        VdsoFunction { name: "__kernel_rt_sigreturn", code: &call(RT_SIGRETURN) },
        VdsoFunction { name: "__kernel_gettimeofday", code: &call(GETTIMEOFDAY) },
        VdsoFunction { name: "__kernel_clock_gettime", code: &call(CLOCK_GETTIME) },
        VdsoFunction { name: "__kernel_clock_getres", code: &call(CLOCK_GETRES) },
    ],
    sigreturn: Some("__kernel_rt_sigreturn"),
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trampoline_is_what_unwinders_look_for() {
        assert_eq!(call(RT_SIGRETURN)[..8], [0x68, 0x11, 0x80, 0xd2, 0x01, 0x00, 0x00, 0xd4]);
    }
}
