//! Starts the emulators at our own entry point (`src/host/entry.rs`), which places the image before the C
//! library runs.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-link-arg-bins=-Wl,-e,qemu_lua_entry");
    println!("cargo:rustc-link-arg-bins=-Wl,-u,qemu_lua_entry");
}
