//! The parts of Lua's libraries through which a rule that must end could escape.
//!
//! Each coroutine has a hook of its own, so the brake must know which one runs; and whoever catches the
//! stopping error (`resume`, `close`) must raise it again in the state it returns to. `xpcall`'s message handler
//! runs with hooks off when the error came from a hook, so it is not called then.

use std::ffi::c_int;

use mlua::ffi::{self, lua_KContext, lua_State};

use super::context::Context;
use super::stack::Stack;
use super::stop;

/// Replaces what must be replaced. Raises when memory is short.
pub(super) fn install(stack: Stack) {
    stack.push_globals();
    stack.push_function(xpcall);
    stack.set_field(-2, c"xpcall");
    stack.field(-1, c"coroutine");
    stack.push_function(resume);
    stack.set_field(-2, c"resume");
    stack.push_function(close);
    stack.set_field(-2, c"close");
    stack.field(-1, c"create");
    stack.push_closure(wrap, 1);
    stack.set_field(-2, c"wrap");
    stack.pop(1);
    stack.field(-1, c"debug");
    stack.field(-1, c"sethook");
    stack.push_closure(set_hook, 1);
    stack.set_field(-2, c"sethook");
    stack.pop(2);
}

/// Runs `body` with `coroutine` as the state that runs.
fn switched<T>(stack: Stack, coroutine: Stack, body: impl FnOnce() -> T) -> T {
    let cell = &Context::of(stack).stop;
    let before = cell.switch_to(coroutine.raw());
    let result = body();
    cell.switch_to(before);
    result
}

/// Resumes with the topmost `arguments`; the number of results on `stack`, or a message on top of it.
fn resume_with(stack: Stack, coroutine: Stack, arguments: c_int) -> Result<c_int, ()> {
    if coroutine.has_room(arguments) == 0 {
        stack.push_bytes(b"too many arguments to resume");
        return Err(());
    }
    stack.move_to(coroutine, arguments);
    let mut results = 0;
    let status = switched(stack, coroutine, || {
        // SAFETY: two live states of one machine; errors come back as a status.
        unsafe { ffi::lua_resume(coroutine.raw(), stack.raw(), arguments, &raw mut results) }
    });
    stop::check(stack);
    if status != ffi::LUA_OK && status != ffi::LUA_YIELD {
        coroutine.move_to(stack, 1);
        return Err(());
    }
    if stack.has_room(results + 1) == 0 {
        coroutine.pop(results);
        stack.push_bytes(b"too many results to resume");
        return Err(());
    }
    coroutine.move_to(stack, results);
    Ok(results)
}

/// The coroutine at `index`. Raises if there is none.
fn coroutine_at(stack: Stack, index: c_int) -> Stack {
    let state = stack.thread(index);
    if state.is_null() {
        stack.argument_error(index, c"coroutine expected");
    }
    // SAFETY: alive while its value is on the stack.
    unsafe { Stack::new(state) }
}

/// `coroutine.resume(co, ...)`
unsafe extern "C-unwind" fn resume(state: *mut lua_State) -> c_int {
    // SAFETY: Lua's promise to its callbacks.
    let stack = unsafe { Stack::new(state) };
    let coroutine = coroutine_at(stack, 1);
    if let Ok(results) = resume_with(stack, coroutine, stack.top() - 1) {
        stack.push_boolean(true);
        stack.rotate(-(results + 1), 1);
        results + 1
    } else {
        stack.push_boolean(false);
        stack.rotate(-2, 1);
        2
    }
}

/// `coroutine.wrap(f)`; `coroutine.create` is its upvalue.
unsafe extern "C-unwind" fn wrap(state: *mut lua_State) -> c_int {
    // SAFETY: Lua's promise to its callbacks.
    let stack = unsafe { Stack::new(state) };
    stack.check_type(1, ffi::LUA_TFUNCTION);
    stack.push_copy(ffi::lua_upvalueindex(1));
    stack.push_copy(1);
    stack.call(1, 1);
    stack.push_closure(resume_wrapped, 1);
    1
}

/// What `coroutine.wrap` returns: resumes its upvalue and passes errors on.
unsafe extern "C-unwind" fn resume_wrapped(state: *mut lua_State) -> c_int {
    // SAFETY: Lua's promise to its callbacks.
    let stack = unsafe { Stack::new(state) };
    let coroutine = coroutine_at(stack, ffi::lua_upvalueindex(1));
    if let Ok(results) = resume_with(stack, coroutine, stack.top()) {
        return results;
    }
    let mut status = coroutine.status();
    if status != ffi::LUA_OK && status != ffi::LUA_YIELD {
        stack.pop(1);
        status = close_thread(stack, coroutine);
        coroutine.move_to(stack, 1);
    }
    if status != ffi::LUA_ERRMEM && stack.kind(-1) == ffi::LUA_TSTRING {
        stack.where_(1);
        stack.rotate(-2, 1);
        stack.concat(2);
    }
    stack.raise_top()
}

fn close_thread(stack: Stack, coroutine: Stack) -> c_int {
    let status = switched(stack, coroutine, || {
        // SAFETY: two live states of one machine; errors come back as a status.
        unsafe { ffi::lua_closethread(coroutine.raw(), stack.raw()) }
    });
    stop::check(stack);
    status
}

/// `coroutine.close(co)`
unsafe extern "C-unwind" fn close(state: *mut lua_State) -> c_int {
    // SAFETY: Lua's promise to its callbacks.
    let stack = unsafe { Stack::new(state) };
    let coroutine = coroutine_at(stack, 1);
    if !may_close(stack, coroutine) {
        stack.raise(c"cannot close a running coroutine");
    }
    if close_thread(stack, coroutine) == ffi::LUA_OK {
        stack.push_boolean(true);
        return 1;
    }
    stack.push_boolean(false);
    coroutine.move_to(stack, 1);
    2
}

/// Suspended or dead: not this one, and not one that waits for another to come back.
fn may_close(stack: Stack, coroutine: Stack) -> bool {
    if stack.raw() == coroutine.raw() {
        return false;
    }
    if coroutine.status() != ffi::LUA_OK {
        return true;
    }
    // SAFETY: `lua_Debug` is plain data that Lua fills; the state is alive.
    let is_active = unsafe {
        let mut record = std::mem::zeroed();
        ffi::lua_getstack(coroutine.raw(), 0, &raw mut record) != 0
    };
    !is_active
}

/// `xpcall(f, handler, ...)`
unsafe extern "C-unwind" fn xpcall(state: *mut lua_State) -> c_int {
    // SAFETY: Lua's promise to its callbacks.
    let stack = unsafe { Stack::new(state) };
    let arguments = stack.top() - 2;
    stack.check_type(2, ffi::LUA_TFUNCTION);
    stack.push_copy(2);
    stack.push_closure(handle, 1);
    stack.rotate(2, 1);
    stack.set_handler_order();
    // SAFETY: the function and its arguments are on top, the handler at 2.
    let status = unsafe { ffi::lua_pcallk(state, arguments, ffi::LUA_MULTRET, 2, 2, Some(xpcall_continued)) };
    finish_xpcall(stack, status, 2)
}

impl Stack {
    /// From `f, guard, handler, args...` to `f, guard, true, f, args...`: what `xpcall` calls and returns.
    fn set_handler_order(self) {
        self.push_boolean(true);
        // SAFETY: index 3 exists: the user's handler, no longer needed.
        unsafe { ffi::lua_replace(self.raw(), 3) };
        self.push_copy(1);
        self.rotate(4, 1);
    }
}

unsafe extern "C-unwind" fn xpcall_continued(
    state: *mut lua_State,
    status: c_int,
    extra: lua_KContext,
) -> c_int {
    // SAFETY: Lua's promise to its callbacks.
    finish_xpcall(unsafe { Stack::new(state) }, status, c_int::try_from(extra).unwrap_or(0))
}

fn finish_xpcall(stack: Stack, status: c_int, extra: c_int) -> c_int {
    stop::check(stack);
    if status == ffi::LUA_OK || status == ffi::LUA_YIELD {
        return stack.top() - extra;
    }
    stack.push_boolean(false);
    stack.push_copy(-2);
    2
}

/// The message handler of `xpcall`: the user's, its upvalue, unless the rule must end.
unsafe extern "C-unwind" fn handle(state: *mut lua_State) -> c_int {
    // SAFETY: Lua's promise to its callbacks.
    let stack = unsafe { Stack::new(state) };
    if Context::of(stack).stop.reason().is_some() {
        return 1;
    }
    stack.push_copy(ffi::lua_upvalueindex(1));
    stack.rotate(1, 1);
    stack.call(stack.top() - 1, 1);
    1
}

/// `debug.sethook`, which must not take the brake's hook away.
unsafe extern "C-unwind" fn set_hook(state: *mut lua_State) -> c_int {
    // SAFETY: Lua's promise to its callbacks.
    let stack = unsafe { Stack::new(state) };
    stack.push_copy(ffi::lua_upvalueindex(1));
    stack.rotate(1, 1);
    stack.call(stack.top() - 1, 0);
    stop::check(stack);
    0
}
