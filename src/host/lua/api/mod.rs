//! The functions that rules call: one file per subject.
//!
//! Failures of the guest's making are values: a result of the right type and a negative errno, never nil.

mod calls;
mod memory;
mod registers;

use std::ffi::CStr;

use mlua::ffi::lua_CFunction;

use super::stack::Stack;

/// Every function of the interface, aliases included.
pub(super) const FUNCTIONS: &[(&CStr, lua_CFunction)] = &[
    (c"c_do_syscall", calls::do_syscall),
    (c"c_log", calls::log),
    (c"c_get_timestamp", calls::get_timestamp),
    (c"c_g2h", memory::guest_to_host),
    (c"c_h2g", memory::host_to_guest),
    (c"c_read_guest_string", memory::read_string),
    (c"c_read_string", memory::read_string),
    (c"c_read_guest_u32", memory::read_u32),
    (c"c_read_guest_u64", memory::read_u64),
    (c"c_write_guest_u32", memory::write_u32),
    (c"c_write_guest_u64", memory::write_u64),
    (c"c_read_guest_bytes", memory::read_bytes),
    (c"c_read_bytes", memory::read_bytes),
    (c"c_write_guest_bytes", memory::write_bytes),
    (c"c_write_bytes", memory::write_bytes),
    (c"c_list_regs", registers::list),
    (c"c_get_reg", registers::get),
    (c"c_set_reg", registers::set),
];

/// `rc` values.
const OK: i64 = 0;
const EFAULT: i64 = -(libc::EFAULT as i64);
const EINVAL: i64 = -(libc::EINVAL as i64);
const ENOENT: i64 = -(libc::ENOENT as i64);

/// An argument that must be an integer: a number, no string that looks like one.
fn integer(stack: Stack, argument: i32) -> Option<i64> {
    if stack.kind(argument) == mlua::ffi::LUA_TNUMBER { stack.integer(argument) } else { None }
}
