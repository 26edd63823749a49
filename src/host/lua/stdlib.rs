//! A machine's globals: Lua's libraries, without what a rule must not have, and the rule interface.

use std::ffi::{CStr, c_char, c_int};
use std::panic::{AssertUnwindSafe, catch_unwind};

use mlua::ffi::{self, lua_State};

use super::context::Context;
use super::stack::Stack;
use super::vm::LoadArguments;
use super::{api, coroutine, files, process};

/// The part of the libraries that is simplest to say in Lua. It runs once in each machine.
const PRELUDE: &CStr = c"
local open, lines, input, output, raw_require = io.open, io.lines, io.input, io.output, require
function io.lines(name, ...)
  if name == nil then return lines(nil, ...) end
  local file, message = open(name, 'r')
  if not file then error(message, 2) end
  return file:lines(...), nil, nil, file
end
local function default(set, mode)
  return function(file)
    if type(file) ~= 'string' then return set(file) end
    local opened, message = open(file, mode)
    if not opened then error(message, 2) end
    return set(opened)
  end
end
io.input, io.output = default(input, 'r'), default(output, 'w')
function io.tmpfile()
  local name = os.tmpname()
  local file, message, code = open(name, 'w+')
  os.remove(name)
  return file, message, code
end
function os.exit() error('os.exit is not allowed in a rule', 2) end
package.path, package.cpath = '', ''
package.loadlib = nil
package.searchers = { package.searchers[1], (...) }
";

/// Sets a new machine up; a protected call of this is the only caller.
pub(super) unsafe extern "C-unwind" fn install(state: *mut lua_State) -> c_int {
    // SAFETY: Lua's promise to its callbacks.
    let stack = unsafe { Stack::new(state) };
    // SAFETY: as above.
    unsafe { ffi::luaL_openlibs(state) };
    files::install(stack);
    process::install(stack);
    coroutine::install(stack);
    if stack.load(c"=[prelude]", PRELUDE.to_bytes()) != ffi::LUA_OK {
        stack.raise_top();
    }
    stack.push_function(find_module);
    stack.call(1, 0);
    install_require(stack);
    install_interface(stack);
    0
}

fn install_require(stack: Stack) {
    stack.push_globals();
    stack.field(-1, c"require");
    stack.push_closure(require, 1);
    stack.set_field(-2, c"require");
    stack.pop(1);
}

/// The rule interface goes to the globals (for modules), and to each rule's own environment.
fn install_interface(stack: Stack) {
    stack.push_globals();
    set_functions(stack);
    stack.pop(1);
}

fn set_functions(stack: Stack) {
    for (name, function) in api::FUNCTIONS {
        stack.push_function(*function);
        stack.set_field(-2, name);
    }
}

/// The outermost message handler: adds a traceback, unless nobody will read it.
pub(super) unsafe extern "C-unwind" fn traceback(state: *mut lua_State) -> c_int {
    // SAFETY: Lua's promise to its callbacks.
    let stack = unsafe { Stack::new(state) };
    if Context::of(stack).stop.reason().is_some() {
        return 1;
    }
    let text = stack.to_text(1);
    // SAFETY: a Lua string, on the stack, ends with NUL.
    unsafe { ffi::luaL_traceback(state, state, text.as_ptr().cast::<c_char>(), 1) };
    1
}

/// Loads a rule into an environment of its own, whose `do_syscall` cannot be another rule's, and which an edit
/// leaves nothing behind in. Argument: a `LoadArguments`. Result: a reference to the function.
pub(super) unsafe extern "C-unwind" fn load_rule(state: *mut lua_State) -> c_int {
    // SAFETY: Lua's promise to its callbacks.
    let stack = unsafe { Stack::new(state) };
    // SAFETY: `Vm::load` passes it and keeps it alive during the call.
    let arguments = unsafe { &*stack.pointer(1).cast::<LoadArguments<'_>>() };
    if stack.load(&arguments.name, arguments.text) != ffi::LUA_OK {
        stack.raise_top();
    }
    push_environment(stack);
    stack.push_copy(-1);
    // SAFETY: a main chunk has one upvalue, its environment.
    unsafe { ffi::lua_setupvalue(state, -3, 1) };
    stack.rotate(-2, 1);
    stack.call(0, 0);
    stack.push_bytes(b"do_syscall");
    match stack.raw_get(-2) {
        ffi::LUA_TFUNCTION => {
            let reference = stack.new_ref(ffi::LUA_REGISTRYINDEX);
            stack.push_integer(i64::from(reference));
            1
        }
        ffi::LUA_TNIL => raise_plain(stack, b"the script defines no do_syscall"),
        _ => raise_plain(stack, b"do_syscall is not a function"),
    }
}

fn raise_plain(stack: Stack, message: &'static [u8]) -> ! {
    stack.push_bytes(message);
    stack.raise_top()
}

/// A new table that falls back to the globals.
fn push_environment(stack: Stack) {
    stack.new_table(0, 32);
    set_functions(stack);
    stack.new_table(0, 1);
    stack.push_globals();
    stack.set_field(-2, c"__index");
    stack.set_metatable(-2);
}

/// `require`, which notes who needs what; the original is its upvalue.
unsafe extern "C-unwind" fn require(state: *mut lua_State) -> c_int {
    // SAFETY: Lua's promise to its callbacks.
    let stack = unsafe { Stack::new(state) };
    let context = Context::of(stack);
    let Ok(name) = stack.check_string(1).to_str() else { stack.argument_error(1, c"not UTF-8") };
    let Some(before) = guarded(|| {
        context.services.depends_on(name);
        context.services.enter(name)
    }) else {
        stack.raise(c"internal error (a panic) in the engine")
    };
    stack.push_copy(ffi::lua_upvalueindex(1));
    stack.push_copy(1);
    let status = stack.protected_call(1, ffi::LUA_MULTRET, 0);
    context.services.leave(before);
    if status != ffi::LUA_OK {
        stack.raise_top();
    }
    stack.top() - 1
}

/// Runs what is ours and might panic, which must not cross Lua's frames.
fn guarded<T>(body: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(body)).ok()
}

/// The searcher for modules in the rule directory.
unsafe extern "C-unwind" fn find_module(state: *mut lua_State) -> c_int {
    // SAFETY: Lua's promise to its callbacks.
    let stack = unsafe { Stack::new(state) };
    let name = stack.check_string(1).to_str().unwrap_or("");
    match load_module(stack, name) {
        Some(ffi::LUA_OK) => {
            stack.push_copy(1);
            2
        }
        Some(_) => stack.raise_top(),
        None => {
            stack.push_bytes(b"no such file in the rule directory");
            1
        }
    }
}

/// Compiles a module; nothing that it holds outlives it. (`lua_load` does not raise.)
fn load_module(stack: Stack, name: &str) -> Option<c_int> {
    let source = guarded(|| Context::of(stack).services.find(name))??;
    let chunk = std::ffi::CString::new(format!("@{}", source.path)).ok()?;
    Some(stack.load(&chunk, &source.text))
}

/// Takes the module out of `package.loaded`. Argument: its name, a C string.
pub(super) unsafe extern "C-unwind" fn unload_module(state: *mut lua_State) -> c_int {
    // SAFETY: Lua's promise to its callbacks.
    let stack = unsafe { Stack::new(state) };
    // SAFETY: `Vm::unload_module` passes it and keeps it alive during the call.
    let name = unsafe { CStr::from_ptr(stack.pointer(1).cast::<c_char>()) };
    stack.field(ffi::LUA_REGISTRYINDEX, c"_LOADED");
    stack.push_nil();
    stack.set_field(-2, name);
    0
}
