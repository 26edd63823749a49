//! Mapping calls on the guest's address space, and the table that mirrors them.

mod file_code;
mod program_break;
mod reopened;

use super::access::Memory;
use super::aliases;
use super::code_pages::{CodeInvalidation, CodePages, Guard, Invalidated};
use super::gap;
use super::mapping::{Backing, Mapping, Prot, Table};
use crate::host::layout::{self, EMULATOR_END, EMULATOR_START};
use crate::host::{guest_access, sys};
use guest::GuestAddr;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// First address behind the guest's space: 47 bits less a page, as on x86-64.
pub const GUEST_TOP: u64 = 0x7fff_ffff_f000;
const MMAP_BOTTOM: u64 = 0x1_0000;
pub(super) const PAGE: u64 = 4096;

/// The one guest address space.
pub struct Space {
    inner: Mutex<Inner>,
    /// How many pages are write-protected because of translations: usually none.
    protected: AtomicUsize,
    /// Whether code in a shared mapping of a file has ever been translated.
    shared_code: AtomicBool,
    invalidation: OnceLock<&'static dyn CodeInvalidation>,
    /// First address behind the guest's space (`-R`).
    top: AtomicU64,
}

/// The locked part.
#[derive(Default)]
pub struct Inner {
    table: Table,
    code: CodePages,
    /// Host mappings that are in the guest's range but not the guest's (vDSO, first stack).
    foreign: Vec<(u64, u64)>,
    brk_start: u64,
    brk: u64,
}

static SPACE: Space = Space {
    inner: Mutex::new(Inner {
        table: Table::new(),
        code: CodePages::new(),
        foreign: Vec::new(),
        brk_start: 0,
        brk: 0,
    }),
    protected: AtomicUsize::new(0),
    shared_code: AtomicBool::new(false),
    invalidation: OnceLock::new(),
    top: AtomicU64::new(GUEST_TOP),
};

/// The guest's address space.
pub fn space() -> &'static Space {
    &SPACE
}

/// Whether changes of fetched code must be noticed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Changes {
    AreNoticed,
    /// For an instruction that is run once: it may be the one that changes its own page.
    AreNot,
}

/// An mmap request in the kernel's terms.
#[derive(Clone, Copy, Debug)]
pub struct MapRequest {
    pub addr: u64,
    pub len: u64,
    pub prot: i32,
    pub flags: i32,
    pub fd: i32,
    pub offset: u64,
}

fn align_up(value: u64) -> Option<u64> {
    value.checked_add(PAGE - 1).map(|v| v & !(PAGE - 1))
}

fn host_mprotect(addr: u64, len: u64, prot: i32) -> i64 {
    sys::syscall(libc::SYS_mprotect, [addr, len, prot as u64, 0, 0, 0])
}

impl Space {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says who drops translations. Once, before guest code runs.
    pub fn set_invalidation(&self, who: &'static dyn CodeInvalidation) {
        let _ = self.invalidation.set(who);
    }

    /// Ends the guest's space there. Once, before anything is mapped.
    pub fn set_top(&self, top: u64) {
        self.top.store(top.min(GUEST_TOP) & !(PAGE - 1), Ordering::Relaxed);
    }

    /// First address behind the guest's space: where the stack ends.
    #[must_use]
    pub fn top(&self) -> u64 {
        self.top.load(Ordering::Relaxed)
    }

    /// What is left for the stack below the top: 128 MiB, as an unrandomised kernel has it, or a sixth of a small space.
    #[must_use]
    pub fn stack_room(&self) -> u64 {
        const ROOM: u64 = 128 << 20;
        (self.top() / 6).min(ROOM) & !(PAGE - 1)
    }

    /// Keeps the lock while `f` runs, so that no other thread holds it: for fork.
    pub fn with_locked<T>(&self, f: impl FnOnce() -> T) -> T {
        let _guard = self.lock();
        f()
    }

    #[must_use]
    pub fn is_mapped(&self, addr: GuestAddr) -> bool {
        self.lock().table.find(addr.raw()).is_some()
    }

    /// The protection of the page at `addr`, if it is mapped.
    #[must_use]
    pub fn protection(&self, addr: GuestAddr) -> Option<Prot> {
        self.lock().table.find(addr.raw()).map(|(_, m)| m.prot)
    }

    /// The mapping at `addr`, with its start.
    #[must_use]
    pub fn mapping(&self, addr: GuestAddr) -> Option<(u64, Mapping)> {
        self.lock().table.find(addr.raw()).map(|(start, m)| (start, *m))
    }

    /// All mappings: (start, mapping), in order.
    #[must_use]
    pub fn mappings(&self) -> Vec<(u64, Mapping)> {
        self.lock().table.iter().map(|(start, m)| (start, *m)).collect()
    }

    /// How many bytes of a range are mapped by such mappings.
    #[must_use]
    pub fn count(&self, range: Range<u64>, of: impl Fn(&Mapping) -> bool) -> u64 {
        let inner = self.lock();
        let parts = inner.table.overlapping(range.clone()).filter(|(_, mapping)| of(mapping));
        parts.map(|(start, mapping)| mapping.end.min(range.end) - start.max(range.start)).sum()
    }

    /// `mmap(2)`: the address, or an errno.
    pub fn mmap(&self, request: &MapRequest) -> Result<u64, i32> {
        let len = align_up(request.len).ok_or(libc::ENOMEM)?;
        if len == 0 || !request.offset.is_multiple_of(PAGE) {
            return Err(libc::EINVAL);
        }
        let mut inner = self.lock();
        let fixed = request.flags & (libc::MAP_FIXED | libc::MAP_FIXED_NOREPLACE) != 0;
        let mapped = if fixed {
            self.map_fixed(&mut inner, request, len)?
        } else {
            self.map_anywhere(&mut inner, request, len)?
        };
        let mapping = Mapping {
            end: mapped + len,
            prot: Prot(request.prot & Prot::KNOWN),
            shared: request.flags & libc::MAP_TYPE != libc::MAP_PRIVATE,
            backing: backing_of(request),
        };
        inner.table.insert(mapped, mapping);
        self.guard_new(&mut inner, &(mapped..mapping.end));
        Ok(mapped)
    }

    fn map_fixed(&self, inner: &mut Inner, request: &MapRequest, len: u64) -> Result<u64, i32> {
        if !request.addr.is_multiple_of(PAGE) {
            return Err(libc::EINVAL);
        }
        let end = request.addr.checked_add(len).ok_or(libc::ENOMEM)?;
        if end > self.top() || layout::any_ours(&(request.addr..end)) {
            return Err(libc::ENOMEM);
        }
        let replace = request.flags & libc::MAP_FIXED_NOREPLACE == 0;
        if !replace && inner.table.overlapping(request.addr..end).next().is_some() {
            return Err(libc::EEXIST);
        }
        self.drop_code(inner, request.addr..end);
        host_mmap(
            request,
            request.addr,
            len,
            if replace { libc::MAP_FIXED } else { libc::MAP_FIXED_NOREPLACE },
        )
    }

    fn map_anywhere(&self, inner: &mut Inner, request: &MapRequest, len: u64) -> Result<u64, i32> {
        let hint = request.addr & !(PAGE - 1);
        if hint >= MMAP_BOTTOM && self.hint_is_free(inner, hint, len) {
            match host_mmap(request, hint, len, libc::MAP_FIXED_NOREPLACE) {
                Err(libc::EEXIST) => {}
                done => return done,
            }
        }
        const TRIES: usize = 64;
        for _ in 0..TRIES {
            let place = self.choose(inner, len, request.flags).ok_or(libc::ENOMEM)?;
            match host_mmap(request, place, len, libc::MAP_FIXED_NOREPLACE) {
                Err(libc::EEXIST) => {
                    let seen = layout::foreign_mappings(|addr| inner.table.find(addr).is_some());
                    let explains = seen.iter().any(|&(start, end)| start < place + len && end > place);
                    // Without /proc, all of this place is left alone.
                    match explains {
                        true => inner.foreign = seen,
                        false => inner.foreign.push((place, place + len)),
                    }
                }
                Err(libc::EINVAL) => return self.map_where_the_kernel_likes(inner, request, len),
                done => return done,
            }
        }
        Err(libc::ENOMEM)
    }

    /// Some files (the rings of io_uring) are mapped nowhere but where the kernel itself puts them: at the top, which may
    /// be above the guest's part, or on demand in the second GiB. There is no third way: the kernel takes no address for
    /// them, and does not move them (mremap).
    fn map_where_the_kernel_likes(&self, inner: &Inner, request: &MapRequest, len: u64) -> Result<u64, i32> {
        for part in [0, libc::MAP_32BIT] {
            let place = host_mmap(request, 0, len, part)?;
            if self.hint_is_free(inner, place, len) {
                return Ok(place);
            }
            sys::syscall(libc::SYS_munmap, [place, len, 0, 0, 0, 0]);
        }
        Err(libc::ENOMEM)
    }

    fn hint_is_free(&self, inner: &Inner, hint: u64, len: u64) -> bool {
        let Some(end) = hint.checked_add(len) else { return false };
        end <= self.top()
            && !layout::any_ours(&(hint..end))
            && inner.table.overlapping(hint..end).next().is_none()
    }

    /// Where a position-independent program goes: two thirds up, as an unrandomised kernel has it.
    #[must_use]
    pub fn program_base(&self) -> u64 {
        (self.top() / 3 * 2) & !(PAGE - 1)
    }

    fn choose(&self, inner: &Inner, len: u64, flags: i32) -> Option<u64> {
        if flags & libc::MAP_32BIT != 0 {
            return gap::lowest(&inner.table, len, 0x4000_0000, 0x8000_0000);
        }
        let mut reserved = inner.foreign.clone();
        reserved.push((EMULATOR_START, EMULATOR_END));
        gap::highest(&inner.table, len, MMAP_BOTTOM, self.top() - self.stack_room(), &reserved)
    }

    /// `munmap(2)`.
    pub fn munmap(&self, addr: u64, len: u64) -> Result<u64, i32> {
        let range = self.checked_range(addr, len, libc::EINVAL)?;
        let mut inner = self.lock();
        self.drop_code(&mut inner, range.clone());
        sys::check(sys::syscall(libc::SYS_munmap, [addr, range.end - addr, 0, 0, 0, 0]))?;
        inner.table.remove(range);
        Ok(0)
    }

    /// `mprotect(2)`.
    pub fn mprotect(&self, addr: u64, len: u64, prot: i32) -> Result<u64, i32> {
        if !addr.is_multiple_of(PAGE) {
            return Err(libc::EINVAL);
        }
        if len == 0 {
            return Ok(0);
        }
        let end = align_up(len).and_then(|len| addr.checked_add(len)).ok_or(libc::ENOMEM)?;
        let mut inner = self.lock();
        // What is mapped without a gap changes, even if there is one behind it.
        let covered = inner.table.covered_from(addr).min(end);
        if covered > addr {
            let (range, known) = (addr..covered, Prot(prot & Prot::KNOWN));
            let keeps = Self::keeps_code(&inner, &range, prot);
            if !keeps || self.protect_with_code(&mut inner, &range, known).is_err() {
                self.drop_code(&mut inner, range.clone());
                sys::check(host_mprotect(addr, covered - addr, known.host() | (prot & !Prot::KNOWN)))?;
            }
            inner.table.protect(range.clone(), known);
            self.guard_new(&mut inner, &range);
        }
        if covered < end { Err(libc::ENOMEM) } else { Ok(0) }
    }

    /// `mremap(2)`.
    pub fn mremap(&self, old: u64, old_len: u64, new_len: u64, flags: i32, new: u64) -> Result<u64, i32> {
        let new_len = align_up(new_len).ok_or(libc::ENOMEM)?;
        let old_end = old.checked_add(align_up(old_len).ok_or(libc::EINVAL)?).ok_or(libc::EINVAL)?;
        if !old.is_multiple_of(PAGE) || new_len == 0 || layout::any_ours(&(old..old_end.max(old + 1))) {
            return Err(libc::EINVAL);
        }
        let mut inner = self.lock();
        let Some((start, &mapping)) = inner.table.find(old) else { return Err(libc::EFAULT) };
        self.drop_code(&mut inner, old..old_end);
        let moved = self.remap_host(&mut inner, (old, old_end - old), new_len, flags, new)?;
        let mut copy = Mapping { end: moved + new_len, ..mapping };
        if let Backing::File { offset, .. } = &mut copy.backing {
            *offset += old - start;
        }
        if flags & libc::MREMAP_DONTUNMAP == 0 && old_len != 0 {
            inner.table.remove(old..old_end);
        }
        inner.table.insert(moved, copy);
        self.guard_new(&mut inner, &(moved..copy.end));
        Ok(moved)
    }

    /// In place where the kernel can, else to a place of our choice.
    fn remap_host(
        &self,
        inner: &mut Inner,
        (old, old_len): (u64, u64),
        new_len: u64,
        flags: i32,
        new: u64,
    ) -> Result<u64, i32> {
        let call = |flags: i32, new: u64| {
            sys::check(sys::syscall(libc::SYS_mremap, [old, old_len, new_len, flags as u64, new, 0]))
        };
        if flags & libc::MREMAP_FIXED != 0 {
            let range = self.checked_range(new, new_len, libc::EINVAL)?;
            self.drop_code(inner, range);
            return call(flags, new);
        }
        if flags & libc::MREMAP_DONTUNMAP == 0 && old_len != 0 {
            let fits = old.saturating_add(new_len) <= self.top();
            match if fits { call(0, 0) } else { Err(libc::ENOMEM) } {
                Err(libc::ENOMEM) if flags & libc::MREMAP_MAYMOVE != 0 => {}
                done => return done,
            }
        }
        let hinted =
            flags & libc::MREMAP_DONTUNMAP != 0 && new != 0 && self.hint_is_free(inner, new, new_len);
        let place = if hinted { Some(new) } else { self.choose(inner, new_len, 0) };
        let place = place.ok_or(libc::ENOMEM)?;
        call(flags | libc::MREMAP_FIXED, place)
    }

    /// `remap_file_pages(2)`: other pages of the file that is mapped there.
    pub fn remap_file_pages(&self, args: &[u64; 6]) -> Result<u64, i32> {
        let (start, len, page) = (args[0] & !(PAGE - 1), args[1] & !(PAGE - 1), args[3]);
        let end = start.saturating_add(len);
        let mut inner = self.lock();
        let mapped = inner.table.find(start).map(|(_, mapping)| *mapping);
        let Some(mapping) = mapped.filter(|mapping| mapping.end >= end) else { return Err(libc::EINVAL) };
        self.drop_code(&mut inner, start..end);
        let result = sys::check(sys::syscall(libc::SYS_remap_file_pages, *args))?;
        if let Backing::File { device, inode, .. } = mapping.backing
            && start < end
        {
            let backing = Backing::File { device, inode, offset: page * PAGE };
            inner.table.insert(start, Mapping { end, backing, ..mapping });
            self.guard_new(&mut inner, &(start..end));
        }
        Ok(result)
    }

    /// Notes that the kernel made a mapping at `start` without [`Space::mmap`] (`shmat`).
    pub fn adopt(&self, start: u64, mapping: Mapping) {
        let mut inner = self.lock();
        inner.table.insert(start, mapping);
        self.guard_new(&mut inner, &(start..mapping.end));
    }

    /// A shared memory segment at `start` was detached.
    pub fn forget_segment(&self, start: u64) {
        let mut inner = self.lock();
        let Some((_, mapping)) = inner.table.find(start) else { return };
        let range = start..mapping.end;
        self.drop_code(&mut inner, range.clone());
        inner.table.remove(range);
    }

    /// Where a mapping of `len` bytes would go.
    #[must_use]
    pub fn place_for(&self, len: u64) -> Option<u64> {
        let inner = self.lock();
        self.choose(&inner, align_up(len)?, 0)
    }

    /// Copies executable bytes from `pc` into `out`; how many there were.
    pub fn fetch(&self, pc: GuestAddr, out: &mut [u8], changes: Changes) -> usize {
        let mut inner = self.lock();
        let mut done = 0;
        while done < out.len() {
            let at = pc.offset(done as i64);
            let Some((_, &mapping)) = inner.table.find(at.raw()) else { break };
            if !mapping.prot.executable() {
                break;
            }
            if changes == Changes::AreNoticed {
                self.guard(&mut inner, at.page().raw(), &mapping);
            }
            let in_page = (PAGE - at.raw() % PAGE) as usize;
            let chunk = in_page.min(out.len() - done);
            let copied = Memory.read_prefix(at, &mut out[done..done + chunk]);
            done += copied;
            if copied < chunk {
                break;
            }
        }
        done
    }

    /// Whether these bytes are at `start` and may be executed. Changes of them are noticed from now on if so.
    pub fn holds_code(&self, start: GuestAddr, bytes: &[u8]) -> bool {
        const CHUNK: usize = 64;
        let mut inner = self.lock();
        let end = start.raw().saturating_add(bytes.len() as u64);
        let mut page = start.page().raw();
        while page < end {
            let Some((_, &mapping)) = inner.table.find(page).filter(|(_, m)| m.prot.executable()) else {
                return false;
            };
            self.guard(&mut inner, page, &mapping);
            page += PAGE;
        }
        let mut memory = [0; CHUNK];
        bytes.chunks(CHUNK).enumerate().all(|(index, chunk)| {
            let memory = &mut memory[..chunk.len()];
            guest_access::copy_in(memory, start.offset((index * CHUNK) as i64)).is_ok() && memory == chunk
        })
    }

    fn guard(&self, inner: &mut Inner, page: u64, mapping: &Mapping) {
        let guard = if mapping.prot.writable() { Guard::Protected } else { Guard::None };
        let before = inner.code.add(page, guard);
        if before == Some(guard) {
            return;
        }
        // An alias is write-protected already.
        if guard == Guard::Protected && before.is_none() {
            self.write_protect(page, mapping.prot);
        }
        if mapping.shared {
            self.shared_code.store(true, Ordering::Relaxed);
            self.guard_aliases(inner, page);
        }
    }

    fn write_protect(&self, page: u64, prot: Prot) {
        host_mprotect(page, PAGE, prot.host() & !libc::PROT_WRITE);
        self.protected.fetch_add(1, Ordering::Relaxed);
    }

    /// Write-protects a page with translations at the other addresses that it may be written at.
    fn guard_aliases(&self, inner: &mut Inner, page: u64) {
        for (alias, mapping) in aliases::of_page(&inner.table, page) {
            if mapping.prot.writable() && !inner.code.contains(alias) {
                inner.code.add(alias, Guard::Alias);
                self.write_protect(alias, mapping.prot);
            }
        }
    }

    /// After a mapping call: what has become writable may have translations at another address.
    fn guard_new(&self, inner: &mut Inner, range: &Range<u64>) {
        for run in aliases::executable(&inner.table, range) {
            for page in inner.code.translated(&run) {
                self.guard_aliases(inner, page);
            }
        }
    }

    /// Before the bytes at `addr` change: drops translations of them and makes the pages writable.
    /// Whether a write that has faulted there is worth repeating.
    pub fn release_code(&self, addr: GuestAddr, len: u64) -> bool {
        let range = addr.page().raw()..addr.raw().saturating_add(len.max(1));
        let mut inner = self.lock();
        self.drop_code(&mut inner, range);
        inner.table.find(addr.raw()).is_some_and(|(_, m)| m.prot.writable())
    }

    /// Whether any page is write-protected because of translations.
    #[inline]
    pub fn has_protected_code(&self) -> bool {
        self.protected.load(Ordering::Relaxed) != 0
    }

    /// Before the kernel writes guest memory: as [`Space::release_code`], but free where there is nothing
    /// to do.
    #[inline]
    pub fn before_kernel_write(&self, addr: u64, len: u64) {
        if self.protected.load(Ordering::Relaxed) != 0 {
            self.release_code(GuestAddr(addr), len);
        }
    }

    /// Drops translations of the range (an instruction-cache invalidation).
    pub fn invalidate_code(&self, range: Range<u64>) {
        let mut inner = self.lock();
        self.drop_code(&mut inner, range.start & !(PAGE - 1)..range.end);
    }

    /// Whether code in a shared mapping of a file has been translated.
    #[inline]
    pub fn has_shared_code(&self) -> bool {
        self.shared_code.load(Ordering::Relaxed)
    }

    /// The content of a file (device, inode), or of any, has changed: drops translations from shared mappings of it.
    pub fn file_changed(&self, file: Option<(u64, u64)>) {
        let mut inner = self.lock();
        for run in aliases::of_file(&inner.table, file) {
            self.drop_code(&mut inner, run);
        }
    }

    fn drop_code(&self, inner: &mut Inner, range: Range<u64>) {
        if !inner.code.any_in(&range) {
            return;
        }
        let mut taken = inner.code.take(&range);
        for index in 0..taken.len() {
            let others = aliases::of_page(&inner.table, taken[index].0);
            taken.extend(others.iter().filter_map(|(page, _)| inner.code.remove(*page)));
        }
        if let Some(who) = self.invalidation.get() {
            who.invalidate(&Invalidated { pages: taken.iter().map(|&(page, _)| page).collect() });
        }
        for (page, guard) in taken {
            if guard != Guard::None {
                self.protected.fetch_sub(1, Ordering::Relaxed);
                if let Some((_, mapping)) = inner.table.find(page) {
                    host_mprotect(page, PAGE, mapping.prot.host());
                }
            }
        }
    }

    /// The page-aligned range of a call, if it is one the guest may have.
    fn checked_range(&self, addr: u64, len: u64, out_of_range: i32) -> Result<Range<u64>, i32> {
        if !addr.is_multiple_of(PAGE) || len == 0 {
            return Err(libc::EINVAL);
        }
        let end = addr.checked_add(align_up(len).ok_or(out_of_range)?).ok_or(out_of_range)?;
        if end > self.top() || layout::any_ours(&(addr..end)) {
            return Err(out_of_range);
        }
        Ok(addr..end)
    }
}

fn host_mmap(request: &MapRequest, addr: u64, len: u64, placement: i32) -> Result<u64, i32> {
    const PLACEMENT: i32 = libc::MAP_FIXED | libc::MAP_FIXED_NOREPLACE | libc::MAP_32BIT;
    // Flags of a validated mapping are the file's business; a place that must be free is none that a file knows.
    let unsaid = placement == libc::MAP_FIXED_NOREPLACE
        && request.flags & (libc::MAP_TYPE | libc::MAP_FIXED_NOREPLACE) == libc::MAP_SHARED_VALIDATE;
    let flags = (request.flags & !PLACEMENT) | if unsaid { 0 } else { placement };
    let prot = Prot(request.prot & Prot::KNOWN).host() | (request.prot & !Prot::KNOWN);
    let args = [addr, len, prot as u64, flags as u64, request.fd as u64, request.offset];
    let place = sys::check(sys::syscall(libc::SYS_mmap, args))?;
    if unsaid && place != addr {
        sys::syscall(libc::SYS_munmap, [place, len, 0, 0, 0, 0]);
        return Err(libc::EEXIST);
    }
    Ok(place)
}

fn backing_of(request: &MapRequest) -> Backing {
    if request.flags & libc::MAP_ANONYMOUS != 0 {
        return Backing::Anonymous;
    }
    match crate::host::files::identity(request.fd) {
        Some((device, inode)) => Backing::File { device, inode, offset: request.offset },
        None => Backing::Anonymous,
    }
}
