#include "common/carbon_poller.h"
#include "common/cleanup.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

static_assert(sizeof(struct carbon_answer) <= PIPE_BUF, "an answer is written whole or not at all");

#define POLLER_SHELL "/bin/sh"

/* After a failure it is tried again sooner; still not all the time. */
#define POLLER_RETRY_NS_MAX (30 * CLOCK_NS_PER_SECOND)
#define POLLER_WAIT_MS	    20 /* between two looks whether a command that said all has ended */

struct poller {
	struct carbon_poller_options options;
	const struct clock *clock;
	int fd; /* the pipe to the parent */
	char *text;
	pid_t running;		/* the command, leader of its group; 0 where none runs */
	struct wall_time ahead; /* of a file, when it was later than our clock; 0: none was yet */
	struct wall_time known; /* when we first saw a file of that time */
};

/* Milliseconds until `end`, for poll(2); 0 behind it. */
static int poller_left_ms(const struct poller *poller, struct mono_time end)
{
	uint64_t left_ns = clock_elapsed_ns(clock_now_mono(poller->clock), end);
	uint64_t left_ms = (left_ns + CLOCK_NS_PER_MS - 1) / CLOCK_NS_PER_MS;

	return left_ms > INT_MAX ? INT_MAX : (int)left_ms;
}

/* Ends when nobody listens any more. */
static void poller_watch(const struct poller *poller, int other_fd, int timeout_ms)
{
	struct pollfd fds[] = {{.fd = poller->fd, .events = 0}, {.fd = other_fd, .events = POLLIN}};

	(void)poll(fds, 2, timeout_ms);
	if (fds[0].revents != 0) {
		if (poller->running > 0)
			(void)kill(-poller->running, SIGKILL);
		_exit(0);
	}
}

/* A named pipe or a file system that hangs may hold up this process: that is what it is for. */
static int poller_read_all(const struct poller *poller, int fd, struct mono_time end,
			   size_t *ret_length, struct diag *diag)
{
	size_t used = 0;

	for (;;) {
		int left_ms = poller_left_ms(poller, end);
		ssize_t got;

		if (left_ms == 0)
			return diag_error(
			    diag, -ETIMEDOUT, "no answer within %u s",
			    (unsigned int)(poller->options.limit_ns / CLOCK_NS_PER_SECOND));
		poller_watch(poller, fd, left_ms);
		got = read(fd, poller->text + used, CARBON_READING_SIZE_MAX - used);
		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (got < 0)
			return diag_error(diag, -errno, "cannot be read: %s", strerror(errno));
		used += (size_t)got;
		if (used == CARBON_READING_SIZE_MAX)
			return diag_error(diag, -EFBIG, "there are more than %zu MiB",
					  CARBON_READING_SIZE_MAX >> 20);
		if (got == 0)
			break;
	}
	poller->text[used] = '\0';
	*ret_length = used;
	return 0;
}

/*
 * A number without a time is as old as its file. That may have been written by a machine whose
 * clock is ahead of ours, or before ours was set back: it would be fresh until ours has come there.
 * Such a file is as old as our own knowledge of it, and stays so when our clock has come there.
 */
static struct wall_time poller_file_time(struct poller *poller, const struct stat *stat)
{
	const struct wall_time now = clock_now_wall(poller->clock);
	const struct wall_time time = {(uint64_t)stat->st_mtim.tv_sec * CLOCK_NS_PER_SECOND +
				       (uint64_t)stat->st_mtim.tv_nsec};

	if (time.ns != poller->ahead.ns) {
		if (time.ns <= now.ns)
			return time;
		poller->ahead = time;
		poller->known = now;
	}
	return poller->known;
}

static int poller_file(struct poller *poller, struct carbon_reading *ret_reading, struct diag *diag)
{
	struct mono_time end = clock_now_mono(poller->clock);
	cleanup_fd int fd =
	    open(poller->options.argument, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct carbon_reading reading = {.has_time = false};
	struct stat stat;
	size_t length = 0;
	int status;

	end.ns += poller->options.limit_ns;
	if (fd < 0 || fstat(fd, &stat) < 0)
		return diag_error(diag, -errno, "cannot be opened: %s", strerror(errno));
	status = poller_read_all(poller, fd, end, &length, diag);
	if (status == 0)
		status = carbon_reading_parse(poller->text, length, clock_now_wall(poller->clock),
					      &reading, diag);
	if (status < 0)
		return status;
	if (!reading.has_time) {
		reading.has_time = true;
		reading.time = poller_file_time(poller, &stat);
	}
	*ret_reading = reading;
	return 0;
}

/* The shell, with the pipe as its output and in a group of its own, so that all of it can end. */
static int poller_spawn(struct poller *poller, int output_fd)
{
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (pid == 0) {
		(void)setpgid(0, 0);
		(void)signal(SIGPIPE, SIG_DFL);
		if (dup2(output_fd, STDOUT_FILENO) >= 0)
			(void)execl(POLLER_SHELL, "sh", "-c", poller->options.argument,
				    (char *)NULL);
		_exit(127);
	}
	/* Both do it: who comes first does not matter. */
	(void)setpgid(pid, pid);
	poller->running = pid;
	return 0;
}

/* Its exit status; a command that said all and does not end is ended at `end`. */
static int poller_reap(struct poller *poller, struct mono_time end)
{
	int wait_status = 0;
	pid_t ended = waitpid(poller->running, &wait_status, WNOHANG);

	while (ended == 0 && poller_left_ms(poller, end) > 0) {
		poller_watch(poller, -1, POLLER_WAIT_MS);
		ended = waitpid(poller->running, &wait_status, WNOHANG);
	}
	(void)kill(-poller->running, SIGKILL);
	if (ended == 0)
		(void)waitpid(poller->running, &wait_status, 0);
	poller->running = 0;
	/* What it left behind comes to this process, which is a subreaper. */
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	return wait_status;
}

static int poller_command(struct poller *poller, struct carbon_reading *ret_reading,
			  struct diag *diag)
{
	struct mono_time end = clock_now_mono(poller->clock);
	cleanup_fd int read_fd = -1;
	struct carbon_reading reading;
	int fds[2], wait_status, status;
	size_t length = 0;

	end.ns += poller->options.limit_ns;
	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return diag_error(diag, -errno, "cannot be run: %s", strerror(errno));
	read_fd = fds[0];
	/* Commands do not expect an output that does not wait for them. */
	(void)fcntl(fds[1], F_SETFL, 0);
	status = poller_spawn(poller, fds[1]);
	(void)close(fds[1]);
	if (status < 0)
		return diag_error(diag, status, "cannot be run: %s", strerror(-status));
	status = poller_read_all(poller, read_fd, end, &length, diag);
	if (status < 0)
		end.ns = 0;
	wait_status = poller_reap(poller, end);
	if (status < 0)
		return status;
	if (!WIFEXITED(wait_status) || WEXITSTATUS(wait_status) != 0)
		return diag_error(
		    diag, -EIO, "ended with %s %d; run it by hand to see what is wrong",
		    WIFEXITED(wait_status) ? "status" : "signal",
		    WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : WTERMSIG(wait_status));
	status = carbon_reading_parse(poller->text, length, clock_now_wall(poller->clock), &reading,
				      diag);
	if (status < 0)
		return status;
	if (!reading.has_time) {
		reading.has_time = true;
		reading.time = clock_now_wall(poller->clock);
	}
	*ret_reading = reading;
	return 0;
}

static void poller_run(struct poller *poller)
{
	for (;;) {
		struct carbon_answer answer;
		struct mono_time next = clock_now_mono(poller->clock);
		int left_ms;

		/* With its padding, which goes to the pipe. */
		memset(&answer, 0, sizeof(answer));
		next.ns += poller->options.period_ns;
		answer.status = poller->options.kind == CARBON_FILE
				    ? poller_file(poller, &answer.reading, &answer.reason)
				    : poller_command(poller, &answer.reading, &answer.reason);
		if (answer.status < 0 && poller->options.period_ns > POLLER_RETRY_NS_MAX)
			next.ns -= poller->options.period_ns - POLLER_RETRY_NS_MAX;
		if (write(poller->fd, &answer, sizeof(answer)) < 0 && errno == EPIPE)
			return;
		for (left_ms = poller_left_ms(poller, next); left_ms > 0;
		     left_ms = poller_left_ms(poller, next))
			poller_watch(poller, -1, left_ms);
	}
}

/*
 * Nothing of the parent's is kept: whoever waits for the other end of a descriptor that the parent
 * had must not wait for this process; nor do a terminal's keys reach it.
 */
static int poller_settle(int *fd)
{
	sigset_t none;
	int null_fd;

	(void)setsid();
	if (dup2(*fd, STDERR_FILENO + 1) < 0 || fcntl(STDERR_FILENO + 1, F_SETFD, FD_CLOEXEC) < 0)
		return -errno;
	*fd = STDERR_FILENO + 1;
	if (close_range(STDERR_FILENO + 2, ~0U, 0) < 0)
		return -errno;
	null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null_fd < 0)
		return -errno;
	for (int i = STDIN_FILENO; i <= STDERR_FILENO; i++)
		if (dup2(null_fd, i) < 0)
			return -errno;
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	for (int number = 1; number < NSIG; number++)
		(void)signal(number, SIG_DFL);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	/* What the unit gives for readings is not the command's (capabilities(7)). */
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	return 0;
}

/* The child of a child that ends at once is nobody's to wait for. */
static int poller_detach(struct poller *poller)
{
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (pid > 0) {
		int wait_status = 0;

		while (waitpid(pid, &wait_status, 0) < 0)
			if (errno != EINTR)
				return -errno;
		return WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0 ? 0 : -EAGAIN;
	}
	pid = fork();
	if (pid != 0)
		_exit(pid < 0 ? 1 : 0);
	if (poller_settle(&poller->fd) == 0)
		poller_run(poller);
	_exit(0);
}

int carbon_poller_start(const struct carbon_poller_options *options, const struct clock *clock,
			int *ret_fd, struct diag *diag)
{
	cleanup_free char *text = malloc(CARBON_READING_SIZE_MAX);
	struct poller poller = {.options = *options, .clock = clock, .text = text};
	cleanup_fd int read_fd = -1;
	int fds[2], status;

	assert(options->kind == CARBON_FILE || options->kind == CARBON_COMMAND);
	if (text == NULL)
		return diag_error(diag, -ENOMEM, "out of memory");
	if (pipe2(fds, O_CLOEXEC) < 0)
		return diag_error(diag, -errno, "cannot make a pipe: %s", strerror(errno));
	read_fd = fds[0];
	poller.fd = fds[1];
	status = fcntl(read_fd, F_SETFL, O_NONBLOCK) < 0 ? -errno : poller_detach(&poller);
	(void)close(fds[1]);
	if (status < 0)
		return diag_error(diag, status,
				  "cannot start the process that asks for the carbon intensity: %s",
				  strerror(-status));
	*ret_fd = TAKE_FD(read_fd);
	return 0;
}
