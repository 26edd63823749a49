//! The x87 register stack and its status, as the helpers of x87 instructions handle them.
//!
//! The stack is stored from the top down (`st(0)` first), so moving the top turns it.

use super::fxstate::full_tags;
use super::x87::PENDING;
use crate::state::{
    X87_CONTROL, X87_CONTROL_DEFAULT, X87_FDP, X87_FIP, X87_FOP, X87_STACK, X87_STATUS, X87_TAGS, st,
};
use guest::helper::{F80, HelperContext, HelperExit, X87Op, X87Result};

pub(super) const FLAG_INVALID: u16 = 1;

/// Exception flags in the status word.
pub(super) mod exception {
    /// All six, and the stack fault.
    pub const ALL: u16 = 0x7f;
    /// Those that keep an instruction from writing its result: invalid, denormal, divide by zero.
    pub const BEFORE: u16 = 7;
    /// Stack underflow: invalid and stack fault.
    pub const ZERO_DIVIDE: u16 = 4;
    pub const STACK: u16 = super::FLAG_INVALID | 0x40;
}

/// Other bits of the status word.
pub(super) mod status {
    pub const SUMMARY: u16 = 0x80;
    pub const BUSY: u16 = 0x8000;
    pub const C0: u16 = 0x100;
    pub const C1: u16 = 0x200;
    pub const C2: u16 = 0x400;
    pub const C3: u16 = 0x4000;
    pub const CODES: u16 = C0 | C1 | C2 | C3;
    pub const TOP: u16 = 0x3800;
}

/// The quiet NaN of masked invalid operations.
pub(super) const INDEFINITE: F80 = [0, 0, 0, 0, 0, 0, 0, 0xc0, 0xff, 0xff];

/// The environment in memory (SDM vol. 1, 8.1.10): seven words, as protected mode lays them out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// Of 16 bits each.
    Narrow,
    /// Of 32 bits each.
    Wide,
}

impl Layout {
    pub const fn len(self) -> usize {
        match self {
            Self::Narrow => 14,
            Self::Wide => 28,
        }
    }
}

/// One instruction's work on the unit.
pub(super) struct Unit<'a> {
    pub cx: &'a mut dyn HelperContext,
}

/// The control word as the unit keeps it: reserved bits are 0, but for one that is 1.
pub(super) const fn control_word(value: u16) -> u16 {
    value & 0x1f3f | 0x40
}

/// The status word with the summary that follows from its flags and the control word's masks.
pub(super) const fn status_word(flags: u16, control: u16) -> u16 {
    let summary = status::SUMMARY | status::BUSY;
    if flags & !control & 0x3f != 0 { flags | summary } else { flags & !summary }
}

impl<'a> Unit<'a> {
    /// For instructions that do not look at pending exceptions.
    pub fn quiet(cx: &'a mut dyn HelperContext) -> Self {
        Self { cx }
    }

    /// Raises what is pending.
    pub fn start_without_record(cx: &'a mut dyn HelperContext, _pc: u64) -> Result<Self, HelperExit> {
        let mut unit = Self { cx };
        if unit.status() & status::SUMMARY != 0 { Err(PENDING) } else { Ok(unit) }
    }

    /// Raises what is pending, and remembers where the instruction and its operand are.
    pub fn start(cx: &'a mut dyn HelperContext, pc: u64, operand: Option<u64>) -> Result<Self, HelperExit> {
        let unit = Self::start_without_record(cx, pc)?;
        unit.cx.state().set_u64(X87_FIP, pc);
        if let Some(addr) = operand {
            unit.cx.state().set_u64(X87_FDP, addr);
        }
        Ok(unit)
    }

    pub fn status(&mut self) -> u16 {
        self.cx.state().u16(X87_STATUS)
    }

    fn set_status(&mut self, value: u16) {
        self.cx.state().set_u16(X87_STATUS, value);
    }

    fn control(&mut self) -> u16 {
        self.cx.state().u16(X87_CONTROL)
    }

    pub fn set_control(&mut self, value: u16) {
        self.cx.state().set_u16(X87_CONTROL, control_word(value));
        self.summarize();
    }

    /// The summary bit follows from flags and masks.
    fn summarize(&mut self) {
        let (flags, control) = (self.status(), self.control());
        self.set_status(status_word(flags, control));
    }

    /// Whether these exceptions keep the instruction from its result.
    pub fn stops_at(&mut self, raised: u16) -> bool {
        raised & !self.control() & exception::BEFORE != 0
    }

    /// Whether they keep a store from its place in memory: all but a result that is inexact (SDM vol. 1, 8.5).
    pub fn stops_store_at(&mut self, raised: u16) -> bool {
        const INEXACT: u16 = 0x20;
        raised & !self.control() & 0x3f & !INEXACT != 0
    }

    /// Takes exceptions of an operation that has no C1 of its own; without any, C1 stays.
    pub fn raise_keeping_c1(&mut self, raised: u16) -> bool {
        if raised & exception::ALL & 0x40 != 0 {
            return self.raise(raised);
        }
        let c1 = self.status() & status::C1;
        let went_on = self.raise(raised & !status::C1);
        let now = self.status();
        self.set_status(now | c1);
        went_on
    }

    /// Takes the exceptions and C1 of an operation; tells whether its result is to be written.
    pub fn raise(&mut self, raised: u16) -> bool {
        let stops = self.stops_at(raised);
        // What stops it comes before there is a result to be rounded.
        let c1 = if raised & exception::STACK == exception::STACK { status::C1 } else { 0 };
        let raised = if stops { raised & (exception::BEFORE | exception::STACK | c1) } else { raised };
        let kept = self.status() & !status::C1;
        self.set_status(kept | raised & (exception::ALL | status::C1));
        self.summarize();
        !stops
    }

    pub fn run(&mut self, op: X87Op, a: F80, b: F80) -> X87Result {
        let control = self.control();
        self.cx.x87(op, control, a, b)
    }

    pub fn set_codes(&mut self, codes: u16) {
        let kept = self.status() & !status::CODES;
        self.set_status(kept | codes);
    }

    pub fn set_c2(&mut self, set: bool) {
        let kept = self.status() & !status::C2;
        self.set_status(if set { kept | status::C2 } else { kept });
    }

    pub fn clear_c1(&mut self) {
        let kept = self.status() & !status::C1;
        self.set_status(kept);
    }

    // ---- the stack ----

    fn top(&mut self) -> u16 {
        self.status() >> 11 & 7
    }

    fn physical(&mut self, n: u16) -> u16 {
        (self.top() + n) & 7
    }

    pub fn is_empty(&mut self, n: u16) -> bool {
        let physical = self.physical(n);
        self.cx.state().u8(X87_TAGS) >> physical & 1 == 0
    }

    /// The register's bytes, empty or not.
    pub fn value(&mut self, n: u16) -> F80 {
        let mut value = [0; 10];
        value.copy_from_slice(self.cx.state().bytes_at(st(n), 10));
        value
    }

    /// The register's value, if it has one.
    pub fn operand(&mut self, n: u16) -> Option<F80> {
        (!self.is_empty(n)).then(|| self.value(n))
    }

    pub fn put_value(&mut self, n: u16, value: F80) {
        self.cx.state().bytes_at_mut(st(n), 10).copy_from_slice(&value);
    }

    pub fn set(&mut self, n: u16, value: F80) {
        self.put_value(n, value);
        let bit = 1 << self.physical(n);
        let tags = self.cx.state().u8(X87_TAGS);
        self.cx.state().set_u8(X87_TAGS, tags | bit);
    }

    pub fn free(&mut self, n: u16) {
        let bit = 1u8 << self.physical(n);
        let tags = self.cx.state().u8(X87_TAGS);
        self.cx.state().set_u8(X87_TAGS, tags & !bit);
    }

    /// Moves the top up by `by` registers, modulo 8.
    pub fn turn(&mut self, by: u16) {
        let top = (self.top() + by) & 7;
        let kept = self.status() & !status::TOP;
        self.set_status(kept | top << 11);
        self.cx.state().bytes_at_mut(X87_STACK, 128).rotate_left(16 * usize::from(by & 7));
    }

    pub fn pop(&mut self) {
        self.free(0);
        self.turn(1);
    }

    pub fn push(&mut self, value: F80) {
        self.turn(7);
        self.set(0, value);
    }

    /// Pushes what an operation gave; a full stack is an exception of its own.
    pub fn push_result(&mut self, value: F80, raised: u16) {
        if !self.is_empty(7) {
            if self.raise(exception::STACK | status::C1) {
                self.push(INDEFINITE);
            }
        } else if self.raise(raised) || raised & FLAG_INVALID == 0 {
            // A denormal operand is loaded in any case.
            self.push(value);
        }
    }

    // ---- constants ----

    /// Constant `n` of `FLD1`, `FLDL2T`, `FLDL2E`, `FLDPI`, `FLDLG2`, `FLDLN2`, `FLDZ`.
    pub fn constant(&mut self, n: u64) -> F80 {
        const fn extended(exponent: u16, significand: u64) -> (u16, u64) {
            (exponent, significand)
        }
        // Truncated significands, and whether rounding to nearest goes up.
        const TABLE: [((u16, u64), bool, bool); 7] = [
            (extended(0x3fff, 0x8000_0000_0000_0000), false, true),
            (extended(0x4000, 0xd49a_784b_cd1b_8afe), false, false),
            (extended(0x3fff, 0xb8aa_3b29_5c17_f0bb), true, false),
            (extended(0x4000, 0xc90f_daa2_2168_c234), true, false),
            (extended(0x3ffd, 0x9a20_9a84_fbcf_f798), true, false),
            (extended(0x3ffe, 0xb172_17f7_d1cf_79ab), true, false),
            (extended(0, 0), false, true),
        ];
        let ((exponent, truncated), nearest_up, exact) = TABLE[n.min(6) as usize];
        let up = !exact
            && match self.control() >> 10 & 3 {
                0 => nearest_up,
                2 => true,
                _ => false,
            };
        let mut value = [0; 10];
        value[..8].copy_from_slice(&(truncated + u64::from(up)).to_le_bytes());
        value[8..].copy_from_slice(&exponent.to_le_bytes());
        value
    }

    /// The "indefinite" value of a memory format.
    pub fn indefinite(&mut self, code: u64) -> F80 {
        use super::x87::format;
        let mut bytes = [0; 10];
        match code {
            format::F32 => bytes[..4].copy_from_slice(&0xffc0_0000u32.to_le_bytes()),
            format::F64 => bytes[..8].copy_from_slice(&0xfff8_0000_0000_0000u64.to_le_bytes()),
            format::I16 => bytes[1] = 0x80,
            format::I32 => bytes[3] = 0x80,
            format::I64 => bytes[7] = 0x80,
            format::BCD => bytes[7..].copy_from_slice(&[0xc0, 0xff, 0xff]),
            _ => bytes = INDEFINITE,
        }
        bytes
    }

    // ---- the whole ----

    pub fn clear_exceptions(&mut self) {
        let kept = self.status() & !(exception::ALL | status::SUMMARY | status::BUSY);
        self.set_status(kept);
    }

    /// `FNINIT`: registers keep their bits, but all are empty.
    pub fn reset(&mut self) {
        let back = (8 - self.top()) & 7;
        self.turn(back);
        let state = self.cx.state();
        state.set_u16(X87_CONTROL, X87_CONTROL_DEFAULT);
        state.set_u16(X87_STATUS, 0);
        state.set_u8(X87_TAGS, 0);
        state.set_u64(X87_FIP, 0);
        state.set_u64(X87_FDP, 0);
        state.set_u16(X87_FOP, 0);
    }

    /// `FNSTENV` masks all exceptions after it has stored them.
    pub fn mask_all(&mut self) {
        let control = self.control() | 0x3f;
        self.set_control(control);
    }

    /// Writes the environment, `layout.len()` bytes. The selectors are 0, as processors since 2013 have them.
    pub fn put_environment(&mut self, layout: Layout, image: &mut [u8]) {
        let (control, flags) = (self.control(), self.status());
        let tags = full_tags(self.cx.state());
        let state = self.cx.state();
        let (ip, dp) = (state.u64(X87_FIP) as u32, state.u64(X87_FDP) as u32);
        let words = match layout {
            Layout::Narrow => [control, flags, tags, ip as u16, 0, dp as u16, 0].map(u32::from),
            Layout::Wide => {
                let opcode = u32::from(state.u16(X87_FOP)) << 16;
                let [control, flags, tags] = [control, flags, tags].map(|word| u32::from(word) | 0xffff_0000);
                [control, flags, tags, ip, opcode, dp, 0xffff_0000]
            }
        };
        let size = layout.len() / words.len();
        for (chunk, word) in image.chunks_mut(size).zip(words) {
            chunk.copy_from_slice(&word.to_le_bytes()[..size]);
        }
    }

    pub fn set_environment(&mut self, layout: Layout, image: &[u8]) {
        let size = layout.len() / 7;
        let word = |n: usize| {
            let mut bytes = [0; 4];
            bytes[..size].copy_from_slice(&image[n * size..][..size]);
            u32::from_le_bytes(bytes)
        };
        let flags = word(1) as u16;
        let by = ((flags >> 11 & 7) + 8 - self.top()) & 7;
        self.turn(by);
        self.set_status(flags);
        let full = word(2);
        let tags = (0..8).filter(|n| full >> (2 * n) & 3 != 3).fold(0, |tags, n| tags | 1u8 << n);
        let state = self.cx.state();
        state.set_u8(X87_TAGS, tags);
        state.set_u64(X87_FIP, word(3).into());
        state.set_u16(X87_FOP, (word(4) >> 16) as u16 & 0x7ff);
        state.set_u64(X87_FDP, word(5).into());
        self.set_control(word(0) as u16);
    }

    pub fn enter_mmx(&mut self) {
        let back = (8 - self.top()) & 7;
        self.turn(back);
        self.cx.state().set_u8(X87_TAGS, 0xff);
    }

    pub fn leave_mmx(&mut self) {
        self.enter_mmx();
        self.cx.state().set_u8(X87_TAGS, 0);
    }
}
