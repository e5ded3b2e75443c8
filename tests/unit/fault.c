#include "tests/unit/fault.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/types.h>

/* cmocka gives wrappers no argument to keep state in. */
static struct {
	atomic_uint calls, left;
	atomic_int error;
	atomic_bool happened, elsewhere;
	atomic_uint write_size_max, read_size_max;
} fault;

/* Where fault_arm() was called. */
static _Thread_local bool fault_here;

static void fault_set(unsigned calls, unsigned nth, int error, bool elsewhere)
{
	fault.left = 0;
	fault_here = true;
	fault.elsewhere = elsewhere;
	fault.calls = calls;
	fault.error = error;
	fault.happened = false;
	fault.left = nth;
}

void fault_arm(unsigned calls, unsigned nth, int error)
{
	fault_set(calls, nth, error, false);
}

void fault_arm_elsewhere(unsigned calls, unsigned nth, int error)
{
	fault_set(calls, nth, error, true);
}

bool fault_disarm(void)
{
	fault.left = 0;
	fault.write_size_max = 0;
	fault.read_size_max = 0;
	return fault.happened;
}

bool fault_happened(void)
{
	return fault.happened;
}

void fault_limit_writes(unsigned size)
{
	fault.write_size_max = size;
}

void fault_limit_reads(unsigned size)
{
	fault.read_size_max = size;
}

static size_t fault_cut(size_t size, unsigned size_max)
{
	return size_max > 0 && size > size_max ? size_max : size;
}

/* 0, or the error of the call that is about to be made. */
static int fault_of(enum fault_call call)
{
	unsigned left = fault.left;

	if ((fault.calls & (unsigned)call) == 0 || fault_here == fault.elsewhere)
		return 0;
	do {
		if (left == 0)
			return 0;
	} while (!atomic_compare_exchange_weak(&fault.left, &left, left - 1));
	if (left > 1)
		return 0;
	fault.happened = true;
	return call == FAULT_MEMORY ? ENOMEM : fault.error;
}

static bool fault_strikes(enum fault_call call)
{
	int error = fault_of(call);

	if (error != 0)
		errno = error;
	return error != 0;
}

/* The linker makes these names; no header can have them. */
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
// NOLINTBEGIN(readability-identifier-naming,bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp)
// NOLINTBEGIN(bugprone-macro-parentheses,bugprone-easily-swappable-parameters)

/* One wrapper: what it returns, what it says when it fails, its name, parameters, arguments. */
#define FAULT_WRAP(call, type, failed, name, parameters, arguments)                                \
	type __real_##name parameters;                                                             \
	type __wrap_##name parameters                                                              \
	{                                                                                          \
		return fault_strikes(call) ? (failed) : __real_##name arguments;                   \
	}

/* The same for those that return the error itself. */
#define FAULT_WRAP_ERROR(call, name, parameters, arguments)                                        \
	int __real_##name parameters;                                                              \
	int __wrap_##name parameters                                                               \
	{                                                                                          \
		int error = fault_of(call);                                                        \
                                                                                                   \
		return error != 0 ? error : __real_##name arguments;                               \
	}

/* And for those whose last argument is a mode that is not always there. */
#define FAULT_WRAP_OPEN(name, parameters, arguments)                                               \
	int __real_##name parameters;                                                              \
	int __wrap_##name parameters                                                               \
	{                                                                                          \
		va_list rest;                                                                      \
		mode_t mode;                                                                       \
                                                                                                   \
		va_start(rest, flags);                                                             \
		mode = va_arg(rest, mode_t);                                                       \
		va_end(rest);                                                                      \
		return fault_strikes(FAULT_OPENAT) ? -1 : __real_##name arguments;                 \
	}

FAULT_WRAP_OPEN(openat64, (int dir_fd, const char *path, int flags, ...),
		(dir_fd, path, flags, mode))
FAULT_WRAP_OPEN(open64, (const char *path, int flags, ...), (path, flags, mode))

FAULT_WRAP(FAULT_PREAD, ssize_t, -1, pread64, (int fd, void *buffer, size_t size, off_t offset),
	   (fd, buffer, fault_cut(size, fault.read_size_max), offset))
FAULT_WRAP(FAULT_PREAD, ssize_t, -1, read, (int fd, void *buffer, size_t size),
	   (fd, buffer, fault_cut(size, fault.read_size_max)))
FAULT_WRAP(FAULT_WRITE, ssize_t, -1, write, (int fd, const void *data, size_t size),
	   (fd, data, fault_cut(size, fault.write_size_max)))
FAULT_WRAP(FAULT_WRITE, ssize_t, -1, pwrite64,
	   (int fd, const void *data, size_t size, off_t offset),
	   (fd, data, fault_cut(size, fault.write_size_max), offset))

/* What tests write may be lost with the machine: a disk takes its time. */
int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
	(void)fd;
	return fault_strikes(FAULT_FSYNC) ? -1 : 0;
}

FAULT_WRAP(FAULT_FCHMOD, int, -1, fchmod, (int fd, mode_t mode), (fd, mode))
FAULT_WRAP(FAULT_RENAMEAT, int, -1, renameat,
	   (int old_fd, const char *old, int new_fd, const char *new), (old_fd, old, new_fd, new))
FAULT_WRAP(FAULT_RENAMEAT, int, -1, renameat2,
	   (int old_fd, const char *old, int new_fd, const char *new, unsigned int flags),
	   (old_fd, old, new_fd, new, flags))
FAULT_WRAP(FAULT_RENAMEAT, int, -1, linkat,
	   (int old_fd, const char *old, int new_fd, const char *new, int flags),
	   (old_fd, old, new_fd, new, flags))
FAULT_WRAP(FAULT_UNLINK, int, -1, unlinkat, (int dir_fd, const char *path, int flags),
	   (dir_fd, path, flags))
FAULT_WRAP(FAULT_MAKE, int, -1, mkdirat, (int dir_fd, const char *path, mode_t mode),
	   (dir_fd, path, mode))
FAULT_WRAP(FAULT_MAKE, int, -1, symlinkat, (const char *target, int dir_fd, const char *path),
	   (target, dir_fd, path))
FAULT_WRAP(FAULT_STAT, ssize_t, -1, readlinkat,
	   (int dir_fd, const char *path, char *buffer, size_t size), (dir_fd, path, buffer, size))
FAULT_WRAP(FAULT_STAT, int, -1, fstat64, (int fd, struct stat *status), (fd, status))
FAULT_WRAP(FAULT_STAT, int, -1, fstatat64,
	   (int dir_fd, const char *path, struct stat *status, int flags),
	   (dir_fd, path, status, flags))
FAULT_WRAP(FAULT_STAT, off_t, -1, lseek64, (int fd, off_t offset, int whence), (fd, offset, whence))
FAULT_WRAP(FAULT_LIST, DIR *, NULL, fdopendir, (int fd), (fd))
FAULT_WRAP(FAULT_LIST, struct dirent *, NULL, readdir64, (DIR * directory), (directory))
FAULT_WRAP(FAULT_ROOM, int, -1, ftruncate64, (int fd, off_t size), (fd, size))
FAULT_WRAP_ERROR(FAULT_ROOM, posix_fallocate64, (int fd, off_t offset, off_t size),
		 (fd, offset, size))
FAULT_WRAP(FAULT_MAP, void *, MAP_FAILED, mmap64,
	   (void *at, size_t size, int protection, int flags, int fd, off_t offset),
	   (at, size, protection, flags, fd, offset))
FAULT_WRAP(FAULT_LOCK, int, -1, flock, (int fd, int operation), (fd, operation))

FAULT_WRAP(FAULT_SOCKET, int, -1, socket, (int domain, int type, int protocol),
	   (domain, type, protocol))
FAULT_WRAP(FAULT_SOCKET, int, -1, bind, (int fd, const struct sockaddr *address, socklen_t size),
	   (fd, address, size))
FAULT_WRAP(FAULT_SOCKET, int, -1, connect, (int fd, const struct sockaddr *address, socklen_t size),
	   (fd, address, size))
FAULT_WRAP(FAULT_SOCKET, int, -1, listen, (int fd, int backlog), (fd, backlog))
FAULT_WRAP(FAULT_SOCKET, int, -1, accept4,
	   (int fd, struct sockaddr *address, socklen_t *size, int flags),
	   (fd, address, size, flags))
FAULT_WRAP(FAULT_MESSAGE, ssize_t, -1, send, (int fd, const void *data, size_t size, int flags),
	   (fd, data, size, flags))
FAULT_WRAP(FAULT_MESSAGE, ssize_t, -1, recv, (int fd, void *buffer, size_t size, int flags),
	   (fd, buffer, size, flags))
FAULT_WRAP(FAULT_MESSAGE, ssize_t, -1, sendmsg, (int fd, const struct msghdr *message, int flags),
	   (fd, message, flags))
FAULT_WRAP(FAULT_MESSAGE, ssize_t, -1, recvmsg, (int fd, struct msghdr *message, int flags),
	   (fd, message, flags))
FAULT_WRAP(FAULT_POLL, int, -1, poll, (struct pollfd * polled, nfds_t count, int timeout_ms),
	   (polled, count, timeout_ms))
FAULT_WRAP(FAULT_POLL, int, -1, ppoll,
	   (struct pollfd * polled, nfds_t count, const struct timespec *timeout,
	    const sigset_t *signals),
	   (polled, count, timeout, signals))
FAULT_WRAP(FAULT_POLL, int, -1, epoll_wait,
	   (int fd, struct epoll_event *events, int count, int timeout_ms),
	   (fd, events, count, timeout_ms))

FAULT_WRAP(FAULT_EVENT, int, -1, epoll_create1, (int flags), (flags))
FAULT_WRAP(FAULT_EVENT, int, -1, epoll_ctl,
	   (int fd, int operation, int other, struct epoll_event *event),
	   (fd, operation, other, event))
FAULT_WRAP(FAULT_EVENT, int, -1, eventfd, (unsigned int count, int flags), (count, flags))
FAULT_WRAP(FAULT_EVENT, int, -1, timerfd_create, (clockid_t clock, int flags), (clock, flags))
FAULT_WRAP(FAULT_EVENT, int, -1, timerfd_settime,
	   (int fd, int flags, const struct itimerspec *value, struct itimerspec *old),
	   (fd, flags, value, old))
FAULT_WRAP(FAULT_EVENT, int, -1, signalfd, (int fd, const sigset_t *signals, int flags),
	   (fd, signals, flags))
FAULT_WRAP(FAULT_EVENT, int, -1, inotify_init1, (int flags), (flags))
FAULT_WRAP(FAULT_EVENT, int, -1, inotify_add_watch, (int fd, const char *path, uint32_t mask),
	   (fd, path, mask))
FAULT_WRAP(FAULT_EVENT, int, -1, memfd_create, (const char *name, unsigned int flags),
	   (name, flags))

FAULT_WRAP(FAULT_PROCESS, pid_t, -1, fork, (void), ())
FAULT_WRAP_ERROR(FAULT_PROCESS, pthread_create,
		 (pthread_t * thread, const pthread_attr_t *attributes, void *(*run)(void *),
		  void *argument),
		 (thread, attributes, run, argument))
FAULT_WRAP(FAULT_MOUNT, int, -1, mount,
	   (const char *source, const char *target, const char *type, unsigned long flags,
	    const void *data),
	   (source, target, type, flags, data))
FAULT_WRAP(FAULT_MOUNT, int, -1, umount2, (const char *target, int flags), (target, flags))

FAULT_WRAP(FAULT_MEMORY, void *, NULL, malloc, (size_t size), (size))
FAULT_WRAP(FAULT_MEMORY, void *, NULL, calloc, (size_t count, size_t size), (count, size))
FAULT_WRAP(FAULT_MEMORY, void *, NULL, realloc, (void *memory, size_t size), (memory, size))
FAULT_WRAP(FAULT_MEMORY, char *, NULL, strdup, (const char *text), (text))

int __real_fcntl64(int fd, int command, ...);
int __wrap_fcntl64(int fd, int command, ...)
{
	va_list rest;
	long argument;

	va_start(rest, command);
	argument = va_arg(rest, long);
	va_end(rest);
	return fault_strikes(FAULT_DUPLICATE) ? -1 : __real_fcntl64(fd, command, argument);
}

int __wrap_asprintf(char **ret_text, const char *format, ...) __attribute__((format(printf, 2, 3)));
int __wrap_asprintf(char **ret_text, const char *format, ...)
{
	va_list arguments;
	int length;

	if (fault_strikes(FAULT_MEMORY))
		return -1;
	va_start(arguments, format);
	length = vasprintf(ret_text, format, arguments);
	va_end(arguments);
	return length;
}
// NOLINTEND(bugprone-macro-parentheses,bugprone-easily-swappable-parameters)
// NOLINTEND(readability-identifier-naming,bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp)
