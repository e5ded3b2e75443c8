/*
 * cgroup_mounts.h: which hierarchy of control groups tells whose CPU time it was.
 *
 * Looked at once, when accounts begin. There may be several: version 2 alone (unified), the
 * controllers of version 1 each for itself, or both side by side (hybrid). CPU time is told by
 * version 2 in each cpu.stat, with the cpu controller and without (Linux 4.15), and by version 1's
 * cpuacct. Where both are mounted, that one is taken in which more control groups were made.
 */
#ifndef WATTPORT_GUEST_CGROUP_MOUNTS_H
#define WATTPORT_GUEST_CGROUP_MOUNTS_H

#include "common/sysroot.h"

enum cgroup_version {
	CGROUP_NONE, /* no hierarchy tells of CPU time */
	CGROUP_V1,
	CGROUP_V2,
};

struct cgroup_mounts {
	enum cgroup_version version;
	int time_fd;   /* the directory of its root; -1: none */
	int memory_fd; /* of the hierarchy that tells of memory; -1: none */
	enum cgroup_version memory_version;
};

/* 0, also where there is none; or the error of reading the mounts, and then there is none. */
int cgroup_mounts_open(const struct sysroot *root, struct cgroup_mounts *ret_mounts);
void cgroup_mounts_close(struct cgroup_mounts *mounts);

/* "none", "v1", "v2": literals. */
const char *cgroup_version_name(enum cgroup_version version);

#endif
