#include "fusefs/pid_file.h"
#include "common/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define PID_FILE_MODE	0600
#define PID_FILE_END_MS 10000

int pid_file_open(int dir_fd, const char *name, int *ret_fd)
{
	cleanup_fd int fd =
	    openat(dir_fd, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, PID_FILE_MODE);

	/* It may be there from before, and open to others. */
	if (fd < 0 || fchmod(fd, PID_FILE_MODE) < 0)
		return -errno;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static int pid_file_lock_by(int fd, int command)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	char text[32];
	int length;

	if (fcntl(fd, command, &lock) < 0)
		return errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;
	/* Of one width, and over what stands there: who reads it meanwhile finds a number. */
	length = snprintf(text, sizeof(text), "%-10" PRIdMAX "\n", (intmax_t)getpid());
	return pwrite(fd, text, (size_t)length, 0) == length ? 0 : -EIO;
}

int pid_file_lock(int fd)
{
	return pid_file_lock_by(fd, F_SETLK);
}

int pid_file_await(int fd)
{
	int status;

	do
		status = pid_file_lock_by(fd, F_SETLKW);
	while (status == -EINTR);
	return status;
}

bool pid_file_is_current(int fd, int dir_fd, const char *name)
{
	struct stat ours, named;

	return fstat(fd, &ours) == 0 && fstatat(dir_fd, name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
	       ours.st_dev == named.st_dev && ours.st_ino == named.st_ino;
}

/* The number of the process that holds the lock. */
static int pid_file_holder_pid(int fd, pid_t *ret_pid)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	if (fcntl(fd, F_GETLK, &lock) < 0)
		return -errno;
	if (lock.l_type == F_UNLCK)
		return -ESRCH;
	/* The kernel gives no number to a process of a PID namespace that is not ours. */
	if (lock.l_pid <= 0)
		return -EXDEV;
	*ret_pid = lock.l_pid;
	return 0;
}

int pid_file_holder(int fd, struct pid_file_holder *ret_holder)
{
	cleanup_fd int pidfd = -1;
	pid_t pid = 0;
	pid_t again = 0;
	int status = pid_file_holder_pid(fd, &pid);

	if (status < 0)
		return status;
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd < 0)
		return -errno;
	/*
	 * The number may have gone to another process before it was opened; but a number that holds
	 * the lock after that as well belongs to whom we have opened, or to nobody any more.
	 */
	status = pid_file_holder_pid(fd, &again);
	if (status < 0)
		return status;
	if (again != pid)
		return -ESRCH;
	*ret_holder = (struct pid_file_holder){.pid = pid, .pidfd = TAKE_FD(pidfd)};
	return 0;
}

int pid_file_end(const struct pid_file_holder *holder)
{
	struct pollfd polled = {.fd = holder->pidfd, .events = POLLIN};
	int count;

	if (syscall(SYS_pidfd_send_signal, holder->pidfd, SIGKILL, NULL, 0) < 0 && errno != ESRCH)
		return -errno;
	do
		count = poll(&polled, 1, PID_FILE_END_MS);
	while (count < 0 && errno == EINTR);
	if (count < 0)
		return -errno;
	return count == 0 ? -ETIMEDOUT : 0;
}
