#include "tests/raplsim/run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/raplsim/cleanup.h"
#include "tests/raplsim/control.h"
#include "tests/raplsim/mount.h"
#include "tests/raplsim/sysroot.h"

#define PATH_SIZE 64

static int say(const char *what, int error)
{
	(void)fprintf(stderr, "raplsim: %s: %s\n", what, strerror(-error));
	return 1;
}

static int open_signals(void)
{
	sigset_t signals;
	int fd;

	(void)signal(SIGPIPE, SIG_IGN);
	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGTERM);
	(void)sigaddset(&signals, SIGINT);
	(void)sigaddset(&signals, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0)
		return -errno;
	fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

static int write_pid_file(const char *path)
{
	cleanup_file FILE *file = NULL;

	if (!path)
		return 0;
	file = fopen(path, "we");
	if (!file || fprintf(file, "%d\n", (int)getpid()) < 0 || fflush(file) != 0)
		return -errno;
	return 0;
}

/* Serves until a signal, `quit` or an unmount by somebody else ends it. */
static int serve(struct simulator *simulator, struct mount *mount, struct control *control,
		 int signal_fd)
{
	while (!simulator->quit) {
		struct pollfd fds[CONTROL_POLL_FDS_MAX + 2] = {
		    {.fd = signal_fd, .events = POLLIN}, {.fd = mount_fd(mount), .events = POLLIN}};
		size_t count = control_poll_fds(control, fds + 2);

		if (poll(fds, 2 + count, mount_send_due(mount)) < 0 && errno != EINTR)
			return -errno;
		if (fds[0].revents != 0)
			return 0;
		if (fds[1].revents != 0) {
			int r = mount_serve(mount);

			if (r < 0)
				return r;
		}
		control_serve(control, simulator, fds + 2, count);
	}
	return 0;
}

/* Tells the parent, or whoever reads stdout, and lets go of the terminal. */
static int announce(int ready_fd)
{
	cleanup_fd int null_fd = -1;

	if (ready_fd < 0) {
		(void)puts("ready");
		return fflush(stdout) == 0 ? 0 : -errno;
	}
	null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null_fd < 0)
		return -errno;
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (dup2(null_fd, fd) < 0)
			return -errno;
	}
	return write(ready_fd, "r", 1) == 1 ? 0 : -errno;
}

static int mount_and_serve(const struct options *options, int dir_fd, struct control *control,
			   int ready_fd)
{
	struct simulator simulator;
	struct mount *mount = NULL;
	char path[PATH_SIZE];
	cleanup_fd int signal_fd = open_signals();
	int r;

	if (signal_fd < 0)
		return say("signals", signal_fd);
	r = simulator_init(&simulator, &options->simulator);
	if (r < 0)
		return say("cannot lay out the host (is the start value beyond the counter?)", r);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d/sys", dir_fd);
	r = mount_create(&simulator, path, &mount);
	if (r < 0) {
		simulator_finish(&simulator);
		return say("cannot mount (is there /dev/fuse, and are you root?)", r);
	}
	r = write_pid_file(options->pid_file);
	if (r < 0)
		(void)say(options->pid_file, r);
	if (r == 0) {
		r = announce(ready_fd);
		if (r == 0)
			r = serve(&simulator, mount, control, signal_fd);
		if (r < 0)
			(void)say("stopped", r);
	}
	mount_destroy(mount);
	simulator_finish(&simulator);
	if (options->pid_file)
		(void)unlink(options->pid_file);
	return r < 0 ? 1 : 0;
}

static int run_here(const struct options *options, int ready_fd)
{
	cleanup_fd int dir_fd = sysroot_open(options->dir);
	struct control *control = NULL;
	int status;
	int r;

	if (dir_fd < 0)
		return say(options->dir, dir_fd);
	r = control_create(dir_fd, &control);
	if (r == -EADDRINUSE) {
		(void)fprintf(stderr,
			      "raplsim: a simulator runs in %s already; end it with "
			      "`raplsim ctl %s quit`\n",
			      options->dir, options->dir);
		return 1;
	}
	if (r < 0)
		return say("cannot listen in the directory", r);
	r = sysroot_prepare(dir_fd);
	if (r < 0)
		status = say("cannot prepare the directory", r);
	else
		status = mount_and_serve(options, dir_fd, control, ready_fd);
	sysroot_clean(dir_fd);
	control_destroy(control);
	return status;
}

/* The parent's end: waits for the child's byte, or for its failure. */
static int await_child(pid_t child, int ready_fd)
{
	char byte;
	int status;

	if (read(ready_fd, &byte, 1) == 1) {
		(void)puts("ready");
		return fflush(stdout) == 0 ? 0 : 1;
	}
	if (waitpid(child, &status, 0) < 0)
		return 1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

int run(const struct options *options)
{
	cleanup_fd int read_fd = -1;
	cleanup_fd int write_fd = -1;
	int fds[2];
	pid_t child;

	if (options->foreground)
		return run_here(options, -1);
	if (pipe2(fds, O_CLOEXEC) < 0)
		return say("pipe", -errno);
	read_fd = fds[0];
	write_fd = fds[1];
	child = fork();
	if (child < 0)
		return say("fork", -errno);
	if (child > 0) {
		/* Our copy would keep the pipe open after a child that fails. */
		(void)close(TAKE_FD(write_fd));
		return await_child(child, read_fd);
	}
	(void)setsid();
	return run_here(options, write_fd);
}
