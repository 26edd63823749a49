//! The address space.

use super::kinds::Kind::*;
use super::{names as n, rows, shapes as s};
use crate::linux::mm;

rows! { MEMORY:
    /// In our table of mappings; never into the emulator's range.
    emulate(mm::mmap) mmap(addr: Hex, len: Size, prot: Bits(n::PROTECTION), flags: Choice(n::MAP_TYPE, n::MAP), fd: Fd, off: Hex);
    /// In our table of mappings; never the emulator's range.
    emulate(mm::munmap) munmap(addr: Hex, len: Size);
    /// Guest code is never executable for the host; PROT_EXEC is kept in our table.
    emulate(mm::mprotect) mprotect(start: Hex, len: Size, prot: Bits(n::PROTECTION));
    /// As mprotect.
    emulate(mm::pkey_mprotect) pkey_mprotect(start: Hex, len: Size, prot: Bits(n::PROTECTION), pkey: Int);
    /// As mmap.
    emulate(mm::mremap) mremap(addr: Hex, old_len: Size, new_len: Size, flags: Bits(n::MREMAP), new_addr: Hex);
    /// The break follows the guest's program, not the emulator's.
    emulate(mm::brk) brk(brk: Hex);
    /// What changes contents drops translations first.
    translate(mm::madvise) madvise(start: Hex, len: Size, behavior: OneOf(n::ADVICE));
    /// It would reach the emulator's own memory.
    refuse(EPERM) process_madvise(pidfd: Fd, vec: InVec, vlen: Size, behavior: OneOf(n::ADVICE), flags: Hex);
    pass msync(start: Hex, len: Size, flags: Bits(n::MSYNC));
    pass mlock(start: Hex, len: Size);
    pass mlock2(start: Hex, len: Size, flags: Bits(n::MLOCK2));
    pass munlock(start: Hex, len: Size);
    pass mlockall(flags: Bits(n::MLOCK));
    pass munlockall();
    pass mincore(start: Hex, len: Size, vec: Address);
    pass mseal(start: Hex, len: Size, flags: Hex);
    /// As mmap.
    emulate(mm::remap_file_pages) remap_file_pages(start: Hex, size: Size, prot: Bits(n::PROTECTION), pgoff: Size, flags: Hex);
    /// In our table of mappings.
    emulate(mm::shmat) shmat(shmid: Int, shmaddr: Hex, shmflg: Bits(n::SHM));
    /// In our table of mappings.
    emulate(mm::shmdt) shmdt(shmaddr: Hex);
    pass shmget(key: Int, size: Size, flag: Choice(&[], n::IPC));
    pass shmctl(shmid: Int, cmd: OneOf(n::IPC_COMMAND), buf: Address);
    pass mbind(start: Hex, len: Size, mode: Int, nmask: Address, maxnode: Size, flags: Hex);
    pass get_mempolicy(policy: Gives(s::INT), nmask: Address, maxnode: Size, addr: Hex, flags: Hex);
    pass set_mempolicy(mode: Int, nmask: Address, maxnode: Size);
    pass set_mempolicy_home_node(start: Hex, len: Size, home_node: Int, flags: Hex);
    pass migrate_pages(pid: Int, maxnode: Size, from: Address, to: Address);
    pass move_pages(pid: Int, nr_pages: Size, pages: Address, nodes: Address, status: Address, flags: Hex);
    pass pkey_alloc(flags: Hex, init_val: Hex);
    pass pkey_free(pkey: Int);
    pass userfaultfd(flags: Hex);
    block process_vm_readv(pid: Int, lvec: OutVec, liovcnt: Size, rvec: Address, riovcnt: Size, flags: Hex);
    block process_vm_writev(pid: Int, lvec: InVec, liovcnt: Size, rvec: Address, riovcnt: Size, flags: Hex);
    pass membarrier(cmd: OneOf(n::MEMBARRIER), flags: Hex, cpu_id: Int);
    /// No shadow stacks: the emulated CPU does not advertise them.
    refuse(EOPNOTSUPP) map_shadow_stack(addr: Hex, size: Size, flags: Hex);
}
