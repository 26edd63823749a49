//! What the kernel started us with.
#![allow(unsafe_code)] // argc, argv and envp arrive as C pointers

use crate::host::files::{self, OwnedFile};
use crate::host::kept::{self, Kept};
use std::ffi::{CStr, CString, c_char, c_int};
use std::os::fd::{FromRawFd, OwnedFd};
use std::sync::{Mutex, OnceLock, PoisonError};

/// Arguments and environment as they came.
#[derive(Clone, Debug, Default)]
pub struct Startup {
    pub argv: Vec<CString>,
    pub envp: Vec<CString>,
}

/// Copies what `main` was given.
///
/// # Safety
/// `argv` and `envp` are null-terminated arrays of C strings, as the C runtime passes them.
pub unsafe fn capture(_argc: c_int, argv: *const *const c_char, envp: *const *const c_char) -> Startup {
    // SAFETY: the caller's promise.
    unsafe { Startup { argv: strings(argv), envp: strings(envp) } }
}

/// # Safety
/// As for [`capture`].
unsafe fn strings(mut array: *const *const c_char) -> Vec<CString> {
    let mut out = Vec::new();
    loop {
        // SAFETY: the array goes on up to its null.
        let string = unsafe { *array };
        if string.is_null() {
            return out;
        }
        // SAFETY: a C string by the caller's promise.
        out.push(unsafe { CStr::from_ptr(string) }.to_owned());
        array = array.wrapping_add(1);
    }
}

/// An entry of the auxiliary vector; 0 where there is none.
#[must_use]
pub fn auxv(kind: u64) -> u64 {
    // SAFETY: only looks the number up.
    unsafe { libc::getauxval(kind) }
}

/// Writes out what C code in this process (Lua's `io`) has buffered.
pub fn flush_stdio() {
    // SAFETY: a null stream means all of them.
    unsafe { libc::fflush(std::ptr::null_mut()) };
}

static EXECUTABLE: OnceLock<Kept> = OnceLock::new();

/// The name that the kernel was asked to execute.
#[must_use]
pub fn execfn() -> Option<String> {
    let address = auxv(libc::AT_EXECFN) as *const c_char;
    if address.is_null() {
        return None;
    }
    // SAFETY: the kernel's AT_EXECFN is a C string on the initial stack, which stays.
    unsafe { CStr::from_ptr(address) }.to_str().ok().map(str::to_owned)
}

/// A descriptor of the emulator's own file, opened once. The number is good [in place](kept::in_place).
pub fn executable() -> Result<i32, i32> {
    if let Some(kept) = EXECUTABLE.get() {
        return Ok(kept.number());
    }
    let file = OwnedFile::open("/proc/self/exe")?.into_raw();
    let kept = Kept::new(file).ok_or(libc::EMFILE)?;
    Ok(EXECUTABLE.get_or_init(|| kept).number())
}

/// Takes over the descriptor of our own file that the image before this one left.
pub fn adopt_executable(fd: i32) {
    if let Some(kept) = Kept::new(kept::adopt(fd)) {
        EXECUTABLE.get_or_init(|| kept);
    }
}

/// The emulator for another architecture, in the same directory as this one, if it is [held](hold_sibling).
#[must_use]
pub fn held_sibling(arch: &str) -> Option<i32> {
    passed(&sibling_name(arch)).map(Kept::number)
}

/// The same, opened for one use. It is not remembered: a child that shares our memory has descriptors of its own.
pub fn open_sibling(arch: &str) -> Result<OwnedFile, i32> {
    let own = std::fs::read_link("/proc/self/exe").map_err(|_| libc::ENOEXEC)?;
    let path = own.with_file_name(format!("qemu-lua-{arch}"));
    OwnedFile::open(&path.to_string_lossy())
}

/// Keeps it open from now on, and passes it on. Not in a process that borrows its memory.
pub fn hold_sibling(arch: &str) {
    if !super::spawn::owns_memory() {
        return;
    }
    // Not installed: then it is not to be had later either.
    if let (None, Ok(file)) = (held_sibling(arch), open_sibling(arch)) {
        pass_on(&sibling_name(arch), file.into_raw());
    }
}

/// What the descriptor of an architecture's emulator is passed on as.
#[must_use]
pub fn sibling_name(arch: &str) -> String {
    format!("emulator-{arch}")
}

static INHERITED: Mutex<Vec<(String, Kept)>> = Mutex::new(Vec::new());

/// Declares a descriptor ours that the next image of the emulator needs too.
pub fn pass_on(what: &str, fd: i32) -> Option<Kept> {
    let kept = Kept::new(fd);
    note(what, kept);
    kept
}

fn note(what: &str, kept: Option<Kept>) {
    let mut inherited = INHERITED.lock().unwrap_or_else(PoisonError::into_inner);
    inherited.retain(|(known, _)| known != what);
    inherited.extend(kept.map(|kept| (what.to_owned(), kept)));
}

/// What is passed on by this name.
#[must_use]
pub fn passed(what: &str) -> Option<Kept> {
    let inherited = INHERITED.lock().unwrap_or_else(PoisonError::into_inner);
    inherited.iter().find(|(known, _)| known == what).map(|(_, kept)| *kept)
}

/// Descriptors that go on to the next image. The numbers are good [in place](kept::in_place).
#[must_use]
pub fn inherited_descriptors() -> Vec<(String, i32)> {
    let inherited = INHERITED.lock().unwrap_or_else(PoisonError::into_inner);
    inherited.iter().map(|(what, kept)| (what.clone(), kept.number())).collect()
}

/// Takes ownership of a descriptor that the image before this one passed on.
#[must_use]
pub fn take_passed(what: &str) -> Option<OwnedFd> {
    let fd = passed(what)?.number();
    note(what, None);
    files::release(fd);
    // SAFETY: passed on to us for exactly this use; nothing else of ours refers to it.
    Some(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Declares `fd`, which does not move, what the next image gets for `what`, in place of what it would have got.
pub fn replace_passed(what: &str, fd: i32) {
    note(what, Kept::where_it_is(fd));
}

/// Defines the C `main` of an emulator for the named architecture.
///
/// Rust's own start-up would ignore SIGPIPE, install fault handlers and open closed descriptors before
/// the guest's state could be looked at.
#[macro_export]
macro_rules! entry_point {
    ($arch:literal) => {
        #[allow(unsafe_code)]
        mod stubs {
            $crate::c_library_stubs!();
        }

        /// The C entry point.
        ///
        /// # Safety
        /// Called by the C runtime only.
        #[allow(unsafe_code)]
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn main(
            argc: std::ffi::c_int,
            argv: *const *const std::ffi::c_char,
            envp: *const *const std::ffi::c_char,
        ) -> std::ffi::c_int {
            $crate::host::heap::confine_allocator();
            // SAFETY: the C runtime's own arguments.
            let startup = unsafe { $crate::host::startup::capture(argc, argv, envp) };
            $crate::host::entry::release_first_stack();
            $crate::main_program::run($arch, startup)
        }
    };
}
