//! Socket calls that write guest memory through nested structures.

use super::dispatch::release_iovec;
use super::fs::given_two;
use super::read_word;
use super::table::Done;
use super::thread::Thread;
use crate::host::{files, kept, sys};
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
    let result = sys::interruptible(libc::SYS_recvmsg, *args, &thread.vcpu.port.poll);
    received(args[1]);
    Done::raw(result)
}

pub fn recvmmsg(thread: &mut Thread, args: &[u64; 6]) -> Done {
    if files::is_ours(args[0] as i32) {
        return Done::errno(libc::EBADF);
    }
    for index in 0..args[2].min(1024) {
        release_message(args[1] + 64 * index);
    }
    let result = sys::interruptible(libc::SYS_recvmmsg, *args, &thread.vcpu.port.poll);
    for index in 0..u64::try_from(result).unwrap_or(0).min(1024) {
        received(args[1] + 64 * index);
    }
    Done::raw(result)
}

/// After a message has come: descriptors may have come with it (SCM_RIGHTS), which its control data are longer than 0 for.
fn received(message: u64) {
    if read_word(message + 40).is_ok_and(|len| len > 0) {
        kept::keep_away_from_new();
    }
}

pub fn socketpair(_thread: &mut Thread, args: &[u64; 6]) -> Done {
    given_two(args[3], sys::syscall(libc::SYS_socketpair, *args))
}
