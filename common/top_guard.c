#include "common/top_guard.h"
#include "common/cleanup.h"

#include <curses.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

/* The child. What a terminal sends to all of its group is not meant for it, and it has to change
 * the terminal when its group no longer owns it, for which SIGTTOU would stop it. */
__attribute__((noreturn)) static void top_guard_wait(int fd)
{
	sigset_t all;
	ssize_t size;
	char word;

	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, NULL);
	do
		size = read(fd, &word, 1);
	while (size < 0 && errno == EINTR);
	if (size == 0)
		(void)endwin();
	_exit(EXIT_SUCCESS);
}

int top_guard_start(struct top_guard *ret_guard)
{
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid < 0) {
		const int error = -errno;

		(void)close(ends[0]);
		(void)close(ends[1]);
		return error;
	}
	if (pid == 0) {
		(void)close(ends[1]);
		top_guard_wait(ends[0]);
	}
	(void)close(ends[0]);
	*ret_guard = (struct top_guard){.pid = pid, .fd = ends[1]};
	return 0;
}

void top_guard_stop(struct top_guard *guard)
{
	if (guard->pid <= 0)
		return;
	/* Any word: it ends without touching the terminal. */
	(void)!write(guard->fd, "", 1);
	(void)close(guard->fd);
	while (waitpid(guard->pid, NULL, 0) < 0 && errno == EINTR)
		;
	guard->pid = 0;
}
