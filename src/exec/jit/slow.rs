//! Ops that compiled code leaves to the interpreter.
//!
//! Such an op is put into one table for the whole process, where equal ops share an entry: a region's with its operands
//! renumbered from 0, a block's (from templates) with those that it has, which are in their own cells. Compiled code
//! stores the operands into cells and calls with the index. The table only grows and is read without a lock.

use crate::exec::saved;
use guest::GuestAddr;
use guest::ir::passes::cells;
use guest::ir::{Block, Kind, NanRule, Op, Terminator, Val, parse_block};
use std::collections::HashMap;
use std::sync::{Mutex, OnceLock, PoisonError};

/// Entries of a chunk, and how many chunks there may be.
const CHUNK: usize = 1024;
const CHUNKS: usize = 1024;

type Chunk = Box<[OnceLock<(Op, NanRule)>]>;

static TABLE: [OnceLock<Chunk>; CHUNKS] = [const { OnceLock::new() }; CHUNKS];
static INDEX: Mutex<Option<Index>> = Mutex::new(None);

#[derive(Default)]
struct Index {
    used: usize,
    /// Ops of regions by their text, each as often as one region has it.
    known: HashMap<String, Vec<usize>>,
    /// Ops of blocks from templates: a guest that makes code all the time makes the same ones again.
    of_blocks: HashMap<(Op, NanRule), usize>,
}

/// How one op is called.
#[derive(Clone, Debug)]
pub struct SlowCall {
    pub index: u64,
    /// Each operand and its first cell.
    pub operands: Vec<(Val, u16)>,
    /// The result's first cell.
    pub result: u16,
}

/// The op at `index`.
#[inline]
pub fn slow_op_at(index: usize) -> &'static (Op, NanRule) {
    let known = TABLE[index / CHUNK].get().and_then(|chunk| chunk[index % CHUNK].get());
    known.or_else(|| saved_op(index)).unwrap_or_else(|| unreachable!("compiled code names a registered op"))
}

/// An op that saved code names: it is read when it runs for the first time.
#[cold]
fn saved_op(index: usize) -> Option<&'static (Op, NanRule)> {
    let read = of_text(saved::op(index)?)?;
    Some(chunk(index)?[index % CHUNK].get_or_init(|| read))
}

fn chunk(index: usize) -> Option<&'static Chunk> {
    Some(TABLE.get(index / CHUNK)?.get_or_init(|| (0..CHUNK).map(|_| OnceLock::new()).collect()))
}

/// An op as text that [`of_text`] reads.
pub fn text(index: usize) -> String {
    let &(op, nan_rule) = slow_op_at(index);
    let pc = GuestAddr(0);
    let terminator = Terminator::Resync { next: pc };
    let block =
        Block { pc, ops: vec![op], insns: Vec::new(), pool: Vec::new(), terminator, nan_rule, cells: 0 };
    let text = block.to_string();
    debug_assert_eq!(of_text(&text), Some((op, nan_rule)));
    text
}

fn of_text(text: &str) -> Option<(Op, NanRule)> {
    let block = parse_block(text).ok()?;
    Some((*block.ops.first()?, block.nan_rule))
}

/// Gives the first `count` places to the ops of saved code. Before any other is registered.
pub fn reserve(count: usize) {
    let mut guard = INDEX.lock().unwrap_or_else(PoisonError::into_inner);
    guard.get_or_insert_default().used = count;
}

/// How many ops there are.
pub fn count() -> usize {
    INDEX.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map_or(0, |index| index.used)
}

/// Registers `op`, as one that is none of those `used`; `None` when the table is full. `kind` tells what an operand is.
///
/// Cranelift makes a constant anew where it is needed, but only if it has not been needed in another part of the function:
/// then it is kept in a register throughout a loop. So no two call-outs of a region have the same number.
pub fn register(op: Op, rule: NanRule, used: &[u64], kind: impl Fn(Val) -> Kind) -> Option<SlowCall> {
    let mut operands = Vec::new();
    let mut next = 0u16;
    let renumbered = op.with_uses(|v| {
        let cell = next;
        operands.push((v, cell));
        next += cells(kind(v)) as u16;
        Val(cell)
    });
    let renumbered = renumbered.with_result(Val(next));
    let index = index_of(renumbered, rule, used)?;
    Some(SlowCall { index, operands, result: next })
}

fn index_of(op: Op, rule: NanRule, used: &[u64]) -> Option<u64> {
    let mut guard = INDEX.lock().unwrap_or_else(PoisonError::into_inner);
    let index = guard.get_or_insert_default();
    let text = format!("{op} {rule:?}");
    let known = index.known.get(&text).map_or(&[][..], Vec::as_slice);
    if let Some(free) = known.iter().map(|&at| at as u64).find(|at| !used.contains(at)) {
        return Some(free);
    }
    let new = index.take(op, rule)?;
    index.known.entry(text).or_default().push(new);
    Some(new as u64)
}

/// Adds `op` with its operands in their own cells; `None` when the table is full.
pub fn add(op: Op, rule: NanRule) -> Option<u64> {
    let mut guard = INDEX.lock().unwrap_or_else(PoisonError::into_inner);
    let index = guard.get_or_insert_default();
    if let Some(&known) = index.of_blocks.get(&(op, rule)) {
        return Some(known as u64);
    }
    let new = index.take(op, rule)?;
    index.of_blocks.insert((op, rule), new);
    Some(new as u64)
}

impl Index {
    fn take(&mut self, op: Op, rule: NanRule) -> Option<usize> {
        let new = self.used;
        chunk(new)?[new % CHUNK].get_or_init(|| (op, rule));
        self.used += 1;
        Some(new)
    }
}

/// Keeps the table's lock while `f` runs: for fork.
pub fn with_locked<T>(f: impl FnOnce() -> T) -> T {
    let _guard = INDEX.lock().unwrap_or_else(PoisonError::into_inner);
    f()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_op_of_blocks_has_one_entry() {
        let op = |dst: u16| Op::Konst { dst: Val(dst), imm: 0x5107 };
        let first = add(op(1), NanRule::X86).unwrap();
        assert_eq!(add(op(1), NanRule::X86), Some(first));
        assert_ne!(add(op(2), NanRule::X86), Some(first));
        assert_ne!(add(op(1), NanRule::ArmDefault), Some(first));
        assert_eq!(*slow_op_at(first as usize), (op(1), NanRule::X86));
    }
}
