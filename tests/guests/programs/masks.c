// What handlers block: read in them, with handlers within handlers, several signals at once, and sigsuspend.
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static volatile int entered;

static void show(const char *where)
{
	sigset_t set;
	sigprocmask(SIG_BLOCK, 0, &set);
	printf("%s:", where);
	for (int signal = 1; signal < 65; signal++)
		if (sigismember(&set, signal) == 1)
			printf(" %d", signal);
	printf("\n");
}

static void first(int signal)
{
	printf("first %d\n", signal);
	show("in first");
	if (entered++ < 1) {
		sigset_t pending;
		raise(SIGUSR2);
		raise(SIGUSR1);
		sigpending(&pending);
		printf("pending: %d\n", sigismember(&pending, SIGUSR1));
	}
	printf("first ends\n");
}

static void second(int signal)
{
	printf("second %d\n", signal);
	show("in second");
	if (entered++ < 3)
		raise(SIGUSR2);
	printf("second ends\n");
}

static void block(int signals)
{
	sigset_t set;
	(signals ? sigfillset : sigemptyset)(&set);
	sigprocmask(SIG_SETMASK, &set, 0);
}

int main(void)
{
	struct sigaction action;
	memset(&action, 0, sizeof action);
	action.sa_handler = first;
	sigaddset(&action.sa_mask, SIGHUP);
	sigaction(SIGUSR1, &action, 0);
	memset(&action, 0, sizeof action);
	action.sa_handler = second;
	action.sa_flags = SA_NODEFER;
	sigaddset(&action.sa_mask, SIGALRM);
	sigaction(SIGUSR2, &action, 0);

	raise(SIGUSR1);
	show("after one");
	block(1);
	raise(SIGUSR2);
	raise(SIGUSR1);
	raise(SIGUSR2);
	block(0);
	show("after several");
	block(1);
	raise(SIGUSR1);
	raise(SIGUSR2);
	sigset_t open;
	sigfillset(&open);
	sigdelset(&open, SIGUSR1);
	int result = sigsuspend(&open);
	printf("%d %d\n", result, errno);
	show("after sigsuspend");
	block(0);
	show("at the end");
	// An action that changes while its signal waits.
	block(1);
	raise(SIGUSR2);
	action.sa_flags = 0;
	action.sa_handler = first;
	sigaction(SIGUSR2, &action, 0);
	block(0);
	show("after a change");
}
