/*
 * cgroup_path.h: what a control group is, by its path: whose work it holds.
 *
 * Between the tree of control groups and the accounts. Managers tell by the names that they give:
 * systemd its units and slices, container engines, Kubernetes, SLURM and OAR their own. The names
 * come from whoever may make control groups, so nothing is believed of them but how they look.
 * Pure: safe in any thread.
 */
#ifndef WATTPORT_GUEST_CGROUP_PATH_H
#define WATTPORT_GUEST_CGROUP_PATH_H

#include "guest/accounts_view.h"

#include <stddef.h>

#define CGROUP_PATH_SIZE 1024 /* of a path that is looked at, with the NUL */
#define CGROUP_SLICE_MAX 8    /* slices around one unit; more of them are left out */

/* Where everything belongs that lies in no control group, kernel threads too. */
#define CGROUP_ROOT_UNIT "(no unit)"

/* Text is UTF-8, escapes of systemd's (\x2d) undone; empty: it is in none of that kind. */
struct cgroup_identity {
	/*
	 * The smallest unit, container or job step, behind those that it lies in:
	 * "nginx.service", "user@1000.service/app-foo.service", "docker/ID". A control group below
	 * it that has no such name is part of it. Where nothing on the path has, all of the path.
	 */
	char unit[ACCOUNT_NAME_SIZE];
	size_t slice_count; /* the system's own, outermost first */
	char slices[CGROUP_SLICE_MAX][ACCOUNT_NAME_SIZE];
	char container[ACCOUNT_NAME_SIZE]; /* id or name of the innermost */
	char engine[16];	     /* "docker", "podman", "containerd", "crio", "lxc", ... */
	char pod[ACCOUNT_NAME_SIZE]; /* uid, with dashes */
	char job[ACCOUNT_NAME_SIZE]; /* number */
	char scheduler[16];	     /* "slurm", "oar" */
};

/* The path is that of /proc/PID/cgroup: from the root of the hierarchy, "/" for it. */
void cgroup_path_identify(const char *path, struct cgroup_identity *ret_identity);

#endif
