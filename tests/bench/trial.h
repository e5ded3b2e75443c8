/*
 * trial.h: one simulated host measured by all models at once, and what each of them made of it.
 *
 * A quarter of an hour to learn, then everything is mixed anew (world_remix()), and the second
 * quarter counts. Several engines see the same samples, each of which knows less or more.
 *
 * psys counts everything again, so it is judged by itself, where the host has it. Its truth: what
 * the host draws from the wall with nothing running (the platform, and the idle power of packages
 * and memory through the supply's yield) is divided by the rule of `idle = vcpu`; the rest is the
 * machine's own dynamic energy of packages and memory, through the yield.
 */
#ifndef WATTPORT_TESTS_BENCH_TRIAL_H
#define WATTPORT_TESTS_BENCH_TRIAL_H

#include "tests/sim/peers.h"
#include "tests/sim/world.h"

enum trial_model {
	TRIAL_TIME,	  /* takes every CPU for a core of its own */
	TRIAL_SIBLINGS,	  /* the topology as it is */
	TRIAL_IDLE_GIVEN, /* the same, and the true idle power as if the operator had given it */
	TRIAL_EVENTS,	  /* the topology, and events */
	TRIAL_OURS_COUNT,
	TRIAL_PEERS = TRIAL_OURS_COUNT, /* then in the order of enum peer */
	TRIAL_MODEL_COUNT = TRIAL_PEERS + PEER_COUNT,
};

const char *trial_model_name(size_t model);

struct trial_plan {
	enum host_class host_class;
	uint64_t seed;
	unsigned int learn_s;
	unsigned int judge_s;
};

/* Joules of packages, and of DRAM where it is counted; dynamic is what is not idle power. */
struct trial_energy {
	double total_j;
	double dynamic_j;
};

struct trial_vm {
	struct trial_energy truth;
	struct trial_energy found[TRIAL_MODEL_COUNT];
	bool has_psys; /* then the next are of it; peers do not divide it */
	struct trial_energy psys_truth;
	struct trial_energy psys_found[TRIAL_OURS_COUNT];
};

struct trial_result {
	size_t vm_count; /* that lived a minute at least of what counts */
	struct trial_vm vms[WORLD_VM_MAX];
	double idle_w; /* of all packages */
	double idle_found_w[TRIAL_OURS_COUNT];
	double psys_idle_w; /* of the whole host; 0: it has no psys */
	double psys_idle_found_w[TRIAL_OURS_COUNT];
	bool conserved; /* by all engines, in every zone */
};

/* 0 or -errno. */
int trial_run(const struct trial_plan *plan, struct trial_result *ret_result);

#endif
