/*
 * made_up_host.h: a hypervisor of a test's own making, and wattportd's meter on it.
 *
 * Two packages with a CPU each, three zones, and one machine of two vCPUs that the procfs provider
 * finds. All that it shows is a function of the seconds that have passed, so a test knows what has
 * to be in the ledger.
 */
#ifndef WATTPORT_TESTS_MADE_UP_HOST_H
#define WATTPORT_TESTS_MADE_UP_HOST_H

#include "common/clock.h"
#include "common/ledger_map.h"
#include "common/settings.h"
#include "common/sysroot.h"
#include "host/meter.h"
#include "tests/unit/tree.h"

#include <stdatomic.h>

#define MADE_UP_ZONES	3
#define MADE_UP_PID	10
#define MADE_UP_VCPU_NS UINT64_C(800000000) /* in a second, of both vCPUs */
#define MADE_UP_MACHINE "8e3f7f1e-0f3b-4a54-8e86-0ff2bd8a1a02"

/* The provider's thread reads it, too. */
struct made_up_clock {
	struct clock clock;
	atomic_uint_least64_t ns;
};

struct made_up_host {
	struct tree tree;
	struct sysroot *root;
	struct made_up_clock clock;
	struct settings settings;
	int runtime_fd, state_fd;
	size_t fd_budget;
	uint64_t seconds;
	struct meter *meter; /* NULL: not open */
};

void made_up_host_create(struct made_up_host *host);
void made_up_host_destroy(struct made_up_host *host);

/* As wattportd begins and ends. */
int made_up_host_try(struct made_up_host *host, struct diag *diag);
void made_up_host_open(struct made_up_host *host);
void made_up_host_close(struct made_up_host *host);

/* Waits until the provider has told of a change. */
void made_up_host_await(const struct made_up_host *host);

/* So much later: counters, CPU times and the clock have gone on. */
void made_up_host_pass(struct made_up_host *host, uint64_t seconds);

/* What readers see now; to be freed with ledger_copy_free(). */
void made_up_host_copy(const struct made_up_host *host, struct ledger_copy *ret_copy);

/* The machine in it; NULL: it has no account. */
const struct ledger_vm *made_up_host_machine(const struct ledger_copy *copy);

/* What that zone has counted in so many seconds. */
uint64_t made_up_host_energy_uj(size_t zone, uint64_t seconds);

#endif
