//! The block's values, each in whatever form it was last seen: integer, float, lane of a vector, vector.
//!
//! The IR has floats as bit patterns in integers. Moving each between register files would cost more than
//! the arithmetic, so a value is converted when another form is asked for, and both are kept.

use super::Lowering;
use crate::exec::jit::constants::Varying;
use cranelift_codegen::ir::{self, Endianness, InstBuilder, MemFlagsData, types};
use guest::ir::{FSize, Kind, Lane, Val, VecLen, Width};
use std::collections::HashMap;

#[derive(Clone, Copy, Default, Debug)]
struct Forms {
    int: Option<ir::Value>,
    float: Option<ir::Value>,
    /// Whether the value has no bits beyond those of its float.
    float_is_all: bool,
    /// A lane of a vector: the vector (I8X16), the width, the index.
    lane: Option<(ir::Value, Width, u8)>,
    konst: Option<u64>,
    len: Option<VecLen>,
    varying: Varying,
    float_result: bool,
}

/// What is known of the halves of a vector that was put together in this block.
#[derive(Clone, Copy, Default, Debug)]
pub struct Halves {
    /// The float in its lowest lane.
    pub low: Option<ir::Value>,
    /// A vector with the same upper half.
    pub above: Option<ir::Value>,
    /// Whether the upper half is 0.
    pub zero_above: bool,
}

#[derive(Default, Debug)]
pub struct Values {
    halves: HashMap<ir::Value, Halves>,
    forms: Vec<Forms>,
    units: Vec<Option<ir::Value>>,
    vconsts: Vec<Option<u128>>,
}

impl Values {
    pub fn reset(&mut self, cells: u16) {
        let cells = usize::from(cells);
        self.forms.clear();
        self.forms.resize(cells, Forms::default());
        self.units.clear();
        self.units.resize(cells, None);
        self.vconsts.clear();
        self.vconsts.resize(cells, None);
        self.halves.clear();
    }
    fn halves(&self, vector: ir::Value) -> Halves {
        self.halves.get(&vector).copied().unwrap_or_default()
    }
    pub fn note_halves(&mut self, vector: ir::Value, halves: Halves) {
        self.halves.insert(vector, halves);
    }
    fn at(&mut self, v: Val) -> &mut Forms {
        &mut self.forms[usize::from(v.0)]
    }
    pub fn varying(&self, v: Val) -> Varying {
        self.forms[usize::from(v.0)].varying
    }
    pub fn set_varying(&mut self, v: Val, varying: Varying) {
        self.at(v).varying = varying;
    }
    pub fn is_float_result(&self, v: Val) -> bool {
        self.forms[usize::from(v.0)].float_result
    }
    pub fn set_float_result(&mut self, v: Val, is: bool) {
        self.at(v).float_result = is;
    }
    pub fn kind(&self, v: Val) -> Kind {
        self.forms[usize::from(v.0)].len.map_or(Kind::Int, Kind::Vector)
    }
    /// The vector that the value is a lane of, the lane's width and index.
    pub fn lane(&self, v: Val) -> Option<(ir::Value, Width, u8)> {
        self.forms[usize::from(v.0)].lane
    }
    pub fn konst(&self, v: Val) -> Option<u64> {
        self.forms[usize::from(v.0)].konst
    }
    pub fn set_konst(&mut self, v: Val, value: u64) {
        self.at(v).konst = Some(value);
    }
    pub fn vconst(&self, v: Val) -> Option<u128> {
        self.vconsts[usize::from(v.0)]
    }
    pub fn set_vconst(&mut self, v: Val, value: u128) {
        self.vconsts[usize::from(v.0)] = Some(value);
    }
    pub fn set_len(&mut self, v: Val, n: VecLen) {
        self.at(v).len = Some(n);
    }
    /// Forgets the forms of a value that is about to be given anew.
    pub fn forget(&mut self, v: Val) {
        let at = self.at(v);
        (at.int, at.float, at.lane) = (None, None, None);
        at.float_is_all = false;
    }
}

/// The vector type with this lane.
pub fn vector_type(lane: Lane) -> ir::Type {
    match lane {
        Lane::B => types::I8X16,
        Lane::H => types::I16X8,
        Lane::S => types::I32X4,
        Lane::D => types::I64X2,
    }
}

pub fn int_type(w: Width) -> ir::Type {
    match w {
        Width::W8 => types::I8,
        Width::W16 => types::I16,
        Width::W32 => types::I32,
        Width::W64 => types::I64,
    }
}

/// The types of floats that the host computes with; half precision is left to the interpreter.
pub fn float_type(fs: FSize) -> Option<ir::Type> {
    match fs {
        FSize::F16 => None,
        FSize::F32 => Some(types::F32),
        FSize::F64 => Some(types::F64),
    }
}

pub fn float_vector_type(fs: FSize) -> Option<ir::Type> {
    float_type(fs).map(vector_of)
}

/// The vector of such floats.
pub fn vector_of(float: ir::Type) -> ir::Type {
    if float == types::F64 { types::F64X2 } else { types::F32X4 }
}

impl Lowering<'_, '_> {
    /// The value as a zero-extended I64.
    pub(super) fn int(&mut self, v: Val) -> ir::Value {
        let forms = *self.vals.at(v);
        if let Some(int) = forms.int {
            return int;
        }
        let int = if let Some((vector, w, index)) = forms.lane {
            let lane = self.lane_as_int(vector, w, index);
            self.widen(lane)
        } else if let Some(float) = forms.float {
            let ty = if self.b.func.dfg.value_type(float) == types::F64 { types::I64 } else { types::I32 };
            let bits = self.b.ins().bitcast(ty, MemFlagsData::new(), float);
            self.widen(bits)
        } else {
            unreachable!("the verifier demands definitions before uses")
        };
        self.vals.at(v).int = Some(int);
        int
    }

    pub(super) fn set(&mut self, v: Val, value: ir::Value) {
        self.vals.forget(v);
        self.vals.at(v).int = Some(value);
    }

    /// The low bits of the value at a width.
    pub(super) fn narrow(&mut self, w: Width, v: Val) -> ir::Value {
        let value = self.int(v);
        if w == Width::W64 { value } else { self.b.ins().ireduce(int_type(w), value) }
    }

    /// An integer of any type, zero-extended to I64.
    pub(super) fn widen(&mut self, value: ir::Value) -> ir::Value {
        if self.b.func.dfg.value_type(value) == types::I64 {
            value
        } else {
            self.b.ins().uextend(types::I64, value)
        }
    }

    pub(super) fn set_narrow(&mut self, v: Val, value: ir::Value) {
        let wide = self.widen(value);
        self.set(v, wide);
    }

    /// The value as a float of type `ty`.
    pub(super) fn float(&mut self, ty: ir::Type, v: Val) -> ir::Value {
        let forms = *self.vals.at(v);
        if let Some(float) = forms.float
            && self.b.func.dfg.value_type(float) == ty
        {
            return float;
        }
        let w = if ty == types::F64 { Width::W64 } else { Width::W32 };
        if let Some((vector, lane_w, index)) = forms.lane
            && (lane_w == w || (lane_w.bits() > w.bits() && index == 0))
        {
            let float = self.lane_as_float(ty, vector, index);
            self.vals.at(v).float = Some(float);
            return float;
        }
        let bits = self.narrow(w, v);
        let float = self.b.ins().bitcast(ty, MemFlagsData::new(), bits);
        if forms.float.is_none() && forms.lane.is_none() {
            // An integer form exists already; a float that stands alone must carry all of the value.
            self.vals.at(v).float = Some(float);
        }
        float
    }

    /// The lowest word as a float first: a move, where Cranelift has an extraction else.
    fn lane_as_int(&mut self, vector: ir::Value, w: Width, index: u8) -> ir::Value {
        if index == 0 && w.bits() >= 32 {
            let ty = if w == Width::W64 { types::F64 } else { types::F32 };
            let float = self.lane_as_float(ty, vector, 0);
            return self.b.ins().bitcast(int_type(w), MemFlagsData::new(), float);
        }
        let typed = self.cast(vector_type(Lane::ALL[w as usize]), vector);
        self.b.ins().extractlane(typed, index)
    }

    fn lane_as_float(&mut self, ty: ir::Type, vector: ir::Value, index: u8) -> ir::Value {
        if index == 0
            && let Some(low) = self.halves(vector).low
            && self.b.func.dfg.value_type(low) == ty
        {
            return low;
        }
        let typed = self.cast(vector_of(ty), vector);
        self.b.ins().extractlane(typed, index)
    }

    pub(super) fn set_float(&mut self, v: Val, value: ir::Value) {
        self.vals.forget(v);
        let at = self.vals.at(v);
        (at.float, at.float_is_all) = (Some(value), true);
    }

    /// What is known of a vector's halves, under whatever name.
    pub(super) fn halves(&self, vector: ir::Value) -> Halves {
        self.vals.halves(self.b.func.dfg.resolve_aliases(vector))
    }

    /// The float form that carries the whole of an integer of width `w`, if the value has it.
    pub(super) fn whole_float(&mut self, w: Width, v: Val) -> Option<ir::Value> {
        let ty = if w == Width::W64 { types::F64 } else { types::F32 };
        self.vals.at(v).float.filter(|&f| self.b.func.dfg.value_type(f) == ty)
    }

    /// The value as a vector's low 64 bits, with zeros above, if it is a float and nothing else.
    pub(super) fn float_in_vector(&mut self, v: Val) -> Option<ir::Value> {
        let forms = *self.vals.at(v);
        let float = forms.float?;
        let all = forms.float_is_all || self.b.func.dfg.value_type(float) == types::F64;
        all.then(|| self.alone(float))
    }

    /// A vector of a float and zeros.
    pub(super) fn alone(&mut self, float: ir::Value) -> ir::Value {
        let ty = vector_of(self.b.func.dfg.value_type(float));
        // The zeros stay in a register, which `scalar_to_vector` would make anew.
        let zero = self.vector_constant(0);
        let zero = self.cast(ty, zero);
        let vector = self.b.ins().insertlane(zero, float, 0);
        let bytes = self.cast(types::I8X16, vector);
        self.vals.note_halves(bytes, Halves { low: Some(float), above: Some(self.zero), zero_above: true });
        bytes
    }

    pub(super) fn set_lane(&mut self, v: Val, vector: ir::Value, w: Width, index: u8) {
        self.vals.forget(v);
        self.vals.at(v).lane = Some((vector, w, index));
    }

    /// Unit `unit` of a vector, as I8X16.
    pub(super) fn unit(&mut self, v: Val, unit: usize) -> ir::Value {
        let found = self.vals.units[usize::from(v.0) + 2 * unit];
        found.unwrap_or_else(|| unreachable!("the verifier demands definitions before uses"))
    }

    /// Unit `unit` of a vector, with that type.
    pub(super) fn unit_as(&mut self, ty: ir::Type, v: Val, unit: usize) -> ir::Value {
        let value = self.unit(v, unit);
        self.cast(ty, value)
    }

    pub(super) fn set_unit(&mut self, v: Val, unit: usize, value: ir::Value) {
        let bytes = self.cast(types::I8X16, value);
        self.vals.units[usize::from(v.0) + 2 * unit] = Some(bytes);
    }

    /// A vector seen as another type.
    pub(super) fn cast(&mut self, ty: ir::Type, value: ir::Value) -> ir::Value {
        if self.b.func.dfg.value_type(value) == ty {
            return value;
        }
        self.b.ins().bitcast(ty, MemFlagsData::new().with_endianness(Endianness::Little), value)
    }

    /// A vector constant.
    pub(super) fn vector_constant(&mut self, value: u128) -> ir::Value {
        let handle = self.b.func.dfg.constants.insert(value.to_le_bytes().to_vec().into());
        self.b.ins().vconst(types::I8X16, handle)
    }
}
