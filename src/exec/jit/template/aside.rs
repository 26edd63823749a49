//! Ops whose piece may turn out not to be right, which is known only behind it: then the interpreter does it, aside.

use super::asm::{Cc, RDI, Reg};
use super::regs::{Loc, X0, cell};
use super::{Emitter, Stub};
use crate::exec::jit::{entry, slow};
use guest::ir::{Val, Width};

/// A call of the interpreter's method for an op that has a piece, too.
#[derive(Clone, Copy, Debug)]
pub struct Aside {
    index: u64,
    /// Where operands are.
    operands: [Option<(Val, Loc)>; 3],
    /// Where the result goes.
    dst: Val,
    result: Loc,
    /// Where the code goes on.
    back: usize,
}

/// Bytes of a conditional jump to a stub.
const JUMP: usize = 6;

const RSI: Reg = Reg(6);

impl Emitter {
    /// Where the condition holds, the interpreter does the op at hand, and its result comes to stand in `result`. All
    /// other registers stay as they are.
    pub(super) fn interpret_where(&mut self, cc: Cc, dst: Val, result: Loc) {
        let Some(index) = slow::add(self.op, self.nan_rule) else {
            self.complete = false;
            return;
        };
        debug_assert!(self.has_context, "the context is there before the test");
        let (mut operands, mut count) = ([None; 3], 0);
        self.op.for_each_use(|v| {
            operands[count] = Some((v, self.regs.loc(v)));
            count += 1;
        });
        let back = self.asm.here() + JUMP;
        let stub = self.stub(Stub::Interpret(Aside { index, operands, dst, result, back }));
        self.asm.jcc(cc, stub);
        debug_assert_eq!(self.asm.here(), back);
    }

    /// The call: it keeps all registers but those of its own operands.
    pub(super) fn interpret_aside(&mut self, aside: Aside) {
        for (v, loc) in aside.operands.into_iter().flatten() {
            match loc {
                Loc::Int(reg) => self.asm.store(Width::W64, reg, cell(v)),
                Loc::Xmm(reg) => self.store_xmm(reg, cell(v)),
                Loc::Konst(value) => self.store_word(value, cell(v)),
                Loc::Cell | Loc::Nowhere | Loc::Compare(..) => {}
            }
        }
        [RDI, RSI].into_iter().for_each(|reg| self.asm.push(reg));
        self.call_out(aside.index, entry::SLOW_OP_ASIDE);
        [RSI, RDI].into_iter().for_each(|reg| self.asm.pop(reg));
        match aside.result {
            Loc::Int(reg) => self.asm.load(Width::W64, reg, cell(aside.dst)),
            _ => self.load_xmm(X0, cell(aside.dst)),
        }
        self.asm.jmp_back(aside.back);
    }
}
