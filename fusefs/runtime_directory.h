/*
 * runtime_directory.h: the directory in which wattport-fs meets the others, and its place there.
 *
 * Whichever way the tree is served, one wattport-fs at a time works in a runtime directory: it
 * holds a lock on `fs.pid`, which goes with the process, however that ends. One thread.
 */
#ifndef WATTPORT_FUSEFS_RUNTIME_DIRECTORY_H
#define WATTPORT_FUSEFS_RUNTIME_DIRECTORY_H

#include "common/diag.h"

#include <limits.h>

#define RUNTIME_DIRECTORY_PID_NAME "fs.pid"

struct runtime_directory {
	int fd;
	int lock_fd;	     /* -1: not ours */
	char path[PATH_MAX]; /* without links */
};

/* An initialiser. */
#define RUNTIME_DIRECTORY_INIT                                                                     \
	{                                                                                          \
		.fd = -1, .lock_fd = -1                                                            \
	}

/* Makes the directory if need be, whatever the umask: the other views get in as nobody. */
int runtime_directory_open(struct runtime_directory *directory, const char *path,
			   struct diag *diag);

/* Takes the lock and writes the process id: -EBUSY when another wattport-fs has it. */
int runtime_directory_lock(struct runtime_directory *directory, struct diag *diag);

/* Takes the lock's file away if it is ours, and closes all. */
void runtime_directory_close(struct runtime_directory *directory);

/* The path of `name` in it. -ENAMETOOLONG. */
int runtime_directory_join(const struct runtime_directory *directory, const char *name,
			   char ret_path[static PATH_MAX], struct diag *diag);

#endif
