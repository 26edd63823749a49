//! One machine: a Lua state with its libraries, its memory account and its brake.

use std::ffi::{CString, c_int, c_void};
use std::rc::Rc;
use std::sync::Arc;

use mlua::ffi::{self, lua_State};

use super::alloc::{Account, allocate};
use super::context::{Context, Services};
use super::stack::Stack;
use super::stop::{Reason, StopCell};
use super::{files, stdlib};
use crate::rules::RuleHost;

/// A loaded rule's `do_syscall`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Function(c_int);

/// What a rule returned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Value {
    Integer(i64),
    /// Anything that is no system call result; what it was.
    Other(&'static str),
}

/// Why a rule did not return.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Failure {
    /// A Lua error, with its traceback.
    Error(String),
    /// [`StopCell::request`] ended it.
    Stopped,
    /// It made a system call that does not return.
    Diverged,
}

/// `lua_State`s are closed with their machine.
pub struct Vm {
    stack: Stack,
    // Boxed: the state holds their addresses.
    context: Box<Context>,
    _account: Box<Account>,
}

impl Vm {
    /// A machine that may take `memory_limit` bytes; `None` if it could not even be set up in them.
    #[must_use]
    pub fn new(memory_limit: usize, stop: Arc<StopCell>, services: Rc<dyn Services>) -> Option<Self> {
        let account = Box::new(Account::new(memory_limit));
        let stack = new_state(&account)?;
        let context = Box::new(Context::new(stop, services));
        // SAFETY: the box lives as long as the state, which is new.
        unsafe { Context::attach(&raw const *context, stack) };
        let vm = Self { stack, context, _account: account };
        stack.push_function(stdlib::install);
        (stack.protected_call(0, 0, 0) == ffi::LUA_OK).then_some(vm)
    }

    /// A new invocation, for the system call `number`.
    #[inline]
    pub fn begin(&mut self, number: u64) {
        self.context.intercepted.set(number);
        self.context.made.set(None);
    }

    /// The last result of the intercepted call in this invocation, if the rule has made it.
    #[must_use]
    pub fn made(&self) -> Option<i64> {
        self.context.made.get()
    }

    /// Compiles `text`, runs its top level and takes the `do_syscall` that it defines.
    pub fn load(&mut self, host: &mut dyn RuleHost, name: &str, text: &[u8]) -> Result<Function, Failure> {
        let stack = self.stack;
        stack.push_function(stdlib::traceback);
        stack.push_function(stdlib::load_rule);
        let arguments = LoadArguments { name: chunk_name(name), text };
        stack.push_pointer((&raw const arguments).cast::<c_void>().cast_mut());
        let status = self.run(host, 1, 1);
        let function = match status {
            Ok(()) => Ok(Function(stack.integer(-1).and_then(|r| c_int::try_from(r).ok()).unwrap_or(-1))),
            Err(failure) => Err(failure),
        };
        stack.set_top(0);
        self.flush();
        function
    }

    /// Calls a rule.
    #[inline]
    pub fn call(
        &mut self,
        host: &mut dyn RuleHost,
        function: Function,
        number: u64,
        args: &[u64; 8],
    ) -> Result<Value, Failure> {
        let stack = self.stack;
        stack.push_function(stdlib::traceback);
        stack.raw_get_at(ffi::LUA_REGISTRYINDEX, i64::from(function.0));
        stack.push_integer(number.cast_signed());
        for arg in args {
            stack.push_integer(arg.cast_signed());
        }
        let result = self.run(host, 9, 1).map(|()| value(stack, -1));
        stack.set_top(0);
        if self.context.unwritten.get() {
            self.flush();
        }
        result
    }

    /// Runs the function below `arguments` arguments, with the handler below it.
    fn run(&mut self, host: &mut dyn RuleHost, arguments: c_int, results: c_int) -> Result<(), Failure> {
        let (stack, context) = (self.stack, &self.context);
        let status = context.lend(host, || {
            context.stop.switch_to(stack.raw());
            stack.protected_call(arguments, results, 1)
        });
        let stopped = context.stop.finish(stack);
        match (status, stopped) {
            (_, Some(Reason::Diverged)) => Err(Failure::Diverged),
            (ffi::LUA_OK, _) => Ok(()),
            (_, Some(Reason::Requested)) => Err(Failure::Stopped),
            _ => Err(Failure::Error(message(stack))),
        }
    }

    /// Forgets a rule's function.
    pub fn release(&mut self, function: Function) {
        self.stack.drop_ref(ffi::LUA_REGISTRYINDEX, function.0);
    }

    /// Makes the next `require` of `module` load it anew.
    pub fn unload_module(&mut self, module: &str) {
        let Ok(module) = CString::new(module) else { return };
        self.stack.push_function(stdlib::unload_module);
        self.stack.push_pointer(module.as_ptr().cast_mut().cast());
        self.stack.protected_call(1, 0, 0);
        self.stack.set_top(0);
    }

    /// Writes out what rules have buffered.
    pub fn flush(&mut self) {
        self.stack.push_function(files::flush_all);
        self.stack.protected_call(0, 0, 0);
        self.stack.set_top(0);
    }
}

impl Drop for Vm {
    fn drop(&mut self) {
        // SAFETY: ours, and nothing uses it after this; finalizers run with the context still alive.
        unsafe { ffi::lua_close(self.stack.raw()) };
    }
}

/// What `stdlib::load_rule` is given.
pub(super) struct LoadArguments<'a> {
    pub(super) name: CString,
    pub(super) text: &'a [u8],
}

fn chunk_name(name: &str) -> CString {
    CString::new(format!("@{name}")).unwrap_or_default()
}

fn new_state(account: &Account) -> Option<Stack> {
    // SAFETY: the account is boxed and dropped after the state.
    let state: *mut lua_State =
        unsafe { ffi::lua_newstate(allocate, (&raw const *account).cast::<c_void>().cast_mut()) };
    // SAFETY: a new state on this thread.
    (!state.is_null()).then(|| unsafe { Stack::new(state) })
}

/// A system call result, or what it is instead: strings that look like numbers are none.
fn value(stack: Stack, index: c_int) -> Value {
    if stack.kind(index) == ffi::LUA_TNUMBER
        && let Some(integer) = stack.integer(index)
    {
        return Value::Integer(integer);
    }
    Value::Other(stack.type_name(index))
}

fn message(stack: Stack) -> String {
    match stack.bytes(-1) {
        Some(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        None => format!("error object is {}", stack.type_name(-1)),
    }
}

/// What a Lua syntax check may take.
const CHECK_MEMORY: usize = 64 << 20;

/// Whether `text` parses; the message if it does not.
pub fn check_syntax(name: &str, text: &[u8]) -> Result<(), String> {
    let account = Box::new(Account::new(CHECK_MEMORY));
    let stack = new_state(&account).ok_or("not enough memory")?;
    // `lua_load` is protected by itself.
    let result = match stack.load(&chunk_name(name), text) {
        ffi::LUA_OK => Ok(()),
        _ => Err(message(stack)),
    };
    // SAFETY: made above, used by nobody else.
    unsafe { ffi::lua_close(stack.raw()) };
    result
}
