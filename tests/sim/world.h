/*
 * world.h: one simulated host with everything on it: machines, threads, energy, and who caused it.
 *
 * Joins the simulator's modules; the bench and the trace writer drive it:
 *
 *     world_create(); repeat { world_advance(); observer_sample(); }
 *
 * Deterministic: a seed is a host and all that happens on it. Floating point throughout: the truth
 * needs no exactness to the microjoule. One thread.
 */
#ifndef WATTPORT_TESTS_SIM_WORLD_H
#define WATTPORT_TESTS_SIM_WORLD_H

#include "tests/sim/dice.h"
#include "tests/sim/hardware.h"
#include "tests/sim/load.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WORLD_VM_MAX	 256 /* also those that have left */
#define WORLD_THREAD_MAX 512
#define WORLD_VCPU_MAX	 32
#define WORLD_NOBODY	 SIZE_MAX /* the account of the host's own threads */
#define WORLD_NO_CPU	 SIZE_MAX

enum thread_kind {
	THREAD_VCPU,
	THREAD_OVERHEAD,
	THREAD_HOST,
};

struct thread {
	bool live;
	enum thread_kind kind;
	size_t account; /* of world.vms[], or WORLD_NOBODY */
	size_t cpu;
	size_t pinned; /* to that CPU, or WORLD_NO_CPU */
	double skew;   /* its own share of its machine's level */
	double noise;
	double demand; /* of a CPU, in this step */
	double busy;   /* what it got of it */
	size_t next;   /* on the same CPU, in this step */
	const struct profile *profile;
	double cost; /* of its instructions, around 1 */

	/* Of this step. */
	double energy_j; /* in the package */
	double lines_j;	 /* in DRAM */

	/* Since it began. */
	double time_s;
	double cycles;
	double instructions;
	double misses;
};

/* What an account has caused. */
struct truth {
	double package_j; /* dynamic */
	double dram_j;	  /* dynamic */
	double package_idle_j;
	double dram_idle_j;
};

struct world_vm {
	bool present;
	uint64_t number; /* makes its uuid and name */
	struct load load;
	size_t vcpu_count;
	size_t vcpus[WORLD_VCPU_MAX]; /* of world.threads[] */
	size_t overhead;	      /* likewise */
	double overhead_part;	      /* of a CPU, at full load */
	double memory_gib;
	double lived_s;
	struct truth truth;
	double heat_w[HARDWARE_SOCKET_MAX]; /* what it has heated lately */
};

struct world_socket {
	double package_j; /* all that was drawn */
	double dram_j;
	double heat_host_w;
};

struct world {
	struct hardware hardware;
	enum host_class host_class;
	struct dice dice;
	double now_s;
	double step_s;
	double changes_per_s; /* arrivals, and departures */
	double crowding;      /* vCPUs for each CPU that are looked for */
	bool pinning;
	struct profile common;
	struct profile host_profile;
	size_t vm_count; /* used entries, departed machines included */
	uint64_t vm_next;
	struct world_vm vms[WORLD_VM_MAX];
	size_t thread_count;
	struct thread threads[WORLD_THREAD_MAX];
	size_t cpu_first[HARDWARE_CPU_MAX]; /* thread lists of this step */
	double cpu_demand[HARDWARE_CPU_MAX];
	double cpu_busy[HARDWARE_CPU_MAX]; /* of this step, 0..1 */
	double cpu_time_s[HARDWARE_CPU_MAX];
	double core_ghz[HARDWARE_CORE_MAX];
	double core_load[HARDWARE_CORE_MAX]; /* what the governor has seen */
	struct world_socket sockets[HARDWARE_SOCKET_MAX];
	double psys_j;
	struct truth host;   /* caused by the host's own threads */
	struct truth vacant; /* static energy that nobody has rented */
};

/* A host without machines or threads of its own, of HOST_MIXED; nobody comes or goes by chance. */
int world_create_empty(const struct hardware *hardware, uint64_t seed, struct world **ret_world);

/* A host of that class, with its first machines. The same seed and class are the same host. */
int world_create(enum host_class host_class, uint64_t seed, struct world **ret_world);
void world_destroy(struct world *world);

/* A machine of that size with that load, from now on; its index. -ENOSPC when there is no room. */
int world_add_vm(struct world *world, size_t vcpu_count, double memory_gib,
		 const struct load *load);
void world_remove_vm(struct world *world, size_t vm);

/* Other machines, and other work on some that stay: what comes now has not been seen before. */
void world_remix(struct world *world);

/* Time goes on by that much. */
void world_advance(struct world *world, double seconds);

/* A CPU's own thread may stand on any of them: that one alone from now on. */
void world_pin(struct world *world, size_t thread, size_t cpu);

/* vCPUs of all machines that are present. */
size_t world_allocated(const struct world *world);

static inline void cleanup_world_value(struct world *const *world)
{
	world_destroy(*world);
}
#define cleanup_world __attribute__((cleanup(cleanup_world_value)))

#endif
