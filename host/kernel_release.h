/*
 * kernel_release.h: which kernel this is, for what only some kernels do.
 *
 * Used where a feature cannot be asked for by itself. No state; any thread.
 */
#ifndef WATTPORT_HOST_KERNEL_RELEASE_H
#define WATTPORT_HOST_KERNEL_RELEASE_H

#include <stdbool.h>
#include <stdint.h>

struct kernel_release {
	uint32_t major;
	uint32_t minor;
};

/* "6.1.0-18-amd64" -> 6, 1. -EINVAL. */
int kernel_release_parse(const char *text, struct kernel_release *ret_release);

/* Of /proc/sys/kernel/osrelease. */
int kernel_release_read(int proc_fd, struct kernel_release *ret_release);

bool kernel_release_before(const struct kernel_release *release, uint32_t major, uint32_t minor);

#endif
