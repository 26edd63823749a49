//! The engine's tiers, run on one instruction.

use crate::case::{CODE, Case, DATA, DATA_LEN, Registers, hash, pattern};
use crate::tiers::{Made, Tier, Tiers};
use arch_aarch64::AARCH64;
use guest::arch::{CodeReader, GuestArch, LiftConfig, LiftLimits};
use guest::ir::{Block, passes, verify};
use guest::state::{GuestState, vector_slot};
use guest::{GuestAddr, GuestMemory};
use qemu_lua::exec::Env;
use qemu_lua::exec::interp::BlockEnd;
use qemu_lua::host::{fp, signals};
use qemu_lua::mem::{MapRequest, Memory, space};
use std::sync::OnceLock;

struct Code([u8; 4]);

impl CodeReader for Code {
    fn bytes_at(&mut self, pc: GuestAddr) -> &[u8] {
        self.0.get((pc.raw() - CODE) as usize..).unwrap_or(&[])
    }
}

/// The tiers with their environment.
pub struct Machine {
    tiers: Tiers,
    features: u64,
    pattern: Vec<u8>,
}

/// The environment is the process's; what the oracle lacks is left out by the lifter.
fn env() -> &'static Env {
    static ENV: OnceLock<Env> = OnceLock::new();
    ENV.get_or_init(|| Env::new(&AARCH64, AARCH64.cpu_models()[0].features))
}

impl Machine {
    /// With everything except what `lacking` says.
    pub fn new(lacking: u64) -> Self {
        signals::install_fault_handlers();
        map_data();
        let features = AARCH64.cpu_models()[0].features & !lacking;
        Self { tiers: Tiers::new(env()), features, pattern: pattern() }
    }

    /// The state after the case's instruction on each tier that can run it.
    pub fn run(&mut self, case: &Case) -> Vec<(Tier, Registers)> {
        let state = load(&case.before);
        let config = LiftConfig { features: self.features, control: AARCH64.control_key(&state) };
        let mut code = Code(case.word.to_le_bytes());
        let mut block = AARCH64.lift(&config, LiftLimits { max_insns: 1 }, &mut code, GuestAddr(CODE));
        verify(&block).unwrap();
        passes::optimize(&mut block);
        let mut results = Vec::new();
        for tier in Tier::ALL {
            if tier == Tier::Interpreter || Tiers::ends(&block) {
                self.tiers.forget();
                let made = self.tiers.make(&block, tier, &state);
                results.push((tier, self.run_on(&made, &block, state.clone())));
            }
        }
        results
    }

    fn run_on(&mut self, made: &Made, block: &Block, mut state: GuestState) -> Registers {
        Memory.write(GuestAddr(DATA), &self.pattern).unwrap();
        fp::set_mxcsr(AARCH64.fp_environment(&state));
        let end = self.tiers.run(made, block, &mut state);
        let mxcsr = fp::mxcsr();
        fp::set_mxcsr(fp::DEFAULT_MXCSR);
        AARCH64.save_fp_environment(&mut state, mxcsr);
        let mut after = store(&state);
        after.status = status(end, &state);
        let mut data = vec![0; DATA_LEN];
        Memory.read(GuestAddr(DATA), &mut data).unwrap();
        after.memory = hash(&data);
        after
    }
}

fn map_data() {
    let request = MapRequest {
        addr: DATA,
        len: DATA_LEN as u64,
        prot: libc::PROT_READ | libc::PROT_WRITE,
        flags: libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED,
        fd: -1,
        offset: 0,
    };
    assert_eq!(space().mmap(&request), Ok(DATA));
}

fn status(end: BlockEnd, state: &GuestState) -> u64 {
    match end {
        BlockEnd::Next(pc) | BlockEnd::Resync(pc) => (pc.raw() - CODE) / 4 - 1,
        BlockEnd::Trap { trap, .. } => 100 + u64::from(AARCH64.linux().trap_signal(trap, state).signal),
        BlockEnd::Fault { .. } => 100 + libc::SIGSEGV as u64,
        BlockEnd::Syscall { .. } => u64::MAX,
    }
}

fn set(state: &mut GuestState, name: &str, value: u64) {
    let register = AARCH64.registers().by_name(name).unwrap();
    register.write(state, &value.to_le_bytes()[..register.size]).unwrap();
}

fn get(state: &GuestState, name: &str) -> u64 {
    let bytes = AARCH64.registers().by_name(name).unwrap().read(state);
    u64::from_le_bytes(bytes[..8].try_into().unwrap())
}

fn load(from: &Registers) -> GuestState {
    let mut state = AARCH64.initial_state(0);
    for (n, value) in from.x.iter().enumerate() {
        set(&mut state, &format!("x{n}"), *value);
    }
    for (n, value) in from.v.iter().enumerate() {
        state.set_u128(vector_slot(n as u16), *value);
    }
    let others = [("sp", from.sp), ("cpsr", from.nzcv), ("fpcr", from.fpcr), ("fpsr", from.fpsr)];
    others.iter().for_each(|(name, value)| set(&mut state, name, *value));
    state.set_pc(CODE);
    state
}

fn store(state: &GuestState) -> Registers {
    let mut to = Registers::new();
    for (n, value) in to.x.iter_mut().enumerate() {
        *value = get(state, &format!("x{n}"));
    }
    for (n, value) in to.v.iter_mut().enumerate() {
        *value = state.u128(vector_slot(n as u16));
    }
    (to.sp, to.nzcv) = (get(state, "sp"), get(state, "cpsr") & 0xf000_0000);
    (to.fpcr, to.fpsr) = (get(state, "fpcr"), get(state, "fpsr"));
    to
}
