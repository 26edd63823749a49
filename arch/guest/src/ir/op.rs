//! The op enum and what is derived from the op table for it.

use super::types::{
    ArmFloat, Cond, Crypto, Estimate, FSize, Field, FlagKind, FloatCc, Half, HelperId, Inexact, IntCc, Kind,
    Lane, Locality, MinMax, Nans, Narrow, Order, Overflow, Reduce, RmwOp, Round, Sign, Val, VecLen, When,
    Width,
};
use crate::state::Slot;
use std::fmt;

/// What an op may do besides computing a value; see the table's own text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect {
    Pure,
    /// Pure but for sticky exception flags: never dropped, never moved across the environment ops.
    Float,
    ReadsState,
    WritesState,
    Loads,
    Advises,
    Traps,
    Commits,
}

impl Effect {
    /// Whether execution may leave the block at such an op, so that the state must be exact before it.
    #[must_use]
    pub const fn may_exit(self) -> bool {
        matches!(self, Self::Loads | Self::Traps | Self::Commits)
    }

    /// Whether the op can go when nobody uses its value.
    #[must_use]
    pub const fn droppable(self) -> bool {
        matches!(self, Self::Pure | Self::ReadsState)
    }
}

/// The values that an op defines and reads, [`Val::NONE`] where there are fewer. For those who ask more than once: each
/// question to an [`Op`] is a jump that nobody can predict.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Values {
    pub result: Val,
    pub uses: [Val; 4],
}

macro_rules! result_kind {
    (Int) => {
        Kind::Int
    };
    (Vector $n:ident) => {
        Kind::Vector($n)
    };
}

macro_rules! kind_of {
    ($res:ident, $($field:ident)*) => { kind_of!(@ $res $($field)*) };
    (@ Int $($field:ident)*) => { result_kind!(Int) };
    (@ Vector $n:ident $($field:ident)*) => { result_kind!(Vector $n) };
}

macro_rules! define_ops {
    (
        values { $( $(#[$vmeta:meta])* $vname:ident = $vvar:ident { $($vf:ident : $vt:ty),* } -> $vres:ident, $veff:ident; )* }
        effects { $( $(#[$emeta:meta])* $ename:ident = $evar:ident { $($ef:ident : $et:ty),* }, $eeff:ident; )* }
    ) => {
        /// One IR operation. `dst` is the value it defines.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum Op {
            $( $(#[$vmeta])* $vvar { dst: Val, $($vf: $vt),* }, )*
            $( $(#[$emeta])* $evar { $($ef: $et),* }, )*
        }

        /// How many ops there are.
        pub const OP_COUNT: usize = [$( stringify!($vname), )* $( stringify!($ename), )*].len();

        /// One method per op: what a tier implements.
        pub trait OpVisitor {
            type Out;
            $( $(#[$vmeta])* fn $vname(&mut self, dst: Val, $($vf: $vt),*) -> Self::Out; )*
            $( $(#[$emeta])* fn $ename(&mut self, $($ef: $et),*) -> Self::Out; )*
        }

        impl Op {
            /// Calls the visitor's method for this op.
            #[inline(always)]
            pub fn visit<V: OpVisitor>(self, visitor: &mut V) -> V::Out {
                match self {
                    $( Self::$vvar { dst, $($vf),* } => visitor.$vname(dst, $($vf),*), )*
                    $( Self::$evar { $($ef),* } => visitor.$ename($($ef),*), )*
                }
            }

            /// The op's number: its place in [`Op::handlers`].
            #[inline(always)]
            #[must_use]
            pub const fn number(&self) -> usize {
                #[repr(usize)]
                enum Number { $( $vvar, )* $( $evar, )* }
                match self {
                    $( Self::$vvar { .. } => Number::$vvar as usize, )*
                    $( Self::$evar { .. } => Number::$evar as usize, )*
                }
            }

            /// A function per op, by [`Op::number`], that calls the visitor's method: for an interpreter
            /// that dispatches through a table.
            #[must_use]
            pub const fn handlers<V: OpVisitor>() -> [fn(&mut V, &Op) -> V::Out; OP_COUNT] {
                [
                    $( {
                        fn run<V: OpVisitor>(visitor: &mut V, op: &Op) -> V::Out {
                            let Op::$vvar { dst, $($vf),* } = *op else { unreachable!("looked up by number") };
                            visitor.$vname(dst, $($vf),*)
                        }
                        run::<V>
                    }, )*
                    $( {
                        fn run<V: OpVisitor>(visitor: &mut V, op: &Op) -> V::Out {
                            let Op::$evar { $($ef),* } = *op else { unreachable!("looked up by number") };
                            visitor.$ename($($ef),*)
                        }
                        run::<V>
                    }, )*
                ]
            }

            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $( Self::$vvar { .. } => stringify!($vname), )*
                    $( Self::$evar { .. } => stringify!($ename), )*
                }
            }

            #[inline]
            #[must_use]
            pub const fn effect(self) -> Effect {
                const EFFECTS: [Effect; OP_COUNT] = [$( Effect::$veff, )* $( Effect::$eeff, )*];
                EFFECTS[self.number()]
            }

            /// The value this op defines, and of what kind.
            #[inline]
            #[must_use]
            pub const fn result(self) -> Option<(Val, Kind)> {
                match self {
                    $( Self::$vvar { dst, $($vf),* } => {
                        $( let _ = $vf; )*
                        Some((dst, kind_of!($vres, $($vf)*)))
                    } )*
                    $( Self::$evar { .. } => None, )*
                }
            }

            /// Calls `f` with every value this op reads.
            #[inline]
            pub fn for_each_use(self, mut f: impl FnMut(Val)) {
                match self {
                    $( Self::$vvar { dst: _, $($vf),* } => { $( if let Some(v) = $vf.value() { f(v) } )* } )*
                    $( Self::$evar { $($ef),* } => { $( if let Some(v) = $ef.value() { f(v) } )* } )*
                }
            }

            /// The values it defines and reads.
            #[inline]
            #[must_use]
            pub fn values(self) -> Values {
                let mut values = Values { result: Val::NONE, uses: [Val::NONE; 4] };
                let mut places = values.uses.iter_mut();
                match self {
                    $( Self::$vvar { dst, $($vf),* } => {
                        values.result = dst;
                        $( if let Some(v) = $vf.value() && let Some(place) = places.next() { *place = v } )*
                    } )*
                    $( Self::$evar { $($ef),* } => {
                        $( if let Some(v) = $ef.value() && let Some(place) = places.next() { *place = v } )*
                    } )*
                }
                values
            }

            /// The op with every operand renamed.
            #[must_use]
            pub fn with_uses(self, mut map: impl FnMut(Val) -> Val) -> Self {
                match self {
                    $( Self::$vvar { dst, $($vf),* } => Self::$vvar { dst, $($vf: $vf.renamed(&mut map)),* }, )*
                    $( Self::$evar { $($ef),* } => Self::$evar { $($ef: $ef.renamed(&mut map)),* }, )*
                }
            }

            /// The op with the value it defines renumbered.
            #[must_use]
            pub fn with_result(self, value: Val) -> Self {
                match self {
                    $( Self::$vvar { dst: _, $($vf),* } => Self::$vvar { dst: value, $($vf),* }, )*
                    other => other,
                }
            }

            pub(super) fn print_fields(self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $( Self::$vvar { dst: _, $($vf),* } => { $( f.write_str(" ")?; $vf.print(f)?; )* } )*
                    $( Self::$evar { $($ef),* } => { $( f.write_str(" ")?; $ef.print(f)?; )* } )*
                }
                Ok(())
            }

            /// The op called `name`, defining `dst` if it defines a value, with these printed fields.
            pub(super) fn parse_fields(name: &str, dst: Option<Val>, words: &[&str]) -> Option<Self> {
                let mut words = words.iter();
                let op = match (name, dst) {
                    $( (stringify!($vname), Some(dst)) => {
                        $( let $vf = Field::parse(words.next()?)?; )*
                        Self::$vvar { dst, $($vf),* }
                    } )*
                    $( (stringify!($ename), None) => {
                        $( let $ef = Field::parse(words.next()?)?; )*
                        Self::$evar { $($ef),* }
                    } )*
                    _ => return None,
                };
                words.next().is_none().then_some(op)
            }
        }

        impl super::Builder {
            $( $(#[$vmeta])* pub fn $vname(&mut self, $($vf: $vt),*) -> Val {
                let dst = self.fresh(kind_of!($vres, $($vf)*));
                self.push(Op::$vvar { dst, $($vf),* });
                dst
            } )*
            $( $(#[$emeta])* pub fn $ename(&mut self, $($ef: $et),*) {
                self.push(Op::$evar { $($ef),* });
            } )*
        }
    };
}

crate::for_each_op!(define_ops);

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((dst, _)) = self.result() {
            dst.print(f)?;
            f.write_str(" = ")?;
        }
        f.write_str(self.name())?;
        self.print_fields(f)
    }
}

const _: () = assert!(size_of::<Op>() == 16, "ops are 16 bytes: four to a cache line");
