/*
 * vhost_scan.h: the vhost workers of kernels before 6.4.
 *
 * Since Linux 6.4 (commit 6e890c5d5021, "vhost: use vhost_tasks for worker threads") they are
 * threads of QEMU and found with the others. Before, they are kernel threads named `vhost-PID`,
 * which only a walk through all of /proc finds. No state; any thread.
 */
#ifndef WATTPORT_HOST_VHOST_SCAN_H
#define WATTPORT_HOST_VHOST_SCAN_H

#include <stdbool.h>
#include <stdint.h>

/* Whether this kernel's vhost workers are kernel threads; false where its release is unknown. */
bool vhost_scan_needed(int proc_fd);

/* The pid in a name like "vhost-1234", or -EINVAL. */
int vhost_scan_owner(const char *comm, int32_t *ret_pid);

/* Calls `found` for each worker with the QEMU that it works for. 0 or the negative errno. */
int vhost_scan_run(int proc_fd, void (*found)(void *user, int32_t owner_pid, int32_t tid),
		   void *user);

#endif
