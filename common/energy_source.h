/*
 * energy_source.h: where energy comes from: the first stage of the flow.
 *
 * One `const struct energy_source_ops` a kind of source, in a file energy_source_NAME.c, all listed
 * in energy_source.c. A source lists its zones once and then reads their raw counters, as often as
 * asked, with kept descriptors. It never interprets them: unwrapping is counter.c's work.
 * One thread at a time.
 */
#ifndef WATTPORT_COMMON_ENERGY_SOURCE_H
#define WATTPORT_COMMON_ENERGY_SOURCE_H

#include "common/clock.h"
#include "common/diag.h"
#include "common/sample.h"
#include "common/sysroot.h"
#include "common/topology.h"
#include "common/zone.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ENERGY_SOURCE_PLACE_SIZE 32

/* What a source may need; members that a source does not use may be NULL. Outlives the source. */
struct energy_source_context {
	const struct sysroot *root;
	const struct clock *clock;
	const struct topology *topology;
	const char *replay_path; /* replay: the trace */
	uint32_t model_tdp_w; /* model: the operator's own figure for one package; 0: the table's */
	bool parts;	      /* powercap: list core and uncore zones too */
};

struct energy_source;

struct energy_source_ops {
	const char *name; /* of `meter.source`: "powercap", "replay", "model" */
	bool estimate;	  /* its figures are computed, not measured: said wherever they are shown */
	bool automatic;	  /* `source = auto` may take it */
	bool lasting;	  /* its counters go on while no process reads them, until the next boot */

	/*
	 * Probes and opens. On failure *diag says why it cannot work here and what would mend it;
	 * -ENODEV when the machine has no such thing, -EACCES when privilege is missing, -EINVAL
	 * for bad input.
	 */
	int (*open)(const struct energy_source_context *context, struct energy_source **ret_source,
		    struct diag *diag);

	/* Closes; never fails. */
	void (*close)(struct energy_source *source);

	/*
	 * Fills sample->zones[] in the order of the zone list, for the instant sample->time. A zone
	 * that cannot be read gets its error and does not keep the others from being read; it is
	 * reopened at a later read, so a zone that vanished may return. Replay fills the whole
	 * sample instead, with its time. Returns 0, or the negative errno with which nothing could
	 * be read at all (replay: -ENODATA behind the last line).
	 */
	int (*read)(struct energy_source *source, struct sample *sample);
};

/* The common head of every source: implementations put it first in their own struct. */
struct energy_source {
	const struct energy_source_ops *ops;
	size_t zone_count;
	struct zone zones[ZONE_MAX]; /* fixed while the source is open */

	/* Powercap: what the class calls each zone, "intel-rapl:0:1". Else empty. */
	char places[ZONE_MAX][ENERGY_SOURCE_PLACE_SIZE];

	/* Replay: the machine that was recorded, as long as the source is open. Else NULL. */
	const struct topology *topology;

	/* What a person may want to know though it works: zones left out, the line at fault. */
	struct diag notes;

	/* Powercap: the zones that came after it was opened, which it does not read. Else empty. */
	struct diag late;
};

/*
 * Opens the source of that name, or with "auto" the first of the table that works. `diag` gets, on
 * failure, the reason of each one that was tried; on success with "auto", the reasons of those that
 * came before (empty when the first worked).
 */
int energy_source_open(const char *name, const struct energy_source_context *context,
		       struct energy_source **ret_source, struct diag *diag);
void energy_source_close(struct energy_source *source);

/* energy_source_ops.read of that source; sets sample->zone_count. */
int energy_source_read(struct energy_source *source, struct sample *sample);

/* The table, for help texts and `doctor`: entry `index`, or NULL behind the last. */
const struct energy_source_ops *energy_source_list(size_t index);

static inline void cleanup_energy_source_value(struct energy_source *const *source)
{
	energy_source_close(*source);
}
#define cleanup_energy_source __attribute__((cleanup(cleanup_energy_source_value)))

#endif
