/*
 * phases.h: a measured run, cut into phases by the labels that it wrote.
 *
 * Between marks.h and the reports. Each phase has what each zone counted from its mark to the next;
 * both are one and the same reading, so the phases sum exactly to the whole, in microjoules. Those
 * with the same label are summed up as well. What finds no place in the lists is in `unlisted`.
 * Pure; one thread.
 */
#ifndef WATTPORT_GUEST_PHASES_H
#define WATTPORT_GUEST_PHASES_H

#include "common/carbon.h"
#include "guest/marks.h"
#include "guest/meter.h"

#define PHASES_MAX	 1024
#define PHASES_LABEL_MAX 256

struct phase {
	char label[MARK_SIZE]; /* empty: before the first mark, and behind an empty one */
	uint64_t count;	       /* of sums: how many phases are in it; else 1 */
	uint64_t elapsed_ns;
	uint64_t energy_uj;	     /* of the zones that add up */
	uint64_t zones_uj[ZONE_MAX]; /* in the order of the first reading's zones */
	uint64_t command_uj;	     /* of energy_uj: the command's, as exec_share.h divides it */
	uint64_t command_zones_uj[ZONE_MAX];
	struct carbon_sum co2e;		/* of energy_uj */
	struct carbon_sum command_co2e; /* of command_uj */
};

struct phases;

/* Starts a phase without a label at that reading. NULL: out of memory. */
struct phases *phases_create(const struct meter_reading *first);
void phases_destroy(struct phases *phases);

/* Books what came since the last reading to the running phase, with its grams where there is a
 * figure (or NULL). */
void phases_book(struct phases *phases, const struct meter_reading *reading,
		 const struct carbon_figure *figure);

/* Ends the running phase at the last reading that was booked, and starts another there. */
void phases_cut(struct phases *phases, const char *label);

/* The running phase's number, from 0 on. */
size_t phases_number(const struct phases *phases);

/*
 * The command's part of what was booked to the phase of that number, by zones: of one that runs, or
 * that has ended and is in the list. Its grams are those of the last figure that was booked.
 */
void phases_give(struct phases *phases, size_t number, const uint64_t zones_uj[]);

/* Ends the last one. Nothing is booked behind that. */
void phases_end(struct phases *phases);

/* All phases in the order of time, at most PHASES_MAX; they belong to `phases`. */
size_t phases_count(const struct phases *phases);
const struct phase *phases_get(const struct phases *phases, size_t index);

/* The sums by label, in the order of their first marks, at most PHASES_LABEL_MAX. */
size_t phases_label_count(const struct phases *phases);
const struct phase *phases_label(const struct phases *phases, size_t index);

/* What is in no phase of the list, and in no sum by label; their counts are 0 where all is. */
const struct phase *phases_unlisted(const struct phases *phases);
const struct phase *phases_other_labels(const struct phases *phases);

/* All of them. */
const struct phase *phases_whole(const struct phases *phases);

static inline void cleanup_phases_value(struct phases *const *phases)
{
	phases_destroy(*phases);
}
#define cleanup_phases __attribute__((cleanup(cleanup_phases_value)))

#endif
