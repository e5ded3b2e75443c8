/*
 * virtiofsd_cmdline.h: which machine's tree a virtiofsd shares, by its command line.
 *
 * A part of access.c, as common/qemu_cmdline.h is. virtiofsd is not told which machine it serves,
 * but what to share: the machine is the one whose tree that is. Takes the C version's spelling
 * (QEMU 7.2: -o source=PATH among others), the Rust version's (--shared-dir PATH,
 * --shared-dir=PATH, -o source=PATH), and that of virtfs-proxy-helper, which does the same for 9p
 * (--path PATH, -p PATH). A pure parser of /proc/PID/cmdline; whoever starts a process writes this
 * text, so nothing of it is trusted. Safe in any thread.
 */
#ifndef WATTPORT_FUSEFS_VIRTIOFSD_CMDLINE_H
#define WATTPORT_FUSEFS_VIRTIOFSD_CMDLINE_H

#include "common/uuid.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * -ENODATA: it shares something else (/, the directory of all trees), or nothing; -EINVAL: the text
 * is empty or does not end in a NUL.
 */
int virtiofsd_cmdline_identify(const char *text, size_t size, struct uuid *ret_uuid);

/* Whether a process of that name (/proc/PID/comm, at most 15 characters) may be one of these. */
bool virtiofsd_cmdline_is_virtiofsd(const char *name);

#endif
