/*
 * qemu_scan.h: the QEMU processes of this host, found in /proc.
 *
 * Used by the VM providers in their own thread: /proc cannot be watched (inotify does not see
 * processes), so it is read anew each time, at about 3 us a process.
 */
#ifndef WATTPORT_HOST_QEMU_SCAN_H
#define WATTPORT_HOST_QEMU_SCAN_H

#include "common/qemu_cmdline.h"
#include "common/uuid.h"
#include "fusefs/access_users.h"
#include "host/vm_roster.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QEMU_SCAN_COMM_SIZE 16 /* TASK_COMM_LEN of the kernel */

struct qemu_process {
	struct vm_roster_process process;
	char comm[QEMU_SCAN_COMM_SIZE];
	bool believed; /* its user is one under whom machines run */
	struct qemu_cmdline cmdline;
};

struct qemu_scan {
	/*
	 * Under whom machines run; NULL: everybody is believed. To be set after the beginning; not
	 * owned. Any user may call a process QEMU and give it the uuid of another's machine.
	 */
	const struct access_users *users;
	size_t count;
	size_t unbelieved; /* so many of them */
	size_t capacity;
	struct qemu_process *processes; /* in the order of their start */
	char *buffer;			/* QEMU_CMDLINE_SIZE_MAX bytes, kept for the next scan */
};

/* Empty; nothing is allocated before the first qemu_scan_run(). */
void qemu_scan_init(struct qemu_scan *scan);
void qemu_scan_finish(struct qemu_scan *scan);

/*
 * Reads all processes in the directory (sysroot_proc_fd()), in the place of what was found before;
 * the command line of each but once, for that of a process which hangs cannot be read until it goes
 * on. Those that vanish meanwhile, that may not be read or that are no machine are left out. 0,
 * -ENOMEM or the error of reading the directory.
 */
int qemu_scan_run(struct qemu_scan *scan, int proc_fd);

/*
 * The process of a machine, or NULL. Where several have the uuid (a migration within one host), one
 * that is believed is preferred, then the one that libvirt started as domain `libvirt_id` (-1:
 * unknown), then the eldest.
 */
const struct qemu_process *qemu_scan_find(const struct qemu_scan *scan, const struct uuid *uuid,
					  int libvirt_id);

/*
 * Whether a QEMU or virtiofsd that is believed names the uuid in its command line: so a machine can
 * be recognised that is only just starting, while libvirt still holds it locked. 1, 0, or the
 * negative errno.
 */
int qemu_scan_mentions(struct qemu_scan *scan, int proc_fd, const struct uuid *uuid);

#endif
