//! What belongs to a machine and must be found from any of its callbacks.
//!
//! Lua keeps one pointer in front of every state and copies it into new coroutines: that is the way here.

use std::cell::Cell;
use std::ffi::c_int;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::Arc;

use mlua::ffi;

use super::stack::Stack;
use super::stop::StopCell;
use crate::rules::RuleHost;
use crate::rules::source::Source;

/// What a machine needs of the rule engine.
pub trait Services {
    /// `c_log`.
    fn log(&self, message: &[u8]);
    /// What runs now requires `module`.
    fn depends_on(&self, module: &str);
    /// `module` runs from now on; what ran before.
    fn enter(&self, module: &str) -> u64;
    /// What `enter` gave runs again.
    fn leave(&self, before: u64);
    /// The source of `module`.
    fn find(&self, module: &str) -> Option<Arc<Source>>;
}

/// Why the guest thread could not be reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum NoHost {
    /// No system call is being handled: a finalizer at the end of the thread.
    Absent,
    /// The engine panicked.
    Panicked,
}

pub(super) struct Context {
    pub(super) stop: Arc<StopCell>,
    pub(super) services: Rc<dyn Services>,
    /// The number of the call that is being ruled.
    pub(super) intercepted: Cell<u64>,
    /// The last result of a call with that number, in this invocation.
    pub(super) made: Cell<Option<i64>>,
    /// An output file may have unwritten bytes.
    pub(super) unwritten: Cell<bool>,
    host: Cell<Option<NonNull<dyn RuleHost>>>,
}

impl Context {
    pub(super) fn new(stop: Arc<StopCell>, services: Rc<dyn Services>) -> Self {
        Self {
            stop,
            services,
            intercepted: Cell::new(u64::MAX),
            made: Cell::new(None),
            unwritten: Cell::new(false),
            host: Cell::new(None),
        }
    }

    /// The context of the machine that `stack` belongs to.
    #[inline]
    pub(super) fn of<'a>(stack: Stack) -> &'a Self {
        // SAFETY: `attach` stored it before any callback could run; the machine outlives its states.
        unsafe { &**ffi::lua_getextraspace(stack.raw()).cast::<*const Self>() }
    }

    /// Makes `context` the one that `of` finds.
    ///
    /// # Safety
    /// It outlives the state, and no coroutine exists yet.
    pub(super) unsafe fn attach(context: *const Self, stack: Stack) {
        // SAFETY: the extra space has room for one pointer and is ours.
        unsafe { ffi::lua_getextraspace(stack.raw()).cast::<*const Self>().write(context) };
    }

    /// Runs `body` while callbacks can reach `host`.
    pub(super) fn lend<T>(&self, host: &mut dyn RuleHost, body: impl FnOnce() -> T) -> T {
        let host: NonNull<dyn RuleHost + '_> = NonNull::from(host);
        // SAFETY: only the lifetime changes; the pointer is taken back below, before the borrow ends.
        let host: NonNull<dyn RuleHost> = unsafe { std::mem::transmute(host) };
        self.host.set(Some(host));
        let result = body();
        self.host.set(None);
        result
    }

    /// Lets `body` use the guest thread. A panic stays here: it must not cross Lua's frames.
    #[inline]
    pub(super) fn with_host<T>(&self, body: impl FnOnce(&mut dyn RuleHost) -> T) -> Result<T, NoHost> {
        // Taken out meanwhile, so that no second `&mut` can come to be.
        let Some(mut host) = self.host.take() else { return Err(NoHost::Absent) };
        // SAFETY: `lend` holds the exclusive borrow behind it.
        let result = catch_unwind(AssertUnwindSafe(|| body(unsafe { host.as_mut() })));
        self.host.set(Some(host));
        result.map_err(|_| NoHost::Panicked)
    }
}

/// Raises for a guest thread that cannot be reached.
pub(super) fn raise_no_host(stack: Stack, why: NoHost) -> c_int {
    match why {
        NoHost::Absent => stack.raise(c"no system call is being handled here"),
        NoHost::Panicked => stack.raise(c"internal error (a panic) in the engine"),
    }
}
