//! One instruction or a sequence, with the state before it, and what came of it.

use crate::values::vector;

/// Where the instruction lies.
pub const CODE: u64 = 0x2000_0000;
/// Memory that it may touch, with nothing mapped on either side.
pub const DATA: u64 = 0x2010_0000;
pub const DATA_LEN: usize = 8192;

/// The most bytes of code.
pub const MAX_CODE: usize = 480;

/// The general registers, in encoding order.
pub const GPR_NAMES: [&str; 16] = [
    "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
    "r15",
];
/// The flags that a case has, with their bits.
pub const FLAG_NAMES: [(&str, u32); 8] =
    [("CF", 0), ("PF", 2), ("AF", 4), ("ZF", 6), ("SF", 7), ("DF", 10), ("OF", 11), ("AC", 18)];

/// The alignment check flag.
pub const AC: u64 = 1 << 18;

/// The flags that are compared: the arithmetic ones and DF.
pub const FLAGS: u64 = 0xcd5;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct Registers {
    pub gpr: [u64; 16],
    pub rip: u64,
    pub eflags: u64,
    pub xmm: [u128; 16],
    /// The upper halves of the YMM registers.
    pub ymm_high: [u128; 16],
    pub mxcsr: u32,
    pub fcw: u16,
    pub fsw: u16,
    /// The abridged tag byte.
    pub ftw: u8,
    /// st(0) to st(7), 10 bytes each.
    pub st: [u128; 8],
}

impl Registers {
    pub const fn new() -> Self {
        Self {
            gpr: [0; 16],
            rip: CODE,
            eflags: 0x202,
            xmm: [0; 16],
            ymm_high: [0; 16],
            mxcsr: 0x1f80,
            fcw: 0x37f,
            fsw: 0,
            ftw: 0,
            st: [0; 8],
        }
    }
}

impl Registers {
    /// The x87 status word as the unit has it: the summary follows from flags and masks.
    pub const fn settled_fsw(&self) -> u16 {
        let summary = if self.fsw & !self.fcw & 0x3f != 0 { 0x8080 } else { 0 };
        self.fsw & !0x8080 | summary
    }
}

#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Case {
    pub code: [u8; MAX_CODE],
    pub len: usize,
    /// How many instructions it is.
    pub insns: usize,
    /// A repeated string instruction, which traps after every element.
    pub repeated: bool,
    /// Whether it goes on to what stands behind it.
    pub straight: bool,
    pub before: Registers,
    /// What fills the data pages.
    pub seed: u64,
}

impl Case {
    /// Whether the host must be stopped by its trap flag.
    pub fn is_stepped(&self) -> bool {
        self.repeated || !self.straight
    }
}

#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Outcome {
    /// 0, or the signal that the instruction raised.
    pub signal: i32,
    pub after: Registers,
    pub data: [u8; DATA_LEN],
}

impl Outcome {
    pub const fn new() -> Self {
        Self { signal: 0, after: Registers::new(), data: [0; DATA_LEN] }
    }
}

/// splitmix64
#[derive(Clone, Copy, Debug)]
pub struct Rng(pub u64);

impl Rng {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// The data pages' contents for a seed; 0 means all zeros.
pub fn fill(seed: u64, out: &mut [u8]) {
    let mut rng = Rng(seed);
    for unit in out.chunks_mut(16) {
        let value = if seed == 0 { 0 } else { vector(&mut rng) };
        unit.copy_from_slice(&value.to_le_bytes()[..unit.len()]);
    }
}

/// The contents for the seed that was asked for last.
pub struct Filled {
    seed: u64,
    data: Box<[u8; DATA_LEN]>,
}

impl Default for Filled {
    fn default() -> Self {
        Self { seed: 0, data: Box::new([0; DATA_LEN]) }
    }
}

impl Filled {
    pub fn get(&mut self, seed: u64) -> &[u8; DATA_LEN] {
        if self.seed != seed {
            fill(seed, &mut self.data[..]);
            self.seed = seed;
        }
        &self.data
    }
}
