/*
 * access.h: who may read which tree.
 *
 * Between the kernel's requests and the files. The rule, in both views:
 *   - A process that belongs to a machine may read that machine's tree and nothing else.
 *   - A process that belongs to none has to be root.
 *
 * Whose a process is, is asked in this order:
 *   1. It is called QEMU or virtiofsd and its real user is root or one of `users`, under which
 *      machines run. The effective user says nothing: virtiofsd takes on that of the process in
 *      the guest for each request. Anybody may start a process that is called QEMU, so that of
 *      another user is no more than what it is: a process of that user.
 *   2. QEMU: the machine whose process the ledger says it is; else, for it is just starting or
 *      wattportd is away, the one that its command line names.
 *   3. virtiofsd: the machine whose tree it shares, by its command line, unless libvirt has put it
 *      into the cgroup of another machine (an operator who gave a machine the wrong directory, or a
 *      clone that kept its model's). One that shares anything else belongs to a machine that cannot
 *      be told, and may read no tree.
 *
 * The thread that asks sleeps in its request until it is answered, so what /proc says of it is
 * true. A thread that /proc does not show is hidden (hidepid) and nobody's: even root is refused,
 * because a virtiofsd is root. A thread outside our PID namespace has no number: then there is
 * nothing to look at but its user.
 *
 * One thread; all times are handed in.
 */
#ifndef WATTPORT_FUSEFS_ACCESS_H
#define WATTPORT_FUSEFS_ACCESS_H

#include "common/clock.h"
#include "common/ledger_map.h"
#include "common/uuid.h"
#include "fusefs/access_users.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Processes whose machine is remembered, so that asking again costs one system call. */
#define ACCESS_KNOWN_MAX 256
/* For so long: a virtiofsd is not yet in its machine's cgroup when it starts. */
#define ACCESS_KNOWN_NS CLOCK_NS_PER_SECOND

/* Who asks, as the kernel says: `thread` is a thread's id, 0 where it is not in our namespace. */
struct access_caller {
	uid_t user;
	pid_t thread;
};

enum access_verdict {
	ACCESS_OWN,	/* of the machine whose tree it is */
	ACCESS_ROOT,	/* of no machine, and root */
	ACCESS_FOREIGN, /* of another machine, or of one that cannot be told */
	ACCESS_DENIED,	/* of no machine, and not root */
};

/* The ledger's running machines one by one: *cursor is 0 at first. False: there are no more. */
typedef bool access_each(void *context, struct mono_time now, size_t *cursor,
			 struct ledger_process *ret_process);

struct access;

/* The descriptor of /proc and the context stay the caller's and outlive this. */
int access_create(int proc_fd, const struct access_users *users, access_each *each, void *context,
		  struct access **ret_access);
void access_destroy(struct access *access);

/* What the caller is to that machine's tree; NULL: to what is no machine's. */
enum access_verdict access_ask(struct access *access, struct access_caller caller,
			       const struct uuid *machine, struct mono_time now);

static inline bool access_allows(enum access_verdict verdict)
{
	return verdict == ACCESS_OWN || verdict == ACCESS_ROOT;
}

/* Whether other processes can be seen at all; `other` is one of another user. */
bool access_sees(int proc_fd, pid_t other);

#endif
