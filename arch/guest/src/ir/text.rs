//! Printing blocks and reading them back (`-d ir`, tests).

use super::types::Field;
use super::{Block, Hint, InsnMark, Kind, NanRule, Op, Reads, Terminator, Val, Writes};
use crate::{GuestAddr, Trap};
use std::fmt;

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "block {} {}", self.pc, nan_word(self.nan_rule))?;
        for unit in &self.pool {
            writeln!(f, "  pool {unit:#x}")?;
        }
        let mut marks = self.insns.iter().peekable();
        for (index, op) in self.ops.iter().enumerate() {
            while let Some(mark) = marks.next_if(|m| m.first_op as usize <= index) {
                writeln!(f, "  {mark}")?;
            }
            writeln!(f, "    {op}")?;
        }
        for mark in marks {
            writeln!(f, "  {mark}")?;
        }
        writeln!(f, "  {}", self.terminator)
    }
}

impl fmt::Display for InsnMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let writes = if self.writes == Writes::All { "all" } else { "some" };
        write!(f, "insn {} {} reads:{:04x} writes:{writes}", self.pc, self.len, self.reads.bits())
    }
}

impl fmt::Display for Terminator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Jump { target, hint } => write!(f, "jump {target} {hint}"),
            Self::Branch { cond, taken, other } => write!(f, "branch v{} {taken} {other}", cond.0),
            Self::Indirect { target, hint } => write!(f, "indirect v{} {hint}", target.0),
            Self::Syscall { next } => write!(f, "syscall {next}"),
            Self::Trap { trap, pc } => write!(f, "trap {} {pc}", trap as u8),
            Self::FetchFault { pc, fault } => write!(f, "fetchfault {pc} {fault}"),
            Self::Resync { next } => write!(f, "resync {next}"),
        }
    }
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("plain"),
            Self::Call(back) => write!(f, "call:{back}"),
            Self::Return => f.write_str("return"),
            Self::Resync => f.write_str("resync"),
        }
    }
}

fn nan_word(rule: NanRule) -> String {
    match rule {
        NanRule::X86 => "x86".to_owned(),
        _ => format!("arm{}", rule.control()),
    }
}

/// Text that is not a printed block: the line number (from 1) and the line.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("line {line}: not IR: {text:?}")]
pub struct ParseError {
    pub line: usize,
    pub text: String,
}

/// Reads back what `Display` printed.
pub fn parse_block(text: &str) -> Result<Block, ParseError> {
    let mut block: Option<Block> = None;
    for (number, line) in text.lines().enumerate() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let parsed = match (&mut block, words.as_slice()) {
            (_, []) => Some(()),
            (slot @ None, ["block", pc, rule]) => parse_header(pc, rule).map(|b| *slot = Some(b)),
            (Some(block), words) => parse_line(block, words),
            (None, _) => None,
        };
        parsed.ok_or_else(|| ParseError { line: number + 1, text: line.to_owned() })?;
    }
    block.ok_or(ParseError { line: 0, text: String::new() })
}

fn parse_header(pc: &str, rule: &str) -> Option<Block> {
    let nan_rule = match rule {
        "x86" => NanRule::X86,
        arm => NanRule::arm(arm.strip_prefix("arm")?.parse().ok()?),
    };
    let pc = parse_addr(pc)?;
    let terminator = Terminator::Jump { target: pc, hint: Hint::None };
    Some(Block { pc, ops: Vec::new(), insns: Vec::new(), pool: Vec::new(), terminator, nan_rule, cells: 0 })
}

fn parse_line(block: &mut Block, words: &[&str]) -> Option<()> {
    match words {
        ["pool", unit] => block.pool.push(u128::from_str_radix(unit.strip_prefix("0x")?, 16).ok()?),
        ["insn", pc, len, reads, writes] => block.insns.push(InsnMark {
            first_op: block.ops.len() as u32,
            pc: parse_addr(pc)?,
            len: len.parse().ok()?,
            reads: Reads::from_bits(u16::from_str_radix(reads.strip_prefix("reads:")?, 16).ok()?),
            writes: match *writes {
                "writes:all" => Writes::All,
                "writes:some" => Writes::Some,
                _ => return None,
            },
        }),
        [dst, "=", name, fields @ ..] => {
            push_op(block, Op::parse_fields(name, Some(Val::parse(dst)?), fields)?)
        }
        [name, fields @ ..] => match parse_terminator(words) {
            Some(terminator) => block.terminator = terminator,
            None => push_op(block, Op::parse_fields(name, None, fields)?),
        },
        [] => {}
    }
    Some(())
}

fn push_op(block: &mut Block, op: Op) {
    if let Some((Val(first), kind)) = op.result() {
        let cells = match kind {
            Kind::Int => 1,
            Kind::Vector(n) => 2 * n.units() as u16,
        };
        block.cells = block.cells.max(first.saturating_add(cells));
    }
    block.ops.push(op);
}

fn parse_terminator(words: &[&str]) -> Option<Terminator> {
    Some(match words {
        ["jump", target, hint] => Terminator::Jump { target: parse_addr(target)?, hint: parse_hint(hint)? },
        ["branch", cond, taken, other] => Terminator::Branch {
            cond: Val::parse(cond)?,
            taken: parse_addr(taken)?,
            other: parse_addr(other)?,
        },
        ["indirect", target, hint] => {
            Terminator::Indirect { target: Val::parse(target)?, hint: parse_hint(hint)? }
        }
        ["syscall", next] => Terminator::Syscall { next: parse_addr(next)? },
        ["trap", trap, pc] => {
            Terminator::Trap { trap: Trap::from_number(trap.parse().ok()?)?, pc: parse_addr(pc)? }
        }
        ["fetchfault", pc, fault] => {
            Terminator::FetchFault { pc: parse_addr(pc)?, fault: parse_addr(fault)? }
        }
        ["resync", next] => Terminator::Resync { next: parse_addr(next)? },
        _ => return None,
    })
}

fn parse_hint(word: &str) -> Option<Hint> {
    match word {
        "plain" => Some(Hint::None),
        "return" => Some(Hint::Return),
        "resync" => Some(Hint::Resync),
        other => Some(Hint::Call(parse_addr(other.strip_prefix("call:")?)?)),
    }
}

fn parse_addr(word: &str) -> Option<GuestAddr> {
    u64::from_str_radix(word.strip_prefix("0x")?, 16).ok().map(GuestAddr)
}

#[cfg(test)]
mod tests {
    use super::super::{Builder, FlagKind, IntCc, Lane, Order, VecLen, Width, verify};
    use super::*;
    use crate::state::{ARCH_BASE, vector_slot};

    fn sample() -> Block {
        let mut b = Builder::new(GuestAddr(0x1000), NanRule::X86);
        b.begin_insn(GuestAddr(0x1000), 3);
        let (x, one) = (b.read_slot(ARCH_BASE), b.imm(1));
        let m = b.load(Width::W32, Order::Tso, x, -8);
        let sum = b.add(Width::W32, m, one);
        b.set_flags(FlagKind::Add, Width::W32, m, one, sum);
        b.write_slot(ARCH_BASE, sum);
        b.begin_insn(GuestAddr(0x1003), 4);
        let v = b.read_vector(VecLen::X1, vector_slot(3));
        let c = b.vimm(VecLen::X1, 0x1234);
        let r = b.vadd(VecLen::X1, Lane::S, v, c);
        b.vput(VecLen::X1, vector_slot(3), r);
        let taken = b.icmp(IntCc::Ult, Width::W32, sum, one);
        b.finish(Terminator::Branch { cond: taken, taken: GuestAddr(0x2000), other: GuestAddr(0x1007) })
    }

    #[test]
    fn what_is_printed_is_read_back() {
        let block = sample();
        verify(&block).unwrap();
        assert_eq!(parse_block(&block.to_string()).unwrap(), block);
    }

    #[test]
    fn a_line_that_is_no_ir_is_named() {
        let error = parse_block("block 0x1000 x86\n  v1 = frobnicate w32\n").unwrap_err();
        assert_eq!(error.line, 2);
    }
}
