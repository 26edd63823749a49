// The loops over floats with vectors of 256 bits.
// flags-x86_64: -O3 -mavx2 -fno-math-errno
// flags-aarch64: none
#include "vector_f32.c"
