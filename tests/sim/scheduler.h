/*
 * scheduler.h: which thread runs on which CPU in a step, and for how much of it.
 *
 * Third in the simulator's flow. A thread wants a part of a CPU; those that share one get it in
 * proportion when it is too little (the rest is steal). Threads that are not pinned stay where they
 * are, are moved away from a crowded CPU, and wander now and then, rather to an idle core than to
 * an idle sibling.
 */
#ifndef WATTPORT_TESTS_SIM_SCHEDULER_H
#define WATTPORT_TESTS_SIM_SCHEDULER_H

#include "tests/sim/world.h"

/* Sets demand, cpu and busy of each thread, and the world's lists and sums by CPU. */
void scheduler_step(struct world *world);

/* A CPU for a new thread: the best of some that are looked at. */
size_t scheduler_place(struct world *world);

#endif
