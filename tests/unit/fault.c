#include "tests/unit/fault.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/types.h>

/* A test program has one thread, and cmocka gives wrappers no argument to keep state in. */
static struct {
	unsigned calls, left;
	int error;
	bool happened;
	unsigned write_size_max;
} fault;

void fault_arm(unsigned calls, unsigned nth, int error)
{
	fault.calls = calls;
	fault.left = nth;
	fault.error = error;
	fault.happened = false;
}

bool fault_disarm(void)
{
	fault.left = 0;
	fault.write_size_max = 0;
	return fault.happened;
}

void fault_limit_writes(unsigned size)
{
	fault.write_size_max = size;
}

static bool fault_strikes(enum fault_call call)
{
	if ((fault.calls & (unsigned)call) == 0 || fault.left == 0 || --fault.left > 0)
		return false;
	fault.happened = true;
	errno = call == FAULT_MEMORY ? ENOMEM : fault.error;
	return true;
}

/* The linker makes these names; no header can have them. */
#pragma GCC diagnostic ignored "-Wmissing-prototypes"
// NOLINTBEGIN(readability-identifier-naming,bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp)

int __real_openat64(int dir_fd, const char *path, int flags, ...);
int __wrap_openat64(int dir_fd, const char *path, int flags, ...)
{
	va_list arguments;
	mode_t mode;

	va_start(arguments, flags);
	mode = va_arg(arguments, mode_t);
	va_end(arguments);
	return fault_strikes(FAULT_OPENAT) ? -1 : __real_openat64(dir_fd, path, flags, mode);
}

ssize_t __real_pread64(int fd, void *buffer, size_t size, off_t offset);
ssize_t __wrap_pread64(int fd, void *buffer, size_t size, off_t offset)
{
	return fault_strikes(FAULT_PREAD) ? -1 : __real_pread64(fd, buffer, size, offset);
}

ssize_t __real_write(int fd, const void *data, size_t size);
ssize_t __wrap_write(int fd, const void *data, size_t size)
{
	if (fault.write_size_max > 0 && size > fault.write_size_max)
		size = fault.write_size_max;
	return fault_strikes(FAULT_WRITE) ? -1 : __real_write(fd, data, size);
}

int __real_fsync(int fd);
int __wrap_fsync(int fd)
{
	return fault_strikes(FAULT_FSYNC) ? -1 : __real_fsync(fd);
}

int __real_fchmod(int fd, mode_t mode);
int __wrap_fchmod(int fd, mode_t mode)
{
	return fault_strikes(FAULT_FCHMOD) ? -1 : __real_fchmod(fd, mode);
}

int __real_renameat(int old_fd, const char *old, int new_fd, const char *new);
int __wrap_renameat(int old_fd, const char *old, int new_fd, const char *new)
{
	return fault_strikes(FAULT_RENAMEAT) ? -1 : __real_renameat(old_fd, old, new_fd, new);
}

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size)
{
	return fault_strikes(FAULT_MEMORY) ? NULL : __real_malloc(size);
}

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size)
{
	return fault_strikes(FAULT_MEMORY) ? NULL : __real_calloc(count, size);
}

void *__real_realloc(void *memory, size_t size);
void *__wrap_realloc(void *memory, size_t size)
{
	return fault_strikes(FAULT_MEMORY) ? NULL : __real_realloc(memory, size);
}
// NOLINTEND(readability-identifier-naming,bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp)
