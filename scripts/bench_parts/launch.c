// Runs a command and says what it took. A process's peak of memory includes what its parent had when it was born, so the
// parent has to be smaller than anything that is measured.
//
// usage: launch OUTPUT SECONDS COMMAND [ARGUMENT...]
//
// The command's output goes to the file OUTPUT, its errors to OUTPUT.err; after SECONDS it is killed. Prints seconds of
// user and system time, seconds of wall time, KiB at the peak, and the status as wait has it.
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static pid_t child;

static void out_of_time(int number)
{
	(void)number;
	kill(-child, SIGKILL);
}

static double seconds(struct timeval t)
{
	return t.tv_sec + t.tv_usec / 1e6;
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void redirect(int fd, const char *path, int flags)
{
	int opened = open(path, flags, 0666);
	if (opened < 0 || dup2(opened, fd) < 0)
		_exit(127);
	if (opened != fd)
		close(opened);
}

int main(int argc, char **argv)
{
	char errors[PATH_MAX];
	if (argc < 4)
		return 2;
	snprintf(errors, sizeof errors, "%s.err", argv[1]);
	double start = now();
	child = fork();
	if (child < 0)
		return 1;
	if (child == 0) {
		setpgid(0, 0);
		redirect(0, "/dev/null", O_RDONLY);
		redirect(1, argv[1], O_WRONLY | O_CREAT | O_TRUNC);
		redirect(2, errors, O_WRONLY | O_CREAT | O_TRUNC);
		execv(argv[3], argv + 3);
		perror(argv[3]);
		_exit(127);
	}
	setpgid(child, child);
	signal(SIGALRM, out_of_time);
	alarm(atoi(argv[2]));
	int status;
	struct rusage usage;
	while (wait4(child, &status, 0, &usage) != child)
		;
	double wall = now() - start, cpu = seconds(usage.ru_utime) + seconds(usage.ru_stime);
	printf("%.6f %.6f %ld %d\n", cpu, wall, usage.ru_maxrss, status);
}
