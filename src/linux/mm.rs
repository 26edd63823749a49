//! Memory calls: the guest's address space is ours to keep in order.

use super::limits::{self, Counted};
use super::table::Done;
use super::thread::Thread;
use crate::host::{files, signals, sys};
use crate::mem::{Backing, MapRequest, Mapping, Prot, space};

const PAGE: u64 = 0x1000;
/// `TASK_SIZE`
const MOST_BYTES: u64 = crate::mem::GUEST_TOP;

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
    let replaced =
        (flags & libc::MAP_FIXED != 0).then(|| request.addr..request.addr.saturating_add(request.len));
    if !limits::allows(thread, request.len, Counted::of(args[2] as i32, flags), replaced) {
        return Done::errno(libc::ENOMEM);
    }
    space().mmap(&request).into()
}

pub fn munmap(_thread: &mut Thread, args: &[u64; 6]) -> Done {
    space().munmap(args[0], args[1]).into()
}

pub fn mprotect(thread: &mut Thread, args: &[u64; 6]) -> Done {
    let range = args[0]..args[0].saturating_add(args[1]);
    if args[2] as i32 & libc::PROT_WRITE != 0 && !limits::allows_writing(thread, range) {
        return Done::errno(libc::ENOMEM);
    }
    space().mprotect(args[0], args[1], protection(thread, args[2], false)).into()
}

/// With no key, or key 0, which every page has, it is mprotect; no other key can have been allocated.
pub fn pkey_mprotect(thread: &mut Thread, args: &[u64; 6]) -> Done {
    if !matches!(args[3] as i32, -1 | 0) {
        return Done::errno(libc::EINVAL);
    }
    space().mprotect(args[0], args[1], protection(thread, args[2], false)).into()
}

/// A key would be of no use: the emulated CPUs have no register that says what it allows.
pub fn pkey_alloc(_thread: &mut Thread, &[flags, rights, ..]: &[u64; 6]) -> Done {
    const KNOWN_RIGHTS: u64 = 3;
    Done::errno(if flags != 0 || rights & !KNOWN_RIGHTS != 0 { libc::EINVAL } else { libc::ENOSPC })
}

pub fn mremap(thread: &mut Thread, args: &[u64; 6]) -> Done {
    if !remap_is_possible(args) {
        return Done::errno(libc::EINVAL);
    }
    let kind = if space().count(args[0]..args[0] + 1, Mapping::is_data) == 0 {
        Counted::Space
    } else {
        Counted::Data
    };
    if args[2] > args[1] && !limits::allows(thread, args[2] - args[1], kind, None) {
        return Done::errno(libc::ENOMEM);
    }
    space().mremap(args[0], args[1], args[2], args[3] as i32, args[4]).into()
}

/// What the kernel looks at before it looks at mappings (mm/mremap.c, `check_mremap_params`).
fn remap_is_possible(&[old, old_len, new_len, flags, new, ..]: &[u64; 6]) -> bool {
    const MOVE: u64 = libc::MREMAP_MAYMOVE as u64;
    const DONTUNMAP: u64 = libc::MREMAP_DONTUNMAP as u64;
    const TO_A_PLACE: u64 = libc::MREMAP_FIXED as u64 | DONTUNMAP;
    let aligned = |len: u64| len.wrapping_add(PAGE - 1) & !(PAGE - 1);
    let (old_len, new_len) = (aligned(old_len), aligned(new_len));
    if flags & !(MOVE | TO_A_PLACE) != 0 || !old.is_multiple_of(PAGE) || !(1..=MOST_BYTES).contains(&new_len)
    {
        return false;
    }
    let overlap = new < old.wrapping_add(old_len) && old < new.saturating_add(new_len);
    flags & TO_A_PLACE == 0
        || (new <= MOST_BYTES - new_len
            && new.is_multiple_of(PAGE)
            && flags & MOVE != 0
            && (flags & DONTUNMAP == 0 || old_len == new_len)
            && !overlap)
}

pub fn brk(thread: &mut Thread, args: &[u64; 6]) -> Done {
    let now = space().brk_range().end;
    if args[0] > now && !limits::allows(thread, args[0] - now, Counted::Data, None) {
        return Done::Value(now as i64);
    }
    let [limit, _] = thread.space_limit.get(Counted::Data);
    Done::Value(space().brk(args[0], limit) as i64)
}

pub fn madvise(_thread: &mut Thread, args: &[u64; 6]) -> Done {
    match before_advice(args[0], args[1], args[2]) {
        Ok(()) => Done::raw(sys::syscall(libc::SYS_madvise, *args)),
        Err(errno) => Done::errno(errno),
    }
}

/// Advice is not for the emulator's memory; where contents go, translations go first.
fn before_advice(start: u64, len: u64, advice: u64) -> Result<(), i32> {
    const MADV_DONTNEED_LOCKED: i32 = 24;
    const MADV_GUARD_INSTALL: i32 = 102;
    let end = start.saturating_add(len);
    if crate::host::layout::any_ours(&(start..end.max(start + 1))) {
        return Err(libc::ENOMEM);
    }
    if matches!(
        advice as i32,
        libc::MADV_DONTNEED | libc::MADV_FREE | libc::MADV_REMOVE | MADV_DONTNEED_LOCKED | MADV_GUARD_INSTALL
    ) {
        space().invalidate_code(start..end);
    }
    Ok(())
}

/// The emulator's memory is at the same place in every process.
pub fn process_madvise(_thread: &mut Thread, args: &[u64; 6]) -> Done {
    if files::is_ours(args[0] as i32) {
        return Done::errno(libc::EBADF);
    }
    for index in 0..args[2].min(libc::UIO_MAXIOV as u64) {
        let word = |offset: u64| super::read_word(args[1].wrapping_add(16 * index + offset));
        // What cannot be read the kernel will say.
        let (Ok(start), Ok(len)) = (word(0), word(8)) else { break };
        if let Err(errno) = before_advice(start, len, args[3]) {
            return Done::errno(errno);
        }
    }
    Done::raw(sys::syscall(libc::SYS_process_madvise, *args))
}

/// The kernel makes an ordinary mapping of it, as it has since 4.0.
pub fn remap_file_pages(_thread: &mut Thread, args: &[u64; 6]) -> Done {
    space().remap_file_pages(args).into()
}

pub fn userfaultfd(_thread: &mut Thread, args: &[u64; 6]) -> Done {
    signals::expect_waits_for_pages();
    Done::raw(sys::syscall(libc::SYS_userfaultfd, *args))
}

/// Attaches at a place of our choice, and notes the mapping.
pub fn shmat(thread: &mut Thread, args: &[u64; 6]) -> Done {
    attach(thread, args).into()
}

fn attach(thread: &Thread, &[id, addr, flags, ..]: &[u64; 6]) -> Result<u64, i32> {
    // `struct shmid64_ds`: the size follows the 48 bytes of permissions.
    let mut description = [0u64; 14];
    sys::check(sys::syscall(
        libc::SYS_shmctl,
        [id, libc::IPC_STAT as u64, description.as_mut_ptr() as u64, 0, 0, 0],
    ))?;
    let size = description[6];
    if !limits::allows(thread, size, Counted::Space, None) {
        return Err(libc::ENOMEM);
    }
    let place = if addr == 0 { space().place_for(size).ok_or(libc::ENOMEM)? } else { addr };
    if crate::host::layout::is_ours(place) {
        return Err(libc::EINVAL);
    }
    if place.saturating_add(size) > space().top() {
        return Err(libc::ENOMEM);
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
