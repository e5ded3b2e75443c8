/*
 * exec.h: measures the energy of this machine while a command runs.
 *
 * `wattport-agent exec`: a reading right before and right after, and many between: for the peak,
 * for the phases that the command marks, and so that counters that wrap are not lost. What is
 * measured is the machine; exec_share.h tells how much of that the command has caused. One thread.
 */
#ifndef WATTPORT_GUEST_EXEC_H
#define WATTPORT_GUEST_EXEC_H

#include "common/carbon.h"
#include "common/diag.h"
#include "guest/exec_share.h"
#include "guest/meter.h"
#include "guest/peak.h"
#include "guest/phases.h"

#include <stdint.h>

/* As the shells have it (POSIX 2.8.2). */
#define EXEC_STATUS_CANNOT    126
#define EXEC_STATUS_NOT_FOUND 127
#define EXEC_STATUS_SIGNAL    128

/*
 * By default readings are so far apart, and farther where they cost more than a part in 250 of a
 * CPU: a reading over a shared file system may take half a millisecond.
 */
#define EXEC_PERIOD_NS	   (10 * CLOCK_NS_PER_MS)
#define EXEC_COST_DIVISOR  250
#define EXEC_PERIOD_NS_MIN CLOCK_NS_PER_MS
#define EXEC_PERIOD_NS_MAX (METER_PERIOD_NS_MAX / 3)

struct exec_options {
	char *const *command;  /* NULL-terminated */
	uint64_t period_ns;    /* between readings; 0: EXEC_PERIOD_NS, as far as they are cheap */
	bool command_only;     /* it ends with the command, not with the last of its children */
	struct carbon *carbon; /* or NULL */
	const struct sysroot *root;	  /* of this machine's /proc, for CPU times; or NULL */
	struct engine_idle_power package; /* what is known of what the machine draws at rest */
	struct engine_idle_power dram;
	const struct clock *clock;
};

struct exec_result {
	int exit_status; /* of the command, or EXEC_STATUS_SIGNAL and the signal's number */
	struct wall_time began;
	uint64_t elapsed_ns;
	uint64_t user_ns; /* CPU time of the command and of its descendants that have ended */
	uint64_t system_ns;
	uint64_t process_count; /* of those that were reaped: children nobody waited for, too */
	bool left_running;	/* some of its descendants still run: theirs is not in it */
	bool has_busy;
	uint64_t busy_ns;    /* how long this machine's CPUs were busy, all together */
	uint64_t own_cpu_ns; /* what measuring has cost meanwhile */
	uint64_t period_ns;  /* between readings, on average */
	uint64_t edge_ns;    /* by how much the first and last reading may be apart from the run */
	uint64_t reading_count;
	bool marks_possible; /* else no descriptor below 10 was free */
	bool has_carbon;
	struct carbon_figure carbon;	/* at the end */
	struct carbon_sum co2e;		/* of the whole */
	struct carbon_sum command_co2e; /* of it: of the command's part, where there are shares */
	struct meter_reading before;
	struct meter_reading after;
	bool has_shares;			 /* the next, and the phases' parts, are known */
	struct diag shares_reason;		 /* else why not; empty: of a session */
	struct exec_share_zone shares[ZONE_MAX]; /* in the order of the readings' zones */
	struct peak *peak;			 /* NULL: of a session */
	struct phases *phases;			 /* the same */
};

/* Whether both readings are to be believed; else result->before or ->after tells why not. */
bool exec_result_known(const struct exec_result *result);

/* The machine's energy: all zones that add up. False where one of them is not known. */
bool exec_result_total(const struct exec_result *result, struct meter_use *ret_use);

/*
 * The command's part of zone `index`, and of all that add up: their rests are idle_given where all
 * are. False where it is not known of one of them.
 */
bool exec_result_share(const struct exec_result *result, size_t index,
		       struct exec_share_zone *ret_share);
bool exec_result_total_share(const struct exec_result *result, struct exec_share_zone *ret_share);

void exec_result_destroy(struct exec_result *result);

/*
 * Runs the command. 0 with the result, whatever the command's own status. When it cannot be
 * started, -ENOENT or another errno of posix_spawnp(3), with *diag.
 */
int exec_run(struct meter *meter, const struct exec_options *options,
	     struct exec_result **ret_result, struct diag *diag);

/* What a shell would return for a command that could not be started with that error. */
int exec_status_of_error(int error);

static inline void cleanup_exec_result_value(struct exec_result *const *result)
{
	exec_result_destroy(*result);
}
#define cleanup_exec_result __attribute__((cleanup(cleanup_exec_result_value)))

#endif
