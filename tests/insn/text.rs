//! Cases by file, one line each: `text ; bytes ; state before -> state after`.
//!
//! ```text
//! add al, 1            ; 04 01       ; al=0x7f -> al=0x80 OF=1 SF=1 ZF=0 CF=0 AF=1 PF=0
//! mov eax, [rbx]       ; 8b 03       ; rbx=@16 [16:4]=0x12345678 -> rax=0x12345678
//! div cl               ; f6 f1       ; cl=0 -> signal=8
//! ```
//! Registers go by their usual names, flags by theirs, `st0`, `xmm0` and `ymm0h` (the upper half of ymm0)
//! are hexadecimal; `@n` is an
//! address n bytes into the data pages, `[n:len]` the little-endian value there; `rip` counts from the
//! instruction's start; `signal` is the signal that the instruction raises. What is not named is 0 (x87
//! and SSE controls: as after reset) and is not compared. `#` starts a comment. Every line is run by the
//! interpreter, as compiled code and, as its own oracle, by the host CPU if it has the instructions. A `~` before
//! what comes of it says that processors differ there: the host's is not looked at.

use crate::case::{CODE, Case, DATA, DATA_LEN, FLAG_NAMES, GPR_NAMES, MAX_CODE, Outcome, Registers, fill};
use crate::compare::{Different, host_has};
use crate::machine::Machine;
use crate::oracle;
use crate::tiers::Tier;
use arch_x86_64::X86_64;
use guest::GuestAddr;
use guest::arch::GuestArch;
use iced_x86::{Decoder, DecoderOptions, FlowControl};

const NAMES: [&str; 16] =
    ["ax", "cx", "dx", "bx", "sp", "bp", "si", "di", "8", "9", "10", "11", "12", "13", "14", "15"];

/// One `name=value`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Item {
    /// Register number, lowest bit, bits, value.
    General(usize, u32, u32, u64),
    Flag(u32, bool),
    Xmm(usize, u128),
    YmmHigh(usize, u128),
    Stack(usize, u128),
    Memory(usize, usize, u64),
    Control(&'static str, u64),
    Rip(u64),
    Signal(i32),
    /// What fills the data pages.
    Seed(u64),
}

/// Where a general register's name points: number, lowest bit, bits.
fn general(name: &str) -> Option<(usize, u32, u32)> {
    for (n, &stem) in NAMES.iter().enumerate() {
        let found = match n {
            0..4 => match name.strip_suffix('l').or(name.strip_suffix('h')) {
                Some(letter) if stem.starts_with(letter) && letter.len() == 1 => {
                    Some(if name.ends_with('h') { (8, 8) } else { (0, 8) })
                }
                _ => wide(name, stem),
            },
            4..8 if name.strip_suffix('l') == Some(stem) => Some((0, 8)),
            4..8 => wide(name, stem),
            _ => name.strip_prefix('r').and_then(|rest| match rest.strip_prefix(stem)? {
                "" => Some((0, 64)),
                "d" => Some((0, 32)),
                "w" => Some((0, 16)),
                "b" => Some((0, 8)),
                _ => None,
            }),
        };
        if let Some((low, bits)) = found {
            return Some((n, low, bits));
        }
    }
    None
}

fn wide(name: &str, stem: &str) -> Option<(u32, u32)> {
    match name.strip_suffix(stem)? {
        "r" => Some((0, 64)),
        "e" => Some((0, 32)),
        "" => Some((0, 16)),
        _ => None,
    }
}

fn number(text: &str) -> Option<u128> {
    if let Some(offset) = text.strip_prefix('@') {
        return Some(u128::from(DATA) + number(offset)?);
    }
    match text.strip_prefix("0x") {
        Some(hex) => u128::from_str_radix(&hex.replace('_', ""), 16).ok(),
        None => text.parse().ok().or_else(|| text.parse::<i64>().ok().map(|v| u128::from(v as u64))),
    }
}

fn item(word: &str) -> Option<Item> {
    let (name, value) = word.split_once('=')?;
    let value = number(value)?;
    if let Some(&(_, bit)) = FLAG_NAMES.iter().find(|(flag, _)| *flag == name) {
        return Some(Item::Flag(bit, value != 0));
    }
    if let Some(place) = name.strip_prefix('[') {
        let (at, len) = place.strip_suffix(']')?.split_once(':')?;
        return Some(Item::Memory(at.parse().ok()?, len.parse().ok()?, value as u64));
    }
    if let Some(control) = ["mxcsr", "fcw", "fsw", "ftw"].into_iter().find(|c| *c == name) {
        return Some(Item::Control(control, value as u64));
    }
    match name {
        "rip" => Some(Item::Rip(value as u64)),
        "seed" => Some(Item::Seed(value as u64)),
        "signal" => Some(Item::Signal(value as i32)),
        _ if name.starts_with("ymm") => {
            Some(Item::YmmHigh(name[3..].strip_suffix('h')?.parse().ok()?, value))
        }
        _ if name.starts_with("xmm") => Some(Item::Xmm(name[3..].parse().ok()?, value)),
        _ if name.starts_with("st") => Some(Item::Stack(name[2..].parse().ok()?, value)),
        _ => general(name).map(|(n, low, bits)| Item::General(n, low, bits, value as u64)),
    }
}

fn items(text: &str) -> Option<Vec<Item>> {
    text.split_whitespace().map(item).collect()
}

/// A line's case, the memory before it, and what is to come of it.
struct Line {
    case: Case,
    memory: Vec<Item>,
    expected: Vec<Item>,
    /// What processors differ about.
    expected_of_us: Vec<Item>,
    host_has_it: bool,
}

fn parse(line: &str) -> Option<Line> {
    let mut fields = line.split(';').map(str::trim);
    let (_, bytes, states) = (fields.next()?, fields.next()?, fields.next()?);
    let (before, after) = states.split_once("->")?;
    let before_it = Registers::new();
    let code = [0x90; MAX_CODE];
    let mut case =
        Case { code, len: 0, insns: 1, repeated: false, straight: false, before: before_it, seed: 0 };
    for byte in bytes.split_whitespace() {
        case.code[case.len] = u8::from_str_radix(byte, 16).ok()?;
        case.len += 1;
    }
    case.before.gpr[4] = DATA + 4096;
    let code = &case.code[..case.len];
    let insns: Vec<_> = Decoder::new(64, code, DecoderOptions::NONE).iter().collect();
    let first = insns.first()?;
    case.insns = insns.len();
    case.straight = insns.len() > 1 || first.flow_control() == FlowControl::Next;
    case.repeated = first.is_vsib()
        || first.is_string_instruction() && (first.has_rep_prefix() || first.has_repne_prefix());
    let mut memory = Vec::new();
    for item in items(before)? {
        match item {
            Item::Memory(..) => memory.push(item),
            Item::Seed(seed) => case.seed = seed,
            _ => apply(&mut case.before, item),
        }
    }
    let (ours, everywhere): (Vec<&str>, Vec<&str>) =
        after.split_whitespace().partition(|word| word.starts_with('~'));
    Some(Line {
        case,
        memory,
        expected: items(&everywhere.join(" "))?,
        expected_of_us: items(&ours.join(" ").replace('~', ""))?,
        host_has_it: insns.iter().all(host_has),
    })
}

fn apply(registers: &mut Registers, item: Item) {
    match item {
        Item::General(n, low, bits, value) => {
            let mask = u64::MAX >> (64 - bits) << low;
            registers.gpr[n] = registers.gpr[n] & !mask | value << low & mask;
        }
        Item::Flag(bit, set) => {
            registers.eflags = registers.eflags & !(1 << bit) | u64::from(set) << bit;
        }
        Item::Xmm(n, value) => registers.xmm[n] = value,
        Item::YmmHigh(n, value) => registers.ymm_high[n] = value,
        Item::Stack(n, value) => {
            registers.st[n] = value;
            registers.ftw |= 1 << n;
        }
        Item::Control("mxcsr", value) => registers.mxcsr = value as u32,
        Item::Control("fcw", value) => registers.fcw = value as u16,
        Item::Control("fsw", value) => registers.fsw = value as u16,
        Item::Control(_, value) => registers.ftw = value as u8,
        Item::Memory(..) | Item::Rip(_) | Item::Signal(_) | Item::Seed(_) => {}
    }
}

/// The item with the value that the outcome has.
fn observed(outcome: &Outcome, item: Item) -> Item {
    let after = &outcome.after;
    match item {
        Item::General(n, low, bits, _) => {
            Item::General(n, low, bits, after.gpr[n] >> low & u64::MAX >> (64 - bits))
        }
        Item::Flag(bit, _) => Item::Flag(bit, after.eflags >> bit & 1 != 0),
        Item::Xmm(n, _) => Item::Xmm(n, after.xmm[n]),
        Item::YmmHigh(n, _) => Item::YmmHigh(n, after.ymm_high[n]),
        Item::Stack(n, _) => Item::Stack(n, after.st[n]),
        Item::Memory(at, len, _) => {
            let value = outcome.data[at..at + len].iter().rev().fold(0, |v, &b| v << 8 | u64::from(b));
            Item::Memory(at, len, value)
        }
        Item::Control("mxcsr", _) => Item::Control("mxcsr", after.mxcsr.into()),
        Item::Control("fcw", _) => Item::Control("fcw", after.fcw.into()),
        Item::Control("fsw", _) => Item::Control("fsw", after.fsw.into()),
        Item::Control(name, _) => Item::Control(name, after.ftw.into()),
        Item::Rip(_) => Item::Rip(after.rip.wrapping_sub(CODE)),
        Item::Signal(_) => Item::Signal(outcome.signal),
        Item::Seed(seed) => Item::Seed(seed),
    }
}

/// Runs a file's lines; gives what went wrong.
pub fn run(file: &str, text: &str) -> Vec<String> {
    let mut machine = Machine::new();
    let mut wrong = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or("").trim();
        if line.is_empty() {
            continue;
        }
        let place = format!("{file}:{}: {line}", number + 1);
        match parse(line) {
            None => wrong.push(format!("{place}\n   cannot be read")),
            Some(parsed) => {
                wrong.extend(check(&mut machine, &parsed).into_iter().map(|w| format!("{place}\n   {w}")))
            }
        }
    }
    wrong
}

fn check(machine: &mut Machine, line: &Line) -> Vec<String> {
    let mut data = [0; DATA_LEN];
    fill(line.case.seed, &mut data);
    for item in &line.memory {
        if let Item::Memory(at, len, value) = *item {
            data[at..at + len].copy_from_slice(&value.to_le_bytes()[..len]);
        }
    }
    if !machine.load(&line.case) {
        return vec!["is not implemented".to_owned()];
    }
    let mut wrong = Vec::new();
    if line.host_has_it {
        wrong.extend(differs("host", &oracle::run_one(&line.case, &data), &line.expected));
    }
    let expected = [&line.expected[..], &line.expected_of_us].concat();
    for tier in Tier::ALL {
        if machine.can_run(tier, &line.case) {
            let mut ours = Outcome::new();
            machine.run_with(&line.case, &data, tier, &mut ours);
            wrong.extend(differs(&format!("{tier:?}"), &ours, &expected));
        }
    }
    wrong
}

fn differs(who: &str, outcome: &Outcome, expected: &[Item]) -> Option<String> {
    let found: Vec<Item> = expected.iter().map(|&item| observed(outcome, item)).collect();
    (found != expected).then(|| format!("{who}: {found:x?}, expected {expected:x?}"))
}

/// The case and what the host made of it, as a line for a file; what we made of it is in brackets behind.
pub fn line(case: &Case, found: &[Different]) -> String {
    let code = &case.code[..case.len];
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(" ");
    let after: Vec<String> = found.iter().map(|(name, _, host)| format!("{name}={host:#x}")).collect();
    let ours: Vec<String> = found.iter().map(|(name, ours, _)| format!("{name}={ours:#x}")).collect();
    format!(
        "{} ; {} ; {} -> {}   # ours: {}",
        disassembly(code),
        hex(code),
        before_text(case),
        after.join(" "),
        ours.join(" ")
    )
}

pub fn disassembly(code: &[u8]) -> String {
    let (mut at, mut texts) = (0, Vec::new());
    while at < code.len() {
        let insn = X86_64.disassemble(GuestAddr(CODE + at as u64), &code[at..]);
        texts.push(insn.text);
        at += insn.len;
    }
    texts.join(" / ")
}

/// Everything of the state that is not as in a line that says nothing.
fn before_text(case: &Case) -> String {
    let (before, usual) = (&case.before, Registers::new());
    let mut words = Vec::new();
    let mut word = |name: String, value: u128, usual: u128| {
        if value != usual {
            words.push(format!("{name}={value:#x}"));
        }
    };
    for (n, name) in GPR_NAMES.iter().enumerate() {
        let usual = if n == 4 { DATA + 4096 } else { 0 };
        word((*name).to_owned(), before.gpr[n].into(), usual.into());
        word(format!("xmm{n}"), before.xmm[n], 0);
        word(format!("ymm{n}h"), before.ymm_high[n], 0);
    }
    for (name, bit) in FLAG_NAMES {
        word(name.to_owned(), (before.eflags >> bit & 1).into(), 0);
    }
    for n in (0..8).filter(|&n| before.st[n] != 0) {
        word(format!("st{n}"), before.st[n], 0);
    }
    word("mxcsr".to_owned(), before.mxcsr.into(), usual.mxcsr.into());
    word("fcw".to_owned(), before.fcw.into(), usual.fcw.into());
    word("fsw".to_owned(), before.fsw.into(), usual.fsw.into());
    let tags = (0..8).filter(|&n| before.st[n] != 0).fold(0, |tags, n| tags | 1u8 << n);
    word("ftw".to_owned(), before.ftw.into(), tags.into());
    word("seed".to_owned(), case.seed.into(), 0);
    words.join(" ")
}
