//! What `-cache` asks for: whether code is kept for the next run, and where.
//!
//! The directory is opened by the first image and handed on: later ones may see another root, and have the guest's
//! environment. Nobody is told of a default directory that is not to be had.

use crate::cli::{Settings, UsageError};
use crate::debug::{self, item};
use crate::exec::saved::{self, Directory, Use};
use crate::host::files::OwnedFile;
use crate::host::startup;
use guest::arch::GuestArch;
use std::path::PathBuf;

/// What descriptors of the directory are passed on as.
const PASSED: &str = "cache";
/// Log items that show what is done to make code; saved code would be missing.
const TRACES: u32 = item::IN_ASM | item::IR | item::OUT_ASM | item::EXEC | item::CODE;

/// Looks for saved code of the program, unless it is not wanted.
pub fn open(
    arch: &dyn GuestArch,
    features: u64,
    settings: &Settings,
    first_image: bool,
    program: &OwnedFile,
) -> Result<(), UsageError> {
    // A program with more rights than its caller does not let him choose what it runs.
    if settings.get("cache") == Some("off") || debug::enabled(TRACES) || startup::auxv(libc::AT_SECURE) != 0 {
        return Ok(());
    }
    let directory = if first_image { first(settings)? } else { passed() };
    if let (Some(directory), Some(program)) = (directory, program.status()) {
        let counts = debug::enabled(item::STATS);
        saved::open(directory, &Use { machine: arch.elf_machine(), features, counts, program });
    }
    Ok(())
}

/// The directory that the user names, or the default one.
fn first(settings: &Settings) -> Result<Option<Directory>, UsageError> {
    let opened = match settings.get("cache") {
        Some(path) => {
            let refused =
                |why| UsageError::Invalid(format!("-cache: translated code cannot be kept in {path}: {why}"));
            Some(Directory::open(path.as_ref()).map_err(refused)?)
        }
        None => default_path().and_then(|path| Directory::open(&path).ok()),
    };
    Ok(opened.and_then(|directory| directory.keep(PASSED)))
}

fn passed() -> Option<Directory> {
    Directory::adopt(startup::passed(PASSED)?).ok()
}

fn default_path() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
    Some(base.join("qemu-lua"))
}
