/*
 * power.h: what a step costs in joules, and which thread has caused how much.
 *
 * Fourth in the simulator's flow. With V the core's voltage, f its frequency in GHz:
 *
 *   core       awake: V^2 f base + V leak, once; for each thread that runs V^2 f (clock + w ipc).
 *              A core that sleeps is gated and draws nothing.
 *   beside a sibling a thread's instructions per cycle fall to `smt_yield` of what they are alone
 *   ipc        1 / (cpi + misses * memory_ns * f * (1 - overlap)): waiting for memory takes as long
 *              at any frequency
 *   package    idle_w always; wake_w while any CPU is busy; uncore_w (1 - exp(-busy CPUs / n));
 *              miss_nj for each line; heat_per_w of the dynamic power of the last heat_lag_s
 *   DRAM       dram_idle_w always, dram_line_nj for each line
 *   psys       (packages + DRAM) / supply_yield + platform_w
 *
 * The form of the core's power is that of CMOS (A. Chandrakasan et al., "Low-power CMOS digital
 * design", IEEE JSSC 27, 1992: C V^2 f, leakage by voltage); figures are of the order of published
 * measurements of Xeon and EPYC servers (R. Schoene et al., "Energy Efficiency Features of the
 * Intel Skylake-SP Processor", 2019; "... of the AMD Zen 2 Architecture", 2021), widely scattered.
 *
 * Who has caused it: the idle power is static and nobody's dynamic energy. The rest is divided by
 * the Shapley value, effect by effect:
 *   core       exact for the pair of siblings, for the time in which both run (shapley_pair())
 *   wake_w     exact: evenly among those that run at a moment (shapley_any())
 *   uncore_w   a function of the sum of busy CPUs: the value of small players (R. Aumann, L.
 *              Shapley, "Values of Non-Atomic Games", 1974) is by busy time
 *   heat       linear in the dynamic power of before, so each account has heated for itself
 *   lines      each its own
 * Frequency is taken as it is at the moment: that a neighbour's load lowers the turbo changes what
 * a thread draws, and is its own energy at that frequency, nobody's debt.
 */
#ifndef WATTPORT_TESTS_SIM_POWER_H
#define WATTPORT_TESTS_SIM_POWER_H

#include "tests/sim/world.h"

/* Volts at that frequency. */
double power_volts(const struct hardware *hardware, double ghz);

/* Instructions per cycle of that work, alone on a core. */
double power_ipc(const struct hardware *hardware, const struct profile *profile, double ghz);

/* The most that a package's turbo allows with that part of its cores active. */
double power_turbo_ghz(const struct hardware *hardware, double active);

/* Frequencies of this step, from the loads that the scheduler has placed. */
void power_set_frequency(struct world *world);

/* Energy of this step: to threads, accounts, sockets, counters of events. */
void power_step(struct world *world);

#endif
