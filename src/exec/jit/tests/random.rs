//! Random blocks over all ops: state, memory and sticky flags must agree with the interpreter's.

use super::super::cells::goes_past_cells;
use super::super::entry::STACK_SLOT;
use super::*;
use crate::host::fp;
use guest::ir::flags::{FlagRecord, OPERANDS, needed};
use guest::ir::passes::cells;
use guest::ir::*;
use guest::state::{ARCH_BASE, PC, VECTORS};
use std::fmt::Write as _;

pub struct Rng(pub u64);

impl Rng {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
    pub fn below(&mut self, n: usize) -> usize {
        (self.next() >> 33) as usize % n
    }
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
    fn word(&mut self) -> u64 {
        const F64: &[u64] = &[
            0,
            1 << 63,
            0x3ff0_0000_0000_0000,
            0xbff8_0000_0000_0000,
            0x7ff0_0000_0000_0000,
            0xfff0_0000_0000_0000,
            0x7ff8_0000_0000_1234,
            0xfff8_0000_0000_0007,
            0x7ff0_0000_0000_0001,
            0xfff4_0000_0000_0000,
            1,
            0x000f_ffff_ffff_ffff,
            0x0010_0000_0000_0000,
            0x7fef_ffff_ffff_ffff,
            0x41e0_0000_0000_0000,
            0xc1e0_0000_0000_0000,
            0x43e0_0000_0000_0000,
            0x3fe0_0000_0000_0000,
            0x4004_0000_0000_0000,
            0x400c_cccc_cccc_cccd,
            0x47ef_ffff_ffff_ffff,
            0x3690_0000_0000_0000,
            0x41ef_ffff_ffe0_0000,
        ];
        const F32: &[u64] = &[
            0,
            1 << 31,
            0x3f80_0000,
            0xbfc0_0000,
            0x7f80_0000,
            0xff80_0000,
            0x7fc0_1234,
            0xffc0_0001,
            0x7f80_0001,
            0xffa0_0000,
            1,
            0x007f_ffff,
            0x0080_0000,
            0x7f7f_ffff,
            0x4f00_0000,
            0xcf00_0000,
            0x5f00_0000,
            0x3f00_0000,
            0x4020_0000,
            0x4060_0000,
            0x3ecc_cccd,
            0x3800_0000,
            0x477f_e000,
        ];
        match self.below(6) {
            0 => self.next(),
            1 => self.pick(F64),
            2 | 3 => self.pick(F32) | self.pick(F32) << 32,
            4 => {
                self.pick(&[0, 1, 2, 7, 31, 63, 64, 127, 128, 255, 256, 0x7fff, 0x8000, 0xffff, 0x8000_0000])
            }
            _ => u64::MAX << self.below(64),
        }
    }
}

/// The values of a block being made.
struct Pool {
    ints: Vec<Val>,
    vectors: Vec<Val>,
    addresses: Vec<Val>,
}

/// A random field of an op.
trait Arbitrary: Sized {
    fn arbitrary(rng: &mut Rng, pool: &Pool, op: &str, field: &str) -> Self;
}

macro_rules! from_all {
    ($($t:ty),*) => {$(
        impl Arbitrary for $t {
            fn arbitrary(rng: &mut Rng, _: &Pool, _: &str, _: &str) -> Self {
                rng.pick(Self::ALL)
            }
        }
    )*};
}
from_all!(
    Width,
    Lane,
    FSize,
    Sign,
    Half,
    Order,
    Locality,
    IntCc,
    FloatCc,
    RmwOp,
    Round,
    Inexact,
    Overflow,
    MinMax,
    Nans,
    Narrow,
    Estimate,
    Reduce,
    Crypto,
    FlagKind,
    Cond,
    guest::ir::ArmFloat,
    When
);

impl Arbitrary for Val {
    fn arbitrary(rng: &mut Rng, pool: &Pool, _: &str, field: &str) -> Self {
        if field == "addr" {
            return rng.pick(&pool.addresses);
        }
        if rng.below(2) == 0 { rng.pick(&pool.ints) } else { rng.pick(&pool.vectors) }
    }
}
impl Arbitrary for VecLen {
    fn arbitrary(rng: &mut Rng, _: &Pool, _: &str, _: &str) -> Self {
        rng.pick(&[Self::X1, Self::X1, Self::X1, Self::X2])
    }
}
impl Arbitrary for HelperId {
    fn arbitrary(_: &mut Rng, _: &Pool, op: &str, _: &str) -> Self {
        Self(match op {
            "call" => 0,
            "call_vec" => 1,
            _ => 2,
        })
    }
}
impl Arbitrary for Slot {
    fn arbitrary(rng: &mut Rng, _: &Pool, op: &str, _: &str) -> Self {
        let base = if op.starts_with('v') || rng.below(3) == 0 { VECTORS.0 } else { ARCH_BASE.0 };
        Self(base + 16 * rng.below(6) as u16 + rng.pick(&[0, 0, 0, 8, 1, 2, 4, 5]))
    }
}
impl Arbitrary for u64 {
    fn arbitrary(rng: &mut Rng, _: &Pool, _: &str, _: &str) -> Self {
        rng.word()
    }
}
impl Arbitrary for u32 {
    fn arbitrary(rng: &mut Rng, _: &Pool, _: &str, _: &str) -> Self {
        rng.next() as u32
    }
}
impl Arbitrary for i32 {
    fn arbitrary(rng: &mut Rng, _: &Pool, _: &str, _: &str) -> Self {
        rng.below(512) as i32 - 128
    }
}
impl Arbitrary for u16 {
    fn arbitrary(rng: &mut Rng, _: &Pool, _: &str, _: &str) -> Self {
        rng.below(4) as u16
    }
}
impl Arbitrary for u8 {
    fn arbitrary(rng: &mut Rng, _: &Pool, op: &str, _: &str) -> Self {
        if op == "trap_if" { rng.below(11) as u8 } else { rng.below(64) as u8 }
    }
}

macro_rules! random_ops {
    (
        values { $( $(#[$vm:meta])* $vname:ident = $vvar:ident { $($vf:ident : $vt:ty),* } -> $vres:ident, $veff:ident; )* }
        effects { $( $(#[$em:meta])* $ename:ident = $evar:ident { $($ef:ident : $et:ty),* }, $eeff:ident; )* }
    ) => {
        const OPS: &[fn(&mut Rng, &Pool, Val) -> Op] = &[
            $( |rng, pool, dst| {
                let _ = (&rng, &pool);
                Op::$vvar { dst, $($vf: <$vt>::arbitrary(rng, pool, stringify!($vname), stringify!($vf))),* }
            }, )*
            $( |rng, pool, _| {
                let _ = (&rng, &pool);
                Op::$evar { $($ef: <$et>::arbitrary(rng, pool, stringify!($ename), stringify!($ef))),* }
            }, )*
        ];
    };
}
guest::for_each_op!(random_ops);

/// Whether the op means something beyond what the verifier checks.
fn meaningful(op: Op) -> bool {
    match op {
        Op::FpenvSet { .. } => false,
        // Ops on 16 bytes of memory.
        Op::Load128 { n, .. } | Op::LoadEx128 { n, .. } | Op::Cas128 { n, .. } => n == VecLen::X1,
        Op::Vmulh { lane, .. } => lane != Lane::D,
        Op::Vfwiden { from, .. } => from != FSize::F64,
        Op::Vfnarrow { from, .. } => from != FSize::F16,
        Op::Itof { w, .. } | Op::Ftoi { w, .. } => matches!(w, Width::W32 | Width::W64),
        Op::Fconvert { from, to, .. } => from != to,
        // Records that the operation did not make have no one meaning.
        Op::SetFlags { kind, .. } | Op::SetFlagsIf { kind, .. } => {
            !SUMS.contains(&kind) && !DIFFERENCES.contains(&kind)
        }
        _ => true,
    }
}

/// Kinds of records whose operands must fit together.
const SUMS: &[FlagKind] = &[FlagKind::Add, FlagKind::Adc];
const DIFFERENCES: &[FlagKind] = &[FlagKind::Sub, FlagKind::SubInv, FlagKind::Sbb, FlagKind::SbcInv];

struct Maker<'a> {
    rng: &'a mut Rng,
    block: Block,
    pool: Pool,
    next: u16,
}

impl Maker<'_> {
    fn push(&mut self, op: Op) -> Option<Val> {
        let index = self.block.insns.len() as u64;
        let first_op = self.block.ops.len() as u32;
        self.block.insns.push(InsnMark::new(first_op, GuestAddr(self.block.pc.raw() + index), 1));
        self.block.ops.push(op);
        let (dst, kind) = op.result()?;
        self.next += cells(kind) as u16;
        self.block.cells = self.next;
        match kind {
            Kind::Int => self.pool.ints.push(dst),
            Kind::Vector(_) => self.pool.vectors.push(dst),
        }
        Some(dst)
    }

    /// A random op, made anew until the verifier likes it.
    fn random(&mut self, which: usize) -> Option<Op> {
        for _ in 0..200 {
            let op = OPS[which](self.rng, &self.pool, Val(self.next));
            let mut trial = self.block.clone();
            trial.insns.push(InsnMark::new(trial.ops.len() as u32, trial.pc, 1));
            trial.ops.push(op);
            if meaningful(op) && verify(&trial).is_ok() {
                return Some(op);
            }
        }
        None
    }

    /// AArch64 has no flag for denormal operands: its code does not look at it, and checks of ours may raise it.
    fn as_arm_sees_it(&mut self, op: Op) -> Op {
        let Op::FpenvGet { dst: a } = op else { return op };
        if self.block.nan_rule == NanRule::X86 {
            return op;
        }
        self.pool.ints.pop();
        let b = Val(self.next);
        self.push(Op::Konst { dst: b, imm: !2 });
        self.pool.ints.pop();
        let op = Op::And { dst: Val(self.next), w: Width::W64, a, b };
        self.push(op);
        op
    }

    fn flags_as_made(&mut self) {
        let (w, a, b) =
            (self.rng.pick(Width::ALL), self.rng.pick(&self.pool.ints), self.rng.pick(&self.pool.ints));
        let add = self.rng.below(2) == 0;
        let kind = self.rng.pick(if add { SUMS } else { DIFFERENCES });
        let apply = |dst, a, b| if add { Op::Add { dst, w, a, b } } else { Op::Sub { dst, w, a, b } };
        let Some(mut r) = self.push(apply(Val(self.next), a, b)) else { return };
        if matches!(kind, FlagKind::Adc | FlagKind::Sbb | FlagKind::SbcInv) {
            let carry = self.rng.below(2) as u64;
            let Some(carry) = self.push(Op::Konst { dst: Val(self.next), imm: carry }) else { return };
            let Some(with_carry) = self.push(apply(Val(self.next), r, carry)) else { return };
            r = with_carry;
        }
        self.push(Op::SetFlags { kind, w, a, b, r });
    }

    fn keep(&mut self, dst: Val, kind: Kind, number: usize) {
        let slot = RESULTS.plus(32 * number as u16);
        match kind {
            Kind::Int => self.push(Op::Put { w: Width::W64, slot, a: dst }),
            Kind::Vector(n) => self.push(Op::Vput { n, slot, a: dst }),
        };
    }
}

pub fn make_block(rng: &mut Rng, pc: u64, memory: &Memory, which: Option<usize>) -> Block {
    let nan_rule =
        rng.pick(&[NanRule::X86, NanRule::X86, NanRule::Arm, NanRule::ArmDefault, NanRule::ArmControl(14)]);
    let mut block =
        Builder::new(GuestAddr(pc), nan_rule).finish(Terminator::Resync { next: GuestAddr(0x77) });
    block.pool = (0..4).map(|_| u128::from(rng.word()) | u128::from(rng.word()) << 64).collect();
    block.pool[0] = u128::from_le_bytes(std::array::from_fn(|_| rng.below(40) as u8));
    let pool = Pool { ints: vec![], vectors: vec![], addresses: vec![] };
    let mut maker = Maker { rng, block, pool, next: 0 };
    for i in 0..6 {
        let slot = Slot(ARCH_BASE.0 + 8 * i);
        let dst = Val(maker.next);
        maker.push(Op::Get { dst, w: Width::W64, slot });
        let (dst, slot) = (Val(maker.next), Slot(VECTORS.0 + 64 * i));
        let n = if i < 4 { VecLen::X1 } else { VecLen::X2 };
        maker.push(Op::Vget { dst, n, slot });
    }
    for offset in [128u64, 1024, 4096 - 256] {
        let dst = Val(maker.next);
        maker.push(Op::Konst { dst, imm: memory.start + offset });
        maker.pool.ints.pop();
        maker.pool.addresses.push(dst);
    }
    for number in 0..12 {
        let index = which.filter(|_| number % 3 == 0).unwrap_or_else(|| maker.rng.below(OPS.len()));
        if maker.rng.below(6) == 0 {
            maker.flags_as_made();
        }
        let Some(op) = maker.random(index) else { continue };
        maker.push(op);
        let op = maker.as_arm_sees_it(op);
        if let Some((dst, kind)) = op.result()
            && (op.effect() == Effect::Float || maker.rng.below(8) != 0)
        {
            maker.keep(dst, kind, number);
        }
    }
    let target = maker.rng.pick(&maker.pool.ints);
    maker.block.terminator = match maker.rng.below(4) {
        0 => Terminator::Jump { target: GuestAddr(0x55), hint: Hint::None },
        1 => Terminator::Branch { cond: target, taken: GuestAddr(1), other: GuestAddr(2) },
        2 => Terminator::Indirect { target, hint: maker.rng.pick(&[Hint::None, Hint::Resync]) },
        _ => maker.block.terminator,
    };
    maker.block
}

pub fn random_state(rng: &mut Rng) -> GuestState {
    let mut state = GuestState::default();
    for offset in (ARCH_BASE.0..4096).step_by(8) {
        state.set_u64(Slot(offset), rng.word());
    }
    state.set_u64(guest::state::FLAG_KIND, flags::encode_kind(FlagKind::Packed, Width::W64));
    state.set_u64(guest::state::FLAG_A, rng.next() & flag::ALL);
    state
}

pub fn differences(a: &GuestState, b: &GuestState) -> String {
    let mut text = String::new();
    // What the kind of the flag record does not need means nothing.
    let needed = OPERANDS.into_iter().zip(needed(FlagRecord::load(a).kind));
    let unneeded: Vec<u16> = needed.filter(|(_, needed)| !needed).map(|(slot, _)| slot.0).collect();
    let engines = |o: &u16| *o == PC.0 || (80..104).contains(o) || (STACK_SLOT.0..ARCH_BASE.0).contains(o);
    for offset in (0..4096u16).step_by(8).filter(|o| !engines(o) && !unneeded.contains(o)) {
        let (x, y) = (a.u64(Slot(offset)), b.u64(Slot(offset)));
        if x != y {
            let _ = writeln!(text, "  slot {offset}: interpreted {x:#018x}, compiled {y:#018x}");
        }
    }
    text
}

/// Runs one block in both ways from the same start.
fn compare(block: &Block, rng: &mut Rng, memory: &Memory, port: &Port) {
    let start = random_state(rng);
    let seed = rng.next();
    // The flush bits are x86's: under AArch64's rules the environment never has them.
    let flushes = if block.nan_rule == NanRule::X86 { rng.pick(&[0, 0, 0, 0x8000, 0x40, 0x8040]) } else { 0 };
    let environment = 0x1f80 | (rng.below(4) as u32) << 13 | flushes;
    let (head, in_region) = try_compile(vec![block.clone()]);
    // A region keeps the state in cells, and refuses what goes past them; and traces.
    let is_refused = |&op: &Op| goes_past_cells(op) || matches!(op, Op::SideExit { .. });
    assert!(in_region || block.ops.iter().any(is_refused), "{block}");
    let under = |run: &mut dyn FnMut() -> BlockEnd| {
        memory.fill(seed);
        fp::set_mxcsr(environment);
        let end = run();
        // AArch64 has no flag for denormal operands.
        let after = fp::mxcsr() & if block.nan_rule == NanRule::X86 { !0 } else { !2 };
        fp::set_mxcsr(fp::DEFAULT_MXCSR);
        (end, after, memory.contents())
    };
    let (mut expected, mut got) = (start.clone(), start.clone());
    let interpreted = under(&mut || run_interpreted(block, &mut expected));
    let compiled = if in_region {
        under(&mut || run_compiled(&head, &mut got, port, &mut Compiled::new()))
    } else {
        got = expected.clone();
        interpreted.clone()
    };
    if let BlockEnd::Replay { pc } = compiled.0 {
        // What is done from there on is the interpreter's, so the state there decides.
        assert!(matches!(interpreted.0, BlockEnd::Fault { .. }), "{block}\nno fault but {:?}", interpreted.0);
        let (before, mut expected) = (until(block, pc), start.clone());
        under(&mut || run_interpreted(&before, &mut expected));
        let state = differences(&expected, &got);
        assert!(state.is_empty(), "{block}\nwent back to {pc}\n{state}");
    } else {
        agree("region", block, environment, (&expected, &interpreted), (&got, &compiled));
    }
    let mut got = start;
    let head = compile_template(block.clone(), &got);
    let compiled = under(&mut || run_compiled(&head, &mut got, port, &mut Compiled::new()));
    agree("template", block, environment, (&expected, &interpreted), (&got, &compiled));
}

/// The block up to the instruction at `pc`.
fn until(block: &Block, pc: GuestAddr) -> Block {
    let mut before = block.clone();
    let end = block.insns.iter().find(|mark| mark.pc == pc).expect("it goes back to an instruction").first_op;
    before.ops.truncate(end as usize);
    before.insns.retain(|mark| mark.first_op < end);
    before.terminator = Terminator::Jump { target: pc, hint: Hint::None };
    before
}

/// What a run leaves behind besides the state: its end, MXCSR, memory.
type Left = (BlockEnd, u32, Vec<u8>);

fn agree(
    how: &str,
    block: &Block,
    environment: u32,
    expected: (&GuestState, &Left),
    got: (&GuestState, &Left),
) {
    let (interpreted, compiled) = (expected.1, got.1);
    let state = differences(expected.0, got.0);
    assert!(
        interpreted.0 == compiled.0
            && interpreted.1 == compiled.1
            && interpreted.2 == compiled.2
            && state.is_empty(),
        "{how}: {block}\nenvironment {environment:#x}: {:?} {:#x} against {:?} {:#x}, memory {}\n{state}",
        interpreted.0,
        interpreted.1,
        compiled.0,
        compiled.1,
        if interpreted.2 == compiled.2 { "same" } else { "differs" },
    );
}

fn rounds(default: usize) -> usize {
    std::env::var("JIT_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(default)
}

#[test]
fn every_op_agrees_with_the_interpreter() {
    let _alone = alone();
    let (memory, port) = (Memory::new(2), Port::default());
    if std::env::var("JIT_ASM").is_ok() {
        crate::debug::enable(crate::debug::item::OUT_ASM);
    }
    let seed = std::env::var("JIT_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(0x1234_5678);
    let mut rng = Rng(seed);
    for round in 0..rounds(12) {
        for which in 0..OPS.len() {
            let block =
                make_block(&mut rng, 0x1000 + 64 * (round * OPS.len() + which) as u64, &memory, Some(which));
            assert_eq!(verify(&block), Ok(()));
            for _ in 0..2 {
                compare(&block, &mut rng, &memory, &port);
            }
        }
    }
}
