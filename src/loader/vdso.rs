//! The vDSO: a small shared object made in memory, whose functions make the real system calls.
//!
//! A native vDSO answers `clock_gettime` without the kernel, and so would hide the call from rules and
//! traces. This one exists so that programs find the symbols and (AArch64) the signal trampoline where
//! they expect them.

use crate::mem::{MapRequest, Memory, space};
use guest::arch::GuestArch;
use guest::linux::VdsoDescription;
use guest::{GuestAddr, GuestMemory};

const PAGE: u64 = 4096;

/// A mapped vDSO.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Vdso {
    /// AT_SYSINFO_EHDR; 0 where there is none.
    pub base: u64,
    /// Where signal handlers return to, if the architecture's kernel has that here.
    pub sigreturn: GuestAddr,
}

/// Maps the architecture's vDSO; nothing where there is no room.
pub fn map(arch: &dyn GuestArch) -> Vdso {
    let (image, sigreturn) = build(&arch.linux().vdso(), arch.elf_machine());
    let len = (image.len() as u64).next_multiple_of(PAGE);
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    let prot = libc::PROT_READ | libc::PROT_WRITE;
    let Ok(base) = space().mmap(&MapRequest { addr: 0, len, prot, flags, fd: -1, offset: 0 }) else {
        return Vdso::default();
    };
    let filled = Memory.write(GuestAddr(base), &image).is_ok();
    if !filled || space().mprotect(base, len, libc::PROT_READ | libc::PROT_EXEC).is_err() {
        return Vdso::default();
    }
    Vdso { base, sigreturn: GuestAddr(base + sigreturn) }
}

/// Little-endian bytes under construction.
#[derive(Default)]
struct Bytes(Vec<u8>);

impl Bytes {
    fn u16(&mut self, v: u16) -> &mut Self {
        self.0.extend(v.to_le_bytes());
        self
    }
    fn u32(&mut self, v: u32) -> &mut Self {
        self.0.extend(v.to_le_bytes());
        self
    }
    fn u64(&mut self, v: u64) -> &mut Self {
        self.0.extend(v.to_le_bytes());
        self
    }
    fn align(&mut self, to: usize) -> u64 {
        self.0.resize(self.0.len().next_multiple_of(to), 0);
        self.0.len() as u64
    }
}

/// A string table: offset 0 is the empty string.
struct Strings(Vec<u8>);

impl Strings {
    fn add(&mut self, text: &str) -> u32 {
        let at = self.0.len() as u32;
        self.0.extend(text.as_bytes());
        self.0.push(0);
        at
    }
}

/// The System V ABI's symbol hash.
fn elf_hash(name: &str) -> u32 {
    name.bytes().fold(0u32, |h, byte| {
        let h = (h << 4).wrapping_add(u32::from(byte));
        let top = h & 0xf000_0000;
        (h ^ top >> 24) & !top
    })
}

/// The image and the offset of its sigreturn function.
fn build(vdso: &VdsoDescription, machine: u16) -> (Vec<u8>, u64) {
    let mut strings = Strings(vec![0]);
    let soname = strings.add(vdso.soname);
    let version = strings.add(vdso.version);
    let names: Vec<u32> = vdso.functions.iter().map(|f| strings.add(f.name)).collect();
    let count = vdso.functions.len();

    let mut out = Bytes::default();
    out.0.resize(64 + 2 * 56, 0);
    let text: Vec<u64> = vdso
        .functions
        .iter()
        .map(|f| {
            let at = out.align(16);
            out.0.extend(f.code);
            at
        })
        .collect();
    let dynstr = out.align(8);
    out.0.extend(&strings.0);
    let dynsym = out.align(8);
    out.0.extend([0; 24]);
    for (index, function) in vdso.functions.iter().enumerate() {
        // STB_GLOBAL, STT_FUNC, any defined section.
        out.u32(names[index]).u16(0x12).u16(1).u64(text[index]).u64(function.code.len() as u64);
    }
    let hash = write_hash(&mut out, vdso, count);
    let versym = out.align(8);
    out.u16(0);
    for _ in 0..count {
        out.u16(2);
    }
    let verdef = write_version_definitions(&mut out, vdso, soname, version);
    let dynamic = out.align(8);
    let entries = [
        (14, u64::from(soname)),
        (4, hash),
        (5, dynstr),
        (6, dynsym),
        (10, strings.0.len() as u64),
        (11, 24),
        (0x6fff_fff0, versym),
        (0x6fff_fffc, verdef),
        (0x6fff_fffd, 2),
        (0, 0),
    ];
    for (tag, value) in entries {
        out.u64(tag).u64(value);
    }
    let total = out.0.len() as u64;
    write_headers(&mut out.0, machine, total, dynamic, 16 * entries.len() as u64);
    let sigreturn = vdso.functions.iter().position(|f| Some(f.name) == vdso.sigreturn).map_or(0, |i| text[i]);
    (out.0, sigreturn)
}

/// DT_HASH with one bucket; its offset.
fn write_hash(out: &mut Bytes, vdso: &VdsoDescription, count: usize) -> u64 {
    let at = out.align(8);
    let buckets = count.max(1) as u32;
    let mut heads = vec![0u32; buckets as usize];
    let mut chains = vec![0u32; count + 1];
    for (index, function) in vdso.functions.iter().enumerate() {
        let bucket = (elf_hash(function.name) % buckets) as usize;
        chains[index + 1] = heads[bucket];
        heads[bucket] = index as u32 + 1;
    }
    out.u32(buckets).u32(count as u32 + 1);
    for value in heads.into_iter().chain(chains) {
        out.u32(value);
    }
    at
}

/// Version definitions: the base one (the soname) and the functions'.
fn write_version_definitions(out: &mut Bytes, vdso: &VdsoDescription, soname: u32, version: u32) -> u64 {
    let at = out.align(8);
    for (flags, index, hash, name, next) in
        [(1, 1, elf_hash(vdso.soname), soname, 28), (0, 2, elf_hash(vdso.version), version, 0)]
    {
        out.u16(1).u16(flags).u16(index).u16(1).u32(hash).u32(20).u32(next);
        out.u32(name).u32(0);
    }
    at
}

fn write_headers(image: &mut [u8], machine: u16, total: u64, dynamic: u64, dynamic_len: u64) {
    let mut head = Bytes::default();
    head.0.extend([0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    head.u16(3).u16(machine).u32(1).u64(0).u64(64).u64(0).u32(0).u16(64).u16(56).u16(2).u16(64).u16(0).u16(0);
    // PT_LOAD, readable and executable.
    head.u32(1).u32(5).u64(0).u64(0).u64(0).u64(total).u64(total).u64(PAGE);
    // PT_DYNAMIC, readable.
    head.u32(2).u32(4).u64(dynamic).u64(dynamic).u64(dynamic).u64(dynamic_len).u64(dynamic_len).u64(8);
    image[..head.0.len()].copy_from_slice(&head.0);
}
