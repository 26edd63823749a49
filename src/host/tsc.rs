//! Time and identity that instructions can read: one place for each source of nondeterminism.
#![allow(unsafe_code)] // rdtsc

/// The time stamp counter.
pub fn timestamp() -> u64 {
    // SAFETY: reads a counter; available on every x86-64 in user mode.
    unsafe { std::arch::x86_64::_rdtsc() }
}

/// The processor this thread runs on.
pub fn cpu_number() -> u32 {
    // SAFETY: takes no argument and only returns a number.
    u32::try_from(unsafe { libc::sched_getcpu() }).unwrap_or(0)
}

/// CLOCK_MONOTONIC in nanoseconds.
pub fn nanoseconds() -> u64 {
    let mut time = [0u64; 2];
    let args = [libc::CLOCK_MONOTONIC as u64, time.as_mut_ptr() as u64, 0, 0, 0, 0];
    super::sys::syscall(libc::SYS_clock_gettime, args);
    time[0].wrapping_mul(1_000_000_000).wrapping_add(time[1])
}
