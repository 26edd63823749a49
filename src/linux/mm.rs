//! Memory calls: the guest's address space is ours to keep in order.

use super::table::Done;
use super::thread::Thread;
use crate::host::{files, sys};
use crate::mem::{Backing, MapRequest, Mapping, Prot, space};

/// The protection as our tables have it: a guard where this machine has that; what it has not is ignored, or given
/// to the host to refuse.
fn protection(thread: &mut Thread, wanted: u64, ignore: bool) -> i32 {
    let env = thread.vcpu.env;
    let (wanted, guard) = (wanted as i32, env.arch.linux().guard_protection(env.features));
    if wanted & guard != 0 && env.arch.linux().note_guarded_page() {
        // Every thread's code is to be lifted anew, with the checks.
        thread.vcpu.cache().clear();
    }
    match wanted & Prot::GUARD != 0 && guard == 0 {
        // A bit that is Prot::GUARD to us only.
        true if ignore => wanted & !Prot::GUARD,
        true => -1,
        false => wanted,
    }
}

pub fn mmap(thread: &mut Thread, args: &[u64; 6]) -> Done {
    let flags = args[3] as i32;
    let fd = args[4] as i32;
    if flags & libc::MAP_ANONYMOUS == 0 && files::is_ours(fd) {
        return Done::errno(libc::EBADF);
    }
    let request = MapRequest {
        addr: args[0],
        len: args[1],
        prot: protection(thread, args[2], true),
        flags,
        fd,
        offset: args[5],
    };
    if request.len == 0 {
        return Done::errno(libc::EINVAL);
    }
    space().mmap(&request).into()
}

pub fn munmap(_thread: &mut Thread, args: &[u64; 6]) -> Done {
    space().munmap(args[0], args[1]).into()
}

pub fn mprotect(thread: &mut Thread, args: &[u64; 6]) -> Done {
    space().mprotect(args[0], args[1], protection(thread, args[2], false)).into()
}

/// With the default key it is mprotect; other keys are not for guests.
pub fn pkey_mprotect(thread: &mut Thread, args: &[u64; 6]) -> Done {
    if args[3] as i32 != -1 {
        return Done::errno(libc::EINVAL);
    }
    space().mprotect(args[0], args[1], protection(thread, args[2], false)).into()
}

pub fn mremap(_thread: &mut Thread, args: &[u64; 6]) -> Done {
    space().mremap(args[0], args[1], args[2], args[3] as i32, args[4]).into()
}

pub fn brk(_thread: &mut Thread, args: &[u64; 6]) -> Done {
    let mut limit = libc::rlimit { rlim_cur: u64::MAX, rlim_max: u64::MAX };
    let query = [0, u64::from(libc::RLIMIT_DATA), 0, &raw mut limit as u64, 0, 0];
    sys::syscall(libc::SYS_prlimit64, query);
    Done::Value(space().brk(args[0], limit.rlim_cur) as i64)
}

pub fn madvise(_thread: &mut Thread, args: &[u64; 6]) -> Done {
    let discards = matches!(args[2] as i32, libc::MADV_DONTNEED | libc::MADV_FREE | libc::MADV_REMOVE);
    if crate::host::layout::is_ours(args[0]) {
        return Done::errno(libc::ENOMEM);
    }
    if discards {
        let end = args[0].saturating_add(args[1]);
        space().invalidate_code(args[0]..end);
    }
    Done::raw(sys::syscall(libc::SYS_madvise, *args))
}

/// The kernel has emulated it since 4.0 and would place pages behind our back; nobody uses it any more.
pub fn remap_file_pages(_thread: &mut Thread, _args: &[u64; 6]) -> Done {
    crate::log::once("remap_file_pages", || "remap_file_pages is not supported: EINVAL".to_owned());
    Done::errno(libc::EINVAL)
}

/// Attaches at a place of our choice, and notes the mapping.
pub fn shmat(_thread: &mut Thread, args: &[u64; 6]) -> Done {
    attach(args).into()
}

fn attach(&[id, addr, flags, ..]: &[u64; 6]) -> Result<u64, i32> {
    // `struct shmid64_ds`: the size follows the 48 bytes of permissions.
    let mut description = [0u64; 14];
    sys::check(sys::syscall(
        libc::SYS_shmctl,
        [id, libc::IPC_STAT as u64, description.as_mut_ptr() as u64, 0, 0, 0],
    ))?;
    let size = description[6];
    let place = if addr == 0 { space().place_for(size).ok_or(libc::ENOMEM)? } else { addr };
    if crate::host::layout::is_ours(place) {
        return Err(libc::EINVAL);
    }
    let host_flags = flags & !(libc::SHM_EXEC as u64);
    let start = sys::check(sys::syscall(libc::SYS_shmat, [id, place, host_flags, 0, 0, 0]))?;
    let mut prot = libc::PROT_READ;
    if flags & libc::SHM_RDONLY as u64 == 0 {
        prot |= libc::PROT_WRITE;
    }
    if flags & libc::SHM_EXEC as u64 != 0 {
        prot |= libc::PROT_EXEC;
    }
    // The inode of a segment is its identifier, as /proc/self/maps has it.
    let backing = Backing::File { device: 0, inode: id, offset: 0 };
    let end = start + size.next_multiple_of(4096);
    space().adopt(start, Mapping { end, prot: Prot(prot), shared: true, backing });
    Ok(start)
}

pub fn shmdt(_thread: &mut Thread, args: &[u64; 6]) -> Done {
    let result = sys::syscall(libc::SYS_shmdt, *args);
    if result == 0 {
        space().forget_segment(args[0]);
    }
    Done::Value(result)
}
