/*
 * privilege.h: giving up what a process no longer needs; there is no way back.
 *
 * A foundation of the processes that face the outside (the exporters, the FUSE worker). Each opens
 * what only root may open, then calls privilege_drop(), then privilege_filter() with the table
 * of what is left to it. Both change the calling process for good. privilege_drop() is to be
 * called before the first thread is made (libcap-ng changes the calling thread alone);
 * privilege_filter() holds for all threads.
 */
#ifndef WATTPORT_COMMON_PRIVILEGE_H
#define WATTPORT_COMMON_PRIVILEGE_H

#include "common/diag.h"
#include "common/privilege_table.h"

#include <linux/capability.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define PRIVILEGE_BIT(capability) (UINT64_C(1) << (capability))

/* Who a process becomes that was started as root: the first of the two that exists. */
#define PRIVILEGE_USER		"wattport"
#define PRIVILEGE_USER_FALLBACK "nobody"

struct privilege_user {
	uid_t user;
	gid_t group;
};

/* Who that is, for root to give it what it will need. -ENOENT with *diag: neither of the two. */
int privilege_find(struct privilege_user *ret_user, struct diag *diag);

/* Whether root's files may be read: as root, or with a capability that goes past modes. */
bool privilege_reads_all(void);

/*
 * Started as root: becomes the unprivileged user, with its group alone. In any case: no
 * capabilities, an empty bounding set where that may be set, and no_new_privs, so that not even
 * a set-user-ID program brings anything back. Descriptors that are open stay open. 0, or a
 * negative errno with *diag: then the process must not go on.
 */
int privilege_drop(struct diag *diag);

/* The same for who cannot look users up any more: the one that privilege_find() has found. */
int privilege_drop_to(const struct privilege_user *user, struct diag *diag);

/*
 * For a process that stays root because it owns what it reads and writes (wattportd: energy_uj is
 * root's, mode 0400, and so is libvirt's socket) or has to become others (wattport-fs's keeper):
 * root without any capability but those of `keep` (bits 1 << CAP_X, as far as it has them), and
 * without a way to get one back, which is little more than the owner of root's files. 0, or a
 * negative errno with *diag.
 */
int privilege_drop_capabilities(uint64_t keep, struct diag *diag);

/*
 * From here on all threads of the process may make the system calls of the table and of those that
 * it uses, and no others: each other call fails with EPERM and is written to the kernel's audit
 * log. So a call that was forgotten costs one function and leaves a trace, instead of the process.
 * -ENOSYS: the kernel has no seccomp filters. Does nothing in builds with a sanitizer, whose
 * runtime makes calls of its own.
 */
int privilege_filter(const struct privilege_table *table, struct diag *diag);

/* Whether privilege_filter() does anything in this build, 1 or 0. */
int privilege_filter_works(void);

#endif
