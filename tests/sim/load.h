/*
 * load.h: what a machine wants to run at a moment: how much of its vCPUs, and which kind of work.
 *
 * Second in the simulator's flow. A load has a pattern of demand and up to three kinds of work
 * (profiles) between which it changes. Profiles are of five families (integer, memory-bound,
 * vector, branchy, polling), each drawn anew for each load, so that no two machines cost the same
 * for a cycle, nor for an instruction. Plain data with its own state; one thread.
 */
#ifndef WATTPORT_TESTS_SIM_LOAD_H
#define WATTPORT_TESTS_SIM_LOAD_H

#include "tests/sim/dice.h"
#include "tests/sim/hardware.h"

#define LOAD_PROFILE_MAX 3

enum profile_family {
	PROFILE_INTEGER,
	PROFILE_MEMORY,
	PROFILE_VECTOR,
	PROFILE_BRANCHY,
	PROFILE_POLLING,
	PROFILE_FAMILY_COUNT,
};

/* A kind of work. */
struct profile {
	double cpi;	      /* cycles for an instruction, when no miss waits */
	double misses;	      /* of the last-level cache, for an instruction */
	double overlap;	      /* the part of a miss's time that is not waited for */
	double traffic;	      /* lines moved for each counted miss: prefetches, write-backs */
	double instruction_w; /* of a core, for each GHz, square volt and instruction per cycle */
	double clock_scale;   /* of the hardware's core_clock_w */
};

enum load_pattern {
	LOAD_STEADY,
	LOAD_STEPS, /* a new level every minute or so */
	LOAD_WAVE,
	LOAD_BURSTS,
	LOAD_FULL,
	LOAD_GIVEN, /* exactly the level that its owner sets */
};

struct load {
	enum load_pattern pattern;
	double level; /* 0..1, of each vCPU, before its own skew */
	double low, high;
	double period_s; /* of a wave; mean time between changes */
	double on_s, off_s;
	double change_at_s;
	bool on;
	size_t profile_count;
	size_t profile; /* the one that runs */
	double dwell_s;
	double switch_at_s;
	double wobble; /* of the cost of an instruction, slowly changing */
	struct profile profiles[LOAD_PROFILE_MAX];
};

void profile_draw(struct profile *ret_profile, enum profile_family family, struct dice *dice);

/* A machine's load on a host of that class; `common` is what all run in classes of equal work. */
void load_draw(struct load *ret_load, enum host_class host_class, const struct profile *common,
	       double now_s, struct dice *dice);

void load_step(struct load *load, double now_s, double step_s, struct dice *dice);

#endif
