//! `io`'s files, kept away from the guest.
//!
//! A file that a rule opens is a descriptor in the guest's table: it is moved out of the way and does not
//! survive an execve. What a rule writes must not be lost however the guest ends, nor be written twice after a
//! fork, so buffers are written out before every system call of a rule and at the end of each invocation.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::os::fd::{FromRawFd, OwnedFd};
use std::ptr;

use mlua::ffi::{self, lua_CFunction, lua_State};

use super::context::Context;
use super::stack::Stack;
use crate::host::files;
use crate::host::hidden_fd::HiddenFd;

/// `LUA_FILEHANDLE`, the metatable of files.
const FILE: &CStr = c"FILE*";
/// Registry: the set of files that may have unwritten bytes.
const UNWRITTEN: &CStr = c"qemu-lua.unwritten";
/// Registry: the default output.
const OUTPUT: &CStr = c"_IO_output";

/// `luaL_Stream`.
#[repr(C)]
pub(super) struct Stream {
    pub(super) file: *mut libc::FILE,
    /// `None` marks a closed file.
    pub(super) close: Option<lua_CFunction>,
}

/// Raises when memory is short.
pub(super) fn install(stack: Stack) {
    stack.new_table(0, 4);
    stack.set_field(ffi::LUA_REGISTRYINDEX, UNWRITTEN);
    stack.push_globals();
    stack.field(-1, c"io");
    stack.push_function(open);
    stack.set_field(-2, c"open");
    stack.field(-1, c"write");
    stack.push_closure(write_default, 1);
    stack.set_field(-2, c"write");
    stack.pop(2);
    stack.field(ffi::LUA_REGISTRYINDEX, FILE);
    stack.field(-1, c"__index");
    stack.field(-1, c"write");
    stack.push_closure(write, 1);
    stack.set_field(-2, c"write");
    stack.pop(2);
}

/// Pushes a new file value, closed as yet, with one user value. Raises when memory is short.
pub(super) fn new_stream(stack: Stack) -> *mut Stream {
    let stream = stack.new_userdata(size_of::<Stream>(), 1).cast::<Stream>();
    // SAFETY: fresh memory of that size, suitably aligned.
    unsafe { stream.write(Stream { file: ptr::null_mut(), close: None }) };
    // SAFETY: the metatable exists since `luaopen_io`.
    unsafe { ffi::luaL_setmetatable(stack.raw(), FILE.as_ptr()) };
    stream
}

/// Makes `fd` a C stream; null (and `fd` closed) if that fails.
pub(super) fn to_file(fd: HiddenFd, mode: &CStr) -> *mut libc::FILE {
    let raw = fd.into_raw();
    // SAFETY: the descriptor is ours alone.
    let file = unsafe { libc::fdopen(raw, mode.as_ptr()) };
    if file.is_null() {
        files::release(raw);
        // SAFETY: still ours.
        unsafe { libc::close(raw) };
    }
    file
}

/// The `open(2)` flags of a C mode string.
fn flags(mode: &[u8]) -> Option<c_int> {
    let (base, rest) = mode.split_first()?;
    let (plus, rest) = match rest.split_first() {
        Some((b'+', rest)) => (true, rest),
        _ => (false, rest),
    };
    if !rest.iter().all(|&c| c == b'b') {
        return None;
    }
    let access = match (base, plus) {
        (_, true) => libc::O_RDWR,
        (b'r', false) => libc::O_RDONLY,
        _ => libc::O_WRONLY,
    };
    match base {
        b'r' => Some(access),
        b'w' => Some(access | libc::O_CREAT | libc::O_TRUNC),
        b'a' => Some(access | libc::O_CREAT | libc::O_APPEND),
        _ => None,
    }
}

fn open_high(path: &CStr, flags: c_int) -> Option<HiddenFd> {
    // SAFETY: the path is a C string; a mode goes with O_CREAT.
    let fd = unsafe { libc::open(path.as_ptr(), flags | libc::O_CLOEXEC | libc::O_NOCTTY, 0o666) };
    // SAFETY: just opened, owned by nobody else.
    (fd >= 0).then(|| HiddenFd::hide(unsafe { OwnedFd::from_raw_fd(fd) }))
}

/// `io.open(name, mode = "r")`
unsafe extern "C-unwind" fn open(state: *mut lua_State) -> c_int {
    // SAFETY: Lua's promise to its callbacks.
    let stack = unsafe { Stack::new(state) };
    let path = stack.check_string(1);
    let mode = if stack.kind(2) <= ffi::LUA_TNIL { c"r" } else { stack.check_string(2) };
    let Some(flags) = flags(mode.to_bytes()) else { stack.argument_error(2, c"invalid mode") };
    let stream = new_stream(stack);
    let file = open_high(path, flags).map_or(ptr::null_mut(), |fd| to_file(fd, mode));
    if file.is_null() {
        return file_result(stack, 0, path.as_ptr());
    }
    // SAFETY: the value is on the stack, so it is alive.
    unsafe { stream.write(Stream { file, close: Some(close) }) };
    1
}

/// The usual results for what `errno` says. Raises when memory is short.
pub(super) fn file_result(stack: Stack, ok: c_int, name: *const c_char) -> c_int {
    // SAFETY: a live state and a C string or null.
    unsafe { ffi::luaL_fileresult(stack.raw(), ok, name) }
}

/// Closes a stream that [`to_file`] made; `fclose`'s result.
///
/// # Safety
/// `stream` is an open file's, which Lua has marked closed already.
pub(super) unsafe fn close_stream(stream: *mut Stream) -> c_int {
    // SAFETY: the caller's promise.
    let file = unsafe { (*stream).file };
    // SAFETY: the same; nobody uses the file afterwards.
    unsafe {
        files::release(libc::fileno(file));
        libc::fclose(file)
    }
}

/// A file's `closef`: Lua has marked it closed already.
unsafe extern "C-unwind" fn close(state: *mut lua_State) -> c_int {
    // SAFETY: Lua's promise to its callbacks.
    let stack = unsafe { Stack::new(state) };
    // SAFETY: Lua calls this with one of its files as the argument.
    let ok = unsafe { close_stream(stack.pointer(1).cast()) } == 0;
    file_result(stack, c_int::from(ok), ptr::null())
}

/// The file at `index`, if it is one.
fn stream_at(stack: Stack, index: c_int) -> Option<*mut Stream> {
    // SAFETY: any value may be tested.
    let stream: *mut c_void = unsafe { ffi::luaL_testudata(stack.raw(), index, FILE.as_ptr()) };
    (!stream.is_null()).then(|| stream.cast())
}

/// Remembers that the file on top may have unwritten bytes, and pops it. Raises when memory is short.
fn note_unwritten(stack: Stack) {
    if stream_at(stack, -1).is_some() {
        stack.field(ffi::LUA_REGISTRYINDEX, UNWRITTEN);
        stack.rotate(-2, 1);
        stack.push_boolean(true);
        stack.raw_set(-3);
        Context::of(stack).unwritten.set(true);
    }
    stack.pop(1);
}

fn call_original(stack: Stack) -> c_int {
    stack.push_copy(ffi::lua_upvalueindex(1));
    stack.rotate(1, 1);
    stack.call(stack.top() - 1, ffi::LUA_MULTRET);
    stack.top()
}

/// `file:write(...)`; the original is its upvalue.
unsafe extern "C-unwind" fn write(state: *mut lua_State) -> c_int {
    // SAFETY: Lua's promise to its callbacks.
    let stack = unsafe { Stack::new(state) };
    stack.check_any(1);
    stack.push_copy(1);
    note_unwritten(stack);
    call_original(stack)
}

/// `io.write(...)`; the original is its upvalue.
unsafe extern "C-unwind" fn write_default(state: *mut lua_State) -> c_int {
    // SAFETY: Lua's promise to its callbacks.
    let stack = unsafe { Stack::new(state) };
    stack.field(ffi::LUA_REGISTRYINDEX, OUTPUT);
    note_unwritten(stack);
    call_original(stack)
}

/// Writes out all that is buffered. Raises when memory is short.
pub(super) fn flush(stack: Stack) {
    Context::of(stack).unwritten.set(false);
    stack.field(ffi::LUA_REGISTRYINDEX, UNWRITTEN);
    stack.push_nil();
    while stack.next(-2) != 0 {
        stack.pop(1);
        flush_stream(stream_at(stack, -1));
        // Clearing an existing field is allowed during a traversal.
        stack.push_copy(-1);
        stack.push_nil();
        stack.raw_set(-4);
    }
    stack.pop(1);
}

fn flush_stream(stream: Option<*mut Stream>) {
    let Some(stream) = stream else { return };
    // SAFETY: the value is on the stack, so it is alive; an open file's stream is.
    unsafe {
        if (*stream).close.is_some() {
            libc::fflush((*stream).file);
        }
    }
}

/// [`flush`], to be called from outside Lua.
pub(super) unsafe extern "C-unwind" fn flush_all(state: *mut lua_State) -> c_int {
    // SAFETY: Lua's promise to its callbacks.
    flush(unsafe { Stack::new(state) });
    0
}
