//! Ops that compiled code leaves to the interpreter.
//!
//! Such an op is put into one table for the whole process, with its operands renumbered from 0, so that
//! equal ops share an entry; compiled code stores the operands into cells and calls with the index. The
//! table only grows and is read without a lock.

use guest::ir::passes::cells;
use guest::ir::{Kind, NanRule, Op, Val};
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
    /// Ops of regions by their text.
    known: HashMap<String, usize>,
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
pub fn slow_op_at(index: usize) -> (Op, NanRule) {
    let chunk = TABLE[index / CHUNK].get().and_then(|chunk| chunk[index % CHUNK].get());
    *chunk.unwrap_or_else(|| unreachable!("compiled code names a registered op"))
}

/// Registers `op`; `None` when the table is full. `kind` tells what an operand is.
pub fn register(op: Op, rule: NanRule, kind: impl Fn(Val) -> Kind) -> Option<SlowCall> {
    let mut operands = Vec::new();
    let mut next = 0u16;
    let renumbered = op.with_uses(|v| {
        let cell = next;
        operands.push((v, cell));
        next += cells(kind(v)) as u16;
        Val(cell)
    });
    let renumbered = renumbered.with_result(Val(next));
    let index = index_of(renumbered, rule)?;
    Some(SlowCall { index: index as u64, operands, result: next })
}

fn index_of(op: Op, rule: NanRule) -> Option<usize> {
    let mut guard = INDEX.lock().unwrap_or_else(PoisonError::into_inner);
    let index = guard.get_or_insert_default();
    let text = format!("{op} {rule:?}");
    if let Some(&found) = index.known.get(&text) {
        return Some(found);
    }
    let new = index.take(op, rule)?;
    index.known.insert(text, new);
    Some(new)
}

/// Adds `op` with its operands in their own cells; `None` when the table is full.
pub fn add(op: Op, rule: NanRule) -> Option<u64> {
    let mut guard = INDEX.lock().unwrap_or_else(PoisonError::into_inner);
    guard.get_or_insert_default().take(op, rule).map(|index| index as u64)
}

impl Index {
    fn take(&mut self, op: Op, rule: NanRule) -> Option<usize> {
        let new = self.used;
        let chunk = TABLE.get(new / CHUNK)?.get_or_init(|| (0..CHUNK).map(|_| OnceLock::new()).collect());
        chunk[new % CHUNK].get_or_init(|| (op, rule));
        self.used += 1;
        Some(new)
    }
}

/// Keeps the table's lock while `f` runs: for fork.
pub fn with_locked<T>(f: impl FnOnce() -> T) -> T {
    let _guard = INDEX.lock().unwrap_or_else(PoisonError::into_inner);
    f()
}
