//! epoll: `struct epoll_event` is packed to 12 bytes on x86-64 and 16 long elsewhere.

use super::signal::host_mask;
use super::table::Done;
use super::thread::Thread;
use super::{read_guest, write_guest};
use crate::host::{files, sys};

const HOST_EVENT: usize = 12;

/// An event at the guest's layout.
#[derive(Clone, Copy)]
struct GuestEvent {
    size: usize,
    data: usize,
}

fn layout(thread: &Thread) -> GuestEvent {
    let layout = thread.vcpu.env.arch.linux().layout();
    GuestEvent { size: layout.epoll_event_size, data: layout.epoll_data_offset }
}

pub fn epoll_ctl(thread: &mut Thread, args: &[u64; 6]) -> Done {
    let guest = layout(thread);
    if files::is_ours(args[0] as i32) || files::is_ours(args[2] as i32) {
        return Done::errno(libc::EBADF);
    }
    if guest.size == HOST_EVENT || args[3] == 0 {
        return Done::raw(sys::syscall(libc::SYS_epoll_ctl, *args));
    }
    let bytes = match read_guest::<16>(args[3]) {
        Ok(bytes) => bytes,
        // Deleting ignores the event, wherever it points.
        Err(_) if args[1] as i32 == libc::EPOLL_CTL_DEL => [0; 16],
        Err(errno) => return Done::errno(errno),
    };
    let mut event = [0u8; HOST_EVENT];
    event[..4].copy_from_slice(&bytes[..4]);
    event[4..].copy_from_slice(&bytes[guest.data..guest.data + 8]);
    let args = [args[0], args[1], args[2], event.as_ptr() as u64, 0, 0];
    Done::raw(sys::syscall(libc::SYS_epoll_ctl, args))
}

pub fn epoll_wait(thread: &mut Thread, args: &[u64; 6]) -> Done {
    wait(thread, libc::SYS_epoll_pwait, [args[0], args[1], args[2], args[3], 0, 8])
}

pub fn epoll_pwait(thread: &mut Thread, args: &[u64; 6]) -> Done {
    wait(thread, libc::SYS_epoll_pwait, *args)
}

pub fn epoll_pwait2(thread: &mut Thread, args: &[u64; 6]) -> Done {
    wait(thread, libc::SYS_epoll_pwait2, *args)
}

fn wait(thread: &Thread, number: i64, mut args: [u64; 6]) -> Done {
    let guest = layout(thread);
    let mask = match host_mask(args[4]) {
        Ok(mask) => mask,
        Err(errno) => return Done::errno(errno),
    };
    if let Some(mask) = &mask {
        args[4] = &raw const *mask as u64;
    }
    if guest.size == HOST_EVENT {
        return Done::raw(sys::interruptible(number, args, &thread.vcpu.port.poll));
    }
    let (events, count) = (args[1], args[2] as i32);
    if count <= 0 {
        return Done::errno(libc::EINVAL);
    }
    // A guest may offer room for any number; the kernel hands out what is ready, so part of it will do.
    let room = count.min(4096) as usize;
    let mut buffer = vec![0u8; room * HOST_EVENT];
    args[1] = buffer.as_mut_ptr() as u64;
    args[2] = room as u64;
    let result = sys::interruptible(number, args, &thread.vcpu.port.poll);
    if result > 0 && store_events(guest, events, &buffer[..result as usize * HOST_EVENT]).is_err() {
        return Done::errno(libc::EFAULT);
    }
    Done::raw(result)
}

fn store_events(guest: GuestEvent, addr: u64, host: &[u8]) -> Result<(), i32> {
    let mut out = Vec::with_capacity(host.len() / HOST_EVENT * guest.size);
    for event in host.chunks_exact(HOST_EVENT) {
        let mut bytes = [0u8; 16];
        bytes[..4].copy_from_slice(&event[..4]);
        bytes[guest.data..guest.data + 8].copy_from_slice(&event[4..]);
        out.extend(&bytes[..guest.size]);
    }
    write_guest(addr, &out)
}
