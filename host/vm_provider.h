/*
 * vm_provider.h: who tells which virtual machines there are.
 *
 * The start of the host's flow, beside the energy sources. One `const struct vm_provider_ops` a
 * kind of provider, in a file vm_provider_NAME.c, all listed in vm_provider.c. Each provider works
 * in a thread of its own, so that a libvirtd or QEMU that hangs never holds up a sample: the thread
 * builds whole rosters, and the owner's thread, which calls everything below, swaps the newest in.
 * What they share stands behind a lock that is held for some pointers only, never over a call.
 *
 * While a provider cannot reach what it asks (libvirtd was killed) the last roster stays: the
 * machines go on running.
 */
#ifndef WATTPORT_HOST_VM_PROVIDER_H
#define WATTPORT_HOST_VM_PROVIDER_H

#include "common/clock.h"
#include "common/diag.h"
#include "common/sysroot.h"
#include "fusefs/access_users.h"
#include "host/vm_roster.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VM_PROVIDER_URI "qemu:///system"

/* So long a call may take before the provider counts as away. */
#define VM_PROVIDER_STALLED_NS (5 * CLOCK_NS_PER_SECOND)

/* Outlives the provider. */
struct vm_provider_context {
	const struct sysroot *root;
	const struct clock *clock;
	const struct access_users *users; /* whose QEMU is believed; NULL: everybody's */
	const char *uri;		  /* libvirt: whom to ask; NULL: VM_PROVIDER_URI */
	bool told_times; /* libvirt: take its CPU times even where QEMU's /proc can be seen */
};

enum vm_provider_state {
	VM_PROVIDER_STARTING, /* no roster yet */
	VM_PROVIDER_OK,
	VM_PROVIDER_AWAY, /* the roster is the last known; `diag` says why and what would help */
};

struct vm_provider_status {
	enum vm_provider_state state;
	struct mono_time since;
	uint64_t roster_count;	/* rosters so far */
	uint64_t connect_count; /* successful ones, at libvirt */
	struct diag diag;
};

struct vm_provider;

/* What distinguishes providers. Called by vm_provider.c alone. */
struct vm_provider_ops {
	const char *name; /* of `vms.provider` */

	/* Checks and prepares; *ret_private is handed to run(). */
	int (*open)(struct vm_provider *provider, void **ret_private, struct diag *diag);

	/* The thread: works until vm_provider_stopping(), then frees `private`. */
	void (*run)(struct vm_provider *provider, void *private);
};

/*
 * Starts the provider of that name. It succeeds also when nobody can be reached yet: see the
 * status. -EINVAL: no such provider, or a bad uri.
 */
int vm_provider_open(const char *name, const struct vm_provider_context *context,
		     struct vm_provider **ret_provider, struct diag *diag);

/*
 * Stops the thread. One that hangs in a call to libvirt is left behind after a second, together
 * with its memory: only for the end of the process.
 */
void vm_provider_close(struct vm_provider *provider);

/* Readable (for poll(2)) while a roster waits to be taken; belongs to the provider. */
int vm_provider_fd(const struct vm_provider *provider);

/*
 * Swaps the newest roster in. 1: *ret_roster is a new one and the former is gone; 0: nothing new,
 * *ret_roster is the former or NULL at the very beginning. It lives until the next 1.
 */
int vm_provider_take(struct vm_provider *provider, const struct vm_roster **ret_roster);

/* What was taken last, or NULL; it lives until the next one is taken. */
const struct vm_roster *vm_provider_roster(const struct vm_provider *provider);

/* Whether vm_provider_take() would give a new one: free of system calls. */
bool vm_provider_waiting(struct vm_provider *provider);

/*
 * Whether a machine is known or just starting: 1, 0, or -EINPROGRESS when the provider has been
 * asked but has not answered within `wait_ns` (0: do not wait); then ask again. Machines of the
 * roster are answered at once, as is what was asked a moment ago (VM_QUERY_VALID_NS). -EBUSY: too
 * many questions at a time.
 */
int vm_provider_lookup(struct vm_provider *provider, const struct uuid *uuid, uint64_t wait_ns);

void vm_provider_status(struct vm_provider *provider, struct vm_provider_status *ret_status);

/* "starting", "ok", "away": literals. */
const char *vm_provider_state_name(enum vm_provider_state state);

/* The table: entry `index`, or NULL behind the last. */
const struct vm_provider_ops *vm_provider_list(size_t index);

static inline void cleanup_vm_provider_value(struct vm_provider *const *provider)
{
	vm_provider_close(*provider);
}
#define cleanup_vm_provider __attribute__((cleanup(cleanup_vm_provider_value)))

#endif
