//! `qemu-lua-x86_64`: runs Linux programs built for x86_64.
#![no_main]

qemu_lua::entry_point!("x86_64");
