/*
 * made_up_guest.h: a machine with control groups, processes and a RAPL zone, of a test's making.
 *
 * Times go up when the test says so, in the files that the kernel would show: a control group's in
 * all that it lies in, also when it is gone.
 */
#ifndef WATTPORT_TESTS_MADE_UP_GUEST_H
#define WATTPORT_TESTS_MADE_UP_GUEST_H

#include "common/clock.h"
#include "guest/accounts.h"
#include "tests/unit/guest_tree.h"

#include <stdint.h>

#define MADE_UP_CPUS	    4
#define MADE_UP_CGROUP_MAX  4200
#define MADE_UP_CGROUP_PATH 512

struct made_up_cgroup {
	char path[MADE_UP_CGROUP_PATH]; /* "/a/b"; the root's is "" */
	uint64_t usage_ns;
	size_t parent;
	bool there;
};

#define MADE_UP_PROCESS_MAX 512

struct made_up_process {
	int32_t pid; /* 0: none */
	size_t cgroup;
	uint32_t uid;
	uint64_t start_ticks;
	uint64_t time_ns; /* of all its threads */
	/* What a test may change before the process works again. */
	uint64_t others_ns; /* of it: of threads but the first */
	uint32_t threads;
	int32_t parent;
	uint32_t life; /* a part of its name; 0: none */
	char state;
};

struct made_up_guest {
	struct guest_tree guest;
	struct manual_clock clock;
	int version; /* of control groups; 0: none */
	uint64_t energy_uj;
	uint64_t dram_uj;
	uint64_t busy_ns;
	uint64_t idle_ns;
	size_t count;
	struct made_up_cgroup *cgroups;
	struct made_up_process processes[MADE_UP_PROCESS_MAX];
	struct meter *meter;
	struct accounts *accounts;
	const struct accounts_view *view; /* of the last tick */
};

void made_up_guest_create(struct made_up_guest *made_up, int version);
void made_up_guest_remove(struct made_up_guest *made_up);

/* Opens accounts on it. */
void made_up_guest_open(struct made_up_guest *made_up, const struct accounts_options *options);

/* A control group, with those above it where they are missing. Returns its number. */
size_t made_up_guest_add(struct made_up_guest *made_up, const char *path);

/* Takes it away with all below it; what they used stays in those above. */
void made_up_guest_rmdir(struct made_up_guest *made_up, size_t cgroup);

/* CPU time of its own. */
void made_up_guest_run(struct made_up_guest *made_up, size_t cgroup, uint64_t time_ns);

/* A process that begins now; returns its number in processes[]. */
size_t made_up_guest_start(struct made_up_guest *made_up, int32_t pid, size_t cgroup, uint32_t uid);

/* CPU time of a process, which is its control group's, too. */
void made_up_guest_work(struct made_up_guest *made_up, size_t process, uint64_t time_ns);

void made_up_guest_end(struct made_up_guest *made_up, size_t process);

/* Lets time pass: the zone draws so much, the CPUs were busy as long as was run since, or longer.
 */
void made_up_guest_pass(struct made_up_guest *made_up, uint64_t elapsed_ns, uint64_t energy_uj);
void made_up_guest_be_busy(struct made_up_guest *made_up, uint64_t time_ns);

/* Ticks the accounts, and takes the view. */
void made_up_guest_tick(struct made_up_guest *made_up);

/* The account of that name, or NULL. */
const struct account *made_up_guest_account(const struct made_up_guest *made_up,
					    enum account_kind kind, const char *name);

#endif
