//! What perf needs to name translated code by guest functions: a map (`-perfmap`) and a dump of the code (`-jitdump`).
//!
//! `/tmp/perf-PID.map` has a line "start size name" for each piece of code; `perf report` reads it by itself. The dump,
//! in the format of the kernel's tools/perf/Documentation/jitdump-specification.txt, has the code too and the time when
//! it was made: `perf record -k mono`, then `perf inject --jit`.
//!
//! Code is installed under the locks of the cache and the engine, while names are looked up in the mapping table, whose
//! lock comes before those. So a new piece is only noted down there ([`note`]), and written by the thread that had it
//! made, once that holds no lock ([`write`]).
//!
//! A forked child has files of its own, which start with its parent's. A process that executes another program starts its
//! files anew.

use super::symbols::Names;
use super::{enabled, item};
use crate::host::files::{self, OwnedFile};
use crate::host::{mapped_file, sys};
use guest::GuestAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A piece of code.
struct Made {
    start: u64,
    pc: GuestAddr,
    len: usize,
    /// For the dump.
    code: Vec<u8>,
}

/// Code that is not written yet. Nothing else is locked under this.
static NOTED: Mutex<Vec<Made>> = Mutex::new(Vec::new());
/// The files.
static WRITER: Mutex<Option<Writer>> = Mutex::new(None);

/// What is written, and where to.
struct Writer {
    names: Names,
    map: Option<OwnedFile>,
    dump: Option<Dump>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether code is to be named at all.
#[inline]
#[must_use]
pub fn wanted() -> bool {
    enabled(item::PERF_MAP | item::JIT_DUMP)
}

/// Keeps the files still while `f` runs: for fork. Taken before all other locks.
pub fn with_locked<T>(f: impl FnOnce() -> T) -> T {
    let _writer = lock(&WRITER);
    f()
}

/// Keeps what was noted still while `f` runs: for fork. Taken after all other locks.
pub fn with_notes_locked<T>(f: impl FnOnce() -> T) -> T {
    let _noted = lock(&NOTED);
    f()
}

/// Opens the files that the options ask for; the path of one that cannot be written, and the errno.
pub fn start() -> Result<(), (String, i32)> {
    if wanted() {
        *lock(&WRITER) = Some(Writer::open()?);
    }
    Ok(())
}

/// In a forked child: it has files of its own, which start with what its parent had made.
pub fn forked() {
    if !wanted() {
        return;
    }
    let mut guard = lock(&WRITER);
    if let Some(parent) = guard.take() {
        *guard = parent.of_child();
    }
}

/// Notes code down that was just installed.
pub fn note(start: u64, code: &[u8], pc: GuestAddr) {
    if wanted() {
        let len = code.len();
        let code = if enabled(item::JIT_DUMP) { code.to_vec() } else { Vec::new() };
        lock(&NOTED).push(Made { start, pc, len, code });
    }
}

/// Writes what was noted down. The caller holds no lock.
#[inline]
pub fn write() {
    if wanted() {
        write_noted();
    }
}

fn write_noted() {
    let mut guard = lock(&WRITER);
    let noted = std::mem::take(&mut *lock(&NOTED));
    if let Some(writer) = guard.as_mut() {
        writer.write(&noted);
    }
}

impl Writer {
    fn open() -> Result<Self, (String, i32)> {
        let pid = std::process::id();
        let map = if enabled(item::PERF_MAP) { Some(create(&format!("/tmp/perf-{pid}.map"))?) } else { None };
        let dump = if enabled(item::JIT_DUMP) { Some(Dump::create(pid)?) } else { None };
        Ok(Self { names: Names::default(), map, dump })
    }

    /// Nobody can be told where the child's files cannot be written.
    fn of_child(self) -> Option<Self> {
        let mut child = Self::open().ok()?;
        if let (Some(from), Some(to)) = (&self.map, &child.map) {
            let _ = to.write_all(&whole(from));
        }
        if let (Some(from), Some(to)) = (&self.dump, &mut child.dump) {
            let _ = to.file.write_all(whole(&from.file).get(HEADER_SIZE..).unwrap_or_default());
            to.pieces = from.pieces;
        }
        for file in self.map.iter().chain(self.dump.as_ref().map(|dump| &dump.file)) {
            files::release(file.raw());
        }
        child.names = self.names;
        Some(child)
    }

    fn write(&mut self, noted: &[Made]) {
        let mut lines = String::new();
        for made in noted {
            let name = self.names.of(made.pc);
            lines.push_str(&format!("{:x} {:x} {name}\n", made.start, made.len));
            if let Some(dump) = &mut self.dump {
                dump.write(made, &name);
            }
        }
        if let Some(map) = &self.map {
            let _ = map.write_all(lines.as_bytes());
        }
    }
}

/// A new file, empty, whose descriptor the guest does not reach.
fn create(path: &str) -> Result<OwnedFile, (String, i32)> {
    let flags = libc::O_RDWR | libc::O_CREAT | libc::O_TRUNC | libc::O_APPEND | libc::O_NOFOLLOW;
    let file = OwnedFile::open_with(path, flags, 0o666).map_err(|errno| (path.to_owned(), errno))?;
    let _ = files::keep(file.raw());
    Ok(file)
}

fn whole(file: &OwnedFile) -> Vec<u8> {
    let mut bytes = vec![0; file.status().map_or(0, |status| status.size as usize)];
    let got = file.read_at(0, &mut bytes);
    bytes.truncate(got);
    bytes
}

/// "JiTD"
const MAGIC: u32 = 0x4a69_5444;
const VERSION: u32 = 1;
const HEADER_SIZE: usize = 40;
const RECORD_SIZE: usize = 56;
/// `JIT_CODE_LOAD`
const LOAD: u32 = 0;

/// The file of `-jitdump`.
struct Dump {
    file: OwnedFile,
    pid: u32,
    /// How many were written: each has a number.
    pieces: u64,
}

impl Dump {
    fn create(pid: u32) -> Result<Self, (String, i32)> {
        let file = create(&format!("jit-{pid}.dump"))?;
        let words = [MAGIC, VERSION, HEADER_SIZE as u32, u32::from(elf::abi::EM_X86_64), 0, pid];
        let mut header: Vec<u8> = words.into_iter().flat_map(u32::to_le_bytes).collect();
        header.extend([now(), 0].into_iter().flat_map(u64::to_le_bytes));
        let _ = file.write_all(&header);
        // perf learns of the file by its being mapped executable.
        if !mapped_file::announce(file.raw()) {
            crate::log::once("jitdump", || {
                "the dump of code cannot be mapped: perf will not find it".to_owned()
            });
        }
        Ok(Self { file, pid, pieces: 0 })
    }

    fn write(&mut self, made: &Made, name: &str) {
        let size = RECORD_SIZE + name.len() + 1 + made.code.len();
        let mut record: Vec<u8> = [LOAD, size as u32].into_iter().flat_map(u32::to_le_bytes).collect();
        record.extend(now().to_le_bytes());
        record.extend([self.pid, thread_id()].into_iter().flat_map(u32::to_le_bytes));
        let words = [made.start, made.start, made.code.len() as u64, self.pieces];
        record.extend(words.into_iter().flat_map(u64::to_le_bytes));
        record.extend_from_slice(name.as_bytes());
        record.push(0);
        record.extend_from_slice(&made.code);
        debug_assert_eq!(record.len(), size);
        let _ = self.file.write_all(&record);
        self.pieces += 1;
    }
}

fn thread_id() -> u32 {
    sys::syscall(libc::SYS_gettid, [0; 6]) as u32
}

/// Nanoseconds of the monotonic clock, which `perf record -k mono` uses.
fn now() -> u64 {
    let mut time = [0u64; 2];
    let args = [libc::CLOCK_MONOTONIC as u64, time.as_mut_ptr() as u64, 0, 0, 0, 0];
    sys::syscall(libc::SYS_clock_gettime, args);
    time[0] * 1_000_000_000 + time[1]
}
