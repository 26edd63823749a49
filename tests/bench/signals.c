// Signals that a program sends to itself, and the way back from their handlers.
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "share.h"

static volatile int count;

static void handler(int number)
{
	count += number == SIGUSR1;
}

int main(void)
{
	struct sigaction action;
	memset(&action, 0, sizeof action);
	action.sa_handler = handler;
	sigaction(SIGUSR1, &action, 0);
	for (int i = 0; i < 80000 / SHARE; i++)
		raise(SIGUSR1);
	printf("%d\n", count);
}
