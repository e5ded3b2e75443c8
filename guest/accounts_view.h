/*
 * accounts_view.h: who in this machine used which energy, at one instant: what every view shows.
 *
 * The seam between dividing and showing in the guest: accounts.h makes it, once a tick; metrics,
 * outputs, `top` and the page only read it, so that they all tell the same numbers. It is
 * immutable once made, and shared by reference: safe in any thread.
 *
 * The zones that add up are packages (or dies) and DRAM; psys overlaps them, core and uncore lie
 * within the package, so neither is in any account. For each zone, and for their sum, exactly, in
 * whole microjoules since the agent began to divide:
 *
 *     energy_uj = sum over the accounts of a kind + its rest + pending_uj + idle_uj + other_uj
 *
 * for each of the kinds that have everything in them: units, users and processes. The other kinds
 * (slices, containers, pods, jobs) are sums over units, by which some of these are looked at.
 */
#ifndef WATTPORT_GUEST_ACCOUNTS_VIEW_H
#define WATTPORT_GUEST_ACCOUNTS_VIEW_H

#include "guest/meter.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ACCOUNT_NAME_SIZE   256 /* UTF-8, with the NUL; longer ones are cut at a character */
#define ACCOUNT_DETAIL_SIZE 128

enum account_kind {
	ACCOUNT_UNIT, /* a service, scope, container or job: the smallest cgroup that has a name */
	ACCOUNT_USER, /* by the processes' owner */
	ACCOUNT_PROCESS,   /* by pid; those that have ended are in the rest */
	ACCOUNT_SLICE,	   /* systemd's slices, with all that is below them */
	ACCOUNT_CONTAINER, /* of docker, podman, containerd, CRI-O, LXC and their kin */
	ACCOUNT_POD,	   /* of Kubernetes */
	ACCOUNT_JOB,	   /* of SLURM and OAR */
	ACCOUNT_KIND_COUNT,
};

struct account_use {
	uint64_t energy_uj; /* since the agent began to divide; never less than before */
	uint64_t power_uw;  /* over about the last second or tick */
};

struct account {
	char name[ACCOUNT_NAME_SIZE]; /* "nginx.service", a container's id or name, "1234" (job),
					 a user's name or number, a process's comm */
	char detail[ACCOUNT_DETAIL_SIZE]; /* of a container its engine ("docker"), of a job its
					     scheduler ("slurm"), of a process its unit, of a unit
					     its slice; or empty */
	int32_t pid;			  /* of a process; else 0 */
	uint32_t members;		  /* processes that live now */
	uint64_t cpu_ns;		  /* CPU time since the agent began to divide */
	struct account_use total;	  /* of all zones that add up */
	struct account_use *zones;	  /* [zone_count of the view]; belongs to the view */
};

/* All of a kind: the top by energy, the largest first, and what the others have together. */
struct accounts_group {
	size_t count;
	struct account *accounts;
	size_t rest_count;   /* accounts that live and found no place */
	struct account rest; /* theirs, and that of all that have ended; named "(rest)" */
	/*
	 * Of units and zones together: what is divided, but not yet among processes and users,
	 * because looking at all processes costs too much to do it at each tick. Usually 0; goes up
	 * and down. In no account and not in the rest.
	 */
	uint64_t pending_uj;
	uint64_t *pending_zones_uj; /* [zone_count of the view], or NULL: nothing is pending */
	uint64_t lost_uj;	    /* of the rest: work of processes that nobody saw */
};

/* How processes that end between two looks are told: process_exits.h. */
struct accounts_exits {
	bool counted; /* the kernel tells of each */
	uint64_t ended;
	uint64_t lost;	  /* times that the kernel had more to tell than room for it */
	char reason[128]; /* why they are not counted, with what would mend it; or empty */
};

struct accounts_zone {
	char id[ZONE_ID_SIZE];
	uint64_t energy_uj; /* divided since the agent began to */
	uint64_t idle_uj;   /* of it: what the machine draws at rest, which nobody's work caused */
	uint64_t other_uj;  /* of it: work that belongs to no account */
	uint64_t power_uw;
	uint64_t idle_power_uw; /* the static power that attribution reckons with */
};

struct accounts_view {
	struct meter_reading reading; /* the machine's zones, and whether they are to be believed */
	uint64_t wall_ns;	      /* struct wall_time of the reading */
	uint64_t interval_ns;	      /* over which power is told */
	uint64_t age_ns;	      /* since the division began */
	size_t zone_count;	      /* those that add up */
	struct accounts_zone *zones;
	struct accounts_zone total; /* all of them; its id is "total" */
	uint64_t steal_ns;	    /* CPU time that the hypervisor gave to others meanwhile */
	struct accounts_group groups[ACCOUNT_KIND_COUNT];
	struct accounts_exits exits;
	uint64_t calibration_error_ppm; /* how far off the found static power may be, of the power;
					   0: not known yet */
	uint64_t process_period_ns;	/* over which processes and users are divided */
};

/*
 * Views that accounts.h made, by reference: each acquire has its release. NULL is let through.
 * Views made by hand are not for these.
 */
const struct accounts_view *accounts_view_acquire(const struct accounts_view *view);
void accounts_view_release(const struct accounts_view *view);

/*
 * Whether that zone's power is known: there was a tick before, and it could be read in this one.
 * The total's, and the accounts', are of those zones that could.
 */
bool accounts_view_has_power(const struct accounts_view *view, const struct accounts_zone *zone);

/* "unit", "user", "process", ...: literals. */
const char *account_kind_name(enum account_kind kind);

#endif
