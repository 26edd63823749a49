// Children that execute a program: this one, with an argument, which ends at once.
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "share.h"

int main(int argc, char **argv)
{
	int sum = 0;
	if (argc > 1)
		return atoi(argv[1]) & 15;
	for (int i = 0; i < 150 / SHARE; i++) {
		char number[16];
		snprintf(number, sizeof number, "%d", i);
		fflush(stdout);
		pid_t child = fork();
		if (child < 0)
			return 1;
		if (child == 0) {
			execl(argv[0], argv[0], number, (char *)0);
			_exit(127);
		}
		int status;
		waitpid(child, &status, 0);
		sum += WEXITSTATUS(status);
	}
	printf("%d\n", sum);
}
