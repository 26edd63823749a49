//! Socket calls that write guest memory through nested structures.

use super::dispatch::release_iovec;
use super::read_word;
use super::table::Done;
use super::thread::Thread;
use crate::host::{files, sys};
use crate::mem::space;

/// Releases translations of what a `struct msghdr` lets the kernel write.
fn release_message(addr: u64) {
    if !space().has_protected_code() {
        return;
    }
    let field = |offset| read_word(addr + offset).unwrap_or(0);
    space().before_kernel_write(addr, 56);
    space().before_kernel_write(field(0), field(8) & 0xffff_ffff);
    release_iovec(field(16), field(24));
    space().before_kernel_write(field(32), field(40));
}

pub fn recvmsg(thread: &mut Thread, args: &[u64; 6]) -> Done {
    if files::is_ours(args[0] as i32) {
        return Done::errno(libc::EBADF);
    }
    release_message(args[1]);
    Done::raw(sys::interruptible(libc::SYS_recvmsg, *args, &thread.vcpu.port.poll))
}

pub fn recvmmsg(thread: &mut Thread, args: &[u64; 6]) -> Done {
    if files::is_ours(args[0] as i32) {
        return Done::errno(libc::EBADF);
    }
    for index in 0..args[2].min(1024) {
        release_message(args[1] + 64 * index);
    }
    Done::raw(sys::interruptible(libc::SYS_recvmmsg, *args, &thread.vcpu.port.poll))
}
