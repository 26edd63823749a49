//! The intermediate representation that both tiers run: straight-line blocks of fixed-size ops on
//! block-local values, with named state slots, explicit widths and a terminator.
//!
//! Instruction semantics are written once, as the IR that a lifter emits; the interpreter and the
//! compiler are two readings of it. The op table in [`table`](self) is the only list of ops.

mod block;
mod builder;
pub mod flags;
mod known;
mod op;
pub mod passes;
mod table;
mod text;
mod types;
mod verify;

pub use block::{Block, Hint, InsnMark, NanRule, Reads, Terminator, Writes};
pub use builder::Builder;
pub use known::KnownSlots;
pub use op::{Effect, OP_COUNT, Op, OpVisitor, Values};
pub use text::{ParseError, parse_block};
pub use types::{
    ArmFloat, Cond, Crypto, Estimate, FSize, Field, FlagKind, FloatCc, Half, HelperId, Inexact, IntCc, Kind,
    Lane, Locality, MinMax, Nans, Narrow, Order, Overflow, Reduce, RmwOp, Round, Sign, VALUE_PLACES, Val,
    VecLen, When, Width, flag,
};
pub use verify::{VerifyError, verify};

/// Cells in a block's value file: the bound on the values one block may define.
pub const MAX_CELLS: usize = 2048;
