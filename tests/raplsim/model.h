/* The energy model: turns time and CPU time into joules, and joules into what a RAPL counter of
 * 32 bits shows. First in the flow after cpu_time, read by the tree and by `truth`.
 *
 *     E_zone(t) = idle power * t + busy power * CPU time spent on the zone's CPUs
 *
 * Power is in whole microwatts and time in whole nanoseconds, so every product is a whole number
 * of femtojoules. The accumulators hold femtojoules in 128 bits: nothing is ever rounded, however
 * often the power changes or the model is advanced. Pure: no I/O, no clock; one thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MODEL_FJ_PER_UJ 1000000000U

struct model;

struct model_power {
	uint64_t idle_uw;
	uint64_t busy_uw; /* For each CPU of the zone while it is busy. */
};

struct model_zone {
	struct model_power power;
	uint64_t unit_pj;     /* What one hardware unit is worth; at least 1000. */
	uint32_t start_units; /* What the hardware counter holds at the start. */
	size_t cpu_first;     /* The zone's CPUs, as indexes into busy_ns of model_advance(). */
	size_t cpu_count;
};

struct model_config {
	uint64_t start_ns;  /* The time of the first moment. */
	uint64_t update_ns; /* The hardware refreshes its counters this often; at least 1. */
	size_t cpu_count;
	size_t zone_count;
	const struct model_zone *zones; /* Copied. */
};

struct model_energy {
	uint64_t true_uj; /* Since the start, now: not quantised, floor of idle + busy. */
	uint64_t idle_uj;
	uint64_t busy_uj;
};

struct model_counter {
	uint64_t raw_uj;   /* As the kernel prints energy_uj. */
	uint64_t range_uj; /* As the kernel prints max_energy_range_uj. */
	uint64_t wraps;	   /* How often the counter has passed zero. */
};

/* Returns 0, -EINVAL for a zone with CPUs that do not exist or a unit below a nanojoule, -ENOMEM.
 */
int model_create(const struct model_config *config, struct model **ret_model);
void model_destroy(struct model *model);

/* Takes the model to now_ns. busy_ns holds a cumulative CPU time for each CPU; the first call sets
 * where they start. A time or a CPU time that is behind the last one counts as no advance. */
void model_advance(struct model *model, uint64_t now_ns, const uint64_t *busy_ns);

/* Whether the hardware has not refreshed its counters between the last advance and now_ns. */
bool model_is_fresh(const struct model *model, uint64_t now_ns);

/* Changes a zone's power from the moment of the last model_advance() on. */
void model_set_power(struct model *model, size_t zone, struct model_power power);
struct model_power model_power(const struct model *model, size_t zone);

struct model_energy model_energy(const struct model *model, size_t zone);
struct model_counter model_counter(const struct model *model, size_t zone);

/* How many hardware units the kernel's range and counter values are worth: both directions of the
 * kernel's own arithmetic, for whoever lays out start values. */
uint64_t model_units_to_uj(uint64_t units, uint64_t unit_pj);
uint64_t model_uj_to_units(uint64_t energy_uj, uint64_t unit_pj);
