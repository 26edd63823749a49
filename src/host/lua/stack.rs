//! A Lua state as its callbacks see it: the C interface with the promises written down once.
//!
//! A `Stack` is a copyable handle that is valid for as long as the callback (or the machine) that made it.
//! Methods marked *raises* may leave by `longjmp`: nothing with a destructor may be alive in the caller.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::{ptr, slice};

use mlua::ffi::{self, lua_CFunction, lua_State};

#[derive(Clone, Copy)]
pub(super) struct Stack(*mut lua_State);

/// Passes calls on to Lua. All are sound for a live state whose stack has room, which `new` demands: Lua
/// guarantees 20 free slots to a callback, and none of ours uses more without `reserve`.
macro_rules! forward {
    ($($(#[$doc:meta])* $name:ident($($arg:ident: $ty:ty),*) $(-> $ret:ty)? = $ffi:ident;)*) => {$(
        $(#[$doc])*
        #[inline]
        pub(super) fn $name(self, $($arg: $ty),*) $(-> $ret)? {
            // SAFETY: `new`'s contract.
            unsafe { ffi::$ffi(self.0, $($arg),*) }
        }
    )*};
}

impl Stack {
    /// # Safety
    /// `state` is alive, on this thread, with Lua's guaranteed free slots, for as long as the result is used.
    #[inline]
    pub(super) unsafe fn new(state: *mut lua_State) -> Self {
        Self(state)
    }

    #[inline]
    pub(super) fn raw(self) -> *mut lua_State {
        self.0
    }

    forward! {
        top() -> c_int = lua_gettop;
        set_top(top: c_int) = lua_settop;
        push_integer(value: i64) = lua_pushinteger;
        push_nil() = lua_pushnil;
        push_copy(index: c_int) = lua_pushvalue;
        push_pointer(value: *mut c_void) = lua_pushlightuserdata;
        rotate(index: c_int, by: c_int) = lua_rotate;
        kind(index: c_int) -> c_int = lua_type;
        raw_get(table: c_int) -> c_int = lua_rawget;
        raw_get_at(table: c_int, at: i64) -> c_int = lua_rawgeti;
        /// Raises when memory is short.
        raw_set(table: c_int) = lua_rawset;
        /// Raises when memory is short.
        raw_set_at(table: c_int, at: i64) = lua_rawseti;
        /// Raises when memory is short.
        new_table(array: c_int, fields: c_int) = lua_createtable;
        set_metatable(of: c_int) -> c_int = lua_setmetatable;
        /// Raises when memory is short.
        new_userdata(size: usize, values: c_int) -> *mut c_void = lua_newuserdatauv;
        set_user_value(of: c_int, n: c_int) -> c_int = lua_setiuservalue;
        user_value(of: c_int, n: c_int) -> c_int = lua_getiuservalue;
        pointer(index: c_int) -> *mut c_void = lua_touserdata;
        /// Raises when memory is short.
        new_ref(table: c_int) -> c_int = luaL_ref;
        drop_ref(table: c_int, reference: c_int) = luaL_unref;
        /// Raises.
        call(arguments: c_int, results: c_int) = lua_call;
        protected_call(arguments: c_int, results: c_int, handler: c_int) -> c_int = lua_pcall;
        next(table: c_int) -> c_int = lua_next;
        status() -> c_int = lua_status;
        thread(index: c_int) -> *mut lua_State = lua_tothread;
        has_room(slots: c_int) -> c_int = lua_checkstack;
        /// Raises.
        where_(level: c_int) = luaL_where;
        /// Raises.
        concat(n: c_int) = lua_concat;
        /// Raises.
        check_type(argument: c_int, kind: c_int) = luaL_checktype;
        /// Raises.
        check_any(argument: c_int) = luaL_checkany;
    }

    #[inline]
    pub(super) fn pop(self, n: c_int) {
        self.set_top(-n - 1);
    }

    #[inline]
    pub(super) fn push_function(self, function: lua_CFunction) {
        // SAFETY: `new`'s contract; without upvalues this allocates nothing.
        unsafe { ffi::lua_pushcclosure(self.0, function, 0) };
    }

    /// A closure over the `n` topmost values. Raises when memory is short.
    pub(super) fn push_closure(self, function: lua_CFunction, n: c_int) {
        // SAFETY: `new`'s contract.
        unsafe { ffi::lua_pushcclosure(self.0, function, n) };
    }

    pub(super) fn push_boolean(self, value: bool) {
        // SAFETY: `new`'s contract.
        unsafe { ffi::lua_pushboolean(self.0, c_int::from(value)) };
    }

    /// Raises when memory is short.
    pub(super) fn push_bytes(self, bytes: &[u8]) {
        // SAFETY: the slice is valid for its length.
        unsafe { ffi::lua_pushlstring(self.0, bytes.as_ptr().cast(), bytes.len()) };
    }

    /// The integer at `index`: also a float or a string that stands for one.
    #[inline]
    pub(super) fn integer(self, index: c_int) -> Option<i64> {
        let mut is_integer = 0;
        // SAFETY: `new`'s contract; the flag outlives the call.
        let value = unsafe { ffi::lua_tointegerx(self.0, index, &raw mut is_integer) };
        (is_integer != 0).then_some(value)
    }

    /// The bytes of the string at `index`, which must stay on the stack as long as they are used; `None`
    /// for anything else, numbers included.
    #[inline]
    pub(super) fn bytes<'a>(self, index: c_int) -> Option<&'a [u8]> {
        (self.kind(index) == ffi::LUA_TSTRING).then(|| self.text(index))
    }

    /// # Panics
    /// Never: the value at `index` is known to be a string.
    fn text<'a>(self, index: c_int) -> &'a [u8] {
        let mut length = 0;
        // SAFETY: a string, so nothing is converted or allocated.
        let start = unsafe { ffi::lua_tolstring(self.0, index, &raw mut length) };
        // SAFETY: Lua's strings are `length` bytes and live while they are on the stack.
        unsafe { slice::from_raw_parts(start.cast(), length) }
    }

    /// Pushes what `tostring` makes of the value at `index`, and gives its bytes. Raises.
    pub(super) fn to_text<'a>(self, index: c_int) -> &'a [u8] {
        let mut length = 0;
        // SAFETY: `new`'s contract.
        let start = unsafe { ffi::luaL_tolstring(self.0, index, &raw mut length) };
        // SAFETY: the string was just pushed.
        unsafe { slice::from_raw_parts(start.cast(), length) }
    }

    /// The string argument, as C sees it. Raises if it is none.
    pub(super) fn check_string<'a>(self, argument: c_int) -> &'a CStr {
        // SAFETY: `new`'s contract.
        let start = unsafe { ffi::luaL_checklstring(self.0, argument, ptr::null_mut()) };
        // SAFETY: Lua's strings end with NUL and live while they are on the stack.
        unsafe { CStr::from_ptr(start) }
    }

    /// Sets `table[name]` to the value on top. Raises when memory is short.
    pub(super) fn set_field(self, table: c_int, name: &CStr) {
        // SAFETY: `new`'s contract.
        unsafe { ffi::lua_setfield(self.0, table, name.as_ptr()) };
    }

    /// Raises when memory is short.
    pub(super) fn field(self, table: c_int, name: &CStr) -> c_int {
        // SAFETY: `new`'s contract.
        unsafe { ffi::lua_getfield(self.0, table, name.as_ptr()) }
    }

    pub(super) fn push_globals(self) {
        self.raw_get_at(ffi::LUA_REGISTRYINDEX, ffi::LUA_RIDX_GLOBALS);
    }

    /// Compiles `text` (never bytecode, which could break the machine) and pushes the function or the
    /// message; Lua's status.
    pub(super) fn load(self, name: &CStr, text: &[u8]) -> c_int {
        // SAFETY: buffer and names are valid for the call.
        unsafe {
            ffi::luaL_loadbufferx(
                self.0,
                text.as_ptr().cast::<c_char>(),
                text.len(),
                name.as_ptr(),
                c"t".as_ptr(),
            )
        }
    }

    pub(super) fn move_to(self, to: Self, n: c_int) {
        // SAFETY: both are states of one machine, by the callers.
        unsafe { ffi::lua_xmove(self.0, to.0, n) };
    }

    /// The type name of the value at `index`.
    pub(super) fn type_name(self, index: c_int) -> &'static str {
        match self.kind(index) {
            ffi::LUA_TNONE => "nothing",
            ffi::LUA_TNIL => "nil",
            ffi::LUA_TBOOLEAN => "a boolean",
            ffi::LUA_TNUMBER => "a number without integer value",
            ffi::LUA_TSTRING => "a string",
            ffi::LUA_TTABLE => "a table",
            ffi::LUA_TFUNCTION => "a function",
            ffi::LUA_TTHREAD => "a coroutine",
            _ => "userdata",
        }
    }

    /// Raises `message` with the position of the caller.
    pub(super) fn raise(self, message: &CStr) -> ! {
        self.where_(1);
        self.push_bytes(message.to_bytes());
        self.concat(2);
        self.raise_top()
    }

    /// Raises the value on top.
    pub(super) fn raise_top(self) -> ! {
        // SAFETY: `new`'s contract; callers have nothing to drop.
        unsafe { ffi::lua_error(self.0) }
    }

    pub(super) fn argument_error(self, argument: c_int, message: &CStr) -> ! {
        // SAFETY: `new`'s contract; it does not return.
        unsafe { ffi::luaL_argerror(self.0, argument, message.as_ptr()) };
        unreachable!("luaL_argerror raises")
    }
}
