/*
 * mountinfo.h: what is mounted where, as the kernel tells it.
 *
 * A foundation: `wattport-agent mount` and wattport-fs decide by it what is left to do and what is
 * their own to take away, without a question to a file system that may not answer. Parses
 * /proc/self/mountinfo (Documentation/filesystems/proc.rst, 3.5). Pure but for mountinfo_read();
 * one thread at a time.
 */
#ifndef WATTPORT_COMMON_MOUNTINFO_H
#define WATTPORT_COMMON_MOUNTINFO_H

#include "common/sysroot.h"

#include <stddef.h>
#include <stdint.h>

#define MOUNTINFO_SIZE_MAX  (8U << 20) /* of the file: some 40,000 mounts */
#define MOUNTINFO_ENTRY_MAX 65536

/* The strings lie in the text that was parsed and have their octal escapes undone. */
struct mountinfo_entry {
	uint32_t id;
	uint32_t parent;
	uint32_t major;
	uint32_t minor;
	const char *root;  /* the directory within the file system that is mounted */
	const char *point; /* where */
	const char *options;
	const char *type;
	const char *source;
	const char *super_options;
};

struct mountinfo {
	size_t count;
	struct mountinfo_entry *entries; /* in the kernel's order */
	char *text;
};

/*
 * Parses the text in place and takes it over (malloc()ed, NUL-terminated) whether it succeeds or
 * not. -EBADMSG for a line that the kernel would not write, -E2BIG past MOUNTINFO_ENTRY_MAX,
 * -ENOMEM.
 */
int mountinfo_parse(char *text, struct mountinfo *ret_mountinfo);

/* Reads the calling process's mounts. -EFBIG past MOUNTINFO_SIZE_MAX. */
int mountinfo_read(const struct sysroot *root, struct mountinfo *ret_mountinfo);

void mountinfo_finish(struct mountinfo *mountinfo);

/*
 * The mount that a walk down the absolute path ends in, stacked and covered mounts taken into
 * account; NULL when the mounts tell of no root. With `point` the same as the path, the path is a
 * mount point.
 */
const struct mountinfo_entry *mountinfo_at(const struct mountinfo *mountinfo, const char *path);

/* The mount whose point is that path and that is seen there, or NULL. */
const struct mountinfo_entry *mountinfo_on(const struct mountinfo *mountinfo, const char *path);

/* The mount that this one covers at the same place, or NULL; NULL for NULL. */
const struct mountinfo_entry *mountinfo_under(const struct mountinfo *mountinfo,
					      const struct mountinfo_entry *entry);

#define cleanup_mountinfo __attribute__((cleanup(mountinfo_finish)))

#endif
