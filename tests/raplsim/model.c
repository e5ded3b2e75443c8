#include "tests/raplsim/model.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

__extension__ typedef unsigned __int128 energy_fj;

#define FJ_PER_PJ     1000U
#define PJ_PER_NJ     1000U
#define NJ_PER_UJ     1000U
#define COUNTER_UNITS (UINT64_C(1) << 32)

struct zone_state {
	struct model_zone config;
	energy_fj idle_fj;
	energy_fj busy_fj;
	energy_fj shown_fj; /* idle + busy at the hardware's last refresh. */
};

struct model {
	uint64_t now_ns;
	uint64_t start_ns;
	uint64_t update_ns;
	uint64_t *busy_ns; /* Cumulative, at now_ns. */
	size_t cpu_count;
	size_t zone_count;
	bool started;
	struct zone_state zones[];
};

int model_create(const struct model_config *config, struct model **ret_model)
{
	struct model *model;

	assert(config->update_ns > 0);
	for (size_t i = 0; i < config->zone_count; i++) {
		const struct model_zone *zone = &config->zones[i];

		if (zone->unit_pj < PJ_PER_NJ || zone->cpu_first > config->cpu_count ||
		    zone->cpu_count > config->cpu_count - zone->cpu_first)
			return -EINVAL;
	}
	model = calloc(1, sizeof(*model) + config->zone_count * sizeof(model->zones[0]));
	if (!model)
		return -ENOMEM;
	model->busy_ns = calloc(config->cpu_count + 1, sizeof(*model->busy_ns));
	if (!model->busy_ns) {
		free(model);
		return -ENOMEM;
	}
	model->now_ns = config->start_ns;
	model->start_ns = config->start_ns;
	model->update_ns = config->update_ns;
	model->cpu_count = config->cpu_count;
	model->zone_count = config->zone_count;
	for (size_t i = 0; i < config->zone_count; i++)
		model->zones[i].config = config->zones[i];
	*ret_model = model;
	return 0;
}

void model_destroy(struct model *model)
{
	if (!model)
		return;
	free(model->busy_ns);
	free(model);
}

/* What the hardware shows was fixed at its last refresh, the last point of the grid that is not
 * after now. Between two advances power is taken as even, so the energy at that point lies on the
 * line from the last advance to this one. If the last advance is itself past that point, the
 * counter has not been refreshed since and keeps its value. */
static void refresh_shown(const struct model *model, struct zone_state *zone, energy_fj spent_fj,
			  uint64_t elapsed_ns)
{
	uint64_t late_ns = (model->now_ns - model->start_ns) % model->update_ns;
	energy_fj total_fj = zone->idle_fj + zone->busy_fj;

	if (late_ns >= elapsed_ns)
		return;
	zone->shown_fj = total_fj - spent_fj * late_ns / elapsed_ns;
}

void model_advance(struct model *model, uint64_t now_ns, const uint64_t *busy_ns)
{
	uint64_t elapsed_ns = now_ns > model->now_ns ? now_ns - model->now_ns : 0;

	if (!model->started) {
		memcpy(model->busy_ns, busy_ns, model->cpu_count * sizeof(*busy_ns));
		model->started = true;
	}
	/* CPU time that falls into no time at all waits for the next advance, or the counter would
	 * move without its refresh. */
	if (elapsed_ns == 0)
		return;
	model->now_ns = now_ns;
	for (size_t i = 0; i < model->zone_count; i++) {
		struct zone_state *zone = &model->zones[i];
		const struct model_zone *config = &zone->config;
		energy_fj idle_fj = (energy_fj)config->power.idle_uw * elapsed_ns;
		energy_fj busy_fj = 0;

		for (size_t j = config->cpu_first; j < config->cpu_first + config->cpu_count; j++) {
			if (busy_ns[j] > model->busy_ns[j])
				busy_fj += (energy_fj)config->power.busy_uw *
					   (busy_ns[j] - model->busy_ns[j]);
		}
		zone->idle_fj += idle_fj;
		zone->busy_fj += busy_fj;
		refresh_shown(model, zone, idle_fj + busy_fj, elapsed_ns);
	}
	for (size_t j = 0; j < model->cpu_count; j++) {
		if (busy_ns[j] > model->busy_ns[j])
			model->busy_ns[j] = busy_ns[j];
	}
}

bool model_is_fresh(const struct model *model, uint64_t now_ns)
{
	return (now_ns - model->start_ns) / model->update_ns ==
	       (model->now_ns - model->start_ns) / model->update_ns;
}

void model_set_power(struct model *model, size_t zone, struct model_power power)
{
	assert(zone < model->zone_count);
	model->zones[zone].config.power = power;
}

struct model_power model_power(const struct model *model, size_t zone)
{
	assert(zone < model->zone_count);
	return model->zones[zone].config.power;
}

struct model_energy model_energy(const struct model *model, size_t zone)
{
	const struct zone_state *state;

	assert(zone < model->zone_count);
	state = &model->zones[zone];
	return (struct model_energy){
	    .true_uj = (uint64_t)((state->idle_fj + state->busy_fj) / MODEL_FJ_PER_UJ),
	    .idle_uj = (uint64_t)(state->idle_fj / MODEL_FJ_PER_UJ),
	    .busy_uj = (uint64_t)(state->busy_fj / MODEL_FJ_PER_UJ),
	};
}

/* drivers/powercap/intel_rapl_common.c keeps the unit in whole nanojoules (ENERGY_UNIT_SCALE is
 * 1000) and prints value * unit / 1000, truncated: rapl_unit_xlate(). A unit of 2^-16 J, which is
 * 15.2587890625 uJ, is thus taken for 15.258 uJ, and the kernel reads 52 ppm low. So do we. */
uint64_t model_units_to_uj(uint64_t units, uint64_t unit_pj)
{
	return (uint64_t)((energy_fj)units * (unit_pj / PJ_PER_NJ) / NJ_PER_UJ);
}

uint64_t model_uj_to_units(uint64_t energy_uj, uint64_t unit_pj)
{
	uint64_t unit_nj = unit_pj / PJ_PER_NJ;

	return (uint64_t)(((energy_fj)energy_uj * NJ_PER_UJ + unit_nj - 1) / unit_nj);
}

struct model_counter model_counter(const struct model *model, size_t zone)
{
	const struct zone_state *state;
	uint64_t unit_pj;
	energy_fj units;

	assert(zone < model->zone_count);
	state = &model->zones[zone];
	unit_pj = state->config.unit_pj;
	units = state->shown_fj / ((energy_fj)unit_pj * FJ_PER_PJ) + state->config.start_units;
	return (struct model_counter){
	    .raw_uj = model_units_to_uj((uint64_t)(units % COUNTER_UNITS), unit_pj),
	    .range_uj = model_units_to_uj(COUNTER_UNITS - 1, unit_pj),
	    .wraps = (uint64_t)(units / COUNTER_UNITS),
	};
}
