//! The first stack: arguments, environment and auxiliary vector as the kernel lays them out.

use super::{LoadError, Loaded};
use crate::mem::{MapRequest, Memory, space};
use guest::arch::GuestArch;
use guest::{GuestAddr, GuestMemory};
use std::ffi::CString;
use std::ops::Range;

const PAGE: u64 = 4096;

/// What goes onto the stack.
pub struct StackContents<'a> {
    pub argv: &'a [CString],
    pub envp: &'a [CString],
    /// AT_EXECFN.
    pub filename: &'a CString,
    pub features: u64,
    /// AT_SYSINFO_EHDR; 0 without a vDSO.
    pub vdso: u64,
    /// Size of the stack in bytes.
    pub size: u64,
    /// AT_RANDOM's 16 bytes.
    pub random: [u8; 16],
}

/// The stack as it was made.
#[derive(Clone, Debug)]
pub struct Stack {
    /// The initial stack pointer.
    pub sp: GuestAddr,
    /// Its mapping.
    pub area: Range<u64>,
    /// Where the strings of the arguments and of the environment are.
    pub argv: Range<u64>,
    pub envp: Range<u64>,
    /// The auxiliary vector, as it is in memory.
    pub auxv: Vec<u8>,
}

/// What the kernel gave us and passes on to the guest unchanged (AT_UID, AT_CLKTCK, ...).
fn host_auxv(kind: u64) -> u64 {
    crate::host::startup::auxv(kind)
}

/// Maps a stack and fills it.
pub fn build(
    arch: &dyn GuestArch,
    loaded: &Loaded,
    contents: &StackContents<'_>,
) -> Result<Stack, LoadError> {
    let too_long = || LoadError::ArgumentsTooLong { path: contents.filename.to_string_lossy().into_owned() };
    let size = contents.size.min(space().stack_room() / 2).next_multiple_of(PAGE);
    let exec = if loaded.executable_stack { libc::PROT_EXEC } else { 0 };
    let request = MapRequest {
        addr: space().top() - size,
        len: size,
        prot: libc::PROT_READ | libc::PROT_WRITE | exec,
        flags: libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_STACK,
        fd: -1,
        offset: 0,
    };
    let bottom = space().mmap(&request).map_err(|errno| LoadError::Map {
        path: contents.filename.to_string_lossy().into_owned(),
        addr: request.addr,
        errno,
    })?;
    let mut area = Area { bottom, sp: bottom + size };
    // The kernel leaves a null word at the very top, then the file name, the environment, the arguments.
    area.push(&[0; 8]).ok_or_else(too_long)?;
    let filename = area.push(contents.filename.as_bytes_with_nul()).ok_or_else(too_long)?;
    let envp = area.push_strings(contents.envp).ok_or_else(too_long)?;
    let env_start = area.sp;
    let argv = area.push_strings(contents.argv).ok_or_else(too_long)?;
    let arg_start = area.sp;
    area.sp &= !15;
    let platform = CString::new(arch.linux().platform()).unwrap_or_default();
    let platform = area.push(platform.as_bytes_with_nul()).ok_or_else(too_long)?;
    let random = area.push(&contents.random).ok_or_else(too_long)?;
    let mut words = vec![argv.len() as u64];
    words.extend(argv.iter().copied().chain([0]));
    words.extend(envp.iter().copied().chain([0]));
    let auxv: Vec<u8> = auxv(arch, loaded, contents, filename, platform, random)
        .iter()
        .flat_map(|(kind, value)| [kind.to_le_bytes(), value.to_le_bytes()].concat())
        .collect();
    let mut bytes: Vec<u8> = words.iter().flat_map(|w| w.to_le_bytes()).collect();
    bytes.extend(&auxv);
    area.sp = area.sp.checked_sub(bytes.len() as u64).ok_or_else(too_long)? & !15;
    area.write(&bytes).ok_or_else(too_long)?;
    Ok(Stack {
        sp: GuestAddr(area.sp),
        area: bottom..bottom + size,
        argv: arg_start..env_start,
        envp: env_start..filename,
        auxv,
    })
}

/// The part of the stack that is still free.
struct Area {
    bottom: u64,
    sp: u64,
}

impl Area {
    /// Leaves this much for the program.
    const RESERVE: u64 = 64 * 1024;

    fn push(&mut self, bytes: &[u8]) -> Option<u64> {
        self.sp = self.sp.checked_sub(bytes.len() as u64)?;
        self.write(bytes)?;
        Some(self.sp)
    }

    fn write(&self, bytes: &[u8]) -> Option<()> {
        if self.sp < self.bottom + Self::RESERVE {
            return None;
        }
        Memory.write(GuestAddr(self.sp), bytes).ok()
    }

    /// Pushes the strings so that the first is lowest; their addresses in order.
    fn push_strings(&mut self, strings: &[CString]) -> Option<Vec<u64>> {
        let mut addresses = Vec::with_capacity(strings.len());
        for string in strings.iter().rev() {
            addresses.push(self.push(string.as_bytes_with_nul())?);
        }
        addresses.reverse();
        Some(addresses)
    }
}

fn auxv(
    arch: &dyn GuestArch,
    loaded: &Loaded,
    contents: &StackContents<'_>,
    filename: u64,
    platform: u64,
    random: u64,
) -> Vec<(u64, u64)> {
    const AT_MINSIGSTKSZ: u64 = 51;
    let (hwcap, hwcap2) = arch.linux().hwcaps(contents.features);
    let mut entries = Vec::with_capacity(24);
    if contents.vdso != 0 {
        entries.push((libc::AT_SYSINFO_EHDR, contents.vdso));
    }
    entries.extend([
        (AT_MINSIGSTKSZ, arch.linux().min_signal_stack()),
        (libc::AT_HWCAP, hwcap),
        (libc::AT_PAGESZ, PAGE),
        (libc::AT_CLKTCK, host_auxv(libc::AT_CLKTCK)),
        (libc::AT_PHDR, loaded.phdr),
        (libc::AT_PHENT, 56),
        (libc::AT_PHNUM, loaded.phnum),
        (libc::AT_BASE, loaded.interpreter_base),
        (libc::AT_FLAGS, 0),
        (libc::AT_ENTRY, loaded.entry),
        (libc::AT_UID, host_auxv(libc::AT_UID)),
        (libc::AT_EUID, host_auxv(libc::AT_EUID)),
        (libc::AT_GID, host_auxv(libc::AT_GID)),
        (libc::AT_EGID, host_auxv(libc::AT_EGID)),
        (libc::AT_SECURE, host_auxv(libc::AT_SECURE)),
        (libc::AT_RANDOM, random),
        (libc::AT_HWCAP2, hwcap2),
        (libc::AT_EXECFN, filename),
        (libc::AT_PLATFORM, platform),
        (libc::AT_NULL, 0),
    ]);
    entries
}
