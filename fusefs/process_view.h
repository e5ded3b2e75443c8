/*
 * process_view.h: a view of /proc in which no process is hidden.
 *
 * The keeper's, who is root for it, for the worker, who is nobody: on a hardened host (hidepid)
 * that would see no process but itself, and could not tell whose QEMU reads a tree. One thread.
 */
#ifndef WATTPORT_FUSEFS_PROCESS_VIEW_H
#define WATTPORT_FUSEFS_PROCESS_VIEW_H

#include "common/diag.h"
#include "common/sysroot.h"

/*
 * *ret_proc_fd is the caller's: an instance of proc of our own, which is mounted nowhere and shows
 * processes alone (Linux 5.8), or else the sysroot's /proc, as that may be.
 */
int process_view_open(const struct sysroot *root, int *ret_proc_fd, struct diag *diag);

#endif
