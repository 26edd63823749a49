//! Lowering: a region's IR to one Cranelift function.
//!
//! Three things that Cranelift does have to be worked around, each with its own few lines here:
//! - It merges and moves loads, also across loop iterations, unless a `sequence_point` stands between.
//! - A load may be folded into its user, which then faults under the user's source location, or none at
//!   all where the user came out of an optimisation: a `sequence_point` after each load keeps it whole.
//! - Float operations count as pure. They must neither vanish (their flags count) nor move out of loops:
//!   results that end in a register are stored at the block's end unless they are computed anyway ([`keep`],
//!   [`carried`]), and operands that a loop does not change, or that Cranelift may know ([`constants`]), are made
//!   opaque.

mod aligned;
mod call_out;
mod carried;
mod crypto;
mod deferred;
mod exits;
mod flags;
mod float;
mod floats;
mod int;
mod keep;
mod layout;
mod media;
mod memory;
mod reduce;
mod shuffle;
mod split;
mod state;
mod values;
mod vector;
mod vfloat;
mod visitor;
mod zero_test;

pub use float::{Tiny, lowest_normal};

use super::cells::CellSet;
use super::commit;
use super::constants::{self, Constants, Varying};
use super::entry;
use super::region::{Flags, Region, RegionBlock};
use super::steps::Step;
use aligned::Aligned;
use carried::Taken;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{
    self, AbiParam, AliasRegionData, Function, InstBuilder, MemFlagsData, Signature, SourceLoc,
    UserExternalName, UserFuncName, types,
};
use cranelift_codegen::isa::{CallConv, TargetFrontendConfig};
use cranelift_frontend::{FunctionBuilder, FunctionBuilderContext, Variable};
use deferred::Deferred;
use floats::Floats;
use guest::ir::{Effect, FlagKind, Kind, NanRule, Op, Width};
use guest::{Access, GuestAddr};
use keep::Needed;
use layout::Heads;
use std::ops::Range;
use values::Values;

/// A place in the code that may fault.
#[derive(Clone, Copy, Debug)]
pub struct Site {
    pub pc: GuestAddr,
    pub access: Access,
    pub back: Back,
}

/// Where a fault goes back to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Back {
    /// Nowhere: the state in memory is that before the instruction, once what the access owes is written.
    Exact,
    /// To this commit point.
    To(commit::Point),
    /// To the commit point whose number is in the state.
    Stored,
    /// To the access itself: its own way out makes the state exact.
    Own,
}

/// What the function refers to.
#[derive(Default, Debug)]
pub struct Lowered {
    /// By source location.
    pub sites: Vec<Site>,
    /// The sites of accesses that must fault where they are not aligned, in order.
    pub aligned: Vec<u32>,
    /// The guest address that each slot leads to.
    pub slots: Vec<GuestAddr>,
    /// The guest address of each commit point, and of the region's head.
    pub points: Vec<GuestAddr>,
    /// Signatures of what keeps all registers, although it returns something ([`super::steps`]).
    pub preserving: Vec<ir::SigRef>,
    /// Whether it could all be said.
    pub complete: bool,
}

/// The user name of the region's slots in relocations.
pub const SLOTS: UserExternalName = UserExternalName { namespace: 0, index: 0 };

/// Whether code counts the instructions it runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Counting {
    Off,
    On,
}

pub struct Lowering<'a, 'f> {
    b: FunctionBuilder<'f>,
    region: &'a Region,
    out: Lowered,
    counting: Counting,
    /// The pinned register.
    state: ir::Value,
    /// The address of the thread's poll flag.
    poll_flag: ir::Value,
    /// Flags of accesses to the state, and to the thread's context.
    state_flags: MemFlagsData,
    context_flags: MemFlagsData,
    signature: ir::SigRef,
    /// Of what goes on at a computed address that was not found.
    find_signature: ir::SigRef,
    slow_signature: ir::SigRef,
    /// Calls of helpers so far.
    helpers_called: usize,
    aside_signature: ir::SigRef,
    pack_signature: ir::SigRef,
    pack_aside_signature: ir::SigRef,
    slots_symbol: ir::UserExternalNameRef,
    /// What stands for the host's instructions.
    steps: Vec<(Step, ir::FuncRef)>,
    /// The numbers of the ops that are called.
    called: Vec<u64>,
    blocks: Vec<ir::Block>,
    heads: Vec<Heads>,
    vars: Vec<Variable>,
    /// Those for the lower halves of cells that are two values.
    lows: Vec<Option<Variable>>,
    /// A vector of zeros, the same throughout.
    zero: ir::Value,
    /// How many more passes of edges there may be until one commits.
    rounds: Variable,

    // The block at hand.
    at: usize,
    op: Op,
    /// The ops of the instruction at hand that come after it.
    ahead: Range<usize>,
    pc: GuestAddr,
    /// The number of the first value made for it.
    first_value: u32,
    nan_rule: NanRule,
    vals: Values,
    dirty: CellSet,
    /// Cells that hold the result of a float operation and have not been stored since.
    float_cells: CellSet,
    /// Those of them in which only the lowest lane is one.
    lone: CellSet,
    /// Cells that may hold one at some block's end.
    may_be_floats: CellSet,
    /// What each block computes with.
    taken: Vec<Taken>,
    known_flags: Option<Record>,
    /// What was known of it at the end of each block.
    flags_at_ends: Vec<Option<Record>>,
    /// Which of the block's ops need no look of their own, and those that none was for yet.
    deferred_ops: Vec<bool>,
    deferred: Vec<Deferred>,
    /// What its kind most likely is while it is not known.
    likely_flags: Option<(FlagKind, Width)>,
    /// An address that the instruction at hand has checked.
    aligned: Option<Aligned>,
    /// Addresses that the block has checked.
    checked: Vec<Aligned>,
    site: u32,
    back: Back,
    unwanted: usize,
    /// Values that certainly reach a register, memory or another float operation.
    needed: Needed,
    /// Whether the op at hand is done whatever becomes of its result: a branch depends on it.
    is_done: bool,
    /// Cells that may hold constants.
    constants: Constants,
    /// Values that are best loaded as floats.
    floats: Floats,
}

/// The flag record, where the region knows how it was set.
#[derive(Clone, Copy, Debug)]
struct KnownFlags {
    kind: FlagKind,
    w: Width,
    a: ir::Value,
    b: ir::Value,
    r: ir::Value,
}

/// What is known of the flag record.
#[derive(Clone, Copy, Debug)]
enum Record {
    One(KnownFlags),
    /// It was set where the condition is not 0, else it is what it was.
    Either {
        condition: ir::Value,
        set: KnownFlags,
        other: KnownFlags,
    },
}

/// The signature of every region: the slot it was entered through (or 0) to an exit. This convention keeps no
/// registers for the caller.
pub fn region_signature() -> Signature {
    let mut signature = Signature::new(CallConv::Winch);
    signature.params.push(AbiParam::new(types::I64));
    signature.returns.push(AbiParam::new(types::I64));
    signature
}

/// Of a function of ours that takes so many words and gives one.
fn call_signature(words: usize) -> Signature {
    let mut signature = Signature::new(CallConv::SystemV);
    signature.params.extend(vec![AbiParam::new(types::I64); words]);
    signature.returns.push(AbiParam::new(types::I64));
    signature
}

/// Of a call that changes no register.
fn signature_aside(words: usize) -> Signature {
    let mut signature = Signature::new(CallConv::PreserveAll);
    signature.params.extend(vec![AbiParam::new(types::I64); words]);
    signature
}

/// Lowers `region` into `function`.
pub fn lower(
    region: &Region,
    function: &mut Function,
    builder: &mut FunctionBuilderContext,
    config: TargetFrontendConfig,
    counting: Counting,
) -> Lowered {
    function.signature = region_signature();
    function.name = UserFuncName::user(1, 0);
    let mut regions = ["state", "context"].into_iter().enumerate().map(|(id, name)| {
        function.dfg.alias_regions.insert(AliasRegionData { user_id: id as u32, description: name.into() })
    });
    let notrap = MemFlagsData::new().with_notrap();
    let (state_flags, context_flags) =
        (notrap.with_alias_region(regions.next()), notrap.with_alias_region(regions.next()));
    let slots_symbol = function.declare_imported_user_function(SLOTS);
    let mut b = FunctionBuilder::new(function, builder);
    let signature = b.import_signature(region_signature());
    let find_signature = b.import_signature(call_signature(2));
    let slow_signature = b.import_signature(call_signature(2));
    let aside_signature = b.import_signature(signature_aside(2));
    let pack_signature = b.import_signature(call_signature(4));
    let pack_aside_signature = b.import_signature(signature_aside(4));
    let entry = b.create_block();
    b.append_block_params_for_function_params(entry);
    b.switch_to_block(entry);
    let state = b.ins().get_pinned_reg(types::I64);
    let poll_flag = b.ins().load(types::I64, state_flags, state, entry::at(entry::POLL_SLOT));
    let first = &region.blocks[0].translation.block;
    let rounds = b.declare_var(types::I64);
    let zero = b.func.dfg.constants.insert(0u128.to_le_bytes().to_vec().into());
    let zero = b.ins().vconst(types::I8X16, zero);
    let points = region.plan.addresses.iter().copied().chain([first.pc]).collect();
    let mut lowering = Lowering {
        b,
        region,
        out: Lowered { complete: true, points, ..Lowered::default() },
        counting,
        state,
        poll_flag,
        state_flags,
        context_flags,
        signature,
        find_signature,
        slow_signature,
        helpers_called: 0,
        aside_signature,
        pack_signature,
        pack_aside_signature,
        slots_symbol,
        steps: Vec::new(),
        called: Vec::new(),
        blocks: Vec::new(),
        heads: Vec::new(),
        vars: Vec::new(),
        lows: Vec::new(),
        zero,
        rounds,
        at: 0,
        op: Op::ClearEx {},
        ahead: 0..0,
        pc: first.pc,
        first_value: 0,
        nan_rule: first.nan_rule,
        vals: Values::default(),
        dirty: CellSet::default(),
        float_cells: CellSet::default(),
        lone: CellSet::default(),
        taken: region.blocks.iter().map(|b| Taken::of(&b.translation.block, &region.cells)).collect(),
        may_be_floats: carried::float_cells_of(region),
        known_flags: None,
        flags_at_ends: vec![None; region.blocks.len()],
        deferred_ops: Vec::new(),
        deferred: Vec::new(),
        likely_flags: None,
        aligned: None,
        checked: Vec::new(),
        site: 0,
        back: Back::Stored,
        unwanted: 0,
        needed: Needed::default(),
        is_done: false,
        constants: Constants::default(),
        floats: Floats::default(),
    };
    lowering.whole();
    let Lowering { mut b, out, .. } = lowering;
    b.seal_all_blocks();
    b.finalize(config);
    out
}

impl Lowering<'_, '_> {
    fn whole(&mut self) {
        self.blocks = (0..self.region.blocks.len()).map(|_| self.b.create_block()).collect();
        self.heads = self.create_heads();
        self.poll(self.pc);
        self.b.ins().sequence_point();
        self.declare_cells();
        for cell in 0..self.region.cells.len() {
            if self.region.entry.contains(cell) {
                self.reload(cell);
            } else {
                self.define_unneeded(cell);
            }
        }
        self.begin_rounds();
        self.store_number(commit::ENTRY);
        self.b.ins().sequence_point();
        let head = self.heads[0].last().map_or(self.blocks[0], |(_, entered)| *entered);
        self.b.ins().jump(head, &[]);
        for (index, block) in self.region.blocks.iter().enumerate() {
            self.block(index, block);
        }
    }

    /// A value for a cell that is written before it is read.
    fn define_unneeded(&mut self, cell: usize) {
        let zero = if self.region.cells.is_vector(cell) { self.vector_constant(0) } else { self.iconst(0) };
        self.define_cell(cell, zero);
    }

    fn block(&mut self, index: usize, planned: &RegionBlock) {
        let block = &planned.translation.block;
        self.lower_heads(index);
        self.b.switch_to_block(self.blocks[index]);
        self.at = index;
        self.nan_rule = block.nan_rule;
        self.vals.reset(block.cells);
        self.needed = Needed::of(block);
        self.constants = planned.constants;
        self.take_over(index);
        self.floats = Floats::of(block);
        self.dirty = planned.dirty;
        self.float_cells = CellSet::default();
        self.known_flags = self.flags_on_only_way(index);
        self.checked.clear();
        let reads_flags = block.ops.iter().any(|op| matches!(op, Op::CondOp { .. } | Op::GetFlags { .. }));
        self.likely_flags = None;
        match planned.flags {
            Flags::Known(kind, w) if reads_flags && self.known_flags.is_none() => self.recall_flags(kind, w),
            Flags::Likely(kind, w) => self.likely_flags = Some((kind, w)),
            _ => {}
        }
        self.count(block.insns.len());
        let plan = &self.region.plan.blocks[index];
        self.deferred_ops = deferred::deferred_ops(block, plan);
        self.deferred.clear();
        self.back = match plan.entry {
            _ if plan.exact => Back::Own,
            commit::Back::To(point) => Back::To(point),
            commit::Back::Stored => Back::Stored,
        };
        let mut marks = block.insns.iter().enumerate().peekable();
        let (mut commits, mut flushes) = (plan.commits.iter().peekable(), plan.flushes.iter().peekable());
        for at in 0..=block.ops.len() {
            while let Some((insn, mark)) = marks.next_if(|(_, mark)| mark.first_op as usize <= at) {
                if let Some(planned) = commits.next_if(|commit| commit.insn == insn) {
                    self.commit(planned.point, planned.dead);
                }
                self.begin_insn(mark.pc);
            }
            let Some(&op) = block.ops.get(at) else { break };
            if let Some(&(_, point)) = flushes.next_if(|flush| flush.0 == at) {
                self.commit(point, CellSet::default());
                self.begin_insn(self.pc);
            }
            let end = marks.peek().map_or(block.ops.len(), |(_, next)| next.first_op as usize);
            self.ahead = at + 1..end;
            self.lower_op(op, block.ops.as_slice());
        }
        let end = self.b.current_block();
        self.flags_at_ends[index] = self.known_flags;
        self.terminator(block, planned);
        self.arrange_ways(end, planned);
    }

    fn begin_insn(&mut self, pc: GuestAddr) {
        self.aligned = None;
        self.pc = pc;
        self.first_value = self.b.func.dfg.num_values() as u32;
        self.site = self.out.sites.len() as u32;
        let back = self.back;
        self.out.sites.extend([Access::Read, Access::Write].map(|access| Site { pc, access, back }));
        self.set_access(Access::Read);
    }

    fn set_access(&mut self, access: Access) {
        let site = self.site + u32::from(access == Access::Write);
        self.b.set_srcloc(SourceLoc::new(site));
    }

    fn lower_op(&mut self, op: Op, block_ops: &[Op]) {
        (self.op, self.is_done) = (op, false);
        let made = op.effect() == Effect::Loads || op.effect() == Effect::Commits;
        let varying = made || constants::depends_on_varying(op, |v| self.vals.varying(v).for_op(op));
        let float = op.effect() == Effect::Float;
        if float && !varying {
            self.make_opaque(op);
        }
        if let Some((dst, Kind::Vector(n))) = op.result() {
            self.vals.set_len(dst, n);
        }
        if float && self.nan_rule.is_soft() {
            self.slow()
        } else {
            op.visit(self)
        }
        if let Some((dst, _)) = op.result() {
            let fixed =
                constants::is_fixed(op, |v| self.vals.konst(v) == Some(0) || self.vals.vconst(v) == Some(0));
            let read = self.reads_varying(op);
            let either = |read: bool| !fixed && (varying || float || read);
            self.vals.set_varying(dst, Varying { whole: either(read.whole), low: either(read.low) });
            let stays = self.is_done || self.needed.is_here(dst) || self.is_repeated(op, block_ops);
            let mut tainted = float && !stays;
            if op.effect() == Effect::Pure {
                op.for_each_use(|v| tainted |= self.vals.is_float_result(v));
            }
            self.vals.set_float_result(dst, tainted);
        }
        if op.effect() == Effect::WritesState {
            let (vals, cells) = (&self.vals, &self.region.cells);
            self.constants.after_write(op, cells, Varying::all(varying), |v| vals.varying(v));
        }
        self.keep_result(op, block_ops);
    }

    /// A comparison that only exists for flags which nobody may read is done again by the branch it is for.
    fn is_repeated(&self, op: Op, ops: &[Op]) -> bool {
        let Op::Fcompare { nans: _, fs, a, b, .. } = op else { return false };
        ops.iter().any(|&o| matches!(o, Op::Fcmp { fs: f, a: x, b: y, .. } if (f, x, y) == (fs, a, b)))
    }

    fn reads_varying(&self, op: Op) -> Varying {
        let invariant = &self.region.blocks[self.at].invariant;
        let changes = match op {
            Op::Get { w, slot, .. } => self.place_varies(slot, w.bytes() as u16, Some(w), invariant),
            Op::Vget { n, slot, .. } => self.place_varies(slot, 16 * n.units() as u16, None, invariant),
            Op::CondOp { .. } | Op::GetFlags { .. } => true,
            _ => false,
        };
        let known = self.constants.not_read(op, &self.region.cells);
        Varying { whole: changes && known.whole, low: changes && known.low }
    }

    /// Gives the first operand of a float operation a value that Cranelift cannot know.
    fn make_opaque(&mut self, op: Op) {
        let mut first = None;
        op.for_each_use(|v| {
            first.get_or_insert(v);
        });
        let Some(v) = first else { return };
        self.b.ins().sequence_point();
        let context = self.context();
        match self.vals.kind(v) {
            Kind::Int if self.vals.lane(v).is_some() => {
                let zero = self.b.ins().load(types::I8X16, self.context_flags, context, entry::ZERO);
                let Some((known, w, index)) = self.vals.lane(v) else { return };
                let opaque = self.b.ins().bor(known, zero);
                self.set_lane(v, opaque, w, index);
            }
            Kind::Int => {
                let zero = self.b.ins().load(types::I64, self.context_flags, context, entry::ZERO);
                let known = self.int(v);
                let opaque = self.b.ins().iadd(known, zero);
                self.set(v, opaque);
            }
            Kind::Vector(n) => {
                let zero = self.b.ins().load(types::I8X16, self.context_flags, context, entry::ZERO);
                for unit in 0..n.units() {
                    let known = self.unit(v, unit);
                    let opaque = self.b.ins().bor(known, zero);
                    self.set_unit(v, unit, opaque);
                }
            }
        }
        self.vals.set_varying(v, Varying::all(true));
    }

    /// The thread's context.
    fn context(&mut self) -> ir::Value {
        let flags = self.state_flags.with_readonly();
        self.b.ins().load(types::I64, flags, self.state, entry::at(entry::CONTEXT_SLOT))
    }

    /// Counts `insns` as run.
    fn count(&mut self, insns: usize) {
        if self.counting == Counting::On {
            let context = self.context();
            let before = self.b.ins().load(types::I64, self.context_flags, context, entry::IN_REGIONS);
            let after = self.b.ins().iadd_imm_s(before, insns as i64);
            self.b.ins().store(self.context_flags, after, context, entry::IN_REGIONS);
        }
    }

    /// Says that everything that leads to these blocks is there: what a variable is in them need not be asked later.
    fn seal(&mut self, blocks: &[ir::Block]) {
        blocks.iter().for_each(|&block| self.b.seal_block(block));
    }

    fn iconst(&mut self, value: u64) -> ir::Value {
        self.b.ins().iconst(types::I64, value as i64)
    }

    fn is_zero(&mut self, value: ir::Value) -> ir::Value {
        let ty = self.b.func.dfg.value_type(value);
        let zero = self.b.ins().iconst(ty, 0);
        self.b.ins().icmp(IntCC::Equal, value, zero)
    }
}
