//! Waits that set a signal mask while they wait: the mask that the host gets leaves open the signals
//! that our own accesses raise.

use super::signal::host_mask;
use super::table::Done;
use super::thread::Thread;
use super::{read_guest, read_word};
use crate::host::sys;

pub fn ppoll(thread: &mut Thread, args: &[u64; 6]) -> Done {
    let mut args = *args;
    let mask = match host_mask(args[3]) {
        Ok(mask) => mask,
        Err(errno) => return Done::errno(errno),
    };
    if let Some(mask) = &mask {
        args[3] = &raw const *mask as u64;
    }
    Done::raw(sys::interruptible(libc::SYS_ppoll, args, &thread.vcpu.port.poll))
}

/// The last argument points to a pair: mask address and its size.
pub fn pselect6(thread: &mut Thread, args: &[u64; 6]) -> Done {
    match pselect_with_mask(thread, args) {
        Ok(done) => done,
        Err(errno) => Done::errno(errno),
    }
}

fn pselect_with_mask(thread: &Thread, args: &[u64; 6]) -> Result<Done, i32> {
    let mut args = *args;
    let mut pair = [0u64; 2];
    let mask;
    if args[5] != 0 {
        read_guest::<16>(args[5])?;
        pair = [read_word(args[5])?, read_word(args[5] + 8)?];
        mask = host_mask(pair[0])?;
        if let Some(mask) = &mask {
            pair[0] = &raw const *mask as u64;
        }
        args[5] = pair.as_ptr() as u64;
    }
    let done = Done::raw(sys::interruptible(libc::SYS_pselect6, args, &thread.vcpu.port.poll));
    let _alive = pair;
    Ok(done)
}
