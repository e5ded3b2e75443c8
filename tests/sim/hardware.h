/*
 * hardware.h: what one simulated host is made of, drawn at random from wide ranges.
 *
 * First in the simulator's flow: hardware -> loads -> scheduler -> power -> truth -> observer. All
 * ranges stand in hardware.c; nothing here is known to the engine that is measured, and nothing is
 * taken from it. Powers in watts, frequencies in GHz, times in seconds. Plain data.
 */
#ifndef WATTPORT_TESTS_SIM_HARDWARE_H
#define WATTPORT_TESTS_SIM_HARDWARE_H

#include "tests/sim/dice.h"

#include <stdbool.h>
#include <stddef.h>

#define HARDWARE_SOCKET_MAX 2
#define HARDWARE_CORE_MAX   32 /* of all sockets */
#define HARDWARE_CPU_MAX    (2 * HARDWARE_CORE_MAX)

/* The hosts that are measured apart, each with what it is about. */
enum host_class {
	HOST_EQUAL,  /* all machines run the same kind of work */
	HOST_MIXED,  /* each machine runs work of its own kinds, which change */
	HOST_DVFS,   /* mixed, and a governor that follows the load, core by core */
	HOST_SMT,    /* equal work at one frequency: only the sharing of cores differs */
	HOST_LIGHT,  /* a few small machines on a host that is hardly used */
	HOST_PACKED, /* no CPU is ever idle */
	HOST_BURSTY, /* on and off, from a tenth of a second to some seconds */
	HOST_CLASS_COUNT,
};
extern const char *const host_class_names[HOST_CLASS_COUNT];

enum hardware_governor {
	GOVERNOR_FIXED,	   /* turbo off */
	GOVERNOR_TURBO,	   /* the most that the number of active cores allows */
	GOVERNOR_ONDEMAND, /* follows each core's load, with a lag */
};

struct hardware {
	size_t sockets;
	size_t cores;	/* of one socket */
	size_t threads; /* of one core: 1 or 2 */

	enum hardware_governor governor;
	double governor_lag_s;
	double ghz_min;
	double ghz_base;
	double ghz_turbo_one; /* one core active */
	double ghz_turbo_all;
	double turbo_curve; /* exponent of the fall between the two */
	double volt_min;    /* at ghz_min */
	double volt_max;    /* at ghz_turbo_one */
	double volt_curve;

	/* Of a core, for each GHz and square volt. */
	double core_base_w;	  /* awake, whoever runs on it */
	double core_clock_w;	  /* for each thread that runs */
	double core_leak_w;	  /* awake, for each volt: a sleeping core is gated */
	double instruction_scale; /* of what a profile says of an instruction */
	double memory_ns;	  /* what a miss takes */
	double smt_yield;	  /* instructions of a thread beside another, of those alone */
	double smt_together; /* 0: siblings run independently of each other, 1: always together */

	/* Of a package. */
	double idle_w;	    /* nothing runs, all cool */
	double wake_w;	    /* more, while anything runs */
	double uncore_w;    /* at most more, as more CPUs are busy */
	double uncore_cpus; /* that many busy CPUs bring 63 % of it */
	double miss_nj;	    /* each miss, on its way through */
	double heat_per_w;  /* leakage, in watts for each watt of heat */
	double heat_lag_s;

	double memory_gib; /* of a socket */
	bool dram_counted; /* there is a zone for it */
	double dram_idle_w;
	double dram_line_nj;
	double numa_local; /* the part of the traffic that stays on the thread's socket */

	bool psys;
	double platform_w;
	double supply_yield;

	double package_unit_j; /* of the counters */
	double dram_unit_j;
	double refresh_s;

	double thread_tick_s; /* a running thread's time is behind by up to that */
	bool cpu_ticked;      /* CPUs' times are counted by looking at each tick, not measured */
	double event_noise; /* relative error of an event's count in a second, from multiplexing */
};

/* A host of that class. */
void hardware_draw(struct hardware *ret_hardware, enum host_class host_class, struct dice *dice);

static inline size_t hardware_core_count(const struct hardware *hardware)
{
	return hardware->sockets * hardware->cores;
}

static inline size_t hardware_cpu_count(const struct hardware *hardware)
{
	return hardware_core_count(hardware) * hardware->threads;
}

/* CPUs are numbered as Linux does: first one of each core, then their siblings. */
static inline size_t hardware_core_of(const struct hardware *hardware, size_t cpu)
{
	return cpu % hardware_core_count(hardware);
}

static inline size_t hardware_socket_of(const struct hardware *hardware, size_t cpu)
{
	return hardware_core_of(hardware, cpu) / hardware->cores;
}

#endif
