/*
 * accounts.h: this machine's energy, divided among its units, users and processes.
 *
 * The guest's middle: meter and sampler in, views out. Each tick takes a reading, lets the engine
 * of common/ divide it among the units (the static part stays idle: nobody's work caused it),
 * and each unit's part among its processes and their users by their CPU time. Slices, containers,
 * pods and jobs are sums over units.
 *
 * One thread owns it; what others may see are views, which are handed out by reference. Used by
 * the service and, in processes of their own, by the commands.
 *
 * While the machine's energy cannot be read nothing is divided; what was measured meanwhile is
 * divided by the CPU time of that whole time when it is back.
 */
#ifndef WATTPORT_GUEST_ACCOUNTS_H
#define WATTPORT_GUEST_ACCOUNTS_H

#include "common/clock.h"
#include "common/diag.h"
#include "common/engine.h"
#include "common/sysroot.h"
#include "guest/accounts_view.h"
#include "guest/meter.h"

#define ACCOUNTS_TOP_DEFAULT	   50
#define ACCOUNTS_TOP_MAX	   500
#define ACCOUNTS_PERIOD_NS_DEFAULT UINT64_C(1000000000)
#define ACCOUNTS_PERIOD_NS_MIN	   UINT64_C(100000000)
#define ACCOUNTS_PERIOD_NS_MAX	   UINT64_C(30000000000)

struct accounts_options {
	size_t top; /* accounts of each kind that are shown; 0: the default */
	bool
	    exits; /* let the kernel tell of processes that end: needs CAP_NET_ADMIN for a moment */
	struct engine_idle_power package; /* the operator's own figures of static power */
	struct engine_idle_power dram;
};

struct accounts;

/*
 * `meter` is the accounts' own from now on, but for its destruction: it, root and clock outlive
 * them. As root, where exits are to be told. 0; or -errno, with what is missing in *diag: a machine
 * without cgroups is none that has nothing to divide, its processes are one unit then.
 */
int accounts_create(const struct sysroot *root, const struct clock *clock, struct meter *meter,
		    const struct accounts_options *options, struct accounts **ret_accounts,
		    struct diag *diag);
void accounts_destroy(struct accounts *accounts);

/* Takes a reading and divides what came since the last; the first one only begins. 0, or -ENOMEM:
 * then there is no new view, and the next tick makes up for it. */
int accounts_tick(struct accounts *accounts);

/* The view of the last tick, acquired for the caller; NULL before the first. In the accounts' own
 * thread, or while that ticks no more. */
const struct accounts_view *accounts_latest(const struct accounts *accounts);

static inline void cleanup_accounts_value(struct accounts *const *accounts)
{
	accounts_destroy(*accounts);
}
#define cleanup_accounts __attribute__((cleanup(cleanup_accounts_value)))

#endif
