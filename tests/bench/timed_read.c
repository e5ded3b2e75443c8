/*
 * What one read costs: opens every FILE once, then reads all of them in turn with pread(2) at 0, as
 * the sampler reads schedstat and a RAPL client reads energy_uj.
 *
 *     timed_read ROUNDS FILE...
 *
 * Prints the nanoseconds of one read: of the quickest of BATCHES batches of ROUNDS rounds, and of
 * the middle one. What disturbs a batch only makes it longer, so the quickest says most.
 */
#include "common/clock.h"
#include "common/parse.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BATCHES	     21
#define BATCH_MIDDLE 10 /* half of BATCHES */
#define FILE_MAX     4096

static int compare_u64(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

	return (a > b) - (a < b);
}

static int read_all(const int fds[], size_t count)
{
	char buffer[4096];

	for (size_t i = 0; i < count; i++)
		if (pread(fds[i], buffer, sizeof(buffer), 0) <= 0)
			return -EIO;
	return 0;
}

/* The duration of one batch, in ret_elapsed_ns. */
static int time_batch(const int fds[], size_t count, uint64_t rounds, uint64_t *ret_elapsed_ns)
{
	struct mono_time begin = clock_now_mono(clock_real());

	for (uint64_t i = 0; i < rounds; i++) {
		int status = read_all(fds, count);

		if (status < 0)
			return status;
	}
	*ret_elapsed_ns = clock_elapsed_ns(begin, clock_now_mono(clock_real()));
	return 0;
}

int main(int argc, char **argv)
{
	static int fds[FILE_MAX];
	uint64_t rounds, elapsed_ns[BATCHES];
	size_t count = argc > 2 ? (size_t)argc - 2 : 0;
	double reads;

	if (count == 0 || count > FILE_MAX || parse_u64(argv[1], &rounds) < 0 || rounds == 0) {
		(void)fprintf(stderr, "usage: timed_read ROUNDS FILE...\n");
		return 2;
	}
	for (size_t i = 0; i < count; i++) {
		fds[i] = open(argv[i + 2], O_RDONLY | O_CLOEXEC);
		if (fds[i] < 0) {
			(void)fprintf(stderr, "%s: %s\n", argv[i + 2], strerror(errno));
			return 1;
		}
	}
	for (size_t i = 0; i < BATCHES; i++) {
		if (time_batch(fds, count, rounds, &elapsed_ns[i]) < 0) {
			(void)fprintf(stderr, "a read failed\n");
			return 1;
		}
	}
	qsort(elapsed_ns, BATCHES, sizeof(elapsed_ns[0]), compare_u64);
	reads = (double)rounds * (double)count;
	printf("%.1f %.1f\n", (double)elapsed_ns[0] / reads,
	       (double)elapsed_ns[BATCH_MIDDLE] / reads);
	return 0;
}
