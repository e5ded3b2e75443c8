/* The reading half of trace.h. */
#include "common/cleanup.h"
#include "common/trace.h"

#include <assert.h>
#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <string.h>

static void trace_release(json_t *const *value)
{
	json_decref(*value);
}
#define cleanup_json __attribute__((cleanup(trace_release)))

/* Whether no place is nested deeper than TRACE_DEPTH_MAX; jansson's own limit is no part of it. */
static bool trace_is_shallow(const char *line, size_t length)
{
	size_t depth = 0;
	bool in_string = false;

	for (size_t i = 0; i < length; i++) {
		if (in_string) {
			if (line[i] == '\\')
				i++;
			else if (line[i] == '"')
				in_string = false;
		} else if (line[i] == '"') {
			in_string = true;
		} else if (line[i] == '[' || line[i] == '{') {
			if (++depth > TRACE_DEPTH_MAX)
				return false;
		} else if ((line[i] == ']' || line[i] == '}') && depth > 0) {
			depth--;
		}
	}
	return true;
}

static int trace_load(const char *line, size_t length, json_t **ret_object, struct diag *diag)
{
	json_error_t error;
	json_t *object;

	if (length > TRACE_LINE_SIZE_MAX)
		return diag_error(diag, -EFBIG, "the line is longer than %zu bytes",
				  TRACE_LINE_SIZE_MAX);
	if (!trace_is_shallow(line, length))
		return diag_error(diag, -EINVAL, "the line is nested deeper than %d",
				  TRACE_DEPTH_MAX);
	object = json_loadb(line, length, JSON_REJECT_DUPLICATES, &error);
	if (object == NULL)
		return diag_error(
		    diag, json_error_code(&error) == json_error_out_of_memory ? -ENOMEM : -EINVAL,
		    "column %d: %s", error.column, error.text);
	if (!json_is_object(object)) {
		json_decref(object);
		return diag_error(diag, -EINVAL, "the line is not an object");
	}
	*ret_object = object;
	return 0;
}

/* The number `key`; where it is absent or null, `*value` stays as it is unless it is required. */
static int trace_get_u64(const json_t *object, const char *key, bool required, uint64_t *value,
			 struct diag *diag)
{
	const json_t *member = json_object_get(object, key);

	if (member == NULL || json_is_null(member)) {
		if (required)
			return diag_error(diag, -EINVAL, "\"%s\" is missing", key);
		return 0;
	}
	if (!json_is_integer(member) || json_integer_value(member) < 0)
		return diag_error(diag, -EINVAL, "\"%s\" must be an integer from 0 to 2^63-1", key);
	*value = (uint64_t)json_integer_value(member);
	return 0;
}

static int trace_get_u32(const json_t *object, const char *key, bool required, uint32_t *value,
			 struct diag *diag)
{
	uint64_t wide = *value;
	int status = trace_get_u64(object, key, required, &wide, diag);

	if (status < 0)
		return status;
	if (wide > UINT32_MAX)
		return diag_error(diag, -EINVAL, "\"%s\" is larger than %lu", key,
				  (unsigned long)UINT32_MAX);
	*value = (uint32_t)wide;
	return 0;
}

/* The text `key`; NULL where it is absent and not required. Lives as long as the object. */
static int trace_get_text(const json_t *object, const char *key, bool required,
			  const char **ret_text, struct diag *diag)
{
	const json_t *member = json_object_get(object, key);

	if (member == NULL && !required) {
		*ret_text = NULL;
		return 0;
	}
	if (!json_is_string(member))
		return diag_error(diag, -EINVAL, "\"%s\" must be a string", key);
	*ret_text = json_string_value(member);
	return 0;
}

/* The array `key`; NULL (of size 0 to jansson) where it is absent and not required. */
static int trace_get_array(const json_t *object, const char *key, bool required,
			   const json_t **ret_array, struct diag *diag)
{
	const json_t *member = json_object_get(object, key);

	if (member == NULL ? required : !json_is_array(member))
		return diag_error(diag, -EINVAL, "\"%s\" must be an array", key);
	*ret_array = member;
	return 0;
}

static int trace_parse_cpu(const json_t *object, struct topology *topology, struct diag *diag)
{
	struct topology_cpu cpu = {.cpu = 0};
	int status;

	status = trace_get_u32(object, "cpu", true, &cpu.cpu, diag);
	if (status < 0)
		return status;
	cpu.core = cpu.cpu;
	status = trace_get_u32(object, "core", false, &cpu.core, diag);
	if (status < 0)
		return status;
	status = trace_get_u32(object, "die", false, &cpu.die, diag);
	if (status < 0)
		return status;
	status = trace_get_u32(object, "package", true, &cpu.package, diag);
	if (status < 0)
		return status;
	status = topology_add(topology, &cpu);
	if (status == -EINVAL)
		return diag_error(diag, status, "CPU numbers must ascend");
	if (status < 0)
		return diag_error(diag, status, "more than %d CPUs", TOPOLOGY_CPU_MAX);
	return 0;
}

static int trace_parse_zone(const json_t *object, struct trace_head *head, struct diag *diag)
{
	struct zone zone = {.die = ZONE_ANY_DIE};
	const char *id = "", *kind = "";
	int status;

	status = trace_get_text(object, "id", true, &id, diag);
	if (status < 0)
		return status;
	if (id[0] == '\0' || strlen(id) >= sizeof(zone.id))
		return diag_error(diag, -EINVAL, "\"id\" must have 1 to %d bytes",
				  ZONE_ID_SIZE - 1);
	memcpy(zone.id, id, strlen(id));
	status = trace_get_text(object, "kind", true, &kind, diag);
	if (status < 0)
		return status;
	if (zone_kind_parse(kind, &zone.kind) < 0)
		return diag_error(diag, -EINVAL,
				  "\"kind\" must be package, dram, psys, core or uncore");
	status = trace_get_u32(object, "package", zone.kind != ZONE_PSYS, &zone.package, diag);
	if (status < 0)
		return status;
	status = trace_get_u32(object, "die", false, &zone.die, diag);
	if (status < 0)
		return status;
	status = trace_get_u64(object, "range_uj", true, &zone.range_uj, diag);
	if (status < 0)
		return status;
	if (zone.range_uj == 0)
		return diag_error(diag, -EINVAL, "\"range_uj\" must be above 0");
	if (zone_find(head->zones, head->zone_count, zone.id) >= 0)
		return diag_error(diag, -EINVAL, "the id is used twice");
	if (head->zone_count == ZONE_MAX)
		return diag_error(diag, -ENOSPC, "more than %d zones", ZONE_MAX);
	head->zones[head->zone_count++] = zone;
	return 0;
}

static int trace_parse_machine(const json_t *object, struct trace_head *head, struct diag *diag)
{
	const json_t *cpus = NULL, *zones = NULL;
	int status;

	status = trace_get_array(object, "cpus", true, &cpus, diag);
	if (status < 0)
		return status;
	status = trace_get_array(object, "zones", true, &zones, diag);
	if (status < 0)
		return status;
	if (json_array_size(cpus) == 0 || json_array_size(zones) == 0)
		return diag_error(diag, -EINVAL, "a machine has at least one CPU and one zone");
	for (size_t i = 0; i < json_array_size(cpus); i++) {
		status = trace_parse_cpu(json_array_get(cpus, i), head->topology, diag);
		if (status < 0) {
			diag_prefix(diag, "cpus[%zu]", i);
			return status;
		}
	}
	for (size_t i = 0; i < json_array_size(zones); i++) {
		status = trace_parse_zone(json_array_get(zones, i), head, diag);
		if (status < 0) {
			diag_prefix(diag, "zones[%zu]", i);
			return status;
		}
	}
	return 0;
}

int trace_parse_head(const char *line, size_t length, struct trace_head *ret_head,
		     struct diag *diag)
{
	cleanup_trace_head struct trace_head head = {.clock_tick_ns = TRACE_TICK_NS};
	cleanup_json json_t *object = NULL;
	uint64_t version = 0;
	int status;

	status = trace_load(line, length, &object, diag);
	if (status < 0)
		return status;
	status = trace_get_u64(object, "wattport_trace", true, &version, diag);
	if (status < 0)
		return status;
	if (version != TRACE_VERSION)
		return diag_error(diag, -EINVAL, "the trace is of version %llu, not %d",
				  (unsigned long long)version, TRACE_VERSION);
	status = trace_get_u64(object, "clock_tick_ns", false, &head.clock_tick_ns, diag);
	if (status < 0)
		return status;
	status = topology_create(&head.topology);
	if (status < 0)
		return diag_error(diag, status, "out of memory");
	status = trace_parse_machine(object, &head, diag);
	if (status < 0)
		return status;
	*ret_head = head;
	head.topology = NULL;
	return 0;
}

void trace_head_finish(struct trace_head *head)
{
	topology_destroy(head->topology);
	head->topology = NULL;
}

static int trace_parse_zones(const json_t *object, const struct trace_head *head,
			     struct sample *sample, struct diag *diag)
{
	const json_t *readings = json_object_get(object, "raw_uj");

	if (!json_is_object(readings))
		return diag_error(diag, -EINVAL, "\"raw_uj\" must be an object");
	sample->zone_count = head->zone_count;
	for (size_t i = 0; i < head->zone_count; i++) {
		const json_t *reading = json_object_get(readings, head->zones[i].id);
		struct sample_zone zone = {.error = -ENODATA};

		if (reading != NULL && !json_is_null(reading)) {
			zone.error =
			    trace_get_u64(readings, head->zones[i].id, true, &zone.raw_uj, diag);
			if (zone.error < 0)
				return zone.error;
		}
		sample->zones[i] = zone;
	}
	return 0;
}

static int trace_parse_busy(const json_t *object, struct sample *sample, struct diag *diag)
{
	const json_t *busy = NULL;
	int status = trace_get_array(object, "cpu_busy_ns", false, &busy, diag);

	if (status < 0)
		return status;
	memset(sample->cpu_busy_ns, 0, sample->cpu_count * sizeof(*sample->cpu_busy_ns));
	if (busy != NULL && json_array_size(busy) != sample->cpu_count)
		return diag_error(diag, -EINVAL, "\"cpu_busy_ns\" has %zu numbers for %zu CPUs",
				  json_array_size(busy), sample->cpu_count);
	for (size_t i = 0; i < json_array_size(busy); i++) {
		const json_t *number = json_array_get(busy, i);

		if (!json_is_integer(number) || json_integer_value(number) < 0)
			return diag_error(diag, -EINVAL,
					  "cpu_busy_ns[%zu] must be an integer from 0 to 2^63-1",
					  i);
		sample->cpu_busy_ns[i] = (uint64_t)json_integer_value(number);
	}
	return 0;
}

static int trace_parse_vcpu(const json_t *object, const struct sample_vm *vm,
			    struct sample_vcpu *vcpu, struct diag *diag)
{
	int status;

	vcpu->cpu = SAMPLE_NO_CPU;
	status = trace_get_u64(object, "time_ns", true, &vcpu->time_ns, diag);
	if (status < 0)
		return status;
	status = trace_get_u32(object, "cpu", false, &vcpu->cpu, diag);
	if (status < 0)
		return status;
	status = trace_get_u32(object, "socket", false, &vcpu->socket, diag);
	if (status < 0)
		return status;
	if (vcpu->socket >= vm->socket_count)
		return diag_error(diag, -EINVAL, "\"socket\" must be below \"sockets\"");
	status = trace_get_u64(object, "cycles", false, &vcpu->cycles, diag);
	if (status < 0)
		return status;
	status = trace_get_u64(object, "instructions", false, &vcpu->instructions, diag);
	if (status < 0)
		return status;
	status = trace_get_u64(object, "llc_misses", false, &vcpu->llc_misses, diag);
	if (status < 0)
		return status;
	vcpu->has_events = json_is_integer(json_object_get(object, "cycles")) &&
			   json_is_integer(json_object_get(object, "instructions")) &&
			   json_is_integer(json_object_get(object, "llc_misses"));
	return 0;
}

/* Who the VM is. */
static int trace_parse_identity(const json_t *object, struct sample_vm *vm, struct diag *diag)
{
	const char *uuid = NULL, *name = NULL;
	uint64_t pid = 0;
	int status;

	status = trace_get_text(object, "uuid", true, &uuid, diag);
	if (status < 0)
		return status;
	if (uuid_parse(uuid, &vm->uuid) < 0 || uuid_is_nil(&vm->uuid))
		return diag_error(diag, -EINVAL, "\"uuid\" is no uuid of a machine");
	status = trace_get_text(object, "name", false, &name, diag);
	if (status < 0)
		return status;
	sample_set_name(vm, name != NULL ? name : uuid);
	status = trace_get_u64(object, "pid", false, &pid, diag);
	if (status < 0)
		return status;
	if (pid > INT32_MAX)
		return diag_error(diag, -EINVAL, "\"pid\" is larger than %d", INT32_MAX);
	vm->pid = (int32_t)pid;
	return 0;
}

static int trace_parse_state(const json_t *object, struct sample_vm *vm, struct diag *diag)
{
	const json_t *running = json_object_get(object, "running");
	const char *precision = NULL;
	int status;

	if (running != NULL && !json_is_boolean(running))
		return diag_error(diag, -EINVAL, "\"running\" must be true or false");
	vm->running = running == NULL || json_is_true(running);
	status = trace_get_text(object, "precision", false, &precision, diag);
	if (status < 0)
		return status;
	if (precision != NULL && strcmp(precision, "jiffies") == 0)
		vm->precision = SAMPLE_JIFFIES;
	else if (precision != NULL && strcmp(precision, "nanoseconds") != 0)
		return diag_error(diag, -EINVAL, "\"precision\" must be nanoseconds or jiffies");
	status = trace_get_u32(object, "sockets", false, &vm->socket_count, diag);
	if (status < 0)
		return status;
	if (vm->socket_count == 0)
		return diag_error(diag, -EINVAL, "\"sockets\" must be at least 1");
	status = trace_get_u64(object, "memory_bytes", false, &vm->memory_bytes, diag);
	if (status < 0)
		return status;
	status = trace_get_u64(object, "overhead_ns", false, &vm->overhead_ns, diag);
	if (status < 0)
		return status;
	vm->has_halt_poll = json_is_integer(json_object_get(object, "halt_poll_ns"));
	return trace_get_u64(object, "halt_poll_ns", false, &vm->halt_poll_ns, diag);
}

static int trace_parse_vm(const json_t *object, struct sample *sample, struct diag *diag)
{
	const json_t *vcpus = NULL;
	struct sample_vm *vm;
	int status;

	status = trace_get_array(object, "vcpus", false, &vcpus, diag);
	if (status < 0)
		return status;
	status = sample_add_vm(sample, json_array_size(vcpus), &vm);
	if (status < 0)
		return diag_error(diag, status, "no room: %s", strerror(-status));
	status = trace_parse_identity(object, vm, diag);
	if (status < 0)
		return status;
	status = trace_parse_state(object, vm, diag);
	if (status < 0)
		return status;
	for (size_t i = 0; i < vm->vcpu_count; i++) {
		vm->vcpus[i].socket = sample_socket_of(i, vm->vcpu_count, vm->socket_count);
		status = trace_parse_vcpu(json_array_get(vcpus, i), vm, &vm->vcpus[i], diag);
		if (status < 0) {
			diag_prefix(diag, "vcpus[%zu]", i);
			return status;
		}
	}
	return 0;
}

int trace_parse_sample(const char *line, size_t length, const struct trace_head *head,
		       struct sample *sample, struct diag *diag)
{
	cleanup_json json_t *object = NULL;
	const json_t *vms = NULL;
	int status;

	assert(sample->cpu_count == head->topology->cpu_count);
	sample_clear(sample);
	sample->memory_total_bytes = 0;
	sample->memory_used_bytes = 0;
	status = trace_load(line, length, &object, diag);
	if (status < 0)
		return status;
	status = trace_get_u64(object, "t_ns", true, &sample->time.ns, diag);
	if (status == 0)
		status = trace_get_u64(object, "suspended_ns", false, &sample->suspended_ns, diag);
	if (status == 0)
		status = trace_get_u64(object, "late_ns", false, &sample->late_ns, diag);
	if (status < 0)
		return status;
	status = trace_parse_zones(object, head, sample, diag);
	if (status < 0)
		return status;
	status = trace_parse_busy(object, sample, diag);
	if (status < 0)
		return status;
	status =
	    trace_get_u64(object, "memory_total_bytes", false, &sample->memory_total_bytes, diag);
	if (status < 0)
		return status;
	status =
	    trace_get_u64(object, "memory_used_bytes", false, &sample->memory_used_bytes, diag);
	if (status < 0)
		return status;
	status = trace_get_array(object, "vms", false, &vms, diag);
	if (status < 0)
		return status;
	for (size_t i = 0; i < json_array_size(vms); i++) {
		status = trace_parse_vm(json_array_get(vms, i), sample, diag);
		if (status < 0) {
			diag_prefix(diag, "vms[%zu]", i);
			return status;
		}
	}
	return 0;
}
