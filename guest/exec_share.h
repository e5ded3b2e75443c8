/*
 * exec_share.h: what part of the machine's energy the command of `exec` has caused.
 *
 * Between the readings of exec.c and the reports. The command's process tree is one account of the
 * engine of common/, beside which there are the rest of the machine and what it draws at rest; so
 * for each zone that adds up, exactly, in whole microjoules:
 *
 *     energy_uj = command_uj + other_uj + idle_uj
 *
 * The machine's static power is given by who knows it, or found by the engine out of this very run.
 * That takes a second: what came until then is kept and divided afterwards, and a run that is
 * shorter is taken to have gone on likewise. Without a stretch in which the machine did less, the
 * figure is what the engine's prior says, an estimate. One thread.
 */
#ifndef WATTPORT_GUEST_EXEC_SHARE_H
#define WATTPORT_GUEST_EXEC_SHARE_H

#include "common/clock.h"
#include "common/diag.h"
#include "common/engine.h"
#include "common/sysroot.h"
#include "guest/meter.h"
#include "guest/phases.h"

/* Between two divisions, where no phase ends. */
#define EXEC_SHARE_PERIOD_NS CLOCK_NS_PER_SECOND

/* Readings that are kept until the first division. */
#define EXEC_SHARE_KEPT_MAX 64

struct exec_share_options {
	const struct sysroot *root; /* of this machine's /proc and topology */
	const struct clock *clock;
	struct engine_idle_power package;
	struct engine_idle_power dram;
};

struct exec_share_zone {
	bool divided; /* else the rest says nothing */
	bool idle_given;
	uint64_t command_uj;
	uint64_t other_uj; /* work of the rest of the machine */
	uint64_t idle_uj;  /* what it draws at rest */
};

struct exec_share;

/* The options' root and clock outlive it. -errno with what is missing in *diag. */
int exec_share_create(const struct exec_share_options *options, struct exec_share **ret_share,
		      struct diag *diag);
void exec_share_destroy(struct exec_share *share);

/* The reading before the command. 0; -ENODATA with *diag: it has no zone to divide; -ENOMEM. */
int exec_share_begin(struct exec_share *share, const struct meter_reading *first,
		     struct diag *diag);

/* Whether that reading is to be taken although no phase ends. */
bool exec_share_is_due(const struct exec_share *share, const struct meter_reading *reading);

/*
 * A later reading, and the CPU time of those of the tree that have ended by then. What came since
 * the last is the running phase's, which gets its part now or with a later call. -ENOMEM.
 */
int exec_share_take(struct exec_share *share, const struct meter_reading *reading,
		    uint64_t ended_ns, struct phases *phases);

/* Divides what was kept, before the phases end. -ENOMEM. */
int exec_share_conclude(struct exec_share *share, struct phases *phases);

/* Of the zone of that index in the readings. */
struct exec_share_zone exec_share_of(const struct exec_share *share, size_t index);

#endif
