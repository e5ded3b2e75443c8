/*
 * own_directory.h: the directories in which Wattport keeps its files.
 *
 * A foundation of the processes that write as root: names are trusted only where nobody else can
 * put a link in the place of a file.
 */
#ifndef WATTPORT_COMMON_OWN_DIRECTORY_H
#define WATTPORT_COMMON_OWN_DIRECTORY_H

#include "common/diag.h"

#include <sys/types.h>

/*
 * Whether nobody but root and the caller's user may change what is in the directory. -EPERM with
 * *diag, which names the option that names another.
 */
int own_directory_check(int fd, const char *path, const char *option, struct diag *diag);

/* Makes the directory and its parents, opens it and checks it; the descriptor is the caller's. */
int own_directory_open(const char *path, mode_t mode, const char *option, int *ret_fd,
		       struct diag *diag);

#endif
