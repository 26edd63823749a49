// Loads a record's registers, runs the code that it names, stores the registers in the record at OUT. The section is
// linked at a fixed address; what is kept meanwhile is at fixed addresses too, because every register belongs to the
// sequence.
#define GPR(n) (832 + 8 * n)
#define CODE 960
#define EFLAGS 968
#define OUT 0x20181000
#define STACK 0x20180100
#define TARGET 0x20180108
    .section sequences,"ax",@progbits
    .global run_one, faulted
run_one:
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rsp,STACK
    mov CODE(%rdi),%rax
    mov %rax,TARGET
    mov $7,%eax
    xor %edx,%edx
    xrstor (%rdi)
    push EFLAGS(%rdi)
    popfq
    mov GPR(0)(%rdi),%rax
    mov GPR(1)(%rdi),%rcx
    mov GPR(2)(%rdi),%rdx
    mov GPR(3)(%rdi),%rbx
    mov GPR(4)(%rdi),%rsp
    mov GPR(5)(%rdi),%rbp
    mov GPR(6)(%rdi),%rsi
    mov GPR(8)(%rdi),%r8
    mov GPR(9)(%rdi),%r9
    mov GPR(10)(%rdi),%r10
    mov GPR(11)(%rdi),%r11
    mov GPR(12)(%rdi),%r12
    mov GPR(13)(%rdi),%r13
    mov GPR(14)(%rdi),%r14
    mov GPR(15)(%rdi),%r15
    mov GPR(7)(%rdi),%rdi
    jmp *TARGET
    .org 0x800
exit:
    mov %rax,OUT+GPR(0)
    mov %rcx,OUT+GPR(1)
    mov %rdx,OUT+GPR(2)
    mov %rbx,OUT+GPR(3)
    mov %rsp,OUT+GPR(4)
    mov %rbp,OUT+GPR(5)
    mov %rsi,OUT+GPR(6)
    mov %rdi,OUT+GPR(7)
    mov %r8,OUT+GPR(8)
    mov %r9,OUT+GPR(9)
    mov %r10,OUT+GPR(10)
    mov %r11,OUT+GPR(11)
    mov %r12,OUT+GPR(12)
    mov %r13,OUT+GPR(13)
    mov %r14,OUT+GPR(14)
    mov %r15,OUT+GPR(15)
    mov STACK,%rsp
    pushfq
    popq OUT+EFLAGS
    mov $7,%eax
    xor %edx,%edx
    xsave OUT
faulted:
    mov STACK,%rsp
    fninit
    ldmxcsr masked(%rip)
    vzeroupper
    cld
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    ret
    .balign 4
masked:
    .long 0x1f80
    .org 0x1000
    .skip SLOT_SIZE * CAPACITY
    .section inputs,"a",@progbits
    .global cases
    .balign 64
cases:
    .skip CASES_SIZE
    .section .note.GNU-stack,"",@progbits
