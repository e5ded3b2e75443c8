/*
 * world.h: random hosts with random lives, for tests of what must hold on any of them.
 *
 * The same seed gives the same world: its topology, its zones, and every sample that world_next()
 * makes. It draws everything that can go wrong: wraps, counters that go back, zones that cannot be
 * read, raw values beyond their range, clocks that stand still, leap or go back, machines that
 * come, go and change.
 */
#ifndef WATTPORT_TESTS_PROPERTY_WORLD_H
#define WATTPORT_TESTS_PROPERTY_WORLD_H

#include "common/engine.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WORLD_VM_MAX 64 /* more run at a time than a calibration has deviations for */

struct world_vm {
	bool present;
	bool running;
};

struct world {
	uint64_t random;
	bool with_events;
	struct topology *topology;
	size_t zone_count;
	struct zone zones[ZONE_MAX];
	struct sample sample; /* of this moment; VMs in no particular order */
	struct sample all;    /* the machines' counters, whether they are there or not */
	struct world_vm vms[WORLD_VM_MAX];
};

/* Fails the test where memory is short. */
void world_init(struct world *world, uint64_t seed);
void world_finish(struct world *world);

/* The next sample, in world->sample. */
void world_next(struct world *world);

/* A copy of world->sample whose machines are in another order. */
void world_permute(struct world *world, struct sample *ret_sample);

/* Any configuration. */
struct engine_config world_config(struct world *world);

#endif
