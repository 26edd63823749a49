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
//! interpreter, as compiled code and, as its own oracle, by the host CPU.

use crate::case::{CODE, Case, DATA, DATA_LEN, Outcome, Registers};
use crate::machine::{Machine, Tier};
use crate::oracle;

const NAMES: [&str; 16] =
    ["ax", "cx", "dx", "bx", "sp", "bp", "si", "di", "8", "9", "10", "11", "12", "13", "14", "15"];
const FLAGS: [(&str, u32); 7] =
    [("CF", 0), ("PF", 2), ("AF", 4), ("ZF", 6), ("SF", 7), ("DF", 10), ("OF", 11)];

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
    if let Some(&(_, bit)) = FLAGS.iter().find(|(flag, _)| *flag == name) {
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
}

fn parse(line: &str) -> Option<Line> {
    let mut fields = line.split(';').map(str::trim);
    let (_, bytes, states) = (fields.next()?, fields.next()?, fields.next()?);
    let (before, after) = states.split_once("->")?;
    let mut case = Case { code: [0x90; 16], len: 0, repeated: false, before: Registers::new(), seed: 0 };
    for byte in bytes.split_whitespace() {
        case.code[case.len] = u8::from_str_radix(byte, 16).ok()?;
        case.len += 1;
    }
    case.before.gpr[4] = DATA + 4096;
    let rep = case.code.iter().take(3).any(|b| matches!(b, 0xf2 | 0xf3));
    case.repeated =
        rep && case.code[..case.len].iter().any(|b| matches!(b, 0xa4..=0xa7 | 0xaa..=0xaf)) && case.len < 4;
    let mut memory = Vec::new();
    for item in items(before)? {
        match item {
            Item::Memory(..) => memory.push(item),
            _ => apply(&mut case.before, item),
        }
    }
    Some(Line { case, memory, expected: items(after)? })
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
        Item::Memory(..) | Item::Rip(_) | Item::Signal(_) => {}
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
    for item in &line.memory {
        if let Item::Memory(at, len, value) = *item {
            data[at..at + len].copy_from_slice(&value.to_le_bytes()[..len]);
        }
    }
    let mut outcomes = vec![("host", oracle::run_one(&line.case, &data))];
    match machine.lift(&line.case) {
        None => return vec!["is not implemented".to_owned()],
        Some(block) => {
            let mut ours = Outcome::new();
            machine.run_with(&line.case, &block, &data, Tier::Interpreter, &mut ours);
            outcomes.push(("interpreter", ours));
            if machine.compile(&block) {
                machine.run_with(&line.case, &block, &data, Tier::Compiled, &mut ours);
                outcomes.push(("compiled", ours));
            }
        }
    }
    let differs = |(who, outcome): &(&str, Outcome)| {
        let found: Vec<Item> = line.expected.iter().map(|&item| observed(outcome, item)).collect();
        (found != line.expected).then(|| format!("{who}: {found:x?}, expected {:x?}", line.expected))
    };
    outcomes.iter().filter_map(differs).collect()
}
