//! The op table: every IR operation, once.
//!
//! `for_each_op!` hands the table to a macro; from it come the enum, the builder's methods, printing and
//! parsing, use and effect queries, and [`super::OpVisitor`], which demands one method per tier.
//!
//! Conventions:
//! - An integer op of width `w` ignores operand bits above `w`; its result is zero-extended to 64 bits.
//! - Shift and rotate counts are taken modulo the width. Per-lane shift counts are not: a count of the
//!   lane size or more gives 0 (or the sign).
//! - Vector ops work on the whole vector of `n` 16-byte units, lane by lane.
//! - Floats are bit patterns in integers (low bits) or vectors. Float ops use the guest's rounding mode
//!   and set its sticky exception flags. NaN results follow the block's NaN rule.
//! - Addresses are `addr + off`, modulo 2^64.
//!
//! Effects, which the verifier and the passes rely on:
//! - `Pure`: operands in, value out. Float ops count as pure but are never dropped (sticky flags).
//! - `ReadsState` / `WritesState`: named state slots only.
//! - `Loads`: reads guest memory; may fault; may be repeated.
//! - `Advises`: changes nothing that a program can see, but how fast it is.
//! - `Traps`: may leave the block with the state as it is.
//! - `Commits`: must not be repeated after it has happened (stores, atomics, helpers with state).

/// Calls `$m!` with the op table.
#[macro_export]
macro_rules! for_each_op {
    ($m:path) => {
        $m! {
            values {
                // ---- constants and state ----
                /// A constant.
                konst = Konst { imm: u64 } -> Int, Pure;
                /// Vector constant `index` of the block's pool, repeated in every unit.
                vconst = Vconst { n: VecLen, index: u16 } -> Vector, Pure;
                /// Reads a state slot.
                get = Get { w: Width, slot: Slot } -> Int, ReadsState;
                /// Reads a vector from the state.
                vget = Vget { n: VecLen, slot: Slot } -> Vector, ReadsState;

                // ---- integers ----
                /// Wrapping sum; sets no flags.
                add = Add { w: Width, a: Val, b: Val } -> Int, Pure;
                sub = Sub { w: Width, a: Val, b: Val } -> Int, Pure;
                /// Low half of the product.
                mul = Mul { w: Width, a: Val, b: Val } -> Int, Pure;
                /// High half of the unsigned product.
                umulh = Umulh { w: Width, a: Val, b: Val } -> Int, Pure;
                /// High half of the signed product.
                smulh = Smulh { w: Width, a: Val, b: Val } -> Int, Pure;
                /// Quotient; 0 where b is 0.
                udiv = Udiv { w: Width, a: Val, b: Val } -> Int, Pure;
                /// Quotient rounded to zero; 0 where b is 0, MIN for MIN / -1.
                sdiv = Sdiv { w: Width, a: Val, b: Val } -> Int, Pure;
                /// Quotient of the double-width hi:lo by b. Guarded by `div_check` before.
                udiv_wide = UdivWide { w: Width, hi: Val, lo: Val, b: Val } -> Int, Pure;
                urem_wide = UremWide { w: Width, hi: Val, lo: Val, b: Val } -> Int, Pure;
                sdiv_wide = SdivWide { w: Width, hi: Val, lo: Val, b: Val } -> Int, Pure;
                srem_wide = SremWide { w: Width, hi: Val, lo: Val, b: Val } -> Int, Pure;
                /// 1 where the quotient of hi:lo by b does not fit `w` bits or b is 0, else 0.
                div_overflows = DivOverflows { w: Width, signed: Sign, hi: Val, lo: Val, b: Val } -> Int, Pure;
                and = And { w: Width, a: Val, b: Val } -> Int, Pure;
                or = Or { w: Width, a: Val, b: Val } -> Int, Pure;
                xor = Xor { w: Width, a: Val, b: Val } -> Int, Pure;
                /// `a & !b`
                andnot = AndNot { w: Width, a: Val, b: Val } -> Int, Pure;
                not = Not { w: Width, a: Val } -> Int, Pure;
                neg = Neg { w: Width, a: Val } -> Int, Pure;
                shl = Shl { w: Width, a: Val, b: Val } -> Int, Pure;
                shr = Shr { w: Width, a: Val, b: Val } -> Int, Pure;
                sar = Sar { w: Width, a: Val, b: Val } -> Int, Pure;
                rotl = Rotl { w: Width, a: Val, b: Val } -> Int, Pure;
                rotr = Rotr { w: Width, a: Val, b: Val } -> Int, Pure;
                /// Leading zeros; `w` bits for 0.
                clz = Clz { w: Width, a: Val } -> Int, Pure;
                /// Trailing zeros; `w` bits for 0.
                ctz = Ctz { w: Width, a: Val } -> Int, Pure;
                popcnt = Popcnt { w: Width, a: Val } -> Int, Pure;
                bswap = Bswap { w: Width, a: Val } -> Int, Pure;
                /// The bits in reverse order.
                bitrev = Bitrev { w: Width, a: Val } -> Int, Pure;
                /// Sign-extends the low `from` bits to 64.
                sext = Sext { from: Width, a: Val } -> Int, Pure;
                /// Zero-extends the low `from` bits to 64.
                zext = Zext { from: Width, a: Val } -> Int, Pure;
                /// `len` bits of a from bit `lsb`, zero-extended. 1 <= len, lsb + len <= 64.
                extract = Extract { lsb: u8, len: u8, a: Val } -> Int, Pure;
                /// The same, sign-extended to 64 bits.
                sextract = Sextract { lsb: u8, len: u8, a: Val } -> Int, Pure;
                /// a with the low `len` bits of b put at bit `lsb`.
                deposit = Deposit { lsb: u8, len: u8, a: Val, b: Val } -> Int, Pure;
                /// 1 where the comparison holds, else 0.
                icmp = Icmp { cc: IntCc, w: Width, a: Val, b: Val } -> Int, Pure;
                /// `c != 0 ? a : b`
                select = Select { c: Val, a: Val, b: Val } -> Int, Pure;
                /// A pure helper function of three integers.
                call = Call { f: HelperId, a: Val, b: Val, c: Val } -> Int, Pure;

                // ---- flags ----
                /// 1 where the condition holds on the flag record, else 0.
                cond = CondOp { cc: Cond } -> Int, ReadsState;
                /// All flags of the record, packed.
                get_flags = GetFlags {} -> Int, ReadsState;

                // ---- memory ----
                /// Loads `w` bits, zero-extended.
                load = Load { w: Width, ord: Order, addr: Val, off: i32 } -> Int, Loads;
                /// Loads a vector; no alignment demanded.
                vload = Vload { n: VecLen, addr: Val, off: i32 } -> Vector, Loads;
                /// Atomic read-modify-write; gives the old value.
                rmw = Rmw { op: RmwOp, w: Width, ord: Order, addr: Val, a: Val } -> Int, Commits;
                /// Atomic compare and swap; gives the old value.
                cas = Cas { w: Width, ord: Order, addr: Val, expected: Val, new: Val } -> Int, Commits;
                /// The same on 16 bytes. The address must be aligned to 16 (check before).
                cas128 = Cas128 { n: VecLen, ord: Order, addr: Val, expected: Val, new: Val } -> Vector, Commits;
                /// Atomic 16-byte load that never writes. The address must be aligned to 16 (check before).
                load128 = Load128 { n: VecLen, ord: Order, addr: Val } -> Vector, Loads;
                /// Load-exclusive: loads and arms the monitor with address, size and value.
                load_ex = LoadEx { w: Width, ord: Order, addr: Val } -> Int, Commits;
                /// Load-exclusive of 16 aligned bytes.
                load_ex128 = LoadEx128 { n: VecLen, ord: Order, addr: Val } -> Vector, Commits;
                /// Store-exclusive: stores where the monitor is armed for this address and size and memory
                /// still holds the value seen; disarms it. Gives 0 where it stored, else 1.
                store_ex = StoreEx { w: Width, ord: Order, addr: Val, a: Val } -> Int, Commits;
                store_ex128 = StoreEx128 { ord: Order, addr: Val, a: Val } -> Int, Commits;
                /// A helper that may read and write the state and guest memory, and may trap.
                call_state = CallState { f: HelperId, a: Val, b: Val, c: Val } -> Int, Commits;
                /// The floating-point environment in MXCSR layout: sticky flags, masks, rounding, flush.
                fpenv_get = FpenvGet {} -> Int, Commits;

                // ---- vectors: whole ----
                vand = Vand { n: VecLen, a: Val, b: Val } -> Vector, Pure;
                vor = Vor { n: VecLen, a: Val, b: Val } -> Vector, Pure;
                vxor = Vxor { n: VecLen, a: Val, b: Val } -> Vector, Pure;
                /// `a & !b`
                vandnot = Vandnot { n: VecLen, a: Val, b: Val } -> Vector, Pure;
                vnot = Vnot { n: VecLen, a: Val } -> Vector, Pure;
                /// Bit by bit `m ? a : b`.
                vbitsel = Vbitsel { n: VecLen, m: Val, a: Val, b: Val } -> Vector, Pure;
                /// One unit from two 64-bit halves.
                vpair = Vpair { n: VecLen, lo: Val, hi: Val } -> Vector, Pure;
                /// The units of lo, then those of hi.
                vjoin = Vjoin { n: VecLen, lo: Val, hi: Val } -> Vector, Pure;
                /// `n` units of a longer vector, from unit `from` on.
                vpart = Vpart { n: VecLen, from: u8, a: Val } -> Vector, Pure;
                /// The lane value in every lane.
                vsplat = Vsplat { n: VecLen, lane: Lane, a: Val } -> Vector, Pure;
                /// Lane `index` (counted through the whole vector), zero-extended.
                vextract = Vextract { n: VecLen, lane: Lane, index: u8, a: Val } -> Int, Pure;
                /// a with lane `index` replaced by the integer b.
                vinsert = Vinsert { n: VecLen, lane: Lane, index: u8, a: Val, b: Val } -> Vector, Pure;
                /// Per unit: byte i is byte idx[i] of a:b (0-15 a, 16-31 b), 0 where idx[i] > 31.
                vshuffle = Vshuffle { n: VecLen, a: Val, b: Val, idx: Val } -> Vector, Pure;
                /// The top bits of the lanes, lane 0 lowest.
                vmovmask = Vmovmask { n: VecLen, lane: Lane, a: Val } -> Int, Pure;
                /// A pure helper function, applied per 16-byte unit.
                call_vec = CallVec { n: VecLen, f: HelperId, a: Val, b: Val, c: Val, imm: u32 } -> Vector, Pure;

                /// A step of a cipher, a hash or a polynomial product, on each unit.
                vcrypto = Vcrypto { n: VecLen, op: Crypto, a: Val, b: Val, c: Val } -> Vector, Pure;

                // ---- vectors: integer lanes ----
                vadd = Vadd { n: VecLen, lane: Lane, a: Val, b: Val } -> Vector, Pure;
                vsub = Vsub { n: VecLen, lane: Lane, a: Val, b: Val } -> Vector, Pure;
                /// Low half of the product.
                vmul = Vmul { n: VecLen, lane: Lane, a: Val, b: Val } -> Vector, Pure;
                /// High half of the product. Lanes b, h, s.
                vmulh = Vmulh { n: VecLen, lane: Lane, signed: Sign, a: Val, b: Val } -> Vector, Pure;
                /// Full product of the lanes of one half of each unit; result lanes are twice as wide.
                vmull = Vmull { n: VecLen, lane: Lane, signed: Sign, half: Half, a: Val, b: Val } -> Vector, Pure;
                /// Signed products of adjacent lanes, summed into lanes twice as wide (wrapping). Lane h.
                vmaddw = Vmaddw { n: VecLen, a: Val, b: Val } -> Vector, Pure;
                /// Unsigned bytes of a times signed bytes of b, adjacent products summed with saturation.
                vmaddub = Vmaddub { n: VecLen, a: Val, b: Val } -> Vector, Pure;
                /// High halves of signed products of 16-bit lanes, shifted left by one and rounded.
                vmulhrs = Vmulhrs { n: VecLen, a: Val, b: Val } -> Vector, Pure;
                vneg = Vneg { n: VecLen, lane: Lane, a: Val } -> Vector, Pure;
                /// Absolute value; MIN stays MIN.
                vabs = Vabs { n: VecLen, lane: Lane, a: Val } -> Vector, Pure;
                vaddsat = Vaddsat { n: VecLen, lane: Lane, signed: Sign, a: Val, b: Val } -> Vector, Pure;
                vsubsat = Vsubsat { n: VecLen, lane: Lane, signed: Sign, a: Val, b: Val } -> Vector, Pure;
                vmin = Vmin { n: VecLen, lane: Lane, signed: Sign, a: Val, b: Val } -> Vector, Pure;
                vmax = Vmax { n: VecLen, lane: Lane, signed: Sign, a: Val, b: Val } -> Vector, Pure;
                /// `(a + b) >> 1` without overflow.
                vhadd = Vhadd { n: VecLen, lane: Lane, signed: Sign, a: Val, b: Val } -> Vector, Pure;
                /// `(a + b + 1) >> 1` without overflow.
                vrhadd = Vrhadd { n: VecLen, lane: Lane, signed: Sign, a: Val, b: Val } -> Vector, Pure;
                /// `(a - b) >> 1` without overflow.
                vhsub = Vhsub { n: VecLen, lane: Lane, signed: Sign, a: Val, b: Val } -> Vector, Pure;
                /// All ones where the comparison holds, else 0.
                vicmp = Vicmp { n: VecLen, lane: Lane, cc: IntCc, a: Val, b: Val } -> Vector, Pure;
                /// Shifts every lane by the integer `count`.
                vshl = Vshl { n: VecLen, lane: Lane, a: Val, count: Val } -> Vector, Pure;
                vshr = Vshr { n: VecLen, lane: Lane, a: Val, count: Val } -> Vector, Pure;
                vsar = Vsar { n: VecLen, lane: Lane, a: Val, count: Val } -> Vector, Pure;
                /// Shifts each lane of a by the unsigned lane of b.
                vshlv = Vshlv { n: VecLen, lane: Lane, a: Val, b: Val } -> Vector, Pure;
                vshrv = Vshrv { n: VecLen, lane: Lane, a: Val, b: Val } -> Vector, Pure;
                vsarv = Vsarv { n: VecLen, lane: Lane, a: Val, b: Val } -> Vector, Pure;
                vpopcnt = Vpopcnt { n: VecLen, lane: Lane, a: Val } -> Vector, Pure;
                vclz = Vclz { n: VecLen, lane: Lane, a: Val } -> Vector, Pure;
                /// Lanes of a (lower half of the result) and b (upper half) halved in size.
                /// `lane` is the size before.
                vnarrow = Vnarrow { n: VecLen, lane: Lane, how: Narrow, a: Val, b: Val } -> Vector, Pure;
                /// One half of each unit's lanes, doubled in size. `lane` is the size before.
                vwiden = Vwiden { n: VecLen, lane: Lane, signed: Sign, half: Half, a: Val } -> Vector, Pure;
                /// Sums of absolute differences of unsigned bytes, per 8 bytes, as 64-bit lanes.
                vsad = Vsad { n: VecLen, a: Val, b: Val } -> Vector, Pure;
                /// Reduces all lanes to one, zero-extended.
                vreduce = Vreduce { n: VecLen, lane: Lane, op: Reduce, a: Val } -> Int, Pure;

                // ---- floats: scalar ----
                fadd = Fadd { fs: FSize, a: Val, b: Val } -> Int, Float;
                fsub = Fsub { fs: FSize, a: Val, b: Val } -> Int, Float;
                fmul = Fmul { fs: FSize, a: Val, b: Val } -> Int, Float;
                fdiv = Fdiv { fs: FSize, a: Val, b: Val } -> Int, Float;
                fsqrt = Fsqrt { fs: FSize, a: Val } -> Int, Float;
                /// a * b + c, rounded once.
                fma = Fma { fs: FSize, a: Val, b: Val, c: Val } -> Int, Float;
                fminmax = Fminmax { op: MinMax, fs: FSize, a: Val, b: Val } -> Int, Float;
                /// 1 where the comparison holds, else 0.
                fcmp = Fcmp { cc: FloatCc, nans: Nans, fs: FSize, a: Val, b: Val } -> Int, Float;
                /// How a compares with b: 0 equal, 1 less, 2 greater, 3 unordered.
                fcompare = Fcompare { nans: Nans, fs: FSize, a: Val, b: Val } -> Int, Float;
                /// Rounds to an integral value.
                fround = Fround { fs: FSize, mode: Round, inexact: Inexact, a: Val } -> Int, Float;
                /// Converts between float sizes.
                fconvert = Fconvert { from: FSize, to: FSize, a: Val } -> Int, Float;
                /// Float to a `w`-bit integer.
                ftoi = Ftoi { fs: FSize, w: Width, signed: Sign, mode: Round, over: Overflow, a: Val } -> Int, Float;
                /// An operation that only AArch64 has.
                farm = Farm { op: ArmFloat, fs: FSize, imm: u32, a: Val, b: Val } -> Int, Float;
                /// Integer (w32 or w64) to float.
                itof = Itof { fs: FSize, w: Width, signed: Sign, a: Val } -> Int, Float;

                // ---- floats: lanes ----
                vfadd = Vfadd { n: VecLen, fs: FSize, a: Val, b: Val } -> Vector, Float;
                vfsub = Vfsub { n: VecLen, fs: FSize, a: Val, b: Val } -> Vector, Float;
                vfmul = Vfmul { n: VecLen, fs: FSize, a: Val, b: Val } -> Vector, Float;
                vfdiv = Vfdiv { n: VecLen, fs: FSize, a: Val, b: Val } -> Vector, Float;
                vfsqrt = Vfsqrt { n: VecLen, fs: FSize, a: Val } -> Vector, Float;
                vfma = Vfma { n: VecLen, fs: FSize, a: Val, b: Val, c: Val } -> Vector, Float;
                vfminmax = Vfminmax { n: VecLen, op: MinMax, fs: FSize, a: Val, b: Val } -> Vector, Float;
                /// All ones where the comparison holds, else 0.
                vfcmp = Vfcmp { n: VecLen, cc: FloatCc, nans: Nans, fs: FSize, a: Val, b: Val } -> Vector, Float;
                vfround = Vfround { n: VecLen, fs: FSize, mode: Round, inexact: Inexact, a: Val } -> Vector, Float;
                /// One half of each unit's lanes (size `from`) to lanes twice as wide.
                vfwiden = Vfwiden { n: VecLen, from: FSize, half: Half, a: Val } -> Vector, Float;
                /// All lanes (size `from`) to half the size, in each unit's lower half; upper half 0.
                vfnarrow = Vfnarrow { n: VecLen, from: FSize, a: Val } -> Vector, Float;
                /// f32 lanes to f16, rounded that way, in each unit's lower half; upper half 0.
                vtohalf = Vtohalf { n: VecLen, mode: Round, a: Val } -> Vector, Float;
                /// Lanes to integers of the same size.
                vftoi = Vftoi { n: VecLen, fs: FSize, signed: Sign, mode: Round, over: Overflow, a: Val } -> Vector, Float;
                vitof = Vitof { n: VecLen, fs: FSize, signed: Sign, a: Val } -> Vector, Float;
                /// Low-precision estimate of f32 lanes.
                vestimate = Vestimate { n: VecLen, op: Estimate, a: Val } -> Vector, Float;
            }
            effects {
                /// Writes a state slot.
                put = Put { w: Width, slot: Slot, a: Val }, WritesState;
                /// Writes a vector to the state.
                vput = Vput { n: VecLen, slot: Slot, a: Val }, WritesState;
                /// Records how flags were set.
                set_flags = SetFlags { kind: FlagKind, w: Width, a: Val, b: Val, r: Val }, WritesState;
                /// The same where `c != 0`; else the record stays.
                set_flags_if = SetFlagsIf { c: Val, kind: FlagKind, w: Width, a: Val, b: Val, r: Val }, WritesState;
                /// Stores the low `w` bits.
                store = Store { w: Width, ord: Order, addr: Val, off: i32, a: Val }, Commits;
                vstore = Vstore { n: VecLen, addr: Val, off: i32, a: Val }, Commits;
                /// Faults as a store of `size` bytes would, without storing.
                probe_write = ProbeWrite { size: u8, addr: Val, off: i32 }, Loads;
                /// Disarms the exclusive monitor.
                clear_ex = ClearEx {}, Commits;
                fence = Fence { ord: Order }, Commits;
                /// Asks for the cache line there; never faults.
                prefetch = Prefetch { how: Locality, addr: Val, off: i32 }, Advises;
                /// Raises the trap (a `Trap` number) where `c != 0`.
                trap_if = TrapIf { trap: u8, c: Val }, Traps;
                /// Goes on `off` bytes behind the block's start where `c != 0` holds, or where it fails. Between the blocks of
                /// a trace; lifters end a block instead.
                side_exit = SideExit { when: When, c: Val, off: i32 }, Traps;
                /// Sets the floating-point environment (MXCSR layout). Ends the block afterwards.
                fpenv_set = FpenvSet { a: Val }, Commits;
            }
        }
    };
}
