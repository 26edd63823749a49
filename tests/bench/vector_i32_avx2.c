// The loops over integers with vectors of 256 bits.
// flags-x86_64: -O3 -mavx2
// flags-aarch64: none
#include "vector_i32.c"
