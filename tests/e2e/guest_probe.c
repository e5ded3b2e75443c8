/* What a test runs in a guest where a shell would be too slow or too coarse: a reader that keeps
 * its descriptor, a load with a duty cycle, and the guest's clock for whoever asks over TCP. Linked
 * statically, for the guest has no libraries of its own. One thread.
 *
 *     guest_probe read FILE PERIOD_US COUNT   one line per read: "BEFORE_NS AFTER_NS VALUE"
 *     guest_probe poll FILE SECONDS HOW       reads as fast as it can, on one descriptor (kept) or
 * on a new one each time (fresh); one line at the end: "READS LONGEST_NS VALUE" guest_probe spin
 * CPU PERCENT            keeps one CPU busy for so much of each 20 ms guest_probe wave CPU
 * PERIOD_MS          keeps one CPU busy for the first half of each period guest_probe clock PORT
 * answers each byte with the time: "NS\n"
 *
 * `read` and `poll` end with status 1 at the first read that fails, is empty, goes back, or is no
 * number; `poll` also at the first that gives the same as another one a millisecond before. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S       UINT64_C(1000000000)
#define NS_PER_MS      UINT64_C(1000000)
#define SPIN_PERIOD_NS UINT64_C(20000000)
#define VALUE_SIZE     64

static uint64_t now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static void sleep_until(uint64_t when_ns)
{
	const struct timespec when = {
	    .tv_sec = (time_t)(when_ns / NS_PER_S),
	    .tv_nsec = (long)(when_ns % NS_PER_S),
	};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, NULL) == EINTR)
		;
}

static uint64_t number_or_die(const char *text)
{
	char *end = NULL;

	errno = 0;
	const uint64_t value = strtoull(text, &end, 10);
	if (errno != 0 || end == text || (*end != '\0' && *end != '\n')) {
		(void)fprintf(stderr, "guest_probe: no number: '%s'\n", text);
		exit(1);
	}
	return value;
}

/* One read of a counter, or the end. */
static uint64_t value_or_die(int fd, const char *path)
{
	char text[VALUE_SIZE];
	const ssize_t got = pread(fd, text, sizeof(text) - 1, 0);

	if (got <= 0 || text[got - 1] != '\n') {
		(void)fprintf(stderr, "guest_probe: a read of %s gave %zd: %s\n", path, got,
			      got < 0 ? strerror(errno) : "empty or cut short");
		exit(1);
	}
	text[got] = '\0';
	return number_or_die(text);
}

static int open_or_die(const char *path)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		(void)fprintf(stderr, "guest_probe: %s: %s\n", path, strerror(errno));
		exit(1);
	}
	return fd;
}

static void check_order(uint64_t last, uint64_t value)
{
	if (value >= last)
		return;
	(void)fprintf(stderr, "guest_probe: went back from %" PRIu64 " to %" PRIu64 "\n", last,
		      value);
	exit(1);
}

static int read_often(const char *path, uint64_t period_us, uint64_t count)
{
	const int fd = open_or_die(path);

	/* Whoever waits for the first line shall not wait for a full buffer. */
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	uint64_t last = 0;
	uint64_t when_ns = now_ns();
	for (uint64_t i = 0; i < count; i++) {
		sleep_until(when_ns);
		when_ns += period_us * 1000;
		const uint64_t before_ns = now_ns();
		const uint64_t value = value_or_die(fd, path);
		const uint64_t after_ns = now_ns();
		check_order(last, value);
		last = value;
		(void)printf("%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", before_ns, after_ns, value);
	}
	(void)close(fd);
	return 0;
}

/* Two reads a millisecond apart: the first had ended when the second began. */
static int poll_hard(const char *path, uint64_t seconds, bool fresh)
{
	const uint64_t end_ns = now_ns() + seconds * NS_PER_S;
	int fd = open_or_die(path);
	uint64_t reads = 0, longest_ns = 0, value = 0, known_ns = 0, after_ns = 0;

	while (after_ns < end_ns) {
		const uint64_t before_ns = now_ns();
		if (fresh) {
			(void)close(fd);
			fd = open_or_die(path);
		}
		const uint64_t next = value_or_die(fd, path);
		after_ns = now_ns();
		check_order(value, next);
		if (next != value) {
			value = next;
			known_ns = after_ns;
		} else if (before_ns > known_ns && before_ns - known_ns >= NS_PER_MS) {
			(void)fprintf(stderr,
				      "guest_probe: stood at %" PRIu64 " for %" PRIu64 " ns\n",
				      value, before_ns - known_ns);
			return 1;
		}
		if (after_ns - before_ns > longest_ns)
			longest_ns = after_ns - before_ns;
		reads++;
	}
	(void)close(fd);
	(void)printf("%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", reads, longest_ns, value);
	return 0;
}

static void stay_on_or_die(uint64_t cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) == 0)
		return;
	(void)fprintf(stderr, "guest_probe: CPU %" PRIu64 ": %s\n", cpu, strerror(errno));
	exit(1);
}

/* Busy for the first part of each period, for ever. */
static _Noreturn void spin(uint64_t cpu, uint64_t busy_ns, uint64_t period_ns)
{
	stay_on_or_die(cpu);
	uint64_t start_ns = now_ns();
	for (;;) {
		while (now_ns() - start_ns < busy_ns)
			;
		start_ns += period_ns;
		if (busy_ns < period_ns)
			sleep_until(start_ns);
	}
}

static int serve_clock(uint64_t port)
{
	const struct sockaddr_in address = {
	    .sin_family = AF_INET,
	    .sin_port = htons((uint16_t)port),
	    .sin_addr.s_addr = htonl(INADDR_ANY),
	};
	const int one = 1;
	const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (listener < 0 ||
	    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0 ||
	    bind(listener, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
	    listen(listener, 1) != 0) {
		(void)fprintf(stderr, "guest_probe: port %" PRIu64 ": %s\n", port, strerror(errno));
		return 1;
	}
	for (;;) {
		char byte;
		const int peer = accept(listener, NULL, NULL);

		if (peer < 0)
			continue;
		(void)setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		while (read(peer, &byte, 1) == 1)
			dprintf(peer, "%" PRIu64 "\n", now_ns());
		(void)close(peer);
	}
}

int main(int argc, char **argv)
{
	if (argc == 5 && strcmp(argv[1], "read") == 0)
		return read_often(argv[2], number_or_die(argv[3]), number_or_die(argv[4]));
	if (argc == 5 && strcmp(argv[1], "poll") == 0)
		return poll_hard(argv[2], number_or_die(argv[3]), strcmp(argv[4], "fresh") == 0);
	if (argc == 4 && strcmp(argv[1], "spin") == 0)
		spin(number_or_die(argv[2]), SPIN_PERIOD_NS * number_or_die(argv[3]) / 100,
		     SPIN_PERIOD_NS);
	if (argc == 4 && strcmp(argv[1], "wave") == 0)
		spin(number_or_die(argv[2]), NS_PER_MS * number_or_die(argv[3]) / 2,
		     NS_PER_MS * number_or_die(argv[3]));
	if (argc == 3 && strcmp(argv[1], "clock") == 0)
		return serve_clock(number_or_die(argv[2]));
	(void)fprintf(
	    stderr,
	    "usage: guest_probe read FILE PERIOD_US COUNT | poll FILE SECONDS kept|fresh | spin "
	    "CPU PERCENT | wave CPU PERIOD_MS | clock PORT\n");
	return 2;
}
