//! System calls, the log and the clock.

use std::ffi::c_int;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{SystemTime, UNIX_EPOCH};

use mlua::ffi::{self, lua_State};

use super::super::context::{Context, raise_no_host};
use super::super::files;
use super::super::stack::Stack;
use super::super::stop;
use crate::rules::CallEnd;

/// `c_do_syscall(num, arg1 .. arg8) -> result`
pub(in super::super) unsafe extern "C-unwind" fn do_syscall(state: *mut lua_State) -> c_int {
    // SAFETY: Lua's promise to its callbacks.
    let stack = unsafe { Stack::new(state) };
    let context = Context::of(stack);
    let (number, args) = call_arguments(stack);
    if context.unwritten.get() {
        // The call may end the process, or double it together with what is buffered.
        files::flush(stack);
    }
    let end = match context.with_host(|host| host.syscall(number, args)) {
        Ok(end) => end,
        Err(why) => return raise_no_host(stack, why),
    };
    let CallEnd::Returned(result) = end else {
        context.stop.diverge(stack);
        stop::raise_stopped(stack);
    };
    if number == context.intercepted.get() {
        context.made.set(Some(result));
    }
    stack.push_integer(result);
    1
}

/// The number, and eight arguments of which missing ones are 0. Raises for what is no integer.
#[inline]
fn call_arguments(stack: Stack) -> (u64, [u64; 8]) {
    let Some(number) = stack.integer(1) else { stack.argument_error(1, c"system call number expected") };
    let mut args = [0; 8];
    let given = stack.top() - 1;
    for (index, arg) in (2..).zip(args.iter_mut()).take(usize::try_from(given).unwrap_or(0)) {
        *arg = match stack.integer(index) {
            Some(value) => value.cast_unsigned(),
            None if stack.kind(index) == ffi::LUA_TNIL => 0,
            None => stack.argument_error(index, c"integer expected"),
        };
    }
    (number.cast_unsigned(), args)
}

/// `c_log(message)`
pub(in super::super) unsafe extern "C-unwind" fn log(state: *mut lua_State) -> c_int {
    // SAFETY: Lua's promise to its callbacks.
    let stack = unsafe { Stack::new(state) };
    if stack.top() == 0 {
        stack.push_bytes(b"");
    }
    let message = stack.bytes(1).unwrap_or_else(|| stack.to_text(1));
    let services = &Context::of(stack).services;
    // A log that fails must not take the guest with it.
    let _ = catch_unwind(AssertUnwindSafe(|| services.log(message)));
    0
}

/// `c_get_timestamp() -> sec, nsec`
pub(in super::super) unsafe extern "C-unwind" fn get_timestamp(state: *mut lua_State) -> c_int {
    // SAFETY: Lua's promise to its callbacks.
    let stack = unsafe { Stack::new(state) };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    stack.push_integer(now.as_secs().cast_signed());
    stack.push_integer(i64::from(now.subsec_nanos()));
    2
}
