/*
 * Processes by the thousand, for tests of who is told what each of them has used. Linked
 * statically, so that each is cheap and guests can run it, too. One thread.
 *
 *     crowd short COUNT MS UID   so many processes one after the other, each of so much CPU time;
 * then one line: "CPU_NS CPU_NS", what all of them have used, and what they have with this one
 *     crowd living COUNT BUSY MS   so many processes that sleep until this one ends, after so many
 * of them have used so much CPU time; a line as soon as all are there
 *
 * Neither depends on how fast the machine is: CPU time is what is counted.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S  UINT64_C(1000000000)
#define NS_PER_US UINT64_C(1000)
#define NS_PER_MS UINT64_C(1000000)

static uint64_t number_or_die(const char *text)
{
	char *end = NULL;

	errno = 0;
	const uint64_t value = strtoull(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0') {
		(void)fprintf(stderr, "crowd: no number: '%s'\n", text);
		exit(2);
	}
	return value;
}

static pid_t fork_or_die(void)
{
	const pid_t child = fork();

	if (child >= 0)
		return child;
	(void)fprintf(stderr, "crowd: fork: %s\n", strerror(errno));
	exit(1);
}

static uint64_t used_ns(void)
{
	struct timespec used;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	return (uint64_t)used.tv_sec * NS_PER_S + (uint64_t)used.tv_nsec;
}

static uint64_t time_ns(struct timeval time)
{
	return (uint64_t)time.tv_sec * NS_PER_S + (uint64_t)time.tv_usec * NS_PER_US;
}

static uint64_t ended_ns(void)
{
	struct rusage used;

	(void)getrusage(RUSAGE_CHILDREN, &used);
	return time_ns(used.ru_utime) + time_ns(used.ru_stime);
}

static void use(uint64_t how_much_ns)
{
	while (used_ns() < how_much_ns)
		;
}

static int run_short(uint64_t count, uint64_t each_ns, uid_t uid)
{
	if (setgid(uid) != 0 || setuid(uid) != 0) {
		(void)fprintf(stderr, "crowd: user %u: %s\n", uid, strerror(errno));
		return 1;
	}
	for (uint64_t i = 0; i < count; i++) {
		const pid_t child = fork_or_die();

		if (child == 0) {
			use(each_ns);
			_exit(0);
		}
		if (waitpid(child, NULL, 0) != child)
			return 1;
	}
	(void)printf("%" PRIu64 " %" PRIu64 "\n", ended_ns(), ended_ns() + used_ns());
	return 0;
}

static int run_living(uint64_t count, uint64_t busy, uint64_t each_ns)
{
	const pid_t parent = getpid();

	for (uint64_t i = 0; i < count; i++) {
		if (fork_or_die() > 0)
			continue;
		/* None outlives it; it may have ended before this was asked for. */
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (i < busy)
			use(each_ns);
		while (getppid() == parent)
			(void)pause();
		_exit(0);
	}
	(void)printf("%" PRIu64 " live\n", count);
	(void)fflush(stdout);
	for (;;)
		(void)pause();
}

int main(int argc, char **argv)
{
	if (argc == 5 && strcmp(argv[1], "short") == 0)
		return run_short(number_or_die(argv[2]), number_or_die(argv[3]) * NS_PER_MS,
				 (uid_t)number_or_die(argv[4]));
	if (argc == 5 && strcmp(argv[1], "living") == 0)
		return run_living(number_or_die(argv[2]), number_or_die(argv[3]),
				  number_or_die(argv[4]) * NS_PER_MS);
	(void)fprintf(stderr, "usage: crowd short COUNT MS UID | living COUNT BUSY MS\n");
	return 2;
}
