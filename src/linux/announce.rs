//! What other processes see of a guest: `ps`, `pgrep -f`, `/proc/<pid>/{cmdline,environ,auxv,stat}`.
//!
//! The kernel shows the memory that it has noted as a process's arguments and environment; for ours that would be the
//! emulator's first stack, which is gone. So it is told where the guest's are (prctl(2), `PR_SET_MM_MAP`, which needs no
//! privilege). A guest that rewrites its arguments to change its title thereby does what it would natively.
//! The link `/proc/<pid>/exe` cannot be changed while the emulator's image is mapped; for guests, [`super::procfs`]
//! answers it.

use crate::host::sys;
use crate::loader::Loaded;
use crate::loader::stack::Stack;

/// `struct prctl_mm_map` (include/uapi/linux/prctl.h).
#[repr(C)]
struct MemoryMap {
    start_code: u64,
    end_code: u64,
    start_data: u64,
    end_data: u64,
    start_brk: u64,
    brk: u64,
    start_stack: u64,
    arg_start: u64,
    arg_end: u64,
    env_start: u64,
    env_end: u64,
    auxv: u64,
    auxv_size: u32,
    exe_fd: u32,
}

const PR_SET_MM: u64 = 35;
const PR_SET_MM_MAP: u64 = 14;

/// Tells the kernel where the program and its arguments are. A kernel without checkpoint support does not take it.
pub fn tell_kernel(loaded: &Loaded, stack: &Stack, brk: u64) -> Result<(), i32> {
    let map = MemoryMap {
        start_code: loaded.code.0,
        end_code: loaded.code.1,
        start_data: loaded.data.0,
        end_data: loaded.data.1,
        start_brk: brk,
        brk,
        start_stack: stack.sp.raw(),
        arg_start: stack.argv.start,
        arg_end: stack.argv.end,
        env_start: stack.envp.start,
        env_end: stack.envp.end,
        auxv: stack.auxv.as_ptr() as u64,
        auxv_size: stack.auxv.len() as u32,
        exe_fd: u32::MAX,
    };
    let args = [PR_SET_MM, PR_SET_MM_MAP, &raw const map as u64, size_of::<MemoryMap>() as u64, 0, 0];
    sys::check(sys::syscall(libc::SYS_prctl, args)).map(drop)
}
