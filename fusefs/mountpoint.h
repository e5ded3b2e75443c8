/*
 * mountpoint.h: the mount at RUNTIME/vm: made, found again, taken away.
 *
 * The keeper's, who is root for it. The connection is made with mount(2) itself, because what
 * libfuse mounts ends with the process that mounted. What lies there is looked up in the kernel's
 * list of mounts and never asked: a connection without a server, which the service manager may
 * hold, answers nobody, and whoever asks hangs. One thread.
 */
#ifndef WATTPORT_FUSEFS_MOUNTPOINT_H
#define WATTPORT_FUSEFS_MOUNTPOINT_H

#include "common/diag.h"

#include <stdint.h>

#define MOUNTPOINT_NAME "vm"

/*
 * The number by which the kernel knows the file system that wattport-fs mounted at that path and
 * that is seen there: the same as long as the mount is the same. -ENOENT: there is none.
 */
int mountpoint_device(const char *path, uint64_t *ret_device, struct diag *diag);

/*
 * Makes the directory if need be, takes mounts of former keepers away, and mounts there, read-only.
 * *ret_fuse_fd is the kernel's end of it, non-blocking; the mount lives as long as the descriptor
 * and its copies.
 */
int mountpoint_attach(const char *path, int *ret_fuse_fd, struct diag *diag);

/* Unmounts; if files are still open there, out of sight at once and for good when they close. */
int mountpoint_detach(const char *path, struct diag *diag);

#endif
