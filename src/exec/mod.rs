//! Running translated code: both tiers, the cache between them, and the loop around them.

pub mod cache;
pub mod context;
pub mod interp;
pub mod jit;
pub mod offspring;
pub mod recycle;
pub mod saved;
pub mod tier;
pub mod translation;
pub mod vcpu;
pub mod window;

use guest::arch::GuestArch;
use guest::helper::HelperDef;
use guest::ir::HelperId;

/// What translated code needs besides the state: the same for every thread.
pub struct Env {
    pub arch: &'static dyn GuestArch,
    /// The CPU model's feature bits.
    pub features: u64,
    pub helpers: &'static [HelperDef],
}

impl Env {
    #[must_use]
    pub fn new(arch: &'static dyn GuestArch, features: u64) -> Self {
        Self { arch, features, helpers: arch.helpers() }
    }

    /// The helper that an op names.
    #[must_use]
    pub fn helper(&self, id: HelperId) -> &HelperDef {
        &self.helpers[usize::from(id.0)]
    }
}
