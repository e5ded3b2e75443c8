/*
 * session.h: measures this machine's energy between two runs of a program.
 *
 * `wattport-agent session`: for the prologue and epilogue scripts of batch systems, in which no
 * process lives through the job. The start leaves the counters' values in a file; the stop makes
 * the differences. A counter that wraps once meanwhile is known by its range. Where it may have
 * wrapped more often, by what its zone can draw in that time, nothing is told of it. One thread.
 */
#ifndef WATTPORT_GUEST_SESSION_H
#define WATTPORT_GUEST_SESSION_H

#include "common/diag.h"
#include "guest/exec.h"
#include "guest/meter.h"
#include "guest/session_state.h"

#define SESSION_DIRECTORY "/var/lib/wattport-agent/sessions"

/* What identifies this run of this machine; the same in every process until it is started anew. */
int session_read_boot(const struct sysroot *root, char boot[static SESSION_BOOT_SIZE],
		      struct diag *diag);

/* The state at that reading, which is a meter's first: its totals are the counters themselves.
 * -ENODATA with *diag where there is nothing to start from. */
int session_begin(const char *name, const struct meter_reading *reading, struct wall_time now,
		  const char *boot, struct session_state *ret_state, struct diag *diag);

/* What the zones of this machine can draw; 0: any power that a machine may. */
struct session_limit {
	uint64_t power_uw_max;
};

/* By what is known of the processor: twice its thermal design power; 0 where that is not known. */
struct session_limit session_guess_limit(const struct sysroot *root);

/* Whether it can never be concluded: -ESTALE with another start of the machine, or other counters
 * than those it began with. 0 where it may be, now or later. */
int session_is_lost(const struct session_state *state, const struct meter_reading *now,
		    const char *boot);

/*
 * What came since, as `exec` tells it: `now` is a meter's first reading again. What cannot be known
 * is not, with the reason in *ret_note (empty where all is known). Pure.
 */
void session_conclude(const struct session_state *state, const struct meter_reading *now,
		      const char *boot, struct session_limit limit, struct exec_result *ret_result,
		      struct diag *ret_note);

/*
 * The files, in a directory that nobody else may change. -EEXIST: a session of that name is there;
 * -ENOENT: there is none; -EBADMSG: what is there is none; all with *diag.
 */
int session_save(int dir_fd, const struct session_state *state, struct diag *diag);
int session_load(int dir_fd, const char *name, struct session_state *ret_state, struct diag *diag);
int session_remove(int dir_fd, const char *name);

/* Calls `each` with every session's name, in the order of the directory. */
int session_list(int dir_fd, void (*each)(const char *name, void *context), void *context);

#endif
