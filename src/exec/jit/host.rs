//! The host: what Cranelift may use of it, and what code that was made on it depends on.

use super::template;
use crate::host::crypto;
use cranelift_codegen::isa::{OwnedTargetIsa, TargetIsa};
use cranelift_codegen::settings::{self, Configurable};
use std::sync::OnceLock;

/// The host, as Cranelift knows it; `None` where it cannot compile for it.
pub fn isa() -> Option<&'static dyn TargetIsa> {
    static ISA: OnceLock<Option<OwnedTargetIsa>> = OnceLock::new();
    ISA.get_or_init(make_isa).as_deref()
}

fn make_isa() -> Option<OwnedTargetIsa> {
    let mut flags = settings::builder();
    for (name, value) in [
        ("opt_level", "speed"),
        ("regalloc_algorithm", "backtracking"),
        // It is called by hand ([`verify`]).
        ("enable_verifier", "false"),
        ("enable_pinned_reg", "true"),
        ("unwind_info", "false"),
        ("enable_probestack", "false"),
        // Slots are near, so that their addresses need no table; the code is position-independent anyway.
        ("is_pic", "false"),
    ] {
        flags.set(name, value).ok()?;
    }
    let mut builder = cranelift_codegen::isa::lookup_by_name("x86_64").ok()?;
    for (feature, present) in host_features() {
        if present {
            builder.enable(feature).ok()?;
        }
    }
    builder.finish(settings::Flags::new(flags)).ok()
}

fn host_features() -> [(&'static str, bool); 11] {
    use std::arch::is_x86_feature_detected as has;
    [
        ("has_sse3", has!("sse3")),
        ("has_ssse3", has!("ssse3")),
        ("has_sse41", has!("sse4.1")),
        ("has_sse42", has!("sse4.2")),
        ("has_popcnt", has!("popcnt")),
        ("has_avx", has!("avx")),
        ("has_avx2", has!("avx2")),
        ("has_fma", has!("fma")),
        ("has_bmi1", has!("bmi1")),
        ("has_bmi2", has!("bmi2")),
        ("has_lzcnt", has!("lzcnt")),
    ]
}

/// What code depends on of the host.
pub fn host_key() -> u64 {
    let present = host_features().into_iter().map(|(_, present)| present);
    present
        .chain(crypto::features())
        .chain([template::supported()])
        .fold(1, |key, present| key << 1 | u64::from(present))
}
