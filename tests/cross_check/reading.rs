//! An x86 instruction as both decoders are made to say it: mnemonic, length, operands.

use iced_x86::{Instruction as Iced, OpKind, Register};
use yaxpeax_x86::amd64::{Instruction as Yaxpeax, Operand as Theirs, RegSpec};

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reading {
    pub mnemonic: String,
    pub len: usize,
    pub operands: Vec<Operand>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Operand {
    Register(String),
    /// Base, index (with scale), displacement; RIP-relative ones are relative to the next instruction.
    Memory {
        base: String,
        index: Option<(String, u32)>,
        displacement: i64,
        segment: Option<&'static str>,
    },
    /// With its width: compared in as many bits as the narrower says.
    Immediate(u64, u32),
    Target(i64),
    Other(String),
}

impl Operand {
    pub fn agrees(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Immediate(a, wide), Self::Immediate(b, narrow)) => {
                let bits = (*wide).min(*narrow);
                (a ^ b) & (u64::MAX >> (64 - bits)) == 0
            }
            (Self::Target(distance), Self::Immediate(value, _)) => *distance as u64 == *value,
            (Self::Memory { displacement: a, .. }, Self::Memory { displacement: b, .. }) => {
                let mask = if self.is_narrow() { u64::from(u32::MAX) } else { u64::MAX };
                (a ^ b) as u64 & mask == 0 && self.without_displacement() == other.without_displacement()
            }
            _ => self == other,
        }
    }

    /// An address of 32 bits.
    fn is_narrow(&self) -> bool {
        let Self::Memory { base, index, .. } = self else { return false };
        let is_narrow = |name: &str| name.starts_with('e') || name.ends_with('d');
        is_narrow(base) || index.as_ref().is_some_and(|(name, _)| is_narrow(name))
    }

    fn without_displacement(&self) -> Self {
        match self.clone() {
            Self::Memory { base, index, segment, .. } => {
                Self::Memory { base, index, displacement: 0, segment }
            }
            other => other,
        }
    }
}

impl std::fmt::Display for Reading {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {} bytes:", self.mnemonic, self.len)?;
        self.operands.iter().try_for_each(|operand| write!(f, " {operand}"))
    }
}

impl std::fmt::Display for Operand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Register(name) | Self::Other(name) => write!(f, "{name}"),
            Self::Memory { base, index, displacement, segment } => {
                let segment = segment.map_or(String::new(), |name| format!("{name}:"));
                let index = index.as_ref().map_or(String::new(), |(name, scale)| format!("+{name}*{scale}"));
                write!(f, "[{segment}{base}{index}{displacement:+#x}]")
            }
            Self::Immediate(value, _) => write!(f, "{value:#x}"),
            Self::Target(distance) => write!(f, "{distance:+#x}"),
        }
    }
}

/// Decoded at address 0.
pub fn of_iced(insn: &Iced) -> Reading {
    let operands = (0..insn.op_count()).map(|i| iced_operand(insn, i)).collect();
    Reading { mnemonic: format!("{:?}", insn.mnemonic()).to_lowercase(), len: insn.len(), operands }
}

fn register(register: Register) -> String {
    let name = format!("{register:?}").to_lowercase();
    // r8l is r8b to the other.
    match name.strip_suffix('l') {
        Some(start) if start.starts_with('r') => format!("{start}b"),
        _ => name,
    }
}

fn iced_operand(insn: &Iced, i: u32) -> Operand {
    match insn.op_kind(i) {
        OpKind::Register => Operand::Register(register(insn.op_register(i))),
        OpKind::NearBranch16 | OpKind::NearBranch32 | OpKind::NearBranch64 => {
            Operand::Target(insn.near_branch_target().wrapping_sub(insn.len() as u64) as i64)
        }
        OpKind::Immediate8 | OpKind::Immediate8_2nd => Operand::Immediate(insn.immediate(i), 8),
        OpKind::Immediate16 | OpKind::Immediate8to16 => Operand::Immediate(insn.immediate(i), 16),
        OpKind::Immediate32 | OpKind::Immediate8to32 => Operand::Immediate(insn.immediate(i), 32),
        OpKind::Immediate64 | OpKind::Immediate8to64 | OpKind::Immediate32to64 => {
            Operand::Immediate(insn.immediate(i), 64)
        }
        OpKind::Memory => iced_memory(insn),
        OpKind::MemoryESDI | OpKind::MemorySegDI => by_register("di", None),
        OpKind::MemoryESEDI | OpKind::MemorySegEDI => by_register("edi", None),
        OpKind::MemoryESRDI | OpKind::MemorySegRDI => by_register("rdi", None),
        OpKind::MemorySegSI => by_register("si", segment(insn)),
        OpKind::MemorySegESI => by_register("esi", segment(insn)),
        OpKind::MemorySegRSI => by_register("rsi", segment(insn)),
        other => Operand::Other(format!("{other:?}")),
    }
}

fn by_register(name: &str, segment: Option<&'static str>) -> Operand {
    Operand::Memory { base: name.to_owned(), index: None, displacement: 0, segment }
}

fn segment(insn: &Iced) -> Option<&'static str> {
    match insn.segment_prefix() {
        Register::FS => Some("fs"),
        Register::GS => Some("gs"),
        _ => None,
    }
}

fn iced_memory(insn: &Iced) -> Operand {
    let relative = insn.is_ip_rel_memory_operand();
    let absolute = insn.memory_displacement64();
    let displacement = if relative { absolute.wrapping_sub(insn.len() as u64) } else { absolute };
    let index = (insn.memory_index() != Register::None)
        .then(|| (register(insn.memory_index()), insn.memory_index_scale()));
    let base =
        if insn.memory_base() == Register::None { String::new() } else { register(insn.memory_base()) };
    Operand::Memory { base, index, displacement: displacement as i64, segment: segment(insn) }
}

pub fn of_yaxpeax(insn: &Yaxpeax, len: usize) -> Reading {
    let operands = (0..insn.operand_count()).map(|i| yaxpeax_operand(insn, i)).collect();
    Reading { mnemonic: insn.opcode().to_string(), len, operands }
}

fn name(register: RegSpec) -> String {
    register.name().replace(['(', ')'], "")
}

fn yaxpeax_operand(insn: &Yaxpeax, i: u8) -> Operand {
    let segment = || match insn.prefixes.segment() {
        yaxpeax_x86::amd64::Segment::FS => Some("fs"),
        yaxpeax_x86::amd64::Segment::GS => Some("gs"),
        _ => None,
    };
    let memory = |base: Option<RegSpec>, index: Option<(RegSpec, u8)>, displacement: i64| Operand::Memory {
        base: base.map_or(String::new(), name),
        index: index.map(|(register, scale)| (name(register), u32::from(scale))),
        displacement,
        segment: segment(),
    };
    match insn.operand(i) {
        Theirs::Register { reg }
        | Theirs::RegisterMaskMerge { reg, .. }
        | Theirs::RegisterMaskMergeSae { reg, .. }
        | Theirs::RegisterMaskMergeSaeNoround { reg, .. } => Operand::Register(name(reg)),
        Theirs::ImmediateI8 { imm } => Operand::Immediate(i64::from(imm) as u64, 64),
        Theirs::ImmediateU8 { imm } => Operand::Immediate(u64::from(imm), 8),
        Theirs::ImmediateI16 { imm } => Operand::Immediate(i64::from(imm) as u64, 16),
        Theirs::ImmediateU16 { imm } => Operand::Immediate(u64::from(imm), 16),
        Theirs::ImmediateI32 { imm } => Operand::Immediate(i64::from(imm) as u64, 64),
        Theirs::ImmediateU32 { imm } => Operand::Immediate(u64::from(imm), 32),
        Theirs::ImmediateI64 { imm } => Operand::Immediate(imm as u64, 64),
        Theirs::ImmediateU64 { imm } => Operand::Immediate(imm, 64),
        Theirs::AbsoluteU32 { addr } => memory(None, None, i64::from(addr)),
        Theirs::AbsoluteU64 { addr } => memory(None, None, addr as i64),
        Theirs::MemDeref { base } => memory(Some(base), None, 0),
        Theirs::Disp { base, disp } => memory(Some(base), None, i64::from(disp)),
        Theirs::MemIndexScale { index, scale } => memory(None, Some((index, scale)), 0),
        Theirs::MemIndexScaleDisp { index, scale, disp } => {
            memory(None, Some((index, scale)), i64::from(disp))
        }
        Theirs::MemBaseIndexScale { base, index, scale } => memory(Some(base), Some((index, scale)), 0),
        Theirs::MemBaseIndexScaleDisp { base, index, scale, disp } => {
            memory(Some(base), Some((index, scale)), i64::from(disp))
        }
        other => Operand::Other(format!("{other:?}")),
    }
}
