/*
 * keeper_internal.h: what the parts of the keeper share: its life (keeper.c) and the workers that
 * it starts (keeper_worker.c).
 */
#ifndef WATTPORT_FUSEFS_KEEPER_INTERNAL_H
#define WATTPORT_FUSEFS_KEEPER_INTERNAL_H

#include "common/clock.h"
#include "common/privilege.h"
#include "common/sysroot.h"
#include "fusefs/connection.h"
#include "fusefs/keeper.h"
#include "fusefs/takeover.h"

#include <limits.h>
#include <signal.h>
#include <sys/types.h>

struct keeper {
	const struct keeper_options *options;
	const struct clock *clock;
	char mount_path[PATH_MAX];
	int runtime_fd;
	int signal_fd;
	int ready_fds[2];
	struct takeover takeover;
	struct sysroot *root;
	int proc_fd;		    /* for the worker */
	struct privilege_user user; /* whom it becomes, if we are root */
	struct connection connection;
	sigset_t signals;  /* that come by signal_fd */
	int go_fds[2];	   /* ours and that of a worker which gets ready (worker.h), or -1 */
	pid_t worker;	   /* 0: none */
	bool serves;	   /* the worker has said so */
	pid_t spare;	   /* a worker that waits for the worker's end, to serve then; 0: none */
	int spare_fd;	   /* to tell it, or -1 */
	uint64_t spare_ns; /* when to make one, where one has failed */
	bool inherited;	   /* somebody may hold the trees open since before our time */
	bool told_ready;   /* to the service manager */
	bool told_failed;  /* that no worker can be started */
	unsigned quick;	   /* workers in a row that died young */
	uint64_t birth_ns; /* of the worker */
};

/* Forks a worker that serves at once; one that is left of another keeper is ended before. */
int keeper_start_worker(struct keeper *keeper, struct diag *diag);

/*
 * Goes on with what takeover_begin() found: with `serve`, a worker gets ready for all that may
 * fail, then who serves is ended and the new worker begins. On failure who served goes on
 * (takeover_seize()).
 */
int keeper_succeed(struct keeper *keeper, const struct takeover_request *request, bool serve,
		   struct diag *diag);

/*
 * Has the spare worker serve from now on: readers need not wait then until one is made. False:
 * there is none that could.
 */
bool keeper_use_spare(struct keeper *keeper);

/* Makes sure that there is a spare worker, as soon as the worker serves. */
void keeper_ensure_spare(struct keeper *keeper);

/* Looks whether the spare has ended, which it should not. */
void keeper_watch_spare(struct keeper *keeper);

/* Kill the worker, and the spare one, if there are any. */
void keeper_end_worker(struct keeper *keeper);
void keeper_end_spare(struct keeper *keeper);

#endif
