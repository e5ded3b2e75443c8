#include "tests/sim/peers.h"
#include "common/cleanup.h"
#include "common/counter.h"

#include <errno.h>

#define PEER_VM_MAX 512
#define JIFFY_NS    UINT64_C(10000000)
#define MICRO	    1e-6

const char *const peer_names[PEER_COUNT] = {
    [PEER_CAPACITY] = "capacity share, of all vCPUs",
    [PEER_RENT] = "capacity share, of the host",
    [PEER_ACTIVE] = "active share",
    [PEER_TICKS] = "ticks of 10 ms at 1 s",
    [PEER_RATIO] = "ratio, idle by count",
};

struct peer_vm {
	struct uuid uuid;
	bool seen;    /* in this sample */
	bool present; /* in this one and in the one before */
	size_t vcpu_count;
	uint64_t time_ns, ticks_ns; /* since it began */
	double used_s, used_ticks_s;
	struct peer_share share;
};

struct peers {
	const struct trace_head *head;
	struct counter counters[ZONE_MAX];
	uint64_t time_ns;
	uint64_t busy_ns;
	double ticks_j, ticks_busy_s; /* of the second that is gathered */
	uint64_t ticks_at_ns;
	double idle_w; /* the least so far; 0: nothing yet */
	size_t vm_count;
	struct peer_vm vms[PEER_VM_MAX];
};

int peers_create(const struct trace_head *head, struct peers **ret_peers)
{
	struct peers *peers = calloc(1, sizeof(*peers));

	if (peers == NULL)
		return -ENOMEM;
	peers->head = head;
	*ret_peers = peers;
	return 0;
}

void peers_destroy(struct peers *peers)
{
	free(peers);
}

static struct peer_vm *peers_find(struct peers *peers, const struct uuid *uuid)
{
	for (size_t i = 0; i < peers->vm_count; i++)
		if (uuid_equal(&peers->vms[i].uuid, uuid))
			return &peers->vms[i];
	return NULL;
}

struct peer_share peers_share(const struct peers *peers, const struct uuid *uuid)
{
	for (size_t i = 0; i < peers->vm_count; i++)
		if (uuid_equal(&peers->vms[i].uuid, uuid))
			return peers->vms[i].share;
	return (struct peer_share){.total_j = {0}};
}

static void peers_take_vm(struct peers *peers, const struct sample_vm *sampled)
{
	struct peer_vm *vm = peers_find(peers, &sampled->uuid);
	uint64_t time_ns = sampled->overhead_ns;

	for (size_t i = 0; i < sampled->vcpu_count; i++)
		time_ns += sampled->vcpus[i].time_ns;
	if (vm == NULL) {
		if (peers->vm_count == PEER_VM_MAX)
			return;
		vm = &peers->vms[peers->vm_count++];
		*vm = (struct peer_vm){.uuid = sampled->uuid,
				       .vcpu_count = sampled->vcpu_count,
				       .seen = true,
				       .time_ns = time_ns,
				       .ticks_ns = time_ns / JIFFY_NS * JIFFY_NS};
		return;
	}
	vm->seen = true;
	vm->present = true;
	vm->used_s = (double)(time_ns - vm->time_ns) * 1e-9;
	vm->time_ns = time_ns;
}

static double peers_take_energy(struct peers *peers, const struct sample *sample)
{
	double energy_j = 0;

	for (size_t i = 0; i < sample->zone_count; i++) {
		const struct zone *zone = &peers->head->zones[i];
		uint64_t energy_uj;
		enum counter_event event =
		    counter_advance(&peers->counters[i], sample->zones[i].raw_uj, zone->range_uj,
				    sample->time.ns, &energy_uj);

		if ((zone->kind == ZONE_PACKAGE || zone->kind == ZONE_DRAM) &&
		    (event == COUNTER_ADVANCED || event == COUNTER_WRAPPED))
			energy_j += (double)energy_uj * MICRO;
	}
	return energy_j;
}

static void peers_give(struct peers *peers, double energy_j, double elapsed_s, double busy_s,
		       double cpus)
{
	double allocated = 0, count = 0, used_s = 0, idle_j;

	if (elapsed_s > 0.5 && (peers->idle_w == 0 || energy_j / elapsed_s < peers->idle_w))
		peers->idle_w = energy_j / elapsed_s;
	for (size_t i = 0; i < peers->vm_count; i++) {
		const struct peer_vm *vm = &peers->vms[i];

		if (!vm->present)
			continue;
		allocated += (double)vm->vcpu_count;
		count++;
		used_s += vm->used_s;
	}
	if (busy_s < used_s)
		busy_s = used_s;
	idle_j = peers->idle_w * elapsed_s < energy_j ? peers->idle_w * elapsed_s : energy_j;
	for (size_t i = 0; i < peers->vm_count; i++) {
		struct peer_vm *vm = &peers->vms[i];
		double part;

		if (!vm->present)
			continue;
		part = busy_s > 0 ? vm->used_s / busy_s : 0;
		vm->share.total_j[PEER_CAPACITY] += energy_j * (double)vm->vcpu_count / allocated;
		vm->share.total_j[PEER_RENT] +=
		    energy_j * (double)vm->vcpu_count / (allocated > cpus ? allocated : cpus);
		vm->share.total_j[PEER_ACTIVE] += energy_j * part;
		vm->share.total_j[PEER_RATIO] += idle_j / count + (energy_j - idle_j) * part;
		vm->share.dynamic_j[PEER_RATIO] += (energy_j - idle_j) * part;
	}
}

/* A second of jiffies. */
static void peers_give_ticks(struct peers *peers)
{
	double used_s = 0, busy_s = peers->ticks_busy_s;

	for (size_t i = 0; i < peers->vm_count; i++) {
		struct peer_vm *vm = &peers->vms[i];
		uint64_t ticks_ns = vm->time_ns / JIFFY_NS * JIFFY_NS;

		vm->used_ticks_s = vm->present ? (double)(ticks_ns - vm->ticks_ns) * 1e-9 : 0;
		vm->ticks_ns = ticks_ns;
		used_s += vm->used_ticks_s;
	}
	if (busy_s < used_s)
		busy_s = used_s;
	for (size_t i = 0; i < peers->vm_count && busy_s > 0; i++)
		peers->vms[i].share.total_j[PEER_TICKS] +=
		    peers->ticks_j * peers->vms[i].used_ticks_s / busy_s;
	peers->ticks_j = 0;
	peers->ticks_busy_s = 0;
}

void peers_step(struct peers *peers, const struct sample *sample)
{
	double energy_j = peers_take_energy(peers, sample);
	double elapsed_s = (double)(sample->time.ns - peers->time_ns) * 1e-9;
	uint64_t busy_ns = 0;
	double busy_s;
	bool first = peers->time_ns == 0;

	for (size_t cpu = 0; cpu < sample->cpu_count; cpu++)
		busy_ns += sample->cpu_busy_ns[cpu];
	busy_s = (double)(busy_ns - peers->busy_ns) * 1e-9;
	for (size_t i = 0; i < peers->vm_count; i++) {
		peers->vms[i].seen = false;
		peers->vms[i].present = false;
		peers->vms[i].used_s = 0;
	}
	for (size_t i = 0; i < sample->vm_count; i++)
		peers_take_vm(peers, &sample->vms[i]);
	peers->time_ns = sample->time.ns;
	peers->busy_ns = busy_ns;
	if (first) {
		peers->ticks_at_ns = sample->time.ns;
		return;
	}
	peers_give(peers, energy_j, elapsed_s, busy_s, (double)sample->cpu_count);
	peers->ticks_j += energy_j;
	peers->ticks_busy_s += busy_s;
	if (sample->time.ns - peers->ticks_at_ns >= UINT64_C(950000000)) {
		peers->ticks_at_ns = sample->time.ns;
		peers_give_ticks(peers);
	}
}
