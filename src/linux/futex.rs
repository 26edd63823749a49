//! `futex(2)`: the kernel's own, since guest threads are host threads and memory is where it is.

use super::table::Done;
use super::thread::Thread;
use crate::host::sys;

pub fn futex(thread: &mut Thread, args: &[u64; 6]) -> Done {
    Done::raw(sys::interruptible(libc::SYS_futex, *args, &thread.vcpu.port.poll))
}
