/*
 * What happened on the units as a whole: their CPUs' times, and what of it was no machine's.
 */
#include "common/activity_internal.h"

/* So many busy CPUs bring half of what the shared parts draw when all are busy. */
#define UNCORE_CPUS 2

#define ASLEEP_ONE  (UINT64_C(1) << 47)

/* How far the VMs' time may run ahead of the CPUs' coarser clock and still be made up for. */
#define DEBT_NS_PER_CPU UINT64_C(50000000)

/* Of what has no CPU of its own in a sample: as much of a core as any thread of the unit had. */
void activity_unit_weigh(const struct activity_unit *unit, uint64_t time_ns,
			 struct features *features)
{
	uint64_t core_ns = time_ns, loaded_ns = time_ns;

	if (unit->busy_ns > unit->core_ns)
		core_ns = features_scale(time_ns, unit->core_ns, unit->busy_ns);
	if (unit->busy_ns > unit->loaded_ns)
		loaded_ns = features_scale(time_ns, unit->loaded_ns, unit->busy_ns);
	*features = features_of_time(time_ns, core_ns, loaded_ns);
}

void activity_units_take(struct activity *activity, const struct sample *sample)
{
	uint64_t asleep[ACTIVITY_UNIT_MAX];
	size_t count = sample->cpu_count < activity->topology->cpu_count
			   ? sample->cpu_count
			   : activity->topology->cpu_count;

	for (size_t i = 0; i < count; i++) {
		/* What the first sample shows came since boot: that is no interval. */
		activity->cpu_interval_ns[i] =
		    activity->primed
			? features_delta(activity->cpu_busy_ns[i], sample->cpu_busy_ns[i])
			: 0;
		activity->cpu_busy_ns[i] = sample->cpu_busy_ns[i];
		activity->cpu_interval_ns[i] =
		    features_sum(activity->cpu_interval_ns[i], activity->cpu_untold_ns[i]);
		activity->cpu_untold_ns[i] = 0;
	}
	core_share_step(activity->core_share, activity->cpu_interval_ns, activity->elapsed_ns);
	for (size_t unit = 0; unit < activity->unit_count; unit++)
		asleep[unit] = ASLEEP_ONE;
	for (size_t i = 0; i < count; i++) {
		struct activity_unit *unit = &activity->units[activity->cpu_unit[i]];
		uint64_t idle = CORE_SHARE_ONE - core_share_busy(activity->core_share, i);
		uint64_t *alone = &asleep[activity->cpu_unit[i]];
		uint64_t core_ns;

		unit->busy_ns += activity->cpu_interval_ns[i];
		core_ns = features_scale(activity->cpu_interval_ns[i],
					 core_share_of(activity->core_share, i), CORE_SHARE_ONE);
		unit->core_ns += core_ns;
		unit->loaded_ns += features_scale(core_ns, core_share_busy(activity->core_share, i),
						  CORE_SHARE_ONE);
		*alone = *alone / CORE_SHARE_ONE * idle;
	}
	for (size_t i = 0; i < activity->unit_count; i++) {
		struct activity_unit *unit = &activity->units[i];
		uint64_t most_ns = features_sum(
		    unit->busy_ns, features_scale(activity->elapsed_ns, UNCORE_CPUS, 1));

		/* As chances that do not depend on each other: it sleeps when all its CPUs do. */
		unit->awake_ns = activity->elapsed_ns -
				 features_scale(activity->elapsed_ns, asleep[i], ASLEEP_ONE);
		unit->uncore_ns =
		    most_ns > 0 ? features_scale(activity->elapsed_ns, unit->busy_ns, most_ns) : 0;
	}
}

/*
 * Busy time that no VM spent. The CPUs' clock is coarser than the threads': where the VMs seem to
 * have spent more than there was, the difference is kept and taken off the following intervals, so
 * that the sum over time is right; beyond DEBT_NS_PER_CPU it is no rounding and is forgotten.
 */
void activity_units_settle(struct activity *activity)
{
	for (size_t i = 0; i < activity->unit_count; i++) {
		struct activity_unit *unit = &activity->units[i];
		uint64_t claimed_ns = unit->vm_ns + unit->debt_ns;
		uint64_t debt_max_ns = unit->cpus * DEBT_NS_PER_CPU;

		if (unit->busy_ns >= claimed_ns) {
			activity_unit_weigh(unit, unit->busy_ns - claimed_ns, &unit->other);
			unit->debt_ns = 0;
			continue;
		}
		unit->debt_ns = claimed_ns - unit->busy_ns;
		if (unit->debt_ns > debt_max_ns)
			unit->debt_ns = debt_max_ns;
	}
}

static void activity_share_awake(const struct activity_unit *unit, uint64_t total_ns,
				 struct features *features)
{
	features->amount[FEATURES_AWAKE] =
	    features_scale(unit->awake_ns, features->amount[FEATURES_THREAD], total_ns);
	features->amount[FEATURES_UNCORE] =
	    features_scale(unit->uncore_ns, features->amount[FEATURES_THREAD], total_ns);
}

/* That a unit is awake is the doing of all who ran on it, by their time. */
void activity_units_divide_awake(struct activity *activity)
{
	for (size_t i = 0; i < activity->unit_count; i++) {
		struct activity_unit *unit = &activity->units[i];
		uint64_t total_ns = unit->vms.amount[FEATURES_THREAD];

		total_ns = features_sum(total_ns, unit->other.amount[FEATURES_THREAD]);
		if (total_ns == 0)
			continue;
		activity_share_awake(unit, total_ns, &unit->other);
		for (size_t vm = 0; vm < activity->vm_count; vm++) {
			if (!activity->vms[vm].present)
				continue;
			activity_share_awake(unit, total_ns, &activity->vms[vm].vcpu_features[i]);
			activity_share_awake(unit, total_ns,
					     &activity->vms[vm].overhead_features[i]);
		}
	}
}
