// Rounding modes, exception flags, unmasked exceptions where the architecture has them, conversions.
#define _GNU_SOURCE
#include <fenv.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>

static volatile double one = 1, three = 3, zero = 0, big = 1e300, tiny = 1e-300;

int main(void) {
    const int modes[] = {FE_TONEAREST, FE_DOWNWARD, FE_UPWARD, FE_TOWARDZERO};
    for (int i = 0; i < 4; i++) {
        fesetround(modes[i]);
        printf("%.17g %.17g %g %g\n", one / three, -one / three, rint(2.5), nearbyint(-0.5));
    }
    fesetround(FE_TONEAREST);
    feclearexcept(FE_ALL_EXCEPT);
    volatile double r = one / three;
    printf("inexact %d\n", fetestexcept(FE_ALL_EXCEPT) == FE_INEXACT);
    feclearexcept(FE_ALL_EXCEPT);
    r = one / zero;
    printf("division %d %g\n", fetestexcept(FE_ALL_EXCEPT) == FE_DIVBYZERO, r);
    feclearexcept(FE_ALL_EXCEPT);
    r = big * big;
    printf("overflow %d\n", fetestexcept(FE_ALL_EXCEPT) == (FE_OVERFLOW | FE_INEXACT));
    feclearexcept(FE_ALL_EXCEPT);
    r = tiny * tiny;
    printf("underflow %d\n", fetestexcept(FE_ALL_EXCEPT) == (FE_UNDERFLOW | FE_INEXACT));
    feclearexcept(FE_ALL_EXCEPT);
    r = zero / zero;
    printf("invalid %d %d\n", fetestexcept(FE_ALL_EXCEPT) == FE_INVALID, isnan(r) != 0);
    printf("%d %ld %u %.9g %.17g\n", (int)(big * 0 + 3.7), (long)-2.5, (unsigned)4000000000.0, (float)0.1, (double)(float)0.1);
    printf("%.15g %.15g %.15g %.15g\n", sin(1.0), exp(1.5), pow(2.5, 3.5), log(10.0));
    return 0;
}
