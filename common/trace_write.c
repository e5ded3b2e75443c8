/* The writing half of trace.h. */
#include "common/cleanup.h"
#include "common/trace.h"

#include <assert.h>
#include <errno.h>
#include <jansson.h>
#include <string.h>

static void trace_release(json_t *const *value)
{
	json_decref(*value);
}
#define cleanup_json __attribute__((cleanup(trace_release)))

/*
 * jansson takes NULL for an object or value and fails: so what could not be allocated passes
 * through to the next call, which tells.
 */
static int trace_set(json_t *object, const char *key, json_t *value)
{
	return json_object_set_new(object, key, value) < 0 ? -ENOMEM : 0;
}

/* A new object at the array's end, or NULL; the array owns it. */
static json_t *trace_add_object(json_t *array)
{
	json_t *object = json_object();

	return json_array_append_new(array, object) < 0 ? NULL : object;
}

/* A new array as that member, or NULL; the object owns it. */
static json_t *trace_add_array(json_t *object, const char *key)
{
	json_t *array = json_array();

	return trace_set(object, key, array) < 0 ? NULL : array;
}

static int trace_set_u64(json_t *object, const char *key, uint64_t value)
{
	if (value > INT64_MAX)
		return -ERANGE;
	return trace_set(object, key, json_integer((json_int_t)value));
}

struct trace_member {
	const char *key;
	uint64_t value;
};

static int trace_set_members(json_t *object, const struct trace_member members[], size_t count)
{
	int status = 0;

	for (size_t i = 0; i < count && status == 0; i++)
		status = trace_set_u64(object, members[i].key, members[i].value);
	return status;
}

static int trace_dump(const json_t *object, char **ret_line)
{
	size_t length = json_dumpb(object, NULL, 0, JSON_COMPACT);
	cleanup_free char *line = NULL;

	if (length == 0)
		return -ENOMEM;
	if (length >= TRACE_LINE_SIZE_MAX)
		return -EFBIG;
	line = malloc(length + 2);
	if (line == NULL)
		return -ENOMEM;
	if (json_dumpb(object, line, length, JSON_COMPACT) != length)
		return -ENOMEM;
	line[length] = '\n';
	line[length + 1] = '\0';
	*ret_line = TAKE_PTR(line);
	return 0;
}

static int trace_put_cpu(json_t *cpus, const struct topology_cpu *cpu)
{
	const struct trace_member members[] = {
	    {"cpu", cpu->cpu},
	    {"core", cpu->core},
	    {"package", cpu->package},
	    {"die", cpu->die},
	};

	return trace_set_members(trace_add_object(cpus), members, cpu->die == 0 ? 3 : 4);
}

static int trace_put_zone(json_t *zones, const struct zone *zone)
{
	const struct trace_member members[] = {
	    {"package", zone->package},
	    {"range_uj", zone->range_uj},
	    {"die", zone->die},
	};
	json_t *object = trace_add_object(zones);
	int status = trace_set(object, "id", json_string(zone->id));

	if (status < 0)
		return status;
	status = trace_set(object, "kind", json_string(zone_kind_name(zone->kind)));
	if (status < 0)
		return status;
	return trace_set_members(object, members, zone->die == ZONE_ANY_DIE ? 2 : 3);
}

int trace_format_head(const struct trace_head *head, char **ret_line)
{
	const struct trace_member members[] = {
	    {"wattport_trace", TRACE_VERSION},
	    {"clock_tick_ns", head->clock_tick_ns},
	};
	cleanup_json json_t *object = json_object();
	int status = trace_set_members(object, members, sizeof(members) / sizeof(members[0]));
	json_t *cpus = trace_add_array(object, "cpus");
	json_t *zones = trace_add_array(object, "zones");

	for (size_t i = 0; i < head->topology->cpu_count && status == 0; i++)
		status = trace_put_cpu(cpus, &head->topology->cpus[i]);
	for (size_t i = 0; i < head->zone_count && status == 0; i++)
		status = trace_put_zone(zones, &head->zones[i]);
	if (status == 0 && (cpus == NULL || zones == NULL))
		status = -ENOMEM;
	return status < 0 ? status : trace_dump(object, ret_line);
}

static int trace_put_vcpu(json_t *vcpus, const struct sample_vm *vm, size_t index)
{
	const struct sample_vcpu *vcpu = &vm->vcpus[index];
	const struct trace_member events[] = {
	    {"cycles", vcpu->cycles},
	    {"instructions", vcpu->instructions},
	    {"llc_misses", vcpu->llc_misses},
	};
	json_t *object = trace_add_object(vcpus);
	int status = trace_set_u64(object, "time_ns", vcpu->time_ns);

	if (status == 0 && vcpu->cpu != SAMPLE_NO_CPU)
		status = trace_set_u64(object, "cpu", vcpu->cpu);
	if (status == 0 &&
	    vcpu->socket != sample_socket_of(index, vm->vcpu_count, vm->socket_count))
		status = trace_set_u64(object, "socket", vcpu->socket);
	if (status == 0 && vcpu->has_events)
		status = trace_set_members(object, events, sizeof(events) / sizeof(events[0]));
	return status;
}

static int trace_put_vm(json_t *vms, const struct sample_vm *vm)
{
	const struct trace_member members[] = {
	    {"memory_bytes", vm->memory_bytes},
	    {"sockets", vm->socket_count},
	    {"overhead_ns", vm->overhead_ns},
	    {"pid", vm->pid > 0 ? (uint64_t)vm->pid : 0},
	};
	json_t *object = trace_add_object(vms), *vcpus;
	char uuid[UUID_TEXT_SIZE];
	int status;

	uuid_format(&vm->uuid, uuid);
	status = trace_set(object, "uuid", json_string(uuid));
	if (status < 0)
		return status;
	status = trace_set(object, "name", json_string(vm->name));
	if (status < 0)
		return status;
	status = trace_set_members(object, members, vm->pid > 0 ? 4 : 3);
	if (status == 0 && vm->has_halt_poll)
		status = trace_set_u64(object, "halt_poll_ns", vm->halt_poll_ns);
	if (status == 0 && !vm->running)
		status = trace_set(object, "running", json_false());
	if (status == 0 && vm->precision == SAMPLE_JIFFIES)
		status = trace_set(object, "precision", json_string("jiffies"));
	if (status < 0)
		return status;
	vcpus = trace_add_array(object, "vcpus");
	if (vcpus == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < vm->vcpu_count && status == 0; i++)
		status = trace_put_vcpu(vcpus, vm, i);
	return status;
}

static int trace_put_readings(json_t *object, const struct trace_head *head,
			      const struct sample *sample)
{
	json_t *readings = json_object(), *busy;
	int status = trace_set(object, "raw_uj", readings);

	for (size_t i = 0; i < head->zone_count && status == 0; i++) {
		const struct sample_zone *zone = &sample->zones[i];

		if (zone->error < 0)
			status = trace_set(readings, head->zones[i].id, json_null());
		else
			status = trace_set_u64(readings, head->zones[i].id, zone->raw_uj);
	}
	if (status < 0)
		return status;
	busy = trace_add_array(object, "cpu_busy_ns");
	for (size_t i = 0; i < sample->cpu_count && status == 0; i++) {
		if (sample->cpu_busy_ns[i] > INT64_MAX)
			status = -ERANGE;
		else if (json_array_append_new(
			     busy, json_integer((json_int_t)sample->cpu_busy_ns[i])) < 0)
			status = -ENOMEM;
	}
	return status;
}

int trace_format_sample(const struct trace_head *head, const struct sample *sample, char **ret_line)
{
	const struct trace_member memory[] = {
	    {"memory_total_bytes", sample->memory_total_bytes},
	    {"memory_used_bytes", sample->memory_used_bytes},
	};
	cleanup_json json_t *object = json_object();
	json_t *vms;
	int status;

	assert(sample->zone_count == head->zone_count);
	status = trace_set_u64(object, "t_ns", sample->time.ns);
	if (status == 0 && sample->suspended_ns > 0)
		status = trace_set_u64(object, "suspended_ns", sample->suspended_ns);
	if (status == 0 && sample->late_ns > 0)
		status = trace_set_u64(object, "late_ns", sample->late_ns);
	if (status == 0)
		status = trace_put_readings(object, head, sample);
	if (status == 0 && sample->memory_total_bytes > 0)
		status = trace_set_members(object, memory, sample->memory_used_bytes > 0 ? 2 : 1);
	if (status < 0)
		return status;
	vms = trace_add_array(object, "vms");
	if (vms == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < sample->vm_count && status == 0; i++)
		status = trace_put_vm(vms, &sample->vms[i]);
	return status < 0 ? status : trace_dump(object, ret_line);
}
