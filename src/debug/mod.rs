//! Looking inside: `-d` items and where their lines go.

pub mod perf;
mod symbols;

use crate::exec::Env;
use crate::exec::vcpu::{Stats, Vcpu};
use guest::ir::{Block, passes};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

/// `-d` items, as bits.
pub mod item {
    pub const IN_ASM: u32 = 1;
    pub const IR: u32 = 2;
    pub const OUT_ASM: u32 = 4;
    pub const EXEC: u32 = 8;
    pub const UNIMP: u32 = 16;
    pub const STRACE: u32 = 32;
    pub const STATS: u32 = 64;
    pub const CODE: u32 = 128;
    /// `-perfmap`
    pub const PERF_MAP: u32 = 256;
    /// `-jitdump`
    pub const JIT_DUMP: u32 = 512;
}

static ITEMS: AtomicU32 = AtomicU32::new(0);

/// Turns items on.
pub fn enable(items: u32) {
    ITEMS.fetch_or(items, Ordering::Relaxed);
}

/// Whether any of these items is on.
#[inline]
pub fn enabled(items: u32) -> bool {
    ITEMS.load(Ordering::Relaxed) & items != 0
}

/// Logs a fresh translation as `in_asm` and `ir` ask.
pub fn trace_translation(env: &Env, block: &Block) {
    if !enabled(item::IN_ASM | item::IR) || !passes_filter(block.pc.raw()) {
        return;
    }
    let mut text = String::new();
    if enabled(item::IN_ASM) {
        text.push_str("----------------\nIN:\n");
        for mark in &block.insns {
            let mut bytes = [0; 16];
            let readable =
                crate::mem::Memory.read_prefix(mark.pc, &mut bytes[..usize::from(mark.len).min(16)]);
            let shown = env.arch.disassemble(mark.pc, &bytes[..readable]);
            text.push_str(&format!("{}:  {}\n", mark.pc, shown.text));
        }
    }
    if enabled(item::IR) {
        let mut shown = block.clone();
        passes::optimize(&mut shown);
        text.push_str(&shown.to_string());
    }
    crate::log::write(&text);
}

/// `-d exec`: a translation is about to run.
pub fn trace_execution(pc: u64) {
    if passes_filter(pc) {
        crate::log::write(&format!("Trace: {pc:#x}\n"));
    }
}

/// `-d code` and what perf needs: host code at `start` is of guest code at `pc`.
pub fn trace_code(kind: &str, start: u64, code: &[u8], pc: guest::GuestAddr) {
    if enabled(item::CODE) {
        crate::log::write(&format!("CODE: {start:#x} {:#x} {kind} {pc}\n", code.len()));
    }
    perf::note(start, code, pc);
}

/// `-d stats`: where a thread's guest instructions ran.
pub fn print_stats(vcpu: &Vcpu) {
    if !enabled(item::STATS) {
        return;
    }
    let Stats { interpreted, templates, regions } = vcpu.stats();
    let all = interpreted + templates + regions;
    let share = |part: u64| 100.0 * part as f64 / all.max(1) as f64;
    crate::log::line(&format!(
        "stats: {all} guest instructions: {interpreted} interpreted ({:.2} %), {templates} in templates \
         ({:.2} %), {regions} in regions ({:.2} %)",
        share(interpreted),
        share(templates),
        share(regions)
    ));
    crate::log::line(&format!("stats: {} blocks of saved code", crate::exec::saved::usable()));
}

/// `-d` items: name, bit, explanation.
const ITEM_NAMES: &[(&str, u32, &str)] = &[
    ("in_asm", item::IN_ASM, "guest code, as it is translated"),
    ("ir", item::IR, "its intermediate representation"),
    ("out_asm", item::OUT_ASM, "host code of compiled regions"),
    ("exec", item::EXEC, "each translation as it runs (interpreter)"),
    ("unimp", item::UNIMP, "instructions that raise a trap because they are not implemented"),
    ("strace", item::STRACE, "system calls"),
    ("stats", item::STATS, "at exit, how many guest instructions ran in each tier"),
    ("code", item::CODE, "where compiled code comes to lie (for scripts/profile)"),
];

/// The bit of a `-d` item; items of qemu's that have no counterpart here are accepted and do nothing.
#[must_use]
pub fn parse_item(name: &str) -> Option<u32> {
    const QUIET: &[&str] =
        &["nochain", "op", "op_opt", "int", "cpu", "fpu", "guest_errors", "page", "tid", "mmu", "vpu"];
    let found = ITEM_NAMES.iter().find(|(n, ..)| *n == name).map(|(_, bit, _)| *bit);
    found.or_else(|| QUIET.contains(&name).then_some(0))
}

/// What `-d help` prints.
#[must_use]
pub fn help() -> String {
    let rows = ITEM_NAMES.iter().map(|(name, _, text)| format!("  {name:<10} {text}\n"));
    "Log items (-d item[,item...]):\n".to_owned() + &rows.collect::<String>()
}

/// Address ranges that code must lie in to be logged; none means all.
static FILTERS: Mutex<Vec<(u64, u64)>> = Mutex::new(Vec::new());

/// Restricts code logs to a further range.
pub fn add_filter(range: (u64, u64)) {
    FILTERS.lock().unwrap_or_else(PoisonError::into_inner).push(range);
}

/// `start..end` (inclusive), `start+length` or `start-length`; the range, end exclusive.
#[must_use]
pub fn parse_range(text: &str) -> Option<(u64, u64)> {
    let number = |t: &str| u64::from_str_radix(t.strip_prefix("0x").unwrap_or(t), 16).ok();
    if let Some((start, end)) = text.split_once("..") {
        return Some((number(start)?, number(end)?.checked_add(1)?));
    }
    if let Some((start, len)) = text.split_once('+') {
        let start = number(start)?;
        return Some((start, start.checked_add(number(len)?)?));
    }
    let (end, len) = text.split_once('-')?;
    let end = number(end)?;
    Some((end.checked_sub(number(len)?)?, end.checked_add(1)?))
}

/// Whether code at `pc` is to be logged.
fn passes_filter(pc: u64) -> bool {
    let filters = FILTERS.lock().unwrap_or_else(PoisonError::into_inner);
    filters.is_empty() || filters.iter().any(|&(start, end)| (start..end).contains(&pc))
}
