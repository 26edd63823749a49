//! The engine's tiers, run on code from given states.

use crate::case::{CODE, DATA, DATA_LEN, Registers, hash, pattern};
use crate::oracle::{Group, LONGEST};
use crate::tiers::{Tier, Tiers, is_endless};
use arch_aarch64::AARCH64;
use guest::arch::{CodeReader, GuestArch, LiftConfig, LiftLimits};
use guest::ir::{Block, passes, verify};
use guest::regs::Register;
use guest::state::{GuestState, vector_slot};
use guest::{FaultKind, GuestAddr, GuestMemory};
use qemu_lua::exec::Env;
use qemu_lua::exec::interp::BlockEnd;
use qemu_lua::exec::translation::Translation;
use qemu_lua::host::{fp, signals};
use qemu_lua::mem::{MapRequest, Memory, space};
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

/// The group's code. A single instruction has nothing behind it, and a block is lifted up to the end.
struct Code<'a>(&'a [u8]);

impl CodeReader for Code<'_> {
    fn bytes_at(&mut self, pc: GuestAddr) -> &[u8] {
        self.0.get((pc.raw() - CODE) as usize..).unwrap_or(&[])
    }
}

/// Where the oracle's program goes on behind the code, in words from its start.
const EXITS: u32 = 80;

/// Something to plant a mistake in what was lifted, to see whether it is found.
pub type Bug = fn(&mut Block);

/// The tiers with their environment.
pub struct Machine {
    tiers: Tiers,
    features: u64,
    pattern: Vec<u8>,
    bug: Option<Bug>,
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
        qemu_lua::mem::ignore_top_byte();
        map_data();
        let features = AARCH64.cpu_models()[0].features & !lacking;
        Self { tiers: Tiers::new(env()), features, pattern: pattern(), bug: None }
    }

    /// Changes every block that is lifted from now on.
    pub fn plant(&mut self, bug: Bug) {
        self.bug = Some(bug);
    }

    /// The states after the group's runs, on each tier that can run it.
    pub fn run(&mut self, group: &Group) -> Vec<(Tier, Vec<Registers>)> {
        let bytes: Vec<u8> = group.words.iter().flat_map(|word| word.to_le_bytes()).collect();
        put_code(&group.words);
        let mut run = Run { machine: self, bytes: &bytes, group, blocks: HashMap::new(), endless: false };
        let mut results = Vec::new();
        for tier in Tier::ALL {
            run.begin(tier);
            let after = group.states.iter().map(|before| run.on(tier, before)).collect();
            if run.endless {
                break;
            }
            results.push((tier, after));
        }
        results
    }
}

/// A group being run.
struct Run<'a> {
    machine: &'a mut Machine,
    bytes: &'a [u8],
    group: &'a Group,
    /// By pc and control.
    blocks: HashMap<(u64, u64), Arc<Translation>>,
    endless: bool,
}

impl Run<'_> {
    /// Forgets the translations of the tier before; but a region is to have what was found then in reach.
    fn begin(&mut self, tier: Tier) {
        self.machine.tiers.forget();
        let known = std::mem::take(&mut self.blocks);
        if tier == Tier::Region {
            known
                .iter()
                .for_each(|((_, control), made)| drop(self.machine.tiers.insert(&made.block, *control)));
        }
    }

    fn on(&mut self, tier: Tier, before: &Registers) -> Registers {
        let mut state = load(before);
        if self.group.touches_memory {
            Memory.write(GuestAddr(DATA), &self.machine.pattern).unwrap();
        }
        let mut end = self.block(CODE, tier, &mut state);
        loop {
            if let BlockEnd::Replay { pc } = end {
                end = self.again(pc.raw(), &mut state);
            }
            if let BlockEnd::Fault { fault, pc } = end
                && fault.kind == FaultKind::NonCanonical
            {
                // A tagged address: the instruction is run again by itself.
                end = self.again(pc.raw(), &mut state);
            }
            let (BlockEnd::Next(pc) | BlockEnd::Resync(pc)) = end else { break };
            let inside = pc.raw().wrapping_sub(CODE) < self.bytes.len() as u64;
            if !inside || self.endless || self.group.words.len() == 1 {
                break;
            }
            end = self.block(pc.raw(), tier, &mut state);
        }
        let mut after = store(&state);
        after.status = self.status(end, &state);
        after.memory = 0;
        if self.group.touches_memory {
            let mut data = vec![0; DATA_LEN];
            Memory.read(GuestAddr(DATA), &mut data).unwrap();
            after.memory = hash(&data);
        }
        after
    }

    fn block(&mut self, pc: u64, tier: Tier, state: &mut GuestState) -> BlockEnd {
        let key = (pc, AARCH64.control_key(state));
        let made = match self.blocks.get(&key) {
            Some(made) => made.clone(),
            None => {
                let made = self.lift(pc, state);
                self.endless |= is_endless(&made.block) && tier != Tier::Interpreter;
                if !self.endless {
                    self.machine.tiers.compile(&made, tier, state);
                }
                self.blocks.insert(key, made.clone());
                made
            }
        };
        if self.endless {
            return BlockEnd::Next(GuestAddr(pc));
        }
        fp::set_mxcsr(AARCH64.fp_environment(state));
        let end = self.machine.tiers.run(&made, tier, state);
        let mxcsr = fp::mxcsr();
        fp::set_mxcsr(fp::DEFAULT_MXCSR);
        AARCH64.save_fp_environment(state, mxcsr);
        end
    }

    fn lift(&self, pc: u64, state: &GuestState) -> Arc<Translation> {
        self.machine.tiers.insert(&self.lifted(pc, state, 64), AARCH64.control_key(state))
    }

    fn lifted(&self, pc: u64, state: &GuestState, max_insns: usize) -> Block {
        let config = LiftConfig { features: self.machine.features, control: AARCH64.control_key(state) };
        let mut block = AARCH64.lift(&config, LiftLimits { max_insns }, &mut Code(self.bytes), GuestAddr(pc));
        verify(&block).unwrap();
        passes::optimize(&mut block);
        if let Some(bug) = self.machine.bug {
            bug(&mut block);
        }
        block
    }

    /// As the processor loop does where compiled code met a tagged address.
    fn again(&mut self, pc: u64, state: &mut GuestState) -> BlockEnd {
        let block = self.lifted(pc, state, 1);
        fp::set_mxcsr(AARCH64.fp_environment(state));
        let end = self.machine.tiers.interpret(&block, state);
        let mxcsr = fp::mxcsr();
        fp::set_mxcsr(fp::DEFAULT_MXCSR);
        AARCH64.save_fp_environment(state, mxcsr);
        end
    }

    fn status(&self, end: BlockEnd, state: &GuestState) -> u64 {
        let place = |pc: GuestAddr| ((pc.raw().wrapping_sub(CODE) / 4) << 8) & 0xff00;
        match end {
            BlockEnd::Next(pc) | BlockEnd::Resync(pc) => {
                (pc.raw().wrapping_sub(CODE) / 4).wrapping_sub(self.group.words.len() as u64)
            }
            BlockEnd::Trap { trap, pc } => {
                100 + u64::from(AARCH64.linux().trap_signal(trap, state).signal) + place(pc)
            }
            BlockEnd::Fault { pc, .. } => 100 + libc::SIGSEGV as u64 + place(pc),
            BlockEnd::Syscall { .. } => u64::MAX,
            BlockEnd::Replay { .. } => unreachable!("the interpreter went on there"),
            BlockEnd::Interrupted { .. } => unreachable!("no page is waited for"),
        }
    }
}

fn map_data() {
    map(CODE, 4096);
    map(DATA, DATA_LEN as u64);
}

/// The code as data, as the oracle's program has it.
fn put_code(words: &[u32]) {
    let mut bytes = [0; 4 * LONGEST];
    let exits = [(); 2].map(|()| 0x1400_0000 | (EXITS - words.len() as u32));
    for (place, word) in bytes.chunks_exact_mut(4).zip(words.iter().copied().chain(exits)) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    Memory.write(GuestAddr(CODE), &bytes).unwrap();
}

fn map(addr: u64, len: u64) {
    let request = MapRequest {
        addr,
        len,
        prot: libc::PROT_READ | libc::PROT_WRITE,
        flags: libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED,
        fd: -1,
        offset: 0,
    };
    assert_eq!(space().mmap(&request), Ok(addr));
}

/// The registers that a case has, but vectors: x0 to x30, then these.
fn registers() -> &'static [&'static Register] {
    static KNOWN: OnceLock<Vec<&Register>> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let x = (0..31).map(|n| format!("x{n}"));
        let names = x.chain(["sp", "cpsr", "fpcr", "fpsr"].map(str::to_owned));
        names.map(|name| AARCH64.registers().by_name(&name).unwrap()).collect()
    })
}

fn set(state: &mut GuestState, register: &Register, value: u64) {
    register.write(state, &value.to_le_bytes()[..register.size]).unwrap();
}

fn get(state: &GuestState, register: &Register) -> u64 {
    let bytes = register.read(state);
    u64::from_le_bytes(bytes[..8].try_into().unwrap())
}

fn load(from: &Registers) -> GuestState {
    let mut state = AARCH64.initial_state(0);
    let values = from.x.into_iter().chain([from.sp, from.nzcv, from.fpcr, from.fpsr]);
    registers().iter().zip(values).for_each(|(register, value)| set(&mut state, register, value));
    for (n, value) in from.v.iter().enumerate() {
        state.set_u128(vector_slot(n as u16), *value);
    }
    state.set_pc(CODE);
    state
}

fn store(state: &GuestState) -> Registers {
    let mut values = registers().iter().map(|register| get(state, register));
    let mut next = || values.next().unwrap_or(0);
    Registers {
        x: std::array::from_fn(|_| next()),
        sp: next(),
        nzcv: next() & 0xf000_0000,
        fpcr: next(),
        fpsr: next(),
        v: std::array::from_fn(|n| state.u128(vector_slot(n as u16))),
        status: 0,
        memory: 0,
    }
}
