//! Guest memory. Sizes come from the guest, so nothing is allocated before it is known to be readable:
//! bytes are taken in chunks through the host's stack.

use std::ffi::{c_int, c_void};
use std::mem::MaybeUninit;

use guest::GuestAddr;
use mlua::ffi::{self, lua_State, luaL_Buffer};

use super::super::context::{Context, raise_no_host};
use super::super::stack::Stack;
use super::{EFAULT, EINVAL, OK, integer};
use crate::rules::RuleHost;

/// More than this is no buffer that a rule can want whole.
const MAX_LENGTH: u64 = 64 << 20;
/// `c_read_guest_string` without a length.
const DEFAULT_STRING: i64 = 4096;
const CHUNK: usize = 4096;

/// The guest thread, or a Lua error.
fn with_host<T>(stack: Stack, body: impl FnOnce(&mut dyn RuleHost) -> T) -> T {
    match Context::of(stack).with_host(body) {
        Ok(result) => result,
        Err(why) => {
            raise_no_host(stack, why);
            unreachable!("it raises")
        }
    }
}

fn address(stack: Stack, argument: c_int) -> Option<GuestAddr> {
    integer(stack, argument).map(|raw| GuestAddr(raw.cast_unsigned()))
}

fn length(value: i64) -> Option<usize> {
    let value = u64::try_from(value).ok().filter(|&value| value <= MAX_LENGTH)?;
    usize::try_from(value).ok()
}

/// Where a copy out of guest memory ends before its length.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    Length,
    Nul,
}

/// Pushes up to `length` bytes of guest memory, or `""`; the `rc` that goes with it.
fn push_guest_bytes(stack: Stack, from: GuestAddr, length: usize, until: Until) -> i64 {
    let mut chunk = [0u8; CHUNK];
    if length <= CHUNK {
        return push_chunk(stack, from, &mut chunk[..length], until);
    }
    let mut buffer = MaybeUninit::<luaL_Buffer>::uninit();
    let buffer = buffer.as_mut_ptr();
    let base = stack.top();
    // SAFETY: Lua initialises it; it lives on this frame, as long as it is used.
    unsafe { ffi::luaL_buffinit(stack.raw(), buffer) };
    let mut done = 0;
    while done < length {
        let wanted = CHUNK.min(length - done);
        let end = read_chunk(stack, GuestAddr(from.0.wrapping_add(done as u64)), &mut chunk[..wanted], until);
        let Some((got, ended)) = end else {
            stack.set_top(base);
            stack.push_bytes(b"");
            return EFAULT;
        };
        // SAFETY: initialised above; `got` bytes of `chunk` are valid.
        unsafe { ffi::luaL_addlstring(buffer, chunk.as_ptr().cast(), got) };
        done += wanted;
        if ended {
            break;
        }
    }
    // SAFETY: initialised above.
    unsafe { ffi::luaL_pushresult(buffer) };
    OK
}

fn push_chunk(stack: Stack, from: GuestAddr, chunk: &mut [u8], until: Until) -> i64 {
    if let Some((got, _)) = read_chunk(stack, from, chunk, until) {
        stack.push_bytes(&chunk[..got]);
        OK
    } else {
        stack.push_bytes(b"");
        EFAULT
    }
}

/// How many bytes of `chunk` count, and whether a NUL ended them; `None` on a fault before that.
fn read_chunk(stack: Stack, from: GuestAddr, chunk: &mut [u8], until: Until) -> Option<(usize, bool)> {
    let got = with_host(stack, |host| host.read(from, chunk)).min(chunk.len());
    if until == Until::Nul
        && let Some(nul) = chunk[..got].iter().position(|&byte| byte == 0)
    {
        return Some((nul, true));
    }
    (got == chunk.len()).then_some((got, false))
}

fn failed(stack: Stack, rc: i64) -> c_int {
    stack.push_bytes(b"");
    stack.push_integer(rc);
    2
}

/// `c_read_guest_string(addr, max_len = 4096) -> content, rc`
pub(in super::super) unsafe extern "C-unwind" fn read_string(state: *mut lua_State) -> c_int {
    // SAFETY: Lua's promise to its callbacks.
    let stack = unsafe { Stack::new(state) };
    let max = if stack.kind(2) <= ffi::LUA_TNIL { Some(DEFAULT_STRING) } else { integer(stack, 2) };
    read(stack, max, Until::Nul)
}

/// `c_read_guest_bytes(addr, len) -> data, rc`
pub(in super::super) unsafe extern "C-unwind" fn read_bytes(state: *mut lua_State) -> c_int {
    // SAFETY: Lua's promise to its callbacks.
    let stack = unsafe { Stack::new(state) };
    read(stack, integer(stack, 2), Until::Length)
}

fn read(stack: Stack, wanted: Option<i64>, until: Until) -> c_int {
    let (Some(from), Some(length)) = (address(stack, 1), wanted.and_then(length)) else {
        return failed(stack, EINVAL);
    };
    let rc = push_guest_bytes(stack, from, length, until);
    stack.push_integer(rc);
    2
}

fn read_value<const N: usize>(stack: Stack) -> Result<[u8; N], i64> {
    let from = address(stack, 1).ok_or(EINVAL)?;
    let mut bytes = [0; N];
    let got = with_host(stack, |host| host.read(from, &mut bytes));
    if got == N { Ok(bytes) } else { Err(EFAULT) }
}

fn push_value(stack: Stack, value: Result<u64, i64>) -> c_int {
    stack.push_integer(value.unwrap_or(0).cast_signed());
    stack.push_integer(value.err().unwrap_or(OK));
    2
}

/// `c_read_guest_u32(addr) -> value, rc`
pub(in super::super) unsafe extern "C-unwind" fn read_u32(state: *mut lua_State) -> c_int {
    // SAFETY: Lua's promise to its callbacks.
    let stack = unsafe { Stack::new(state) };
    push_value(stack, read_value(stack).map(|bytes| u64::from(u32::from_le_bytes(bytes))))
}

/// `c_read_guest_u64(addr) -> value, rc`
pub(in super::super) unsafe extern "C-unwind" fn read_u64(state: *mut lua_State) -> c_int {
    // SAFETY: Lua's promise to its callbacks.
    let stack = unsafe { Stack::new(state) };
    push_value(stack, read_value(stack).map(u64::from_le_bytes))
}

/// Writes all of a word, or (at the edge of what can be written) nothing.
fn write_whole(host: &mut dyn RuleHost, to: GuestAddr, bytes: &[u8]) -> i64 {
    let mut before = [0; 8];
    host.read(to, &mut before[..bytes.len()]);
    let done = host.write(to, bytes);
    if done == bytes.len() {
        return OK;
    }
    host.write(to, &before[..done]);
    EFAULT
}

/// Writes the low `size` bytes of the integer argument 2 at argument 1.
fn write_value(stack: Stack, size: usize) -> c_int {
    let rc = match (address(stack, 1), integer(stack, 2)) {
        (Some(to), Some(value)) => {
            let bytes = value.to_le_bytes();
            with_host(stack, |host| write_whole(host, to, &bytes[..size]))
        }
        _ => EINVAL,
    };
    stack.push_integer(rc);
    1
}

/// `c_write_guest_u32(addr, value) -> rc`
pub(in super::super) unsafe extern "C-unwind" fn write_u32(state: *mut lua_State) -> c_int {
    // SAFETY: Lua's promise to its callbacks.
    write_value(unsafe { Stack::new(state) }, 4)
}

/// `c_write_guest_u64(addr, value) -> rc`
pub(in super::super) unsafe extern "C-unwind" fn write_u64(state: *mut lua_State) -> c_int {
    // SAFETY: Lua's promise to its callbacks.
    write_value(unsafe { Stack::new(state) }, 8)
}

/// `c_write_guest_bytes(addr, data) -> bytes_written, rc`
pub(in super::super) unsafe extern "C-unwind" fn write_bytes(state: *mut lua_State) -> c_int {
    // SAFETY: Lua's promise to its callbacks.
    let stack = unsafe { Stack::new(state) };
    let (written, rc) = match (address(stack, 1), stack.bytes(2)) {
        (Some(to), Some(data)) => {
            let done = with_host(stack, |host| host.write(to, data));
            (done as i64, if done == data.len() { OK } else { EFAULT })
        }
        _ => (0, EINVAL),
    };
    stack.push_integer(written);
    stack.push_integer(rc);
    2
}

/// `c_g2h(guest_addr) -> lightuserdata`
pub(in super::super) unsafe extern "C-unwind" fn guest_to_host(state: *mut lua_State) -> c_int {
    // SAFETY: Lua's promise to its callbacks.
    let stack = unsafe { Stack::new(state) };
    let Some(guest) = address(stack, 1) else { stack.argument_error(1, c"guest address expected") };
    let host = with_host(stack, |host| host.guest_to_host(guest));
    stack.push_pointer(std::ptr::without_provenance_mut::<c_void>(host));
    1
}

/// `c_h2g(host) -> guest address or 0`
pub(in super::super) unsafe extern "C-unwind" fn host_to_guest(state: *mut lua_State) -> c_int {
    // SAFETY: Lua's promise to its callbacks.
    let stack = unsafe { Stack::new(state) };
    let host = match (stack.kind(1), integer(stack, 1)) {
        (ffi::LUA_TLIGHTUSERDATA, _) => Some(stack.pointer(1).addr()),
        (_, Some(raw)) => usize::try_from(raw.cast_unsigned()).ok(),
        _ => None,
    };
    let guest = host.and_then(|host| with_host(stack, |thread| thread.host_to_guest(host)));
    stack.push_integer(guest.unwrap_or_default().0.cast_signed());
    1
}
