// How much a program does: all of it for the benchmark, a part (-DSHARE=100: a hundredth) for the tests.
#ifndef SHARE
#define SHARE 1
#endif
