// Recursive Fibonacci: calls and returns.
#include <stdio.h>

#include "share.h"

__attribute__((noinline)) static int fib(int n)
{
	return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

int main(void)
{
	printf("%d\n", fib(SHARE > 1 ? 26 : 38));
}
