/*
 * process_text.h: what /proc says of a process that reads a tree: its status and its cgroups.
 *
 * A part of access.c. Pure parsers of the kernel's text, in which a process may have chosen its own
 * name. Safe in any thread.
 */
#ifndef WATTPORT_FUSEFS_PROCESS_TEXT_H
#define WATTPORT_FUSEFS_PROCESS_TEXT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define PROCESS_MACHINE_SIZE 256 /* of a cgroup's name (NAME_MAX), with the NUL */

/* What is used of /proc/TID/status. */
struct process_status {
	int32_t process; /* the process that the thread belongs to */
	uid_t user;	 /* the real one: who has started it */
};

/* -EINVAL: not such a text. */
int process_status_parse(const char *text, struct process_status *ret_status);

/*
 * The machine that a process was put in by who started it, out of /proc/PID/cgroup: the cgroup that
 * libvirt makes for a domain, "machine-qemu\x2d7\x2dNAME.scope" with systemd, else
 * "qemu-7-NAME.libvirt-qemu"; QEMU and the virtiofsd beside it lie in the same. False: it is in
 * none.
 */
bool process_machine_parse(const char *text, char ret_machine[static PROCESS_MACHINE_SIZE]);

#endif
