#include "common/activity_internal.h"
#include "common/cleanup.h"

#include <assert.h>
#include <errno.h>

#define FADE_ONE (UINT64_C(1) << 16)

__extension__ typedef unsigned __int128 wide;

static_assert(ACTIVITY_UNIT_MAX <= UINT8_MAX, "cpu_unit[] holds them");

static size_t activity_find_unit(struct activity *activity, const struct topology_cpu *cpu)
{
	for (size_t i = 0; i < activity->unit_count; i++)
		if (activity->units[i].package == cpu->package &&
		    activity->units[i].die == cpu->die)
			return i;
	/* More dies than RAPL could have zones for: the last unit takes them all. */
	if (activity->unit_count == ACTIVITY_UNIT_MAX)
		return ACTIVITY_UNIT_MAX - 1;
	activity->units[activity->unit_count] =
	    (struct activity_unit){.package = cpu->package, .die = cpu->die};
	return activity->unit_count++;
}

int activity_create(const struct topology *topology, struct activity **ret_activity)
{
	cleanup_activity struct activity *activity = calloc(1, sizeof(*activity));

	if (activity == NULL)
		return -ENOMEM;
	activity->topology = topology;
	activity->cpu_busy_ns = calloc(topology->cpu_count + 1, sizeof(activity->cpu_busy_ns[0]));
	activity->cpu_interval_ns =
	    calloc(topology->cpu_count + 1, sizeof(activity->cpu_interval_ns[0]));
	activity->cpu_untold_ns =
	    calloc(topology->cpu_count + 1, sizeof(activity->cpu_untold_ns[0]));
	if (activity->cpu_busy_ns == NULL || activity->cpu_interval_ns == NULL ||
	    activity->cpu_untold_ns == NULL ||
	    core_share_create(topology, &activity->core_share) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < topology->cpu_count; i++) {
		size_t unit = activity_find_unit(activity, &topology->cpus[i]);

		activity->cpu_unit[i] = (uint8_t)unit;
		activity->units[unit].cpus++;
	}
	/* A trace without CPUs still has VMs whose time must go somewhere. */
	if (activity->unit_count == 0)
		activity->unit_count = 1;
	*ret_activity = TAKE_PTR(activity);
	return 0;
}

static void activity_vm_finish(struct activity_vm *vm)
{
	free(vm->active);
	free(vm->previous.vcpus);
}

void activity_destroy(struct activity *activity)
{
	if (activity == NULL)
		return;
	for (size_t i = 0; i < activity->vm_count; i++)
		activity_vm_finish(&activity->vms[i]);
	core_share_destroy(activity->core_share);
	free(activity->cpu_untold_ns);
	free(activity->cpu_interval_ns);
	free(activity->cpu_busy_ns);
	free(activity);
}

uint64_t activity_fade(uint64_t weight, uint64_t elapsed_ns)
{
	uint64_t keep;

	if (elapsed_ns >= ACTIVITY_MEMORY_NS || weight == 0)
		return 0;
	keep = ((ACTIVITY_MEMORY_NS - elapsed_ns) * FADE_ONE) / ACTIVITY_MEMORY_NS;
	return (weight / FADE_ONE) * keep + (weight % FADE_ONE) * keep / FADE_ONE;
}

static int activity_search(const struct activity *activity, const struct uuid *uuid,
			   bool *ret_found)
{
	size_t low = 0, high = activity->vm_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = uuid_compare(&activity->vms[middle].uuid, uuid);

		if (order == 0) {
			*ret_found = true;
			return (int)middle;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*ret_found = false;
	return (int)low;
}

/* Arrays for that many sockets; what the old ones held fades from memory. */
static int activity_vm_reshape(struct activity_vm *vm, size_t units, uint32_t sockets)
{
	size_t count = units * sockets + units + 2 * units * FEATURES_COUNT;
	uint64_t *memory;

	assert(units > 0 && sockets > 0);
	if (vm->socket_count == sockets)
		return 0;
	/* One block for all of them; `active` comes first and owns it. */
	memory = calloc(1, count * sizeof(*memory) + sockets * sizeof(*vm->socket_vcpus));
	if (memory == NULL)
		return -ENOMEM;
	free(vm->active);
	vm->active = memory;
	vm->unit_ns = memory + units * sockets;
	vm->vcpu_features = (struct features *)(vm->unit_ns + units);
	vm->overhead_features = vm->vcpu_features + units;
	vm->socket_vcpus = (uint32_t *)(vm->overhead_features + units);
	vm->socket_count = sockets;
	return 0;
}

/* Room for that many vCPUs: one that is new starts from what it shows now, the others go on. Those
 * of a VM that was born since the sample before start from 0. */
static int activity_vm_plug(struct activity_previous *previous, const struct sample_vm *sampled)
{
	size_t known = previous->vcpus != NULL ? previous->vcpu_count : 0;
	struct features_counters *vcpus;

	if (previous->vcpus != NULL && previous->vcpu_count == sampled->vcpu_count)
		return 0;
	/* Never of size 0: then NULL would be no failure. */
	vcpus = realloc(previous->vcpus, (sampled->vcpu_count + 1) * sizeof(*vcpus));
	if (vcpus == NULL)
		return -ENOMEM;
	for (size_t i = known; i < sampled->vcpu_count; i++) {
		if (sampled->born && known == 0)
			vcpus[i] = (struct features_counters){.cpu = sampled->vcpus[i].cpu};
		else
			vcpus[i] = features_counters(&sampled->vcpus[i]);
	}
	previous->vcpus = vcpus;
	previous->vcpu_count = sampled->vcpu_count;
	return 0;
}

/* A VM's first sample: nothing to compare with, unless its counters began at 0 just now. */
static void activity_admit(struct activity *activity, size_t at, const struct sample_vm *sampled)
{
	uint64_t overhead_ns = sampled->born ? 0 : sampled->overhead_ns;

	memmove(&activity->vms[at + 1], &activity->vms[at],
		(activity->vm_count - at) * sizeof(activity->vms[0]));
	activity->vms[at] =
	    (struct activity_vm){.uuid = sampled->uuid, .previous = {.overhead_ns = overhead_ns}};
	activity->vm_count++;
}

/* The units' time of one vCPU: all on its CPU, or evenly where that is not known. */
static void activity_place_here(struct activity *activity, struct activity_vm *vm,
				const struct sample_vcpu *vcpu,
				const struct features_counters *spent)
{
	uint32_t socket = vcpu->socket < vm->socket_count ? vcpu->socket : vm->socket_count - 1;
	int cpu =
	    vcpu->cpu == SAMPLE_NO_CPU ? -ENOENT : topology_index(activity->topology, vcpu->cpu);
	struct features features = features_weigh(
	    spent, cpu >= 0 ? core_share_of(activity->core_share, (size_t)cpu) : CORE_SHARE_ONE,
	    cpu >= 0 ? core_share_busy(activity->core_share, (size_t)cpu) : CORE_SHARE_ONE);
	uint64_t part_ns;

	activity->has_events = activity->has_events || spent->has_events;
	if (cpu >= 0) {
		size_t unit = activity->cpu_unit[cpu];

		vm->active[unit * vm->socket_count + socket] += spent->time_ns;
		vm->unit_ns[unit] += spent->time_ns;
		features_add(&vm->vcpu_features[unit], &features, 1, 1);
		return;
	}
	assert(activity->unit_count > 0);
	part_ns = spent->time_ns / activity->unit_count;
	for (size_t unit = 0; unit < activity->unit_count; unit++) {
		uint64_t here_ns =
		    unit == 0 ? spent->time_ns - part_ns * (activity->unit_count - 1) : part_ns;

		vm->active[unit * vm->socket_count + socket] += here_ns;
		vm->unit_ns[unit] += here_ns;
		features_add(&vm->vcpu_features[unit], &features, 1, activity->unit_count);
	}
}

static bool activity_is_other_unit(const struct activity *activity, uint32_t cpu, uint32_t other)
{
	int a = cpu == SAMPLE_NO_CPU ? -ENOENT : topology_index(activity->topology, cpu);
	int b = other == SAMPLE_NO_CPU ? -ENOENT : topology_index(activity->topology, other);

	return a >= 0 && b >= 0 && activity->cpu_unit[a] != activity->cpu_unit[b];
}

/*
 * A vCPU that was on another unit at the sample before has moved in between, nobody knows when:
 * half of its time there is right on average and off by half of the interval at most. All of it
 * where it is now would be right on average, too, and off by the whole.
 */
static void activity_place_vcpu(struct activity *activity, struct activity_vm *vm,
				const struct sample_vcpu *vcpu,
				const struct features_counters *spent)
{
	struct features_counters rest = *spent;
	struct sample_vcpu before = *vcpu;

	if (activity_is_other_unit(activity, spent->cpu, vcpu->cpu)) {
		struct features_counters half = features_halve(&rest);

		before.cpu = spent->cpu;
		activity_place_here(activity, vm, &before, &half);
	}
	activity_place_here(activity, vm, vcpu, &rest);
}

/* Where a VM's vCPUs are, for overhead in an interval in which none of them ran. */
static void activity_place_by_seat(struct activity *activity, const struct sample_vm *sampled,
				   uint64_t seats[])
{
	for (size_t i = 0; i < sampled->vcpu_count; i++) {
		int cpu = sampled->vcpus[i].cpu == SAMPLE_NO_CPU
			      ? -ENOENT
			      : topology_index(activity->topology, sampled->vcpus[i].cpu);

		seats[cpu >= 0 ? activity->cpu_unit[cpu] : 0]++;
	}
	if (sampled->vcpu_count == 0)
		seats[0] = 1;
}

/* Overhead has no place of its own in a sample: it goes where the vCPUs ran. */
static void activity_place_overhead(struct activity *activity, struct activity_vm *vm,
				    const struct sample_vm *sampled)
{
	uint64_t weights[ACTIVITY_UNIT_MAX] = {0};
	uint64_t left_ns = vm->overhead_ns;
	uint64_t total = 0;
	size_t last = 0;

	if (vm->vcpu_ns == 0)
		activity_place_by_seat(activity, sampled, weights);
	else
		memcpy(weights, vm->unit_ns, activity->unit_count * sizeof(weights[0]));
	for (size_t unit = 0; unit < activity->unit_count; unit++) {
		total += weights[unit];
		if (weights[unit] > 0)
			last = unit;
	}
	/* Also where absurd times wrapped: their sum over units is vcpu_ns, which is not 0. */
	assert(total > 0);
	for (size_t unit = 0; unit <= last; unit++) {
		wide exact = (wide)vm->overhead_ns * weights[unit] / total;
		uint64_t here_ns = unit == last ? left_ns : (uint64_t)exact;

		vm->unit_ns[unit] += here_ns;
		activity_unit_weigh(&activity->units[unit], here_ns, &vm->overhead_features[unit]);
		left_ns -= here_ns;
	}
}

/* One VM's interval. */
static void activity_vm_step(struct activity *activity, struct activity_vm *vm,
			     const struct sample_vm *sampled)
{
	struct activity_previous *previous = &vm->previous;

	for (size_t i = 0; i < activity->unit_count * vm->socket_count; i++)
		vm->active[i] = activity_fade(vm->active[i], activity->elapsed_ns);
	for (size_t unit = 0; unit < activity->unit_count; unit++) {
		vm->unit_ns[unit] = 0;
		vm->vcpu_features[unit] = (struct features){0};
		vm->overhead_features[unit] = (struct features){0};
	}
	memset(vm->socket_vcpus, 0, vm->socket_count * sizeof(vm->socket_vcpus[0]));
	vm->vcpu_ns = 0;
	for (size_t i = 0; i < sampled->vcpu_count; i++) {
		const struct sample_vcpu *vcpu = &sampled->vcpus[i];
		struct features_counters spent = features_spent(&previous->vcpus[i], vcpu);

		vm->vcpu_ns += spent.time_ns;
		vm->socket_vcpus[vcpu->socket < vm->socket_count ? vcpu->socket
								 : vm->socket_count - 1]++;
		activity_place_vcpu(activity, vm, vcpu, &spent);
	}
	vm->overhead_ns = features_delta(previous->overhead_ns, sampled->overhead_ns);
	previous->overhead_ns = sampled->overhead_ns;
	activity_place_overhead(activity, vm, sampled);
	for (size_t unit = 0; unit < activity->unit_count; unit++) {
		activity->units[unit].vm_ns += vm->unit_ns[unit];
		if (vm->present) {
			features_add(&activity->units[unit].vms, &vm->vcpu_features[unit], 1, 1);
			features_add(&activity->units[unit].vms, &vm->overhead_features[unit], 1,
				     1);
		}
	}
}

/* Those that were not in this sample, or not running, start anew when they return. */
static void activity_forget(struct activity *activity)
{
	size_t kept = 0;

	for (size_t i = 0; i < activity->vm_count; i++) {
		if (!activity->vms[i].previous.seen)
			activity_vm_finish(&activity->vms[i]);
		else
			activity->vms[kept++] = activity->vms[i];
	}
	activity->vm_count = kept;
}

/*
 * Before the first VM is taken: makes room where the table might not hold those that leave and
 * those that arrive at once. Usually it does, and then this costs nothing.
 */
static void activity_make_room(struct activity *activity, const struct sample *sample)
{
	if (activity->vm_count + sample->vm_count <= SAMPLE_VM_MAX)
		return;
	for (size_t i = 0; i < sample->vm_count; i++) {
		bool known;
		int at = activity_search(activity, &sample->vms[i].uuid, &known);

		if (known && sample->vms[i].running)
			activity->vms[at].previous.seen = true;
	}
	activity_forget(activity);
	for (size_t i = 0; i < activity->vm_count; i++)
		activity->vms[i].previous.seen = false;
}

static int activity_take_vm(struct activity *activity, const struct sample *sample, size_t index)
{
	const struct sample_vm *sampled = &sample->vms[index];
	uint32_t sockets = sampled->socket_count;
	struct activity_vm *vm;
	bool known;
	int at = activity_search(activity, &sampled->uuid, &known);
	int status;

	if (sockets == 0 || sockets > LEDGER_SOCKET_MAX)
		sockets = sockets == 0 ? 1 : LEDGER_SOCKET_MAX;
	if (!known) {
		if (activity->vm_count == SAMPLE_VM_MAX)
			return -ENOMEM;
		activity_admit(activity, (size_t)at, sampled);
	}
	vm = &activity->vms[at];
	/* The same uuid twice in one sample: the first one counts. */
	if (vm->previous.seen)
		return 0;
	vm->previous.seen = true;
	vm->present = false;
	status = activity_vm_reshape(vm, activity->unit_count, sockets);
	if (status < 0)
		return status;
	status = activity_vm_plug(&vm->previous, sampled);
	if (status < 0)
		return status;
	vm->present = known || (sampled->born && activity->primed);
	vm->sample = index;
	vm->vcpu_count = (uint32_t)sampled->vcpu_count;
	vm->memory_bytes = sampled->memory_bytes;
	activity_vm_step(activity, vm, sampled);
	return 0;
}

int activity_step(struct activity *activity, const struct sample *sample)
{
	int result = 0;

	activity->elapsed_ns =
	    activity->primed ? features_delta(activity->time_ns, sample->time.ns) : 0;
	activity->time_ns = sample->time.ns;
	for (size_t unit = 0; unit < activity->unit_count; unit++) {
		activity->units[unit].busy_ns = 0;
		activity->units[unit].vm_ns = 0;
		activity->units[unit].core_ns = 0;
		activity->units[unit].loaded_ns = 0;
		activity->units[unit].vms = (struct features){0};
		activity->units[unit].other = (struct features){0};
	}
	activity->has_events = false;
	for (size_t i = 0; i < activity->vm_count; i++) {
		activity->vms[i].previous.seen = false;
		activity->vms[i].present = false;
	}
	activity_make_room(activity, sample);
	activity_units_take(activity, sample);
	for (size_t i = 0; i < sample->vm_count; i++) {
		int status;

		if (!sample->vms[i].running)
			continue;
		status = activity_take_vm(activity, sample, i);
		if (status < 0)
			result = status;
	}
	activity_forget(activity);
	if (activity->primed)
		activity_units_settle(activity);
	activity_units_divide_awake(activity);
	activity->primed = true;
	return result;
}

void activity_add_busy(struct activity *activity, size_t cpu, uint64_t busy_ns)
{
	assert(cpu < activity->topology->cpu_count);
	activity->cpu_untold_ns[cpu] = features_sum(activity->cpu_untold_ns[cpu], busy_ns);
}

const struct activity_vm *activity_vms(const struct activity *activity, size_t *ret_count)
{
	*ret_count = activity->vm_count;
	return activity->vms;
}

uint64_t activity_elapsed_ns(const struct activity *activity)
{
	return activity->elapsed_ns;
}

size_t activity_unit_count(const struct activity *activity)
{
	return activity->unit_count;
}

bool activity_unit_in_zone(const struct activity *activity, size_t unit, const struct zone *zone)
{
	struct topology_cpu cpu = {.package = activity->units[unit].package,
				   .die = activity->units[unit].die};

	return topology_cpu_in_zone(&cpu, zone);
}

const struct features *activity_other_features(const struct activity *activity, size_t unit)
{
	return &activity->units[unit].other;
}

bool activity_has_events(const struct activity *activity)
{
	return activity->has_events;
}

uint64_t activity_busy_ns(const struct activity *activity, size_t unit)
{
	return activity->units[unit].busy_ns;
}

size_t activity_unit_cpus(const struct activity *activity, size_t unit)
{
	return activity->units[unit].cpus;
}
