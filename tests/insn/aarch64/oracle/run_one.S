// Loads a record's registers, runs the code at `patch`, stores the registers in outrec. With SEQUENCES, which is their
// size, there are many, the record has the address of one, and that finds what belongs in x30 in TPIDR_EL0. The
// section is linked at a fixed address, so that pc-relative results are known; TPIDR_EL0 is the one
// register free to hold x30 when everything else belongs to the instruction.
#define SP_ 248
#define NZCV 256
#define FPCR 264
#define FPSR 272
#define CODE 280
#define STATUS 288
#define V 304
#ifdef SEQUENCES
    .section stub,"ax",%progbits
#else
    .section stub,"awx",%progbits
#endif
    .global run_one, patch, exits, faulted, inrec, outrec
    .balign 4096
run_one:
    stp x29,x30,[sp,#-16]!
    stp x19,x20,[sp,#-16]!
    stp x21,x22,[sp,#-16]!
    stp x23,x24,[sp,#-16]!
    stp x25,x26,[sp,#-16]!
    stp x27,x28,[sp,#-16]!
    stp d8,d9,[sp,#-16]!
    stp d10,d11,[sp,#-16]!
    stp d12,d13,[sp,#-16]!
    stp d14,d15,[sp,#-16]!
    ldr x1,=saved
    mov x2,sp
    str x2,[x1]
    mrs x2,tpidr_el0
    str x2,[x1,#8]
    mov x30,x0
    ldr x1,[x30,#FPCR]
    msr fpcr,x1
    ldr x1,[x30,#FPSR]
    msr fpsr,x1
    ldr x1,[x30,#NZCV]
    msr nzcv,x1
    .irp r,0,2,4,6,8,10,12,14,16,18,20,22,24,26,28,30
    ldr q\r,[x30,#V+16*\r]
    .endr
    .irp r,1,3,5,7,9,11,13,15,17,19,21,23,25,27,29,31
    ldr q\r,[x30,#V+16*\r]
    .endr
    ldr x1,[x30,#SP_]
    mov sp,x1
#ifdef SEQUENCES
    ldr x1,[x30,#240]
    msr tpidr_el0,x1
#endif
    .irp r,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29
    ldr x\r,[x30,#8*\r]
    .endr
    clrex
#ifdef SEQUENCES
    ldr x30,[x30,#CODE]
    br x30
    .org 0x1000
patch:
    .skip SEQUENCES
#else
    ldr x30,[x30,#240]
    b patch
    .org 0x1000
patch:
    .skip 4*80
#endif
exits:
    b 1f
    b 2f
1:  msr tpidr_el0,x30
    ldr x30,=outrec
    str xzr,[x30,#STATUS]
    b 4f
2:  msr tpidr_el0,x30
    ldr x30,=outrec
    str x0,[x30]
    mov x0,#1
    str x0,[x30,#STATUS]
    ldr x0,[x30]
    b 4f
faulted:
    msr tpidr_el0,x30
    ldr x30,=outrec
4:
    .irp r,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29
    str x\r,[x30,#8*\r]
    .endr
    mrs x0,tpidr_el0
    str x0,[x30,#240]
    mov x0,sp
    str x0,[x30,#SP_]
    mrs x0,nzcv
    str x0,[x30,#NZCV]
    mrs x0,fpcr
    str x0,[x30,#FPCR]
    mrs x0,fpsr
    str x0,[x30,#FPSR]
    .irp r,0,2,4,6,8,10,12,14,16,18,20,22,24,26,28,30
    str q\r,[x30,#V+16*\r]
    .endr
    .irp r,1,3,5,7,9,11,13,15,17,19,21,23,25,27,29,31
    str q\r,[x30,#V+16*\r]
    .endr
    msr fpcr,xzr
    msr fpsr,xzr
    ldr x1,=saved
    ldr x2,[x1,#8]
    msr tpidr_el0,x2
    ldr x2,[x1]
    mov sp,x2
    ldp d14,d15,[sp],#16
    ldp d12,d13,[sp],#16
    ldp d10,d11,[sp],#16
    ldp d8,d9,[sp],#16
    ldp x27,x28,[sp],#16
    ldp x25,x26,[sp],#16
    ldp x23,x24,[sp],#16
    ldp x21,x22,[sp],#16
    ldp x19,x20,[sp],#16
    ldp x29,x30,[sp],#16
    ret
    .ltorg
    .balign 4096
    .data
    .balign 16
outrec: .skip 1024
saved: .skip 16
