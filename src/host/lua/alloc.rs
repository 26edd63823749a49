//! Lua's memory: one allocation function with an account per machine.
//!
//! The limit turns a rule that collects without bound into a Lua error of that rule. Everything goes
//! through [`allocate`], so that another allocator can take the global one's place here alone.

use std::alloc::{Layout, alloc, dealloc, realloc};
use std::cell::Cell;
use std::ffi::c_void;
use std::ptr;

/// Lua wants what `malloc` guarantees.
const ALIGNMENT: usize = 16;

/// What one machine has taken, and may take.
pub(super) struct Account {
    limit: usize,
    used: Cell<usize>,
}

impl Account {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, used: Cell::new(0) }
    }

    fn allows(&self, old: usize, new: usize) -> bool {
        new <= old || self.used.get().checked_add(new - old).is_some_and(|sum| sum <= self.limit)
    }

    fn settle(&self, old: usize, new: usize) {
        self.used.set(self.used.get() - old + new);
    }
}

fn layout(size: usize) -> Option<Layout> {
    Layout::from_size_align(size, ALIGNMENT).ok()
}

/// `lua_Alloc`: null for what the account does not allow.
///
/// # Safety
/// `account` points to a live [`Account`]; `block`, if not null, came from here with size `old`.
pub(super) unsafe extern "C" fn allocate(
    account: *mut c_void,
    block: *mut c_void,
    old: usize,
    new: usize,
) -> *mut c_void {
    // SAFETY: the machine owns the account and outlives its Lua state.
    let account = unsafe { &*account.cast::<Account>() };
    // For a new block Lua passes the kind of object in place of the old size.
    let old = if block.is_null() { 0 } else { old };
    if !account.allows(old, new) {
        return ptr::null_mut();
    }
    let (Some(old_layout), Some(_)) = (layout(old), layout(new)) else { return ptr::null_mut() };
    // SAFETY: the caller's promise about `block` and `old` is `change`'s.
    let changed = unsafe { change(block, old_layout, new) };
    if new == 0 || !changed.is_null() {
        account.settle(old, new);
    }
    changed
}

/// # Safety
/// `block`, if not null, was allocated with `old`; `new` fits a layout.
unsafe fn change(block: *mut c_void, old: Layout, new: usize) -> *mut c_void {
    match (block.is_null(), new) {
        (true, 0) => ptr::null_mut(),
        (false, 0) => {
            // SAFETY: the caller's promise.
            unsafe { dealloc(block.cast(), old) };
            ptr::null_mut()
        }
        // SAFETY: the size is not zero.
        (true, _) => unsafe { alloc(layout(new).unwrap_or(old)).cast() },
        // SAFETY: the caller's promise; the size is not zero.
        (false, _) => unsafe { realloc(block.cast(), old, new).cast() },
    }
}
