/*
 * deviation.h: what each VM's work costs more or less than common coefficients say, followed from
 * second to second.
 *
 * Part of calibration.h. Two threads whose events look alike may draw very different power, and
 * where no events are counted a busy second is all that is known of any of them. But VMs do not
 * move in step: when one stirs and the zone's power moves by more than its work should cost, its
 * work is dear. A Kalman filter (R. E. Kalman, "A New Approach to Linear Filtering and Prediction
 * Problems", J. Basic Eng. 82, 1960) reads that from what the coefficients do not explain:
 *
 *     residual = sum over VMs (deviation * cost) + drift + noise
 *
 * where a deviation returns to 0 within DEVIATION_MEMORY_S, and sooner where the VM turns to other
 * work; when it turns back, what was found before stands again: work_kind.h. The drift takes what
 * is wrong about the static power and the coefficients themselves, which moves slowly, so that the
 * filter learns from how powers change rather than from how high they are. A change of a VM's work
 * that may be for the moments of reading alone, milliseconds early or late, is none: of level loads
 * nothing is learned.
 *
 * Bounded: DEVIATION_VM_MAX VMs, those that use most. In floating point, deterministic; one thread.
 */
#ifndef WATTPORT_COMMON_DEVIATION_H
#define WATTPORT_COMMON_DEVIATION_H

#include "common/features.h"

#include <stddef.h>
#include <stdint.h>

#define DEVIATION_VM_MAX   32
#define DEVIATION_KEY_MAX  4096 /* keys are 0 to this */
#define DEVIATION_MEMORY_S 600.0
#define DEVIATION_MIN	   (-0.75)
#define DEVIATION_MAX	   3.0

struct deviation;

/* 0 or -ENOMEM. */
int deviation_create(struct deviation **ret_deviation);
void deviation_destroy(struct deviation *deviation);

/* Of the interval that is being gathered: one VM's work and what it costs in common. */
void deviation_add_work(struct deviation *deviation, size_t key, const struct features *work,
			uint64_t cost_nj);

/* The VM of that key is another one from now on. */
void deviation_forget(struct deviation *deviation, size_t key);

/* What the deviations add to the power of the gathered interval, as far as they are known now. */
double deviation_explain(const struct deviation *deviation, double elapsed_s);

/*
 * Learns from the gathered interval: the zone drew `residual_w` more than the coefficients explain;
 * `power_w` is what it draws in the mean, above 0.
 */
void deviation_follow(struct deviation *deviation, double elapsed_s, double residual_w,
		      double power_w);

/* Begins the next interval. */
void deviation_next(struct deviation *deviation);

/*
 * Of those that are followed, each in a slot below DEVIATION_VM_MAX: what the gathered interval's
 * work costs in common, in watts; and how often the slot has been given to another VM.
 */
double deviation_slot_cost_w(const struct deviation *deviation, size_t slot, double elapsed_s);
uint32_t deviation_slot_changes(const struct deviation *deviation, size_t slot);

/* DEVIATION_MIN to DEVIATION_MAX of its cost; the mean of all for a VM that is not followed. */
double deviation_of(const struct deviation *deviation, size_t key);

#endif
