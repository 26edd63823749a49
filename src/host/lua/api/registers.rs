//! Registers, as the architecture's table describes them.

use std::ffi::c_int;

use guest::regs::{MAX_REGISTER_SIZE, Register, RegisterTable};
use mlua::ffi::lua_State;

use super::super::context::{Context, raise_no_host};
use super::super::stack::Stack;
use super::{EINVAL, ENOENT, OK, integer};
use crate::rules::RuleHost;

/// Registers up to this size are integers in Lua, larger ones byte strings.
const INTEGER_SIZE: usize = 8;

fn with_host<T>(stack: Stack, body: impl FnOnce(&mut dyn RuleHost) -> T) -> T {
    match Context::of(stack).with_host(body) {
        Ok(result) => result,
        Err(why) => {
            raise_no_host(stack, why);
            unreachable!("it raises")
        }
    }
}

/// The register that argument 1 names or numbers, or the errno.
fn register(stack: Stack, table: RegisterTable) -> Result<&'static Register, i64> {
    let found = match (stack.bytes(1), integer(stack, 1)) {
        (Some(name), _) => std::str::from_utf8(name).ok().and_then(|name| table.by_name(name)),
        (_, Some(number)) => u64::try_from(number).ok().and_then(|number| table.by_num(number)),
        _ => return Err(EINVAL),
    };
    found.ok_or(ENOENT)
}

/// `c_list_regs() -> array of {num, name, feature}`
pub(in super::super) unsafe extern "C-unwind" fn list(state: *mut lua_State) -> c_int {
    // SAFETY: Lua's promise to its callbacks.
    let stack = unsafe { Stack::new(state) };
    let table = with_host(stack, |host| host.register_table());
    stack.new_table(c_int::try_from(table.registers.len()).unwrap_or(0), 0);
    for (at, register) in (1..).zip(table.registers) {
        stack.new_table(0, 3);
        stack.push_integer(i64::from(register.num));
        stack.set_field(-2, c"num");
        stack.push_bytes(register.name.as_bytes());
        stack.set_field(-2, c"name");
        stack.push_bytes(register.feature.as_bytes());
        stack.set_field(-2, c"feature");
        stack.raw_set_at(-2, at);
    }
    1
}

/// `c_get_reg(name_or_num) -> value, size, rc`
pub(in super::super) unsafe extern "C-unwind" fn get(state: *mut lua_State) -> c_int {
    // SAFETY: Lua's promise to its callbacks.
    let stack = unsafe { Stack::new(state) };
    let read = with_host(stack, |host| {
        let register = register(stack, host.register_table())?;
        Ok((register.size, register.read(host.state())))
    });
    let (size, rc) = match read {
        Ok((size, bytes)) => {
            push_value(stack, size, &bytes);
            (size, OK)
        }
        Err(rc) => {
            stack.push_integer(0);
            (0, rc)
        }
    };
    stack.push_integer(size as i64);
    stack.push_integer(rc);
    3
}

fn push_value(stack: Stack, size: usize, bytes: &[u8; MAX_REGISTER_SIZE]) {
    if size <= INTEGER_SIZE {
        let mut low = [0; INTEGER_SIZE];
        low.copy_from_slice(&bytes[..INTEGER_SIZE]);
        stack.push_integer(i64::from_le_bytes(low));
    } else {
        stack.push_bytes(&bytes[..size]);
    }
}

/// `c_set_reg(name_or_num, integer_or_bytes) -> bytes_written, rc`
pub(in super::super) unsafe extern "C-unwind" fn set(state: *mut lua_State) -> c_int {
    // SAFETY: Lua's promise to its callbacks.
    let stack = unsafe { Stack::new(state) };
    let written = with_host(stack, |host| {
        let register = register(stack, host.register_table())?;
        write(stack, host, register)
    });
    stack.push_integer(written.unwrap_or(0) as i64);
    stack.push_integer(written.err().unwrap_or(OK));
    2
}

/// Sets `register` from argument 2; its size.
fn write(stack: Stack, host: &mut dyn RuleHost, register: &Register) -> Result<usize, i64> {
    let number = integer(stack, 2).map(i64::to_le_bytes);
    let bytes = match (&number, stack.bytes(2)) {
        (Some(number), _) if register.size <= INTEGER_SIZE => &number[..register.size],
        (_, Some(bytes)) => bytes,
        _ => return Err(EINVAL),
    };
    register.write(host.state(), bytes).map_err(|_| EINVAL)?;
    Ok(register.size)
}
