//! How a thread of ours stands to the guest's.

use super::sys;

/// Where this thread may run on one processor only, it gives way to the others there: of two that want it, it gets a tenth.
/// With more processors it takes one that is idle. To be called once: an unprivileged thread cannot take it back.
pub fn give_way_on_one_processor() {
    const LESS: u64 = 10;
    const LEAST: u64 = 19;
    if processors() == 1 {
        let nice = (nice() + LESS).min(LEAST);
        sys::syscall(libc::SYS_setpriority, [libc::PRIO_PROCESS.into(), 0, nice, 0, 0, 0]);
    }
}

/// On how many processors this thread may run (sched_getaffinity(2)).
fn processors() -> u32 {
    let mut mask = [0u64; 128];
    let args = [0, size_of_val(&mask) as u64, mask.as_mut_ptr() as u64, 0, 0, 0];
    sys::syscall(libc::SYS_sched_getaffinity, args);
    mask.iter().map(|word| word.count_ones()).sum()
}

/// This thread's nice value, which the call gives as the distance from 20 (getpriority(2)).
fn nice() -> u64 {
    const ZERO: i64 = 20;
    let raised = sys::syscall(libc::SYS_getpriority, [libc::PRIO_PROCESS.into(), 0, 0, 0, 0, 0]);
    (ZERO - raised).max(0) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stay_on(mask: u64) {
        let args = [0, size_of_val(&mask) as u64, &raw const mask as u64, 0, 0, 0];
        assert_eq!(sys::syscall(libc::SYS_sched_setaffinity, args), 0);
    }

    #[test]
    fn a_thread_gives_way_where_there_is_one_processor() {
        let on_one = || {
            let mut mask = [0u64; 128];
            let args = [0, size_of_val(&mask) as u64, mask.as_mut_ptr() as u64, 0, 0, 0];
            sys::syscall(libc::SYS_sched_getaffinity, args);
            let before = nice();
            if processors() > 1 {
                give_way_on_one_processor();
                assert_eq!(nice(), before);
            }
            stay_on(mask[0] & mask[0].wrapping_neg());
            assert_eq!(processors(), 1);
            give_way_on_one_processor();
            assert_eq!(nice(), (before + 10).min(19));
        };
        std::thread::spawn(on_one).join().unwrap();
    }
}
