//! Where the emulator lives.
//!
//! Everything of ours (image, heap, stacks, Lua, code memory, CPU states) lies in one address range, so
//! that the guest can have the kernel's native layout and so that "is this ours?" is one comparison.
//!
//! ```text
//! 0x7e80_0000_0000  image (linked to be there)
//! 0x7e81_0000_0000  heap, thread stacks, CPU states: everything mapped by `heap`
//! 0x7ec0_0000_0000  code memory
//! 0x7ef0_0000_0000  end
//! ```
//!
//! The range is one that no known user of fixed addresses takes. ASan has its shadow up to 0x1000_7fff_8000 and its heap
//! from 0x6000_0000_0000 (or 0x5000...) on for 4 TiB; TSan takes everything but three ranges for programs, of which the
//! highest starts at 0x7e80_0000_0000 (0x7a00... since LLVM 18), and protects what lies between; MSan leaves programs
//! 0x7000... and up; Go's race detector ends at 0x6200... Below 0x7ef0... the kernel puts nothing of its own: stack, vDSO and
//! image are at most a terabyte below the top (28 bits of randomness).

/// First address of the emulator's range.
pub const EMULATOR_START: u64 = 0x7e80_0000_0000;
/// Where our image is.
pub const IMAGE: u64 = EMULATOR_START + 0x1_0000;
/// First address behind it.
pub const EMULATOR_END: u64 = 0x7ef0_0000_0000;
/// Where our own mappings are made.
pub const HEAP_START: u64 = 0x7e81_0000_0000;
/// Where compiled code goes.
pub const CODE_START: u64 = 0x7ec0_0000_0000;

/// Whether an address is ours.
#[must_use]
pub const fn is_ours(addr: u64) -> bool {
    addr >= EMULATOR_START && addr < EMULATOR_END
}

/// Whether any address of a range is ours.
#[must_use]
pub const fn any_ours(range: &std::ops::Range<u64>) -> bool {
    range.start < EMULATOR_END && range.end > EMULATOR_START
}

/// The kernel's mappings: (start, end, what is said of them) each, from /proc/self/maps.
fn kernel_mappings(text: &str) -> impl Iterator<Item = (u64, u64, &str)> {
    text.lines().filter_map(|line| {
        let (range, rest) = line.split_once(' ')?;
        let (start, end) = range.split_once('-')?;
        Some((u64::from_str_radix(start, 16).ok()?, u64::from_str_radix(end, 16).ok()?, rest))
    })
}

fn maps() -> String {
    std::fs::read_to_string("/proc/self/maps").unwrap_or_default()
}

/// Host mappings outside our range that are not the guest's: (start, end) pairs.
pub fn foreign_mappings(is_guest: impl Fn(u64) -> bool) -> Vec<(u64, u64)> {
    let text = maps();
    let ranges = kernel_mappings(&text).map(|(start, end, _)| (start, end));
    ranges.filter(|&(start, _)| !is_ours(start) && !is_guest(start)).collect()
}

/// The path of the file that is mapped at an address.
pub fn path_at(address: u64) -> Option<String> {
    let text = maps();
    let (.., rest) = kernel_mappings(&text).find(|(start, end, _)| (*start..*end).contains(&address))?;
    Some(rest[rest.find('/')?..].to_owned())
}
