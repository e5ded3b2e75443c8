/* The running simulator: host, model, CPU times, tree, faults and followed processes together, and
 * the clock that drives them. The mount asks it for content, the commands for truth and change.
 * One thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "tests/raplsim/cpu_time.h"
#include "tests/raplsim/faults.h"
#include "tests/raplsim/host.h"
#include "tests/raplsim/processes.h"
#include "tests/raplsim/tree.h"

struct simulator_config {
	struct host_config host;
	uint64_t update_ns;
	uint64_t cpu_count; /* With scripted: this many CPUs; 0 for this machine's. */
	bool scripted;	    /* CPU load as commands say, not what this machine spends. */
	bool manual;	    /* Time passes by command alone, from 0 on. */
};

struct simulator {
	struct simulator_config config;
	struct host host;
	unsigned int *cpu_ids;
	uint64_t *busy_ns; /* Cumulative, at now_ns, by index into host.cpus. */
	uint64_t now_ns;
	struct model *model;
	struct cpu_time *cpu_time;
	struct tree *tree;
	struct faults *faults;
	struct processes *processes;
	bool quit;
};

/* 0 or -errno; on failure, nothing is left. simulator_finish() takes what init made. */
int simulator_init(struct simulator *simulator, const struct simulator_config *config);
void simulator_finish(struct simulator *simulator);

/* Takes the model to this moment. 0, or the -errno with which the CPU times could not be read. */
int simulator_advance(struct simulator *simulator);

/* The same, unless the counters have not been refreshed since: enough for reading a file. */
int simulator_refresh(struct simulator *simulator);

/* Lets manual time pass. -ENOTSUP if time passes by itself. */
int simulator_pass(struct simulator *simulator, uint64_t duration_ns);

/* Gives all zones and processes the power of changed from this moment on. */
int simulator_set_power(struct simulator *simulator, const struct host_config *changed);
