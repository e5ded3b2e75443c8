/* Cleanup attributes of the simulator: a scope that ends gives back what it holds. The simulator
 * shares no module with what it tests, so a fault in one cannot hide behind the same fault in the
 * other; this is why these few lines stand here again. No threads. */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_free_run(void *pointer)
{
	free(*(void **)pointer);
}

static inline void cleanup_fd_run(const int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
}

static inline void cleanup_file_run(FILE **file)
{
	if (*file)
		(void)fclose(*file);
}

#define cleanup_free __attribute__((cleanup(cleanup_free_run)))
#define cleanup_fd   __attribute__((cleanup(cleanup_fd_run)))
#define cleanup_file __attribute__((cleanup(cleanup_file_run)))

#define TAKE_FD(fd)                                                                                \
	__extension__({                                                                            \
		int take_fd_ = (fd);                                                               \
		(fd) = -1;                                                                         \
		take_fd_;                                                                          \
	})
#define TAKE_PTR(pointer)                                                                          \
	__extension__({                                                                            \
		__typeof__(pointer) take_ptr_ = (pointer);                                         \
		(pointer) = NULL;                                                                  \
		take_ptr_;                                                                         \
	})
