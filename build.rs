//! Links the emulators to be in their own range of addresses (`src/host/layout.rs`), and starts them at our own entry
//! point (`src/host/entry.rs`); and names the build, so that code which another one has saved is not used.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::process::Command;

/// Where the image is: what `layout::IMAGE` says, of which the tests make sure.
const IMAGE: &str = "0x7e8000010000";

fn main() {
    println!("cargo:rustc-link-arg-bins=-Wl,--no-pie,--image-base={IMAGE}");
    println!("cargo:rustc-link-arg-bins=-Wl,-e,qemu_lua_entry");
    println!("cargo:rustc-link-arg-bins=-Wl,-u,qemu_lua_entry");
    let mut hashes = [1, 2].map(|seed: u64| {
        let mut hash = DefaultHasher::new();
        seed.hash(&mut hash);
        hash
    });
    let mut add = |bytes: &[u8]| hashes.iter_mut().for_each(|hash| bytes.hash(hash));
    for source in ["build.rs", "Cargo.toml", "Cargo.lock", ".cargo", "src", "arch"] {
        println!("cargo:rerun-if-changed={source}");
        add_file(Path::new(source), &mut add);
    }
    for variable in ["TARGET", "PROFILE", "OPT_LEVEL", "DEBUG", "CARGO_ENCODED_RUSTFLAGS"] {
        add(std::env::var(variable).unwrap_or_default().as_bytes());
    }
    let compiler = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    add(&Command::new(compiler).arg("-vV").output().map(|output| output.stdout).unwrap_or_default());
    let [high, low] = hashes.map(|hash| hash.finish());
    println!("cargo:rustc-env=QEMU_LUA_BUILD={high:016x}{low:016x}");
}

/// Adds a file, or all files below a directory, with their names.
fn add_file(path: &Path, add: &mut impl FnMut(&[u8])) {
    if let Ok(entries) = std::fs::read_dir(path) {
        let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        return paths.iter().for_each(|path| add_file(path, add));
    }
    add(path.as_os_str().as_encoded_bytes());
    add(&std::fs::read(path).unwrap_or_default());
}
