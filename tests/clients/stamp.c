/* Runs a client as a person at a terminal would, and says when it printed what: each line of its
 * output goes to stdout as "NS TEXT", NS being CLOCK_MONOTONIC. Clients that think they write to a
 * file would hold their lines back; so they get a terminal of their own. Linked statically, for it
 * runs in guests. One thread.
 *
 *     stamp [-r ROOT] [-u UID] [-n NICE] [-e PERIOD_MS] [-f FIFO] COMMAND ARGUMENT...
 *
 *     -r   the client's root directory, in which it starts in /tmp
 *     -u   the user, and group, that it runs as
 *     -n   its nice value
 *     -e   it is a short-lived one: run it again each PERIOD_MS
 *     -f   its lines come from this FIFO, which is made within ROOT; the terminal is for show
 *
 * Each run is enclosed in the lines "NS @start" and "NS @end STATUS"; STATUS of a program that was
 * killed is 128 and the signal. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S  UINT64_C(1000000000)
#define NS_PER_MS UINT64_C(1000000)
#define LINE_SIZE 4096

struct client {
	const char *root;
	const char *fifo;
	char **command;
	uint64_t period_ms;
	uid_t user;
	int nice;
};

/* Lines as they come in, in pieces. */
struct lines {
	char text[LINE_SIZE];
	size_t size;
	uint64_t begun_ns;
};

static uint64_t now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static void die(const char *what)
{
	(void)fprintf(stderr, "stamp: %s: %s\n", what, strerror(errno));
	exit(125);
}

/* A line counts from its first byte: some clients print what they have measured piece by piece. */
static void lines_add(struct lines *lines, const char *piece, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (lines->size == 0)
			lines->begun_ns = now_ns();
		if (piece[i] != '\n' && piece[i] != '\r' && lines->size < sizeof(lines->text) - 1) {
			lines->text[lines->size++] = piece[i];
		} else if (lines->size > 0) {
			lines->text[lines->size] = '\0';
			(void)printf("%" PRIu64 " %s\n", lines->begun_ns, lines->text);
			lines->size = 0;
		}
	}
}

/* In the child: becomes the client. */
static void become(const struct client *client)
{
	if (client->root != NULL && (chroot(client->root) != 0 || chdir("/tmp") != 0))
		die(client->root);
	if (client->nice != 0 && setpriority(PRIO_PROCESS, 0, client->nice) != 0)
		die("cannot change the priority");
	if (client->user != 0 &&
	    (setgroups(0, NULL) != 0 || setgid(client->user) != 0 || setuid(client->user) != 0))
		die("cannot change the user");
	(void)execvp(client->command[0], client->command);
	die(client->command[0]);
}

/* Both ends, so that it does not end when the client closes it between two lines. */
static int open_fifo(const struct client *client)
{
	char path[LINE_SIZE];

	(void)snprintf(path, sizeof(path), "%s%s", client->root != NULL ? client->root : "",
		       client->fifo);
	if (mkfifo(path, 0600) != 0 && errno != EEXIST)
		die(path);
	const int fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		die(path);
	return fd;
}

/* Passes on what comes until the client has closed its terminal. */
static void follow(int terminal, int fifo)
{
	struct lines lines = {.size = 0};
	struct pollfd sources[] = {
	    {.fd = terminal, .events = POLLIN},
	    {.fd = fifo, .events = POLLIN},
	};

	for (;;) {
		char piece[LINE_SIZE];

		if (poll(sources, 2, -1) < 0 && errno != EINTR)
			die("poll");
		if (sources[0].revents != 0) {
			const ssize_t got = read(terminal, piece, sizeof(piece));
			/* EIO: nobody has the other end of the terminal any more. */
			if (got <= 0)
				break;
			if (fifo < 0)
				lines_add(&lines, piece, (size_t)got);
		}
		if (sources[1].revents != 0) {
			const ssize_t got = read(fifo, piece, sizeof(piece));
			if (got > 0)
				lines_add(&lines, piece, (size_t)got);
		}
	}
	lines_add(&lines, "\n", 1);
}

static int run(const struct client *client, int fifo)
{
	struct winsize size = {.ws_row = 50, .ws_col = 200};
	int terminal = -1;
	int status = 0;

	(void)printf("%" PRIu64 " @start\n", now_ns());
	const pid_t pid = forkpty(&terminal, NULL, NULL, &size);
	if (pid < 0)
		die("forkpty");
	if (pid == 0)
		become(client);
	follow(terminal, fifo);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	(void)close(terminal);
	const int code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	(void)printf("%" PRIu64 " @end %d\n", now_ns(), code);
	return code;
}

static uint64_t number_or_die(const char *text)
{
	char *end = NULL;

	errno = 0;
	const uint64_t value = strtoull(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0') {
		(void)fprintf(stderr, "stamp: no number: '%s'\n", text);
		exit(125);
	}
	return value;
}

int main(int argc, char **argv)
{
	struct client client = {.user = 0};
	int option;

	while ((option = getopt(argc, argv, "+r:u:n:e:f:")) != -1) {
		if (option == 'r')
			client.root = optarg;
		else if (option == 'u')
			client.user = (uid_t)number_or_die(optarg);
		else if (option == 'n')
			client.nice = (int)number_or_die(optarg);
		else if (option == 'e')
			client.period_ms = number_or_die(optarg);
		else if (option == 'f')
			client.fifo = optarg;
		else
			return 2;
	}
	if (optind == argc) {
		(void)fprintf(stderr, "usage: stamp [-r ROOT] [-u UID] [-n NICE] [-e PERIOD_MS] "
				      "[-f FIFO] COMMAND ARGUMENT...\n");
		return 2;
	}
	client.command = argv + optind;
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	const int fifo = client.fifo != NULL ? open_fifo(&client) : -1;
	for (uint64_t when_ns = now_ns();;) {
		const int status = run(&client, fifo);
		if (client.period_ms == 0)
			return status;
		when_ns += client.period_ms * NS_PER_MS;
		const struct timespec when = {
		    .tv_sec = (time_t)(when_ns / NS_PER_S),
		    .tv_nsec = (long)(when_ns % NS_PER_S),
		};
		while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, NULL) == EINTR)
			;
	}
}
