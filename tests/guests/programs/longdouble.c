/* long double: 80 bits on x86-64, 128 on AArch64. Arithmetic, conversions, mathematics and printing, digit by digit. */
#define _GNU_SOURCE
#include <fenv.h>
#include <float.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const char *const numbers[] = {
	"0",      "-0",    "1",       "-1",         "0.5",     "1.5",     "2.5",      "3.14159265358979323846264338327950288",
	"1e-4000", "1e4000", "1e-4940", "1e-4950",  "1.1e4932", "123456789012345678901234567890", "0x1.fffffffffffffffep0",
	"0x1p-16445", "7e-3", "1e22",  "-42.42e10", "0.1",     "-273.15", "6.02214076e23", "9007199254740993", "18446744073709551615",
	"-9223372036854775808", "inf", "-inf", "nan", "1e308", "4.9406564584124654e-324", "33.333333333333333333333333",
};

static void print(const char *name, long double x)
{
	printf("%s %La %.36Lg %.5Le %.3Lf %LG\n", name, x, x, x, fabsl(x) < 1e30L ? x : 0.L, x);
}

static const struct {
	const char *name;
	long double (*function)(long double);
} functions[] = {
#define F(f) { #f, f##l }
	F(sqrt), F(cbrt), F(sin),  F(cos),  F(tan),   F(asin), F(acos),  F(atan), F(sinh),  F(cosh),      F(tanh),
	F(exp),  F(exp2), F(expm1), F(log), F(log2),  F(log10), F(log1p), F(logb), F(floor), F(ceil),     F(trunc),
	F(rint), F(nearbyint), F(round), F(roundeven), F(erf), F(erfc), F(lgamma), F(tgamma), F(fabs), F(asinh), F(atanh),
};

static void unary(long double x)
{
	for (size_t f = 0; f < COUNT(functions); f++)
		printf("%s(%Lg) = %.36Lg\n", functions[f].name, x, functions[f].function(x));
	int exponent;
	long double whole, part = modfl(x, &whole), mantissa = frexpl(x, &exponent);
	printf("parts %.36Lg %.36Lg %.36Lg", part, whole, mantissa);
	if (isfinite(x))
		printf(" %d", exponent);
	printf(" class %d %d\n", fpclassify(x), signbit(x) != 0);
	if (fabsl(x) < 1e18L)
		printf("to integers %lld %ld %d %lld\n", (long long)x, lroundl(x), (int)fmodl(x, 1e9L), llrintl(x));
	printf("to others %.17g %.9g\n", (double)x, (float)x);
}

static void binary(long double x, long double y)
{
	int quotient = 0;
	printf("%.36Lg %.36Lg %.36Lg %.36Lg", x + y, x - y, x * y, x / y);
	printf(" %.36Lg %.36Lg %.36Lg %.36Lg", fmodl(x, y), remainderl(x, y), atan2l(x, y), hypotl(x, y));
	printf(" %.36Lg %.36Lg", powl(fabsl(x), y), fmal(x, y, 1.25L));
	long double rest = remquol(x, y, &quotient);
	printf(" %.36Lg %.36Lg %.36Lg", rest, nextafterl(x, y), copysignl(x, y));
	printf(" %d%d%d%d%d\n", x < y, x <= y, x == y, x > y, isunordered(x, y));
}

static void rounding(void)
{
	static const int modes[] = { FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO };
	for (size_t m = 0; m < COUNT(modes); m++) {
		fesetround(modes[m]);
		volatile long double one = 1, three = 3, big = 1e15L;
		volatile long double third = one / three, sum = big + third;
		long whole = lrintl(-third * 5);
		double narrow = (double)third;
		fesetround(FE_TONEAREST);
		printf("mode %zu: %La %La %ld %a\n", m, third, sum, whole, narrow);
	}
	feclearexcept(FE_ALL_EXCEPT);
	volatile long double zero = 0, most = LDBL_MAX, least = LDBL_MIN;
	volatile long double result = 1 / zero;
	printf("division: %d\n", fetestexcept(FE_ALL_EXCEPT) == FE_DIVBYZERO);
	result = most * most;
	printf("overflow: %d\n", fetestexcept(FE_OVERFLOW) != 0);
	result = least * least;
	printf("underflow: %d\n", fetestexcept(FE_UNDERFLOW) != 0);
	result = zero / zero;
	printf("invalid: %d %d\n", fetestexcept(FE_INVALID) != 0, isnan(result));
}

int main(void)
{
	long double values[COUNT(numbers)];
	for (size_t i = 0; i < COUNT(numbers); i++) {
		values[i] = strtold(numbers[i], 0);
		print(numbers[i], values[i]);
		unary(values[i]);
	}
	for (size_t i = 0; i < COUNT(values); i++)
		for (size_t k = 0; k < COUNT(values); k++)
			binary(values[i], values[k]);
	rounding();
	long double sum = 0;
	for (int i = 1; i < 20000; i++)
		sum += 1 / (long double)i / i;
	printf("%.36Lg %.36Lg\n", sum, sqrtl(sum * 6));
	return 0;
}
