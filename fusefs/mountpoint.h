/*
 * mountpoint.h: the mount at RUNTIME/vm: made, found dead, taken away.
 *
 * The keeper's, who is root for it. The connection is made with mount(2) itself, because what
 * libfuse mounts ends with the process that mounted. One thread.
 */
#ifndef WATTPORT_FUSEFS_MOUNTPOINT_H
#define WATTPORT_FUSEFS_MOUNTPOINT_H

#include "common/diag.h"

#define MOUNTPOINT_NAME "vm"

/* Takes away what FUSE lies there; for who holds the lock of the runtime directory. */
void mountpoint_clear(const char *path);

/*
 * Makes the directory if need be, takes dead mounts of former keepers away, and mounts there,
 * read-only. *ret_fuse_fd is the kernel's end of it, non-blocking; the mount lives as long as the
 * descriptor and its copies.
 */
int mountpoint_attach(const char *path, int *ret_fuse_fd, struct diag *diag);

/* Unmounts; if files are still open there, out of sight at once and for good when they close. */
int mountpoint_detach(const char *path, struct diag *diag);

#endif
