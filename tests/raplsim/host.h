/* The simulated host: which packages, dies and CPUs there are, and which powercap zones stand for
 * them. Laid out once from the options; the model gets its zones from here and the tree its
 * directories. Pure; one thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/raplsim/model.h"

#define HOST_PACKAGES_MAX 64
#define HOST_DIES_MAX	  8
#define HOST_NAME_SIZE	  32

enum host_zone_kind {
	HOST_ZONE_PACKAGE,
	HOST_ZONE_CORE,
	HOST_ZONE_UNCORE,
	HOST_ZONE_DRAM,
	HOST_ZONE_PSYS,
};

struct host_config {
	unsigned int packages;
	unsigned int dies; /* Per package. */
	bool dram;
	bool psys;
	bool core;
	bool uncore;
	bool mmio; /* A second control type that repeats packages and DRAM. */
	uint64_t idle_uw;
	uint64_t busy_uw;
	uint64_t dram_uw;
	uint64_t psys_extra_uw;
	uint64_t unit_pj;
	uint64_t dram_unit_pj;
	uint64_t psys_unit_pj;
	bool near_wrap;
	uint64_t
	    start_uj; /* The counter's first value, or with near_wrap its distance from zero. */
};

struct host_cpu {
	unsigned int id;
	unsigned int package;
	unsigned int die; /* Within its package. */
	unsigned int core;
};

/* A zone as the model knows it: each has its own joules. */
struct host_zone {
	enum host_zone_kind kind;
	char key[HOST_NAME_SIZE]; /* Unlike `name` unique: "package-0", "package-0/dram", "psys". */
	char name[HOST_NAME_SIZE];    /* What the kernel's `name` says. */
	char id[HOST_NAME_SIZE];      /* "intel-rapl:0:2". */
	char mmio_id[HOST_NAME_SIZE]; /* "intel-rapl-mmio:0:0", or empty. */
	unsigned int package;
	unsigned int die;
	size_t parent; /* Index of the zone around this one, or HOST_ZONE_NONE. */
	struct model_zone model;
};

#define HOST_ZONE_NONE SIZE_MAX

struct host {
	struct host_config config;
	size_t cpu_count;
	struct host_cpu *cpus; /* Ascending; those of one die stand together. */
	size_t zone_count;
	struct host_zone *zones; /* In the order the kernel registers them. */
};

/* Deals the CPUs, ascending, over the dies in blocks as even as they come; dies past the number of
 * CPUs get none. Returns 0, -EINVAL for counts out of range or a start value beyond the counter,
 * -ENOMEM. On success host_finish() gives everything back. */
int host_init(struct host *host, const struct host_config *config, const unsigned int *cpu_ids,
	      size_t cpu_count);
void host_finish(struct host *host);

/* The power that a zone has under config: what `set` needs when it changes config. */
struct model_power host_zone_power(const struct host_config *config, enum host_zone_kind kind);
