/*
 * module.h: which file systems the kernel knows, and the modules that teach it more.
 *
 * Outside the flow: `wattport-agent mount` needs 9p or virtiofs, and overlay. Any thread, but
 * modules are loaded by a child process that is waited for.
 */
#ifndef WATTPORT_GUEST_MODULE_H
#define WATTPORT_GUEST_MODULE_H

#include "common/sysroot.h"

#include <stdbool.h>

/* Whether /proc/filesystems lists it. A file that cannot be read lists nothing. */
bool module_has_filesystem(const struct sysroot *root, const char *name);

/* The same for the text of that file. */
bool module_lists_filesystem(const char *filesystems, const char *name);

/*
 * Runs the kernel's own modprobe (/proc/sys/kernel/modprobe) for that module. 0; -ENOENT when there
 * is no modprobe, or none is to be used; -ENOPKG when it found no such module or could not load it.
 */
int module_load(const struct sysroot *root, const char *name);

/* Loads each of the NULL-terminated list unless the file system is there already; true when it is
 * in the end.
 */
bool module_provide(const struct sysroot *root, const char *filesystem,
		    const char *const modules[]);

#endif
