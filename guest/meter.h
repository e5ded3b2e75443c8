/*
 * meter.h: reads this machine's energy, from the host's tree or from its own powercap.
 *
 * The guest's first stage: opens the source, unwraps its counters, keeps a total for each zone and
 * says whether the figures are to be believed. Everything that the agent shows comes from here.
 * A meter never gives up: what cannot be opened or read is tried again with the next reading. Only
 * who reads may be the wrong one by then (`denied`): rights that were given up do not come back.
 * One thread at a time.
 *
 * A zone's total starts at the counter's own value and grows as the counter does, so that it is
 * the number which other readers of the tree show; on bare metal it goes on where the counter
 * wraps, and starts at the counter again with the next run of the agent.
 */
#ifndef WATTPORT_GUEST_METER_H
#define WATTPORT_GUEST_METER_H

#include "common/clock.h"
#include "common/diag.h"
#include "common/energy_source.h"
#include "common/sysroot.h"
#include "common/zone.h"
#include "guest/tree_info.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Data that is older says nothing about now: the host's side is away. */
#define METER_AGE_MS_MAX 10000

/* Power is a mean over at least so long: shorter ones show the counter's own steps. */
#define METER_POWER_PERIOD_NS_MIN UINT64_C(1000000000)

/* The counter with the shortest range wraps after 13 s at 5 kW; real machines need minutes. */
#define METER_PERIOD_NS_MAX UINT64_C(30000000000)

enum meter_source {
	METER_AUTO,	/* the tree where there is one, else powercap */
	METER_TREE,	/* the host's, laid over /sys or not */
	METER_POWERCAP, /* this machine's own, or whatever lies over it */
};

struct meter_options {
	enum meter_source source;
	const char *at; /* where the tree is mounted */
};

struct meter_zone {
	char id[ZONE_ID_SIZE];
	char place[ENERGY_SOURCE_PLACE_SIZE]; /* what the class calls it, "intel-rapl:0:1" */
	bool joined; /* came after others had been read: a sum that began without it goes on so */
	bool available; /* else what follows says nothing */
	uint64_t energy_uj;
	uint64_t joined_uj; /* of it: what its counter had when it joined; else 0 */
	uint64_t range_uj;  /* largest raw value of its counter */
	bool has_power;
	uint64_t power_uw; /* mean since the last reading that is METER_POWER_PERIOD_NS_MIN old */
	enum zone_kind kind;
	uint32_t package;
	uint32_t die; /* or ZONE_ANY_DIE */
};

struct meter_reading {
	struct mono_time time;
	uint64_t read_ns; /* the counters were read within so long before `time` */
	bool up;	  /* the figures are measured now; else `reason` says what is wrong */
	bool opened;	  /* there is a source; else the rest says nothing */
	bool from_tree;	  /* else from powercap: `info` says nothing */
	bool denied;	  /* zones are there, of which this process may not read one or all */
	bool has_info;
	struct tree_info info;
	size_t zone_count;
	struct meter_zone zones[ZONE_MAX];
	struct diag reason;
};

struct meter;

/* "auto", "tree", "powercap"; -EINVAL otherwise. */
int meter_source_parse(const char *name, enum meter_source *ret_source);

/* Opens nothing yet. `root`, `clock` and the options' text outlive the meter. */
int meter_create(const struct sysroot *root, const struct clock *clock,
		 const struct meter_options *options, struct meter **ret_meter);
void meter_destroy(struct meter *meter);

/* Takes a reading. Always fills it; what is wrong stands in it. */
void meter_read(struct meter *meter, struct meter_reading *ret_reading);

/*
 * The zones alone, for who reads many times a second between two whole readings: what the host says
 * of them is not asked, and `up` means no more than that they could be read.
 */
void meter_read_zones(struct meter *meter, struct meter_reading *ret_reading);

/*
 * Whether a zone of that id is part of the machine's energy: packages, or their dies, and DRAM. The
 * others lie within these or overlap them.
 */
bool meter_zone_adds_up(const char *id);

/*
 * Whether the figures are computed and not measured, as far as that is known: what is read here is
 * measured, of a tree its host tells; false while that is silent, or there is nothing to read.
 */
bool meter_reading_estimate(const struct meter_reading *reading, bool *ret_estimate);

/* The zone of that id in another reading, or NULL where it is not available. */
const struct meter_zone *meter_reading_find(const struct meter_reading *reading, const char *id);

/* How a zone's energy grew from one reading to a later one; false where one of them lacks it. */
struct meter_use {
	uint64_t energy_uj;
	uint64_t power_uw;
};
bool meter_reading_use(const struct meter_reading *earlier, const struct meter_reading *later,
		       const char *id, struct meter_use *ret_use);

static inline void cleanup_meter_value(struct meter *const *meter)
{
	meter_destroy(*meter);
}
#define cleanup_meter __attribute__((cleanup(cleanup_meter_value)))

#endif
