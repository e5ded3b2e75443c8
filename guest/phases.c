#include "guest/phases.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct phases {
	size_t zone_count;
	bool watched[ZONE_MAX];
	bool adds_up[ZONE_MAX];
	struct mono_time time; /* of the last reading that was booked */
	uint64_t zones_uj[ZONE_MAX];
	bool has_figure;
	struct carbon_figure figure; /* of the last reading that was booked */
	struct phase running;
	size_t number; /* of the running one */
	size_t count;
	size_t label_count;
	struct phase whole;
	struct phase unlisted;
	struct phase other_labels;
	struct phase phases[PHASES_MAX];
	struct phase labels[PHASES_LABEL_MAX];
};

struct phases *phases_create(const struct meter_reading *first)
{
	struct phases *phases = calloc(1, sizeof(*phases));

	if (phases == NULL)
		return NULL;
	phases->time = first->time;
	phases->zone_count = first->zone_count;
	for (size_t i = 0; i < first->zone_count; i++) {
		phases->watched[i] = first->zones[i].available;
		phases->adds_up[i] = phases->watched[i] && meter_zone_adds_up(first->zones[i].id);
		phases->zones_uj[i] = first->zones[i].energy_uj;
	}
	phases->running.count = 1;
	return phases;
}

void phases_destroy(struct phases *phases)
{
	free(phases);
}

/* A zone that could not be read now has the total of before: what it missed comes with the next. */
void phases_book(struct phases *phases, const struct meter_reading *reading,
		 const struct carbon_figure *figure)
{
	struct phase *running = &phases->running;
	uint64_t energy_uj = 0;

	assert(reading->zone_count >= phases->zone_count);
	for (size_t i = 0; i < phases->zone_count; i++) {
		uint64_t grown_uj = reading->zones[i].energy_uj - phases->zones_uj[i];

		if (!phases->watched[i])
			continue;
		phases->zones_uj[i] = reading->zones[i].energy_uj;
		running->zones_uj[i] += grown_uj;
		if (phases->adds_up[i])
			energy_uj += grown_uj;
	}
	running->energy_uj += energy_uj;
	running->elapsed_ns += clock_elapsed_ns(phases->time, reading->time);
	phases->time = reading->time;
	phases->has_figure = figure != NULL;
	if (figure == NULL)
		return;
	phases->figure = *figure;
	carbon_sum_add(&running->co2e, figure, energy_uj);
}

static void phases_sum(struct phase *sum, const struct phase *part)
{
	sum->count += part->count;
	sum->elapsed_ns += part->elapsed_ns;
	sum->energy_uj += part->energy_uj;
	for (size_t i = 0; i < ZONE_MAX; i++)
		sum->zones_uj[i] += part->zones_uj[i];
	sum->command_uj += part->command_uj;
	for (size_t i = 0; i < ZONE_MAX; i++)
		sum->command_zones_uj[i] += part->command_zones_uj[i];
	carbon_sum_merge(&sum->co2e, &part->co2e);
	carbon_sum_merge(&sum->command_co2e, &part->command_co2e);
}

static struct phase *phases_find_label(struct phases *phases, const char *label)
{
	struct phase *found;

	for (size_t i = 0; i < phases->label_count; i++)
		if (strcmp(phases->labels[i].label, label) == 0)
			return &phases->labels[i];
	if (phases->label_count == PHASES_LABEL_MAX)
		return &phases->other_labels;
	found = &phases->labels[phases->label_count++];
	memcpy(found->label, label, strnlen(label, sizeof(found->label) - 1));
	return found;
}

void phases_end(struct phases *phases)
{
	struct phase *running = &phases->running;

	phases_sum(&phases->whole, running);
	phases_sum(phases_find_label(phases, running->label), running);
	if (phases->count < PHASES_MAX)
		phases->phases[phases->count++] = *running;
	else
		phases_sum(&phases->unlisted, running);
	phases->number++;
}

size_t phases_number(const struct phases *phases)
{
	return phases->number;
}

static void phases_add_command(const struct phases *phases, struct phase *phase,
			       const uint64_t zones_uj[])
{
	uint64_t energy_uj = 0;

	for (size_t i = 0; i < phases->zone_count; i++) {
		phase->command_zones_uj[i] += zones_uj[i];
		energy_uj += zones_uj[i];
	}
	phase->command_uj += energy_uj;
	if (phases->has_figure)
		carbon_sum_add(&phase->command_co2e, &phases->figure, energy_uj);
}

/* One that has ended is in the sums already. */
void phases_give(struct phases *phases, size_t number, const uint64_t zones_uj[])
{
	struct phase *phase;

	assert(number <= phases->number);
	if (number == phases->number) {
		phases_add_command(phases, &phases->running, zones_uj);
		return;
	}
	assert(number < phases->count);
	phase = &phases->phases[number];
	phases_add_command(phases, phase, zones_uj);
	phases_add_command(phases, phases_find_label(phases, phase->label), zones_uj);
	phases_add_command(phases, &phases->whole, zones_uj);
}

void phases_cut(struct phases *phases, const char *label)
{
	struct phase *running = &phases->running;

	/* Nothing lies before a mark that is there at once. */
	if (running->label[0] != '\0' || running->elapsed_ns > 0)
		phases_end(phases);
	*running = (struct phase){.count = 1};
	memcpy(running->label, label, strnlen(label, sizeof(running->label) - 1));
}

size_t phases_count(const struct phases *phases)
{
	return phases->count;
}

const struct phase *phases_get(const struct phases *phases, size_t index)
{
	assert(index < phases->count);
	return &phases->phases[index];
}

size_t phases_label_count(const struct phases *phases)
{
	return phases->label_count;
}

const struct phase *phases_label(const struct phases *phases, size_t index)
{
	assert(index < phases->label_count);
	return &phases->labels[index];
}

const struct phase *phases_unlisted(const struct phases *phases)
{
	return &phases->unlisted;
}

const struct phase *phases_other_labels(const struct phases *phases)
{
	return &phases->other_labels;
}

const struct phase *phases_whole(const struct phases *phases)
{
	return &phases->whole;
}
