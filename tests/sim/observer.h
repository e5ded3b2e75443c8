/*
 * observer.h: what a host shows of itself: a simulated world as samples.
 *
 * Last in the simulator's flow. It blurs the truth as hardware and kernel do: energy in whole units
 * of 32 bits, refreshed about each millisecond; a running thread's time that is behind by up to a
 * tick; CPUs' times in steps of 10 ms, counted or looked at; events that were not counted all the
 * time. The state is what has been shown, since no counter goes back. One thread.
 */
#ifndef WATTPORT_TESTS_SIM_OBSERVER_H
#define WATTPORT_TESTS_SIM_OBSERVER_H

#include "common/sample.h"
#include "common/trace.h"
#include "tests/sim/world.h"

struct observer;

/* Starts counters anywhere, some just below their end. The world must outlive it. */
int observer_create(const struct world *world, uint64_t seed, struct observer **ret_observer);
void observer_destroy(struct observer *observer);

/* The machine, as in line 1 of a trace: topology and zones; owned by the observer. */
const struct trace_head *observer_head(const struct observer *observer);

/*
 * Now, into a sample of that many CPUs, with events: strip them with observer_strip_events(). 0, or
 * -ENOMEM.
 */
int observer_sample(struct observer *observer, struct sample *sample);

/* As on a host that has no perf events. */
void observer_strip_events(struct sample *sample);

/* The identity of a machine of the world. */
struct uuid observer_uuid(const struct world_vm *vm);

static inline void cleanup_observer_value(struct observer *const *observer)
{
	observer_destroy(*observer);
}
#define cleanup_observer __attribute__((cleanup(cleanup_observer_value)))

#endif
