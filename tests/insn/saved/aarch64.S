// The sequences with their states, and the code that the AArch64 fuzzer's program runs single sequences by.
#define SEQUENCES SLOT_SIZE * CAPACITY
#include "../aarch64/oracle/run_one.S"
    .section inputs,"a",%progbits
    .global cases
    .balign 64
cases:
    .skip CASES_SIZE
    .section .note.GNU-stack,"",%progbits
