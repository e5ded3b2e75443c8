/*
 * memory.h: how much of the host's memory is there and how much is in use.
 *
 * Read at every sample, before attribution: DRAM's energy is divided by memory held. One thread a
 * descriptor.
 */
#ifndef WATTPORT_COMMON_MEMORY_H
#define WATTPORT_COMMON_MEMORY_H

#include "common/diag.h"
#include "common/sysroot.h"

#include <stdint.h>

struct memory {
	uint64_t total_bytes;
	uint64_t used_bytes; /* what could not be had without swapping: total less MemAvailable */
};

/* Opens /proc/meminfo, to be kept and read again; the caller closes it. */
int memory_open(const struct sysroot *root, int *ret_fd, struct diag *diag);

/* Reads it again. The error of reading, or that of memory_parse(). */
int memory_read(int fd, struct memory *ret_memory);

/*
 * The same from the text of /proc/meminfo. Kernels before 3.14 have no MemAvailable: there free,
 * buffers and page cache are taken for it. -EBADMSG without a total that makes sense.
 */
int memory_parse(const char *text, struct memory *ret_memory);

#endif
