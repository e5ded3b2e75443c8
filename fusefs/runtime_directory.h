/*
 * runtime_directory.h: the directory in which wattport-fs meets the others.
 *
 * A step of its beginning, whichever way the tree is served. One thread.
 */
#ifndef WATTPORT_FUSEFS_RUNTIME_DIRECTORY_H
#define WATTPORT_FUSEFS_RUNTIME_DIRECTORY_H

#include "common/diag.h"

#include <limits.h>

/*
 * Makes the directory if need be, whatever the umask: the worker and other views get in as nobody.
 * ret_path is its path without links; the descriptor is the caller's.
 */
int runtime_directory_open(const char *path, int *ret_fd, char ret_path[static PATH_MAX],
			   struct diag *diag);

/* The path of `name` in it. -ENAMETOOLONG. */
int runtime_directory_join(const char *path, const char *name, char ret_path[static PATH_MAX],
			   struct diag *diag);

#endif
