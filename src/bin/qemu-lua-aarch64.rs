//! `qemu-lua-aarch64`: runs Linux programs built for aarch64.
#![no_main]

qemu_lua::entry_point!("aarch64");
