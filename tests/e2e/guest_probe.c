/* What a test runs in a guest where a shell would be too slow or too coarse: a reader that keeps
 * its descriptor, a load with a duty cycle, and the guest's clock for whoever asks over TCP. Linked
 * statically, for the guest has no libraries of its own. One thread.
 *
 *     guest_probe read FILE PERIOD_US COUNT   one line per read: "BEFORE_NS AFTER_NS VALUE"
 *     guest_probe spin CPU PERCENT            keeps one CPU busy for so much of each 20 ms
 *     guest_probe clock PORT                  answers each byte with the time: "NS\n"
 *     guest_probe tamper FILE                 tries all that changes a file; one line per attempt
 *
 * `read` ends with status 1 at the first read that fails, is empty, goes back, or is no number;
 * `tamper` with 1 when one attempt succeeds. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S       UINT64_C(1000000000)
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

static int read_often(const char *path, uint64_t period_us, uint64_t count)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		(void)fprintf(stderr, "guest_probe: %s: %s\n", path, strerror(errno));
		return 1;
	}

	/* Whoever waits for the first line shall not wait for a full buffer. */
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	uint64_t last = 0;
	uint64_t when_ns = now_ns();
	for (uint64_t i = 0; i < count; i++) {
		char text[VALUE_SIZE];

		sleep_until(when_ns);
		when_ns += period_us * 1000;
		const uint64_t before_ns = now_ns();
		const ssize_t got = pread(fd, text, sizeof(text) - 1, 0);
		const uint64_t after_ns = now_ns();
		if (got <= 0 || text[got - 1] != '\n') {
			(void)fprintf(stderr, "guest_probe: read %" PRIu64 " of %s gave %zd: %s\n",
				      i, path, got,
				      got < 0 ? strerror(errno) : "empty or cut short");
			return 1;
		}
		text[got] = '\0';
		const uint64_t value = number_or_die(text);
		if (value < last) {
			(void)fprintf(stderr,
				      "guest_probe: went back from %" PRIu64 " to %" PRIu64 "\n",
				      last, value);
			return 1;
		}
		last = value;
		(void)printf("%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", before_ns, after_ns, value);
	}
	(void)close(fd);
	return 0;
}

static int spin(uint64_t cpu, uint64_t percent)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) != 0) {
		(void)fprintf(stderr, "guest_probe: CPU %" PRIu64 ": %s\n", cpu, strerror(errno));
		return 1;
	}
	const uint64_t busy_ns = SPIN_PERIOD_NS * percent / 100;
	uint64_t start_ns = now_ns();
	for (;;) {
		while (now_ns() - start_ns < busy_ns)
			;
		start_ns += SPIN_PERIOD_NS;
		if (percent < 100)
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

/* What an open for writing gives, closed again. */
static int open_for(const char *path, int flags)
{
	const int fd = open(path, flags | O_CLOEXEC, 0644);

	return fd < 0 ? -1 : close(fd);
}

/* Whether the attempt just made has succeeded; says what came of it. */
static int succeeded(const char *attempt, int result)
{
	(void)printf("%s: %s\n", attempt, result == 0 ? "DONE" : strerror(errno));
	return result == 0;
}

static int tamper(const char *path)
{
	char other[4096];
	int count = 0;

	(void)snprintf(other, sizeof(other), "%s-tampered", path);
	count += succeeded("write", open_for(path, O_WRONLY));
	count += succeeded("read and write", open_for(path, O_RDWR));
	count += succeeded("append", open_for(path, O_WRONLY | O_APPEND));
	count += succeeded("open and truncate", open_for(path, O_WRONLY | O_TRUNC));
	count += succeeded("truncate", truncate(path, 0));
	count += succeeded("chmod", chmod(path, 0666));
	count += succeeded("chown", chown(path, 1, 1));
	count += succeeded("set times", utimensat(AT_FDCWD, path, NULL, 0));
	count += succeeded("setxattr", setxattr(path, "user.wattport", "x", 1, 0));
	count += succeeded("removexattr", removexattr(path, "user.wattport"));
	count += succeeded("create", open_for(other, O_WRONLY | O_CREAT | O_EXCL));
	count += succeeded("mkdir", mkdir(other, 0755));
	count += succeeded("symlink", symlink(path, other));
	count += succeeded("link", link(path, other));
	count += succeeded("mknod", mknod(other, S_IFIFO | 0644, 0));
	count += succeeded("rename", rename(path, other));
	count += succeeded("unlink", unlink(path));
	return count == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
	if (argc == 5 && strcmp(argv[1], "read") == 0)
		return read_often(argv[2], number_or_die(argv[3]), number_or_die(argv[4]));
	if (argc == 4 && strcmp(argv[1], "spin") == 0)
		return spin(number_or_die(argv[2]), number_or_die(argv[3]));
	if (argc == 3 && strcmp(argv[1], "clock") == 0)
		return serve_clock(number_or_die(argv[2]));
	if (argc == 3 && strcmp(argv[1], "tamper") == 0)
		return tamper(argv[2]);
	(void)fprintf(stderr, "usage: guest_probe read FILE PERIOD_US COUNT | spin CPU PERCENT | "
			      "clock PORT | tamper FILE\n");
	return 2;
}
