//! What the host processor does that others do otherwise.

#![allow(unsafe_code)] // runs an instruction that traps, in a child
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

static BEHIND: AtomicU64 = AtomicU64::new(0);

/// Ends the child: with 0 where the trap is reported behind the instruction.
extern "C" fn on_trap(_: i32, _: *const libc::siginfo_t, context: *const libc::ucontext_t) {
    // SAFETY: the kernel gives the handler the thread's registers.
    let rip = unsafe { (*context).uc_mcontext.gregs[libc::REG_RIP as usize] } as u64;
    // SAFETY: async-signal-safe, and it does not return.
    unsafe { libc::_exit(i32::from(rip != BEHIND.load(Ordering::Relaxed))) }
}

/// Whether INT1 is what the manuals say, a trap that is reported behind it. Some virtual machines report it where it stands.
pub fn int1_is_a_trap() -> bool {
    static KNOWN: OnceLock<bool> = OnceLock::new();
    *KNOWN.get_or_init(|| {
        // SAFETY: the child calls nothing but what is async-signal-safe, and leaves by `_exit`.
        let child = unsafe { libc::fork() };
        assert!(child >= 0, "fork");
        if child == 0 {
            run_int1();
        }
        let mut status = 0;
        // SAFETY: waits for our own child.
        let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
        assert_eq!(waited, child);
        status == 0
    })
}

fn run_int1() -> ! {
    // SAFETY: zeros are a valid action; the handler has the signature of one with SA_SIGINFO.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = on_trap as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO;
        libc::sigaction(libc::SIGTRAP, &raw const action, std::ptr::null_mut());
    }
    // SAFETY: the instruction traps into the handler, which ends the process.
    unsafe {
        std::arch::asm!(
            "lea {behind}, [rip + 2f]",
            "mov [{place}], {behind}",
            ".byte 0xf1",
            "2:",
            behind = out(reg) _,
            place = in(reg) BEHIND.as_ptr(),
        );
        libc::_exit(2)
    }
}
