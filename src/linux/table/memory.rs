//! The address space.

use super::kinds::Kind::*;
use super::{commands as c, names as n, rows, shapes as s};
use crate::linux::{mm, process_memory};

/// Flags of `mremap` that tell of a new address.
const MOVES: u64 = (libc::MREMAP_FIXED | libc::MREMAP_DONTUNMAP) as u64;

rows! { MEMORY:
    /// In our table of mappings; never into the emulator's range.
    emulate(mm::mmap) mmap(addr: Verbatim, len: Size, prot: Bits(n::PROTECTION), flags: Choice(n::MAP_TYPE, n::MAP), fd: Fd, off: Offset) -> Hex;
    /// In our table of mappings; never the emulator's range.
    emulate(mm::munmap) munmap(addr: Place, len: Size);
    /// Guest code is never executable for the host; PROT_EXEC is kept in our table. What may be executed may be read, as
    /// on a CPU without protection keys (x86-64) or without enhanced PAN (AArch64).
    emulate(mm::mprotect) mprotect(start: Place, len: Size, prot: Bits(n::PROTECTION));
    /// As mprotect; key 0 only.
    emulate(mm::pkey_mprotect) pkey_mprotect(start: Place, len: Size, prot: Bits(n::PROTECTION), pkey: Int);
    /// As mmap.
    emulate(mm::mremap) mremap(addr: Place, old_len: Size, new_len: Size, flags: Bits(n::MREMAP), new_addr: When(MOVES, &Verbatim)) -> Hex;
    /// The break follows the guest's program, not the emulator's.
    emulate(mm::brk) brk(brk: Verbatim) -> Hex;
    /// What changes contents drops translations first.
    translate(mm::madvise) madvise(start: Place, len: Size, behavior: OneOf(n::ADVICE));
    /// As madvise; never for the emulator's memory, which is at the same place in every process.
    translate(mm::process_madvise) process_madvise(pidfd: Fd, vec: InVec, vlen: Size, behavior: OneOf(n::ADVICE), flags: Hex);
    pass msync(start: Place, len: Size, flags: Bits(n::MSYNC));
    pass mlock(start: Place, len: Size);
    pass mlock2(start: Place, len: Size, flags: Bits(n::MLOCK2));
    pass munlock(start: Place, len: Size);
    pass mlockall(flags: Bits(n::MLOCK));
    pass munlockall();
    pass mincore(start: Place, len: Size, vec: Address);
    pass mseal(start: Place, len: Size, flags: Hex);
    /// In our table of mappings.
    translate(mm::remap_file_pages) remap_file_pages(start: Place, size: Size, prot: Bits(n::PROTECTION), pgoff: Size, flags: Hex);
    /// In our table of mappings.
    emulate(mm::shmat) shmat(shmid: Int, shmaddr: Verbatim, shmflg: Bits(n::SHM)) -> Hex;
    /// In our table of mappings.
    emulate(mm::shmdt) shmdt(shmaddr: Verbatim);
    pass shmget(key: Key, size: Size, flag: Choice(&[], n::SHM_GET));
    pass shmctl(shmid: Int, cmd: By(&c::SHMCTL), buf: Address);
    pass mbind(start: Place, len: Size, mode: Choice(n::POLICY, n::POLICY_FLAGS), nmask: Takes(s::NODES), maxnode: Size, flags: Bits(n::BIND));
    pass get_mempolicy(policy: Gives(s::POLICY), nmask: Gives(s::NODES), maxnode: Size, addr: Place, flags: Bits(n::GET_POLICY));
    pass set_mempolicy(mode: Choice(n::POLICY, n::POLICY_FLAGS), nmask: Takes(s::NODES), maxnode: Size);
    pass set_mempolicy_home_node(start: Place, len: Size, home_node: Int, flags: Hex);
    pass migrate_pages(pid: Int, maxnode: Size, from: Address, to: Address);
    pass move_pages(pid: Int, nr_pages: Size, pages: Address, nodes: Address, status: Address, flags: Hex);
    /// ENOSPC, as without such keys: the emulated CPUs do not advertise them.
    emulate(mm::pkey_alloc) pkey_alloc(flags: Hex, init_val: Bits(n::KEY_RIGHTS));
    pass pkey_free(pkey: Int);
    /// From then on, a signal interrupts an access that waits for its page.
    translate(mm::userfaultfd) userfaultfd(flags: Bits(n::USERFAULTFD)) -> Descriptor;
    /// Nothing is read of what is the emulator's.
    translate(process_memory::process_vm_readv) process_vm_readv(pid: Int, lvec: OutVec, liovcnt: Size, rvec: Each(s::Shape::Iovec), riovcnt: Size, flags: Hex);
    /// Nothing is written of what is the emulator's, and code that is written is translated anew.
    translate(process_memory::process_vm_writev) process_vm_writev(pid: Int, lvec: InVec, liovcnt: Size, rvec: Each(s::Shape::Iovec), riovcnt: Size, flags: Hex);
    pass membarrier(cmd: OneOf(n::MEMBARRIER), flags: Bits(n::MEMBARRIER_FLAGS), cpu_id: When(u64::MAX, &Int)) -> Flags("", n::MEMBARRIER);
    /// No shadow stacks: the emulated CPU does not advertise them.
    refuse(EOPNOTSUPP) map_shadow_stack(addr: Hex, size: Size, flags: Hex);
}
