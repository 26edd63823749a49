//! From the blocks of a region to code in place: what Cranelift is given, and what is made of its answer.

use super::code_memory::SlotReference;
use super::commit::Accesses;
use super::jumps::Stack;
use super::lower::{self, Back, Lowered, Site};
use super::owed::Noted;
use super::phases::Expected;
use super::pieces::{FaultPoint, noted_way_out};
use super::region::{self, Limits, Region};
use super::template::Forward;
use super::{alignment, counting, engine, entry, host, lock, marks, steps};
use crate::debug;
use crate::exec::cache::Cache;
use crate::exec::translation::Translation;
use cranelift_codegen::binemit::Reloc;
use cranelift_codegen::control::ControlPlane;
use cranelift_codegen::entity::PrimaryMap;
use cranelift_codegen::ir::{ExternalName, Function, TrapCode, UserExternalName, UserExternalNameRef};
use cranelift_codegen::isa::{CallConv, TargetIsa};
use cranelift_codegen::{CompiledCode, Context, FinalizedRelocTarget};
use cranelift_frontend::FunctionBuilderContext;
use guest::GuestAddr;
use std::sync::Arc;

/// What one thread compiles with, used over and over.
pub struct Compiler {
    isa: &'static dyn TargetIsa,
    context: Context,
    builder: FunctionBuilderContext,
    /// What it expects of computed jumps.
    pub expected: Expected,
}

impl Compiler {
    /// `None` where this host cannot be compiled for.
    pub fn new() -> Option<Self> {
        let (context, builder) = (Context::new(), FunctionBuilderContext::new());
        Some(Self { isa: host::isa()?, context, builder, expected: Expected::default() })
    }

    /// Compiles a region from `head` and installs it. Whether it did.
    pub fn compile(&mut self, cache: &Cache, head: &Arc<Translation>, limits: Limits) -> bool {
        let ways = [Accesses::LeaveNests, Accesses::LeaveInnermost, Accesses::GoBack];
        let mut tried = ways.into_iter().map(|accesses| self.try_compile(cache, head, limits, accesses));
        tried.find_map(Result::ok).unwrap_or(false)
    }

    fn grown(
        &self,
        cache: &Cache,
        head: &Arc<Translation>,
        limits: Limits,
        accesses: Accesses,
    ) -> Option<Region> {
        let blocks = region::planned(cache, head, limits, &self.expected);
        Region::of(blocks, Stack::of(cache.env().arch), accesses)
    }

    fn try_compile(
        &mut self,
        cache: &Cache,
        head: &Arc<Translation>,
        limits: Limits,
        accesses: Accesses,
    ) -> Result<bool, Unmarked> {
        let Some(region) = self.grown(cache, head, limits, accesses) else { return Ok(false) };
        if region.insns() < limits.least && region.is_plain() {
            return Ok(false);
        }
        self.context.clear();
        let config = self.isa.frontend_config();
        let lowered = lower::lower(&region, &mut self.context.func, &mut self.builder, config, counting());
        if !lowered.complete {
            return Ok(false);
        }
        verify(&self.context.func, self.isa);
        for &signature in &lowered.preserving {
            self.context.func.dfg.signatures[signature].call_conv = CallConv::PreserveAll;
        }
        self.context.set_disasm(debug::enabled(debug::item::OUT_ASM));
        let names = self.context.func.params.user_named_funcs().clone();
        let code = match self.context.compile(self.isa, &mut ControlPlane::default()) {
            Ok(code) => code,
            Err(error) => {
                crate::log::once("compile", || format!("region at {} does not compile: {error:?}", head.pc));
                debug_assert!(false, "{error:?}");
                return Ok(false);
            }
        };
        let mut whole = with_prefix(code.code_buffer());
        let faults = fault_points(code, &lowered.sites, &mut whole)?;
        for fault in faults.iter().filter(|fault| fault.site.back == Back::Own) {
            marks::remove(&mut whole, fault.at as usize);
        }
        trace(code, head.pc, region.blocks.len(), region.insns());
        let blocks = region.translations();
        let install = || install(code, &names, &lowered, (&mut whole, faults), &blocks);
        let installed = cache.if_current(&blocks, install).unwrap_or(false);
        debug::perf::write();
        Ok(installed)
    }
}

/// An access that should have a way out of its own has none right behind it.
struct Unmarked;

/// Checked builds verify what Cranelift is given, before calls of steps get their convention, which it would refuse.
fn verify(function: &Function, isa: &dyn TargetIsa) {
    if cfg!(debug_assertions)
        && let Err(errors) = cranelift_codegen::verify_function(function, isa)
    {
        panic!("{}", cranelift_codegen::print_errors::pretty_verifier_error(function, None, errors));
    }
}

/// Logs what `-d out_asm` asks for.
fn trace(code: &CompiledCode, pc: GuestAddr, blocks: usize, insns: usize) {
    if let Some(text) = &code.vcode {
        let size = code.code_buffer().len();
        crate::log::write(&format!(
            "OUT: {pc}, {blocks} blocks, {insns} instructions, {size} bytes\n{text}\n"
        ));
    }
}

/// Puts finished code in place. The cache is locked and all of `blocks` are current.
fn install(
    code: &CompiledCode,
    names: &Names,
    lowered: &Lowered,
    (whole, faults): (&mut Vec<u8>, Vec<FaultPoint>),
    blocks: &[Arc<Translation>],
) -> bool {
    let mut guard = lock();
    let Some(engine) = engine(&mut guard) else { return false };
    let aligned = demand_alignment(code, &lowered.aligned, whole);
    let references = aligned.then(|| resolve(code, names, whole)).flatten();
    let (Some(references), true) = (references, engine.pieces.pack(faults.into_iter())) else {
        debug_assert!(false, "the region at {} cannot be installed", blocks[0].pc);
        crate::log::once("install", || format!("region at {} cannot be installed", blocks[0].pc));
        return false;
    };
    let unlinked = engine.unlinked;
    let targets = lowered.slots.iter().map(|pc| (unlinked, pc.raw()));
    let Some(installed) = engine.memory.install(whole, &references, targets) else {
        engine.report_full();
        return false;
    };
    let points: Vec<u8> = lowered.points.iter().flat_map(|point| point.raw().to_le_bytes()).collect();
    let slots = (ENTRY_OFFSET, lowered.slots.len());
    engine.note_piece(installed, whole.len(), slots, Forward::default(), (&[], &points));
    engine.trace("region", installed.entry, whole.len(), blocks[0].pc);
    engine.regions += 1;
    engine.enter_region(blocks, installed.entry + ENTRY_OFFSET);
    true
}

/// How far behind the start of its memory Cranelift's code stands, which has aligned constants.
const CODE_OFFSET: usize = 16;
/// Where a region is entered.
const ENTRY_OFFSET: u64 = (CODE_OFFSET - entry::PREFIX.len()) as u64;

/// Cranelift's code with what stands before it.
fn with_prefix(code: &[u8]) -> Vec<u8> {
    const BREAKPOINT: u8 = 0xcc;
    let mut whole = vec![BREAKPOINT; ENTRY_OFFSET as usize];
    whole.extend_from_slice(&entry::PREFIX);
    whole.extend_from_slice(code);
    whole
}

/// What the function's names stand for.
type Names = PrimaryMap<UserExternalNameRef, UserExternalName>;

/// Puts instructions where calls stand for them, and gives what refers to the region's slots. `None` where there is
/// anything else.
fn resolve(code: &CompiledCode, names: &Names, whole: &mut Vec<u8>) -> Option<Vec<SlotReference>> {
    let mut references = Vec::new();
    for reloc in code.buffer.relocs() {
        let FinalizedRelocTarget::ExternalName(ExternalName::User(name)) = reloc.target else { return None };
        let (name, offset) = (names.get(name)?, CODE_OFFSET + reloc.offset as usize);
        match (name, reloc.kind) {
            (&lower::SLOTS, Reloc::X86PCRel4 | Reloc::X86CallPCRel4) => {
                references.push(SlotReference { offset, slot_offset: reloc.addend });
            }
            (name, Reloc::X86CallPCRel4) if name.namespace == steps::NAMESPACE => {
                steps::put(whole, offset, name).then_some(())?;
            }
            _ => return None,
        }
    }
    Some(references)
}

/// Each instruction that accesses guest memory, and which guest instruction it is of. Nothing else may trap so: what is
/// accessed besides is said to be there.
fn fault_points(
    code: &CompiledCode,
    sites: &[Site],
    whole: &mut Vec<u8>,
) -> Result<Vec<FaultPoint>, Unmarked> {
    let mut points = Vec::new();
    for (at, number) in accesses(code) {
        let site = number.and_then(|number| sites.get(number as usize));
        debug_assert!(site.is_some(), "an access of no guest instruction");
        let Some(&site) = site else { continue };
        let noted = match site.back {
            Back::Own => marks::way_out(whole, at as usize).and_then(noted_way_out).ok_or(Unmarked)?,
            _ => Noted::default(),
        };
        points.push(FaultPoint { at, site, noted });
    }
    Ok(points)
}

/// Where code accesses guest memory, and the numbers of the sites.
fn accesses(code: &CompiledCode) -> impl Iterator<Item = (u32, Option<u32>)> {
    let sources = code.buffer.get_srclocs_sorted();
    let accesses = code.buffer.traps().iter().filter(|trap| trap.code == TrapCode::HEAP_OUT_OF_BOUNDS);
    accesses.map(|trap| {
        let after = sources.partition_point(|range| range.start <= trap.offset);
        let range = sources[..after].last().filter(|range| trap.offset < range.end);
        (trap.offset + CODE_OFFSET as u32, range.map(|range| range.loc.bits()))
    })
}

/// Makes the accesses of these sites fault where they are not aligned. Whether all could be made so.
fn demand_alignment(code: &CompiledCode, aligned: &[u32], whole: &mut [u8]) -> bool {
    let demanded =
        accesses(code).filter(|(_, site)| site.is_some_and(|site| aligned.binary_search(&site).is_ok()));
    demanded.fold(true, |all, (at, _)| alignment::demand(whole, at as usize) && all)
}
