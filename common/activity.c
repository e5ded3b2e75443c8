#include "common/activity.h"
#include "common/cleanup.h"

#include <assert.h>
#include <errno.h>

#define FADE_ONE (UINT64_C(1) << 16)

/* How far the VMs' time may run ahead of the CPUs' coarser clock and still be made up for. */
#define DEBT_NS_PER_CPU UINT64_C(50000000)

__extension__ typedef unsigned __int128 wide;

struct unit {
	uint32_t package;
	uint32_t die;
	size_t cpus;
	uint64_t busy_ns;  /* this interval */
	uint64_t vm_ns;	   /* this interval, of all VMs */
	uint64_t debt_ns;  /* VMs' time that the CPUs' clock has not shown yet */
	uint64_t other_ns; /* faded */
};

struct activity {
	const struct topology *topology;
	size_t unit_count;
	struct unit units[ACTIVITY_UNIT_MAX];
	uint8_t cpu_unit[TOPOLOGY_CPU_MAX]; /* by the index of topology->cpus[] */
	bool primed;
	uint64_t time_ns;
	uint64_t elapsed_ns;
	uint64_t *cpu_busy_ns;
	size_t vm_count;
	struct activity_vm vms[SAMPLE_VM_MAX]; /* sorted by uuid */
};

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
	    (struct unit){.package = cpu->package, .die = cpu->die};
	return activity->unit_count++;
}

int activity_create(const struct topology *topology, struct activity **ret_activity)
{
	cleanup_activity struct activity *activity = calloc(1, sizeof(*activity));

	if (activity == NULL)
		return -ENOMEM;
	activity->topology = topology;
	activity->cpu_busy_ns = calloc(topology->cpu_count + 1, sizeof(activity->cpu_busy_ns[0]));
	if (activity->cpu_busy_ns == NULL)
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
	free(vm->previous.vcpu_ns);
}

void activity_destroy(struct activity *activity)
{
	if (activity == NULL)
		return;
	for (size_t i = 0; i < activity->vm_count; i++)
		activity_vm_finish(&activity->vms[i]);
	free(activity->cpu_busy_ns);
	free(activity);
}

/* What came since `previous`; a counter that went back gives nothing. */
static uint64_t activity_delta(uint64_t previous, uint64_t now)
{
	return now > previous ? now - previous : 0;
}

/* What `elapsed_ns` leaves of an old weight. */
static uint64_t activity_fade(uint64_t weight, uint64_t elapsed_ns)
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
	size_t count = units * sockets + 2 * units;
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
	vm->overhead = memory + units * sockets;
	vm->unit_ns = vm->overhead + units;
	vm->socket_vcpus = (uint32_t *)(vm->unit_ns + units);
	vm->socket_count = sockets;
	return 0;
}

/* Room for that many vCPUs: one that is new starts from what it shows now, the others go on. */
static int activity_vm_plug(struct activity_previous *previous, const struct sample_vm *sampled)
{
	size_t known = previous->vcpu_ns != NULL ? previous->vcpu_count : 0;
	uint64_t *vcpu_ns;

	if (previous->vcpu_ns != NULL && previous->vcpu_count == sampled->vcpu_count)
		return 0;
	/* Never of size 0: then NULL would be no failure. */
	vcpu_ns = realloc(previous->vcpu_ns, (sampled->vcpu_count + 1) * sizeof(*vcpu_ns));
	if (vcpu_ns == NULL)
		return -ENOMEM;
	for (size_t i = known; i < sampled->vcpu_count; i++)
		vcpu_ns[i] = sampled->vcpus[i].time_ns;
	previous->vcpu_ns = vcpu_ns;
	previous->vcpu_count = sampled->vcpu_count;
	return 0;
}

/* A VM's first sample: nothing to compare with. */
static void activity_admit(struct activity *activity, size_t at, const struct sample_vm *sampled)
{
	memmove(&activity->vms[at + 1], &activity->vms[at],
		(activity->vm_count - at) * sizeof(activity->vms[0]));
	activity->vms[at] = (struct activity_vm){.uuid = sampled->uuid,
						 .previous = {.overhead_ns = sampled->overhead_ns}};
	activity->vm_count++;
}

/* The units' time of one vCPU: all where it last ran, or evenly where that is not known. */
static void activity_place_vcpu(struct activity *activity, struct activity_vm *vm,
				const struct sample_vcpu *vcpu, uint64_t time_ns)
{
	uint32_t socket = vcpu->socket < vm->socket_count ? vcpu->socket : vm->socket_count - 1;
	int cpu =
	    vcpu->cpu == SAMPLE_NO_CPU ? -ENOENT : topology_index(activity->topology, vcpu->cpu);
	uint64_t part_ns;

	if (cpu >= 0) {
		size_t unit = activity->cpu_unit[cpu];

		vm->active[unit * vm->socket_count + socket] += time_ns;
		vm->unit_ns[unit] += time_ns;
		return;
	}
	assert(activity->unit_count > 0);
	part_ns = time_ns / activity->unit_count;
	for (size_t unit = 0; unit < activity->unit_count; unit++) {
		uint64_t here_ns =
		    unit == 0 ? time_ns - part_ns * (activity->unit_count - 1) : part_ns;

		vm->active[unit * vm->socket_count + socket] += here_ns;
		vm->unit_ns[unit] += here_ns;
	}
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

		vm->overhead[unit] += here_ns;
		vm->unit_ns[unit] += here_ns;
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
		vm->overhead[unit] = activity_fade(vm->overhead[unit], activity->elapsed_ns);
		vm->unit_ns[unit] = 0;
	}
	memset(vm->socket_vcpus, 0, vm->socket_count * sizeof(vm->socket_vcpus[0]));
	vm->vcpu_ns = 0;
	for (size_t i = 0; i < sampled->vcpu_count; i++) {
		const struct sample_vcpu *vcpu = &sampled->vcpus[i];
		uint64_t time_ns = activity_delta(previous->vcpu_ns[i], vcpu->time_ns);

		previous->vcpu_ns[i] = vcpu->time_ns;
		vm->vcpu_ns += time_ns;
		vm->socket_vcpus[vcpu->socket < vm->socket_count ? vcpu->socket
								 : vm->socket_count - 1]++;
		activity_place_vcpu(activity, vm, vcpu, time_ns);
	}
	vm->overhead_ns = activity_delta(previous->overhead_ns, sampled->overhead_ns);
	previous->overhead_ns = sampled->overhead_ns;
	activity_place_overhead(activity, vm, sampled);
	for (size_t unit = 0; unit < activity->unit_count; unit++)
		activity->units[unit].vm_ns += vm->unit_ns[unit];
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
	vm->present = known;
	vm->sample = index;
	vm->vcpu_count = (uint32_t)sampled->vcpu_count;
	vm->memory_bytes = sampled->memory_bytes;
	activity_vm_step(activity, vm, sampled);
	return 0;
}

static void activity_take_cpus(struct activity *activity, const struct sample *sample)
{
	size_t count = sample->cpu_count < activity->topology->cpu_count
			   ? sample->cpu_count
			   : activity->topology->cpu_count;

	for (size_t i = 0; i < count; i++) {
		struct unit *unit = &activity->units[activity->cpu_unit[i]];

		/* What the first sample shows came since boot: that is no interval. */
		if (activity->primed)
			unit->busy_ns +=
			    activity_delta(activity->cpu_busy_ns[i], sample->cpu_busy_ns[i]);
		activity->cpu_busy_ns[i] = sample->cpu_busy_ns[i];
	}
}

/*
 * Busy time that no VM spent. The CPUs' clock is coarser than the threads': where the VMs seem to
 * have spent more than there was, the difference is kept and taken off the following intervals, so
 * that the sum over time is right; beyond DEBT_NS_PER_CPU it is no rounding and is forgotten.
 */
static void activity_settle_other(struct activity *activity)
{
	for (size_t i = 0; i < activity->unit_count; i++) {
		struct unit *unit = &activity->units[i];
		uint64_t claimed_ns = unit->vm_ns + unit->debt_ns;
		uint64_t debt_max_ns = unit->cpus * DEBT_NS_PER_CPU;

		unit->other_ns = activity_fade(unit->other_ns, activity->elapsed_ns);
		if (unit->busy_ns >= claimed_ns) {
			unit->other_ns += unit->busy_ns - claimed_ns;
			unit->debt_ns = 0;
			continue;
		}
		unit->debt_ns = claimed_ns - unit->busy_ns;
		if (unit->debt_ns > debt_max_ns)
			unit->debt_ns = debt_max_ns;
	}
}

int activity_step(struct activity *activity, const struct sample *sample)
{
	int result = 0;

	activity->elapsed_ns =
	    activity->primed ? activity_delta(activity->time_ns, sample->time.ns) : 0;
	activity->time_ns = sample->time.ns;
	for (size_t unit = 0; unit < activity->unit_count; unit++) {
		activity->units[unit].busy_ns = 0;
		activity->units[unit].vm_ns = 0;
	}
	for (size_t i = 0; i < activity->vm_count; i++) {
		activity->vms[i].previous.seen = false;
		activity->vms[i].present = false;
	}
	activity_make_room(activity, sample);
	for (size_t i = 0; i < sample->vm_count; i++) {
		int status;

		if (!sample->vms[i].running)
			continue;
		status = activity_take_vm(activity, sample, i);
		if (status < 0)
			result = status;
	}
	activity_forget(activity);
	activity_take_cpus(activity, sample);
	if (activity->primed)
		activity_settle_other(activity);
	activity->primed = true;
	return result;
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

uint64_t activity_other_ns(const struct activity *activity, size_t unit)
{
	return activity->units[unit].other_ns;
}

uint64_t activity_busy_ns(const struct activity *activity, size_t unit)
{
	return activity->units[unit].busy_ns;
}

size_t activity_unit_cpus(const struct activity *activity, size_t unit)
{
	return activity->units[unit].cpus;
}
