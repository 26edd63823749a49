//! VEX-encoded instructions: those with an SSE form have its semantics, with the differences that `sources`,
//! `read_vec` and `write_vector` know about; the rest has files of its own.

use guest::ir::VecLen;
use iced_x86::{EncodingKind, Instruction, Mnemonic as M, OpKind, Register};

macro_rules! sse_forms {
    ($($vex:ident = $sse:ident,)*) => {
        /// The SSE instruction that a VEX-encoded one extends.
        fn sse_form(mnemonic: M) -> Option<M> {
            Some(match mnemonic {
                $( M::$vex => M::$sse, )*
                _ => return None,
            })
        }
    };
}

#[rustfmt::skip]
sse_forms! {
    Vaddpd = Addpd, Vaddps = Addps, Vaddsd = Addsd, Vaddss = Addss, Vaddsubpd = Addsubpd,
    Vaddsubps = Addsubps, Vaesdec = Aesdec, Vaesdeclast = Aesdeclast, Vaesenc = Aesenc,
    Vaesenclast = Aesenclast, Vaesimc = Aesimc, Vaeskeygenassist = Aeskeygenassist, Vandnpd = Andnpd,
    Vandnps = Andnps, Vandpd = Andpd, Vandps = Andps, Vblendpd = Blendpd, Vblendps = Blendps,
    Vblendvpd = Blendvpd, Vblendvps = Blendvps, Vcmppd = Cmppd, Vcmpps = Cmpps, Vcmpsd = Cmpsd,
    Vcmpss = Cmpss, Vcomisd = Comisd, Vcomiss = Comiss, Vcvtdq2pd = Cvtdq2pd, Vcvtdq2ps = Cvtdq2ps,
    Vcvtpd2dq = Cvtpd2dq, Vcvtpd2ps = Cvtpd2ps, Vcvtps2dq = Cvtps2dq, Vcvtps2pd = Cvtps2pd,
    Vcvtsd2si = Cvtsd2si, Vcvtsd2ss = Cvtsd2ss, Vcvtsi2sd = Cvtsi2sd, Vcvtsi2ss = Cvtsi2ss,
    Vcvtss2sd = Cvtss2sd, Vcvtss2si = Cvtss2si, Vcvttpd2dq = Cvttpd2dq, Vcvttps2dq = Cvttps2dq,
    Vcvttsd2si = Cvttsd2si, Vcvttss2si = Cvttss2si, Vdivpd = Divpd, Vdivps = Divps, Vdivsd = Divsd,
    Vdivss = Divss, Vdppd = Dppd, Vdpps = Dpps, Vextractps = Extractps,
    Vgf2p8affineinvqb = Gf2p8affineinvqb, Vgf2p8affineqb = Gf2p8affineqb, Vgf2p8mulb = Gf2p8mulb,
    Vhaddpd = Haddpd, Vhaddps = Haddps, Vhsubpd = Hsubpd, Vhsubps = Hsubps, Vinsertps = Insertps,
    Vlddqu = Lddqu, Vldmxcsr = Ldmxcsr, Vmaskmovdqu = Maskmovdqu, Vmaxpd = Maxpd, Vmaxps = Maxps,
    Vmaxsd = Maxsd, Vmaxss = Maxss, Vminpd = Minpd, Vminps = Minps, Vminsd = Minsd, Vminss = Minss,
    Vmovapd = Movapd, Vmovaps = Movaps, Vmovd = Movd, Vmovddup = Movddup, Vmovdqa = Movdqa,
    Vmovdqu = Movdqu, Vmovhlps = Movhlps, Vmovhpd = Movhpd, Vmovhps = Movhps, Vmovlhps = Movlhps,
    Vmovlpd = Movlpd, Vmovlps = Movlps, Vmovmskpd = Movmskpd, Vmovmskps = Movmskps, Vmovntdq = Movntdq,
    Vmovntdqa = Movntdqa, Vmovntpd = Movntpd, Vmovntps = Movntps, Vmovq = Movq, Vmovsd = Movsd,
    Vmovshdup = Movshdup, Vmovsldup = Movsldup, Vmovss = Movss, Vmovupd = Movupd, Vmovups = Movups,
    Vmpsadbw = Mpsadbw, Vmulpd = Mulpd, Vmulps = Mulps, Vmulsd = Mulsd, Vmulss = Mulss, Vorpd = Orpd,
    Vorps = Orps, Vpabsb = Pabsb, Vpabsd = Pabsd, Vpabsw = Pabsw, Vpackssdw = Packssdw,
    Vpacksswb = Packsswb, Vpackusdw = Packusdw, Vpackuswb = Packuswb, Vpaddb = Paddb, Vpaddd = Paddd,
    Vpaddq = Paddq, Vpaddsb = Paddsb, Vpaddsw = Paddsw, Vpaddusb = Paddusb, Vpaddusw = Paddusw,
    Vpaddw = Paddw, Vpalignr = Palignr, Vpand = Pand, Vpandn = Pandn, Vpavgb = Pavgb, Vpavgw = Pavgw,
    Vpblendvb = Pblendvb, Vpblendw = Pblendw, Vpclmulqdq = Pclmulqdq, Vpcmpeqb = Pcmpeqb,
    Vpcmpeqd = Pcmpeqd, Vpcmpeqq = Pcmpeqq, Vpcmpeqw = Pcmpeqw, Vpcmpestri = Pcmpestri,
    Vpcmpestri64 = Pcmpestri64, Vpcmpestrm = Pcmpestrm, Vpcmpestrm64 = Pcmpestrm64, Vpcmpgtb = Pcmpgtb,
    Vpcmpgtd = Pcmpgtd, Vpcmpgtq = Pcmpgtq, Vpcmpgtw = Pcmpgtw, Vpcmpistri = Pcmpistri,
    Vpcmpistrm = Pcmpistrm, Vpextrb = Pextrb, Vpextrd = Pextrd, Vpextrq = Pextrq, Vpextrw = Pextrw,
    Vphaddd = Phaddd, Vphaddsw = Phaddsw, Vphaddw = Phaddw, Vphminposuw = Phminposuw, Vphsubd = Phsubd,
    Vphsubsw = Phsubsw, Vphsubw = Phsubw, Vpinsrb = Pinsrb, Vpinsrd = Pinsrd, Vpinsrq = Pinsrq,
    Vpinsrw = Pinsrw, Vpmaddubsw = Pmaddubsw, Vpmaddwd = Pmaddwd, Vpmaxsb = Pmaxsb, Vpmaxsd = Pmaxsd,
    Vpmaxsw = Pmaxsw, Vpmaxub = Pmaxub, Vpmaxud = Pmaxud, Vpmaxuw = Pmaxuw, Vpminsb = Pminsb,
    Vpminsd = Pminsd, Vpminsw = Pminsw, Vpminub = Pminub, Vpminud = Pminud, Vpminuw = Pminuw,
    Vpmovmskb = Pmovmskb, Vpmovsxbd = Pmovsxbd, Vpmovsxbq = Pmovsxbq, Vpmovsxbw = Pmovsxbw,
    Vpmovsxdq = Pmovsxdq, Vpmovsxwd = Pmovsxwd, Vpmovsxwq = Pmovsxwq, Vpmovzxbd = Pmovzxbd,
    Vpmovzxbq = Pmovzxbq, Vpmovzxbw = Pmovzxbw, Vpmovzxdq = Pmovzxdq, Vpmovzxwd = Pmovzxwd,
    Vpmovzxwq = Pmovzxwq, Vpmuldq = Pmuldq, Vpmulhrsw = Pmulhrsw, Vpmulhuw = Pmulhuw, Vpmulhw = Pmulhw,
    Vpmulld = Pmulld, Vpmullw = Pmullw, Vpmuludq = Pmuludq, Vpor = Por, Vpsadbw = Psadbw, Vpshufb = Pshufb,
    Vpshufd = Pshufd, Vpshufhw = Pshufhw, Vpshuflw = Pshuflw, Vpsignb = Psignb, Vpsignd = Psignd,
    Vpsignw = Psignw, Vpslld = Pslld, Vpslldq = Pslldq, Vpsllq = Psllq, Vpsllw = Psllw, Vpsrad = Psrad,
    Vpsraw = Psraw, Vpsrld = Psrld, Vpsrldq = Psrldq, Vpsrlq = Psrlq, Vpsrlw = Psrlw, Vpsubb = Psubb,
    Vpsubd = Psubd, Vpsubq = Psubq, Vpsubsb = Psubsb, Vpsubsw = Psubsw, Vpsubusb = Psubusb,
    Vpsubusw = Psubusw, Vpsubw = Psubw, Vptest = Ptest, Vpunpckhbw = Punpckhbw, Vpunpckhdq = Punpckhdq,
    Vpunpckhqdq = Punpckhqdq, Vpunpckhwd = Punpckhwd, Vpunpcklbw = Punpcklbw, Vpunpckldq = Punpckldq,
    Vpunpcklqdq = Punpcklqdq, Vpunpcklwd = Punpcklwd, Vpxor = Pxor, Vrcpps = Rcpps, Vrcpss = Rcpss,
    Vroundpd = Roundpd, Vroundps = Roundps, Vroundsd = Roundsd, Vroundss = Roundss, Vrsqrtps = Rsqrtps,
    Vrsqrtss = Rsqrtss, Vshufpd = Shufpd, Vshufps = Shufps, Vsqrtpd = Sqrtpd, Vsqrtps = Sqrtps,
    Vsqrtsd = Sqrtsd, Vsqrtss = Sqrtss, Vstmxcsr = Stmxcsr, Vsubpd = Subpd, Vsubps = Subps, Vsubsd = Subsd,
    Vsubss = Subss, Vucomisd = Ucomisd, Vucomiss = Ucomiss, Vunpckhpd = Unpckhpd, Vunpckhps = Unpckhps,
    Vunpcklpd = Unpcklpd, Vunpcklps = Unpcklps, Vxorpd = Xorpd, Vxorps = Xorps,
}

/// The mnemonic whose semantics the instruction has; none for encodings that no model has.
pub(super) fn semantics(insn: &Instruction) -> Option<M> {
    let mnemonic = insn.mnemonic();
    match insn.encoding() {
        EncodingKind::Legacy => Some(mnemonic),
        EncodingKind::VEX => Some(sse_form(mnemonic).unwrap_or(mnemonic)),
        _ => None,
    }
}

/// The length of the instruction's vectors: where only memory is long, of that.
pub(super) fn length(insn: &Instruction) -> VecLen {
    let ymm = |op| insn.op_kind(op) == OpKind::Register && insn.op_register(op).is_ymm();
    let long = (0..insn.op_count()).any(ymm) || insn.memory_size().size() == 32;
    if long { VecLen::X2 } else { VecLen::X1 }
}

/// Whether a gather's destination, index and mask are three registers, as they must be.
pub(super) fn gathers_apart(insn: &Instruction) -> bool {
    let number = |reg: Register| reg.number();
    let (to, mask) = (number(insn.op_register(0)), number(insn.op_register(2)));
    let index = number(insn.memory_index());
    to != mask && to != index && mask != index
}
