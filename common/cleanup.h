/*
 * cleanup.h: scope-bound release of memory, descriptors and streams.
 *
 * A foundation: no module of the flow, used by all. `cleanup_free char *text = NULL;` is freed
 * where its scope ends; TAKE_PTR() and TAKE_FD() hand the value over and disarm the release.
 * Thread-safe as free(), close() and fclose() are.
 */
#ifndef WATTPORT_COMMON_CLEANUP_H
#define WATTPORT_COMMON_CLEANUP_H

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static inline void cleanup_free_value(void *variable)
{
	void *value;

	memcpy(&value, variable, sizeof(value));
	free(value);
}

static inline void cleanup_fd_value(const int *variable)
{
	if (*variable >= 0)
		(void)close(*variable);
}

static inline void cleanup_file_value(FILE *const *variable)
{
	if (*variable != NULL)
		(void)fclose(*variable);
}

#define cleanup_free __attribute__((cleanup(cleanup_free_value)))
#define cleanup_fd   __attribute__((cleanup(cleanup_fd_value)))
#define cleanup_file __attribute__((cleanup(cleanup_file_value)))

/* Both evaluate to the old value and leave NULL or -1 behind. */
#define TAKE_PTR(pointer)                                                                          \
	__extension__({                                                                            \
		__typeof__(pointer) taken_pointer = (pointer);                                     \
		(pointer) = NULL;                                                                  \
		taken_pointer;                                                                     \
	})

#define TAKE_FD(fd)                                                                                \
	__extension__({                                                                            \
		int taken_fd = (fd);                                                               \
		(fd) = -1;                                                                         \
		taken_fd;                                                                          \
	})

/*
 * Ends the stream that open_memstream(3) has given and hands its text over. -ENOMEM: not all of it
 * found room; both are then released where their scope ends.
 */
static inline int cleanup_take_text(FILE **stream, char **text, char **ret_text)
{
	if (fflush(*stream) != 0)
		return -ENOMEM;
	(void)fclose(TAKE_PTR(*stream));
	*ret_text = TAKE_PTR(*text);
	return 0;
}

#endif
