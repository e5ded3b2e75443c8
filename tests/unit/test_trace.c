#include "common/cleanup.h"
#include "common/trace.h"
#include "tests/unit/check.h"

#include <stdio.h>

#define CPU0		  "{\"cpu\":0,\"core\":0,\"package\":0}"
#define ZONE		  "{\"id\":\"package-0\",\"package\":0,\"kind\":\"package\",\"range_uj\":1000}"
#define HEAD(cpus, zones) "{\"wattport_trace\":1,\"cpus\":[" cpus "],\"zones\":[" zones "]}"
#define UUID		  "\"uuid\":\"01234567-89ab-cdef-0123-456789abcdef\""

static int parse_head(const char *line, struct trace_head *ret_head, struct diag *diag)
{
	return trace_parse_head(line, strlen(line), ret_head, diag);
}

static void test_a_head_of_all_kinds(void **state)
{
	cleanup_trace_head struct trace_head head = {.topology = NULL};
	static const char line[] =
	    "{\"wattport_trace\":1,\"clock_tick_ns\":4000000,\"from\":{\"x\":[]},"
	    "\"cpus\":[{\"cpu\":0,\"core\":1,\"package\":2},{\"cpu\":3,\"core\":4,\"package\":5,"
	    "\"die\":6,\"numa\":0}],"
	    "\"zones\":[{\"id\":\"package-5-die-6\",\"package\":5,\"die\":6,\"kind\":\"package\","
	    "\"range_uj\":9223372036854775807},{\"id\":\"psys\",\"kind\":\"psys\",\"range_uj\":1}]"
	    "}";

	(void)state;
	assert_int_equal(parse_head(line, &head, NULL), 0);
	assert_int_equal(head.clock_tick_ns, 4000000);
	assert_int_equal(head.topology->cpu_count, 2);
	assert_int_equal(head.topology->cpus[0].die, 0);
	assert_int_equal(head.topology->cpus[1].cpu, 3);
	assert_int_equal(head.topology->cpus[1].core, 4);
	assert_int_equal(head.topology->cpus[1].package, 5);
	assert_int_equal(head.topology->cpus[1].die, 6);
	assert_int_equal(head.zone_count, 2);
	assert_int_equal(head.zones[0].die, 6);
	assert_int_equal(head.zones[0].range_uj, INT64_MAX);
	assert_int_equal(head.zones[1].kind, ZONE_PSYS);
	assert_int_equal(head.zones[1].die, ZONE_ANY_DIE);
}

static void test_bad_heads(void **state)
{
	static const struct {
		const char *line, *reason;
	} rows[] = {
	    {"", "column"},
	    {"[]", "not an object"},
	    {"{", "column"},
	    {HEAD(CPU0, ZONE) "x", "column"},
	    {"{\"wattport_trace\":2,\"cpus\":[],\"zones\":[]}", "version 2"},
	    {"{\"wattport_trace\":1.0}", "\"wattport_trace\" must be an integer"},
	    {"{\"wattport_trace\":1,\"wattport_trace\":1}", "duplicate"},
	    {"{\"wattport_trace\":1,\"cpus\":[]}", "\"zones\" must be an array"},
	    {HEAD("", ZONE), "at least one CPU"},
	    {HEAD(CPU0, ""), "at least one CPU and one zone"},
	    {HEAD("7", ZONE), "cpus[0]: \"cpu\" is missing"},
	    {HEAD(CPU0 "," CPU0, ZONE), "cpus[1]: CPU numbers must ascend"},
	    {HEAD("{\"cpu\":0}", ZONE), "\"package\" is missing"},
	    {HEAD("{\"cpu\":-1,\"package\":0}", ZONE), "\"cpu\" must be an integer from 0"},
	    {HEAD("{\"cpu\":4294967296,\"package\":0}", ZONE), "\"cpu\" is larger"},
	    {HEAD(CPU0, ZONE "," ZONE), "zones[1]: the id is used twice"},
	    {HEAD(CPU0, "{\"id\":\"\"}"), "\"id\" must have 1 to 31 bytes"},
	    {HEAD(CPU0, "{\"id\":\"0123456789012345678901234567890x\"}"), "1 to 31"},
	    {HEAD(CPU0, "{\"id\":3}"), "\"id\" must be a string"},
	    {HEAD(CPU0, "{\"id\":\"a\",\"kind\":\"gpu\"}"), "\"kind\" must be"},
	    {HEAD(CPU0, "{\"id\":\"a\",\"kind\":\"dram\"}"), "\"package\" is missing"},
	    {HEAD(CPU0, "{\"id\":\"a\",\"kind\":\"psys\"}"), "\"range_uj\" is missing"},
	    {HEAD(CPU0, "{\"id\":\"a\",\"kind\":\"psys\",\"range_uj\":0}"), "above 0"},
	};

	(void)state;
	for (size_t i = 0; i < CHECK_COUNT(rows); i++) {
		struct trace_head head = {.topology = NULL};
		struct diag diag = DIAG_INIT;

		assert_int_equal(parse_head(rows[i].line, &head, &diag), -EINVAL);
		check_contains(diag.text, rows[i].reason);
		assert_null(head.topology);
	}
}

/* "[[..]]" of that depth as an unknown member of a head. */
static int parse_nested(size_t depth)
{
	char line[512];
	struct trace_head head = {.topology = NULL};
	size_t used = (size_t)snprintf(line, sizeof(line),
				       "{\"wattport_trace\":1,\"cpus\":[" CPU0 "],\"zones\":[" ZONE
				       "],\"text\":\"\\\"[[[[[[[[[[[[[[[[[[[[\",\"deep\":");
	int status;

	memset(line + used, '[', depth);
	memset(line + used + depth, ']', depth);
	memcpy(line + used + 2 * depth, "}", 2);
	status = parse_head(line, &head, NULL);
	trace_head_finish(&head);
	return status;
}

static void test_limits(void **state)
{
	static const char head_text[] = HEAD(CPU0, ZONE);
	cleanup_free char *line = malloc(TRACE_LINE_SIZE_MAX + 1);
	struct trace_head head = {.topology = NULL};

	(void)state;
	assert_int_equal(parse_nested(TRACE_DEPTH_MAX - 1), 0);
	assert_int_equal(parse_nested(TRACE_DEPTH_MAX), -EINVAL);
	CHECK_POINTER(line);
	memset(line, ' ', TRACE_LINE_SIZE_MAX + 1);
	memcpy(line, head_text, sizeof(head_text) - 1);
	assert_int_equal(trace_parse_head(line, TRACE_LINE_SIZE_MAX + 1, &head, NULL), -EFBIG);
	assert_int_equal(trace_parse_head(line, TRACE_LINE_SIZE_MAX, &head, NULL), 0);
	trace_head_finish(&head);
}

static void test_a_sample_of_all_kinds(void **state)
{
	cleanup_trace_head struct trace_head head = {.topology = NULL};
	static const char line[] =
	    "{\"t_ns\":9,\"suspended_ns\":4,\"late_ns\":6,\"raw_uj\":{\"package-0\":77,\"gone\":1},"
	    "\"cpu_busy_ns\":[5],"
	    "\"memory_total_bytes\":100,\"memory_used_bytes\":60,\"vms\":[{" UUID ","
	    "\"name\":\"w\\u00e4\",\"memory_bytes\":4096,\"sockets\":2,\"overhead_ns\":3,\"pid\":"
	    "12,"
	    "\"running\":false,\"precision\":\"jiffies\",\"vcpus\":["
	    "{\"time_ns\":1,\"cpu\":0,\"cycles\":2,\"instructions\":3,\"llc_misses\":4},"
	    "{\"time_ns\":5,\"cycles\":2,\"instructions\":3},{\"time_ns\":6,\"socket\":0},"
	    "{\"time_ns\":7,\"cpu\":null}]},"
	    "{\"uuid\":\"11234567-89ab-cdef-0123-456789abcdef\"}]}";
	const struct sample_vm *vm;
	struct sample sample;

	(void)state;
	assert_int_equal(parse_head(HEAD(CPU0, ZONE), &head, NULL), 0);
	assert_int_equal(sample_init(&sample, 1), 0);
	assert_int_equal(trace_parse_sample(line, strlen(line), &head, &sample, NULL), 0);
	assert_int_equal(sample.time.ns, 9);
	assert_int_equal(sample.suspended_ns, 4);
	assert_int_equal(sample.late_ns, 6);
	assert_int_equal(sample.zone_count, 1);
	assert_int_equal(sample.zones[0].raw_uj, 77);
	assert_int_equal(sample.cpu_busy_ns[0], 5);
	assert_int_equal(sample.memory_total_bytes, 100);
	assert_int_equal(sample.memory_used_bytes, 60);
	assert_int_equal(sample.vm_count, 2);
	vm = &sample.vms[0];
	assert_string_equal(vm->name, "w\xc3\xa4");
	assert_int_equal(vm->memory_bytes, 4096);
	assert_int_equal(vm->socket_count, 2);
	assert_int_equal(vm->overhead_ns, 3);
	assert_int_equal(vm->pid, 12);
	assert_false(vm->running);
	assert_int_equal(vm->precision, SAMPLE_JIFFIES);
	assert_int_equal(vm->vcpu_count, 4);
	assert_int_equal(vm->vcpus[0].cpu, 0);
	assert_true(vm->vcpus[0].has_events);
	assert_int_equal(vm->vcpus[0].llc_misses, 4);
	assert_int_equal(vm->vcpus[1].cpu, SAMPLE_NO_CPU);
	assert_false(vm->vcpus[1].has_events);
	assert_int_equal(vm->vcpus[1].socket, 0);
	assert_int_equal(vm->vcpus[2].socket, 0);
	assert_int_equal(vm->vcpus[3].socket, 1);
	assert_int_equal(vm->vcpus[3].cpu, SAMPLE_NO_CPU);
	assert_string_equal(sample.vms[1].name, "11234567-89ab-cdef-0123-456789abcdef");
	assert_true(sample.vms[1].running);
	assert_int_equal(sample.vms[1].vcpu_count, 0);

	/* The next line brings nothing of the one before. */
	assert_int_equal(
	    trace_parse_sample("{\"t_ns\":10,\"raw_uj\":{}}", 23, &head, &sample, NULL), 0);
	assert_int_equal(sample.zones[0].error, -ENODATA);
	assert_int_equal(sample.cpu_busy_ns[0], 0);
	assert_int_equal(sample.memory_total_bytes, 0);
	assert_int_equal(sample.vm_count, 0);
	sample_finish(&sample);
}

#define SAMPLE(rest) "{\"t_ns\":1,\"raw_uj\":{}," rest "}"
#define VM(rest)     SAMPLE("\"vms\":[{" UUID "," rest "}]")

static void test_bad_samples(void **state)
{
	static const struct {
		const char *line, *reason;
	} rows[] = {
	    {"{\"raw_uj\":{}}", "\"t_ns\" is missing"},
	    {"{\"t_ns\":1.5,\"raw_uj\":{}}", "\"t_ns\" must be an integer"},
	    {"{\"t_ns\":9223372036854775808,\"raw_uj\":{}}", "too big"},
	    {"{\"t_ns\":1,\"raw_uj\":[]}", "\"raw_uj\" must be an object"},
	    {"{\"t_ns\":1,\"raw_uj\":{\"package-0\":-1}}", "\"package-0\" must be an integer"},
	    {"{\"t_ns\":1,\"raw_uj\":{\"package-0\":\"1\"}}", "\"package-0\" must be an integer"},
	    {SAMPLE("\"cpu_busy_ns\":{}"), "\"cpu_busy_ns\" must be an array"},
	    {SAMPLE("\"cpu_busy_ns\":[1,2]"), "2 numbers for 1 CPUs"},
	    {SAMPLE("\"cpu_busy_ns\":[-2]"), "cpu_busy_ns[0] must be"},
	    {SAMPLE("\"vms\":3"), "\"vms\" must be an array"},
	    {SAMPLE("\"vms\":[3]"), "vms[0]: \"uuid\" must be a string"},
	    {SAMPLE("\"vms\":[{\"uuid\":\"x\"}]"), "vms[0]: \"uuid\" is no uuid"},
	    {SAMPLE("\"vms\":[{\"uuid\":\"00000000-0000-0000-0000-000000000000\"}]"), "no uuid"},
	    {VM("\"name\":7"), "\"name\" must be a string"},
	    {VM("\"name\":\"\xff\""), "unable to decode byte 0xff"},
	    {VM("\"pid\":2147483648"), "\"pid\" is larger"},
	    {VM("\"sockets\":0"), "\"sockets\" must be at least 1"},
	    {VM("\"running\":1"), "\"running\" must be true or false"},
	    {VM("\"precision\":\"fine\""), "\"precision\" must be"},
	    {VM("\"vcpus\":[{}]"), "vms[0]: vcpus[0]: \"time_ns\" is missing"},
	    {VM("\"vcpus\":[{\"time_ns\":1,\"socket\":1}]"), "\"socket\" must be below"},
	};
	cleanup_trace_head struct trace_head head = {.topology = NULL};
	struct sample sample;

	(void)state;
	assert_int_equal(parse_head(HEAD(CPU0, ZONE), &head, NULL), 0);
	assert_int_equal(sample_init(&sample, 1), 0);
	for (size_t i = 0; i < CHECK_COUNT(rows); i++) {
		struct diag diag = DIAG_INIT;

		assert_int_equal(
		    trace_parse_sample(rows[i].line, strlen(rows[i].line), &head, &sample, &diag),
		    -EINVAL);
		check_contains(diag.text, rows[i].reason);
	}
	sample_finish(&sample);
}

/* A random machine and sample, the numbers often at the ends of what a trace can hold. */
static uint64_t pick(uint64_t *seed)
{
	switch (check_random_below(seed, 4)) {
	case 0:
		return 0;
	case 1:
		return INT64_MAX;
	default:
		return check_random(seed) >> 1 >> check_random_below(seed, 63);
	}
}

static void fill_head(struct trace_head *head, uint64_t *seed)
{
	static const enum zone_kind kinds[] = {ZONE_PACKAGE, ZONE_DRAM, ZONE_PSYS, ZONE_CORE,
					       ZONE_UNCORE};
	uint32_t number = 0;

	*head = (struct trace_head){.clock_tick_ns = pick(seed)};
	assert_int_equal(topology_create(&head->topology), 0);
	for (size_t i = check_random_below(seed, 5); i < 5; i++) {
		struct topology_cpu cpu = {.cpu = number +=
					   (uint32_t)check_random_below(seed, 9) + 1,
					   .core = (uint32_t)check_random(seed),
					   .die = (uint32_t)check_random_below(seed, 2),
					   .package = (uint32_t)check_random(seed)};

		assert_int_equal(topology_add(head->topology, &cpu), 0);
	}
	for (size_t i = 0; i <= check_random_below(seed, 5); i++) {
		struct zone *zone = &head->zones[head->zone_count++];

		*zone = (struct zone){.kind = kinds[i],
				      .package = (uint32_t)check_random(seed),
				      .die = i % 2 == 0 ? ZONE_ANY_DIE : (uint32_t)i,
				      .range_uj = pick(seed) | 1};
		(void)snprintf(zone->id, sizeof(zone->id), "zone \"%zu\"", i);
	}
}

static void fill_sample(const struct trace_head *head, struct sample *sample, uint64_t *seed)
{
	static const char *const names[] = {"web 1", "a/b\\c\"d", "\xe2\x82\xac\n", ""};

	sample->time.ns = pick(seed);
	sample->suspended_ns = pick(seed);
	sample->late_ns = pick(seed);
	sample->memory_total_bytes = pick(seed) | 1;
	sample->memory_used_bytes = pick(seed);
	sample->zone_count = head->zone_count;
	for (size_t i = 0; i < head->zone_count; i++)
		sample->zones[i] = (struct sample_zone){.raw_uj = pick(seed)};
	for (size_t i = 0; i < sample->cpu_count; i++)
		sample->cpu_busy_ns[i] = pick(seed);
	for (size_t i = check_random_below(seed, 4); i < 4; i++) {
		struct sample_vm *vm;

		assert_int_equal(sample_add_vm(sample, check_random_below(seed, 6), &vm), 0);
		vm->uuid.bytes[i] = 1;
		sample_set_name(vm, names[i]);
		vm->running = i % 2 == 0;
		vm->precision = i < 2 ? SAMPLE_NANOSECONDS : SAMPLE_JIFFIES;
		vm->socket_count = (uint32_t)i + 1;
		vm->pid = (int32_t)check_random_below(seed, INT32_MAX);
		vm->memory_bytes = pick(seed);
		vm->overhead_ns = pick(seed);
		vm->has_halt_poll = i % 2 == 0;
		vm->halt_poll_ns = i % 2 == 0 ? pick(seed) : 0;
		for (size_t k = 0; k < vm->vcpu_count; k++)
			vm->vcpus[k] = (struct sample_vcpu){
			    .time_ns = pick(seed),
			    .cpu = k == 0 ? SAMPLE_NO_CPU : (uint32_t)k,
			    .socket = (uint32_t)check_random_below(seed, i + 1),
			    .has_events = k % 2 == 0,
			    .cycles = k % 2 == 0 ? pick(seed) : 0,
			    .instructions = k % 2 == 0 ? pick(seed) : 0,
			    .llc_misses = k % 2 == 0 ? pick(seed) : 0,
			};
	}
}

static void check_same_head(const struct trace_head *a, const struct trace_head *b)
{
	assert_int_equal(a->clock_tick_ns, b->clock_tick_ns);
	assert_memory_equal(a->topology, b->topology, sizeof(*a->topology));
	assert_int_equal(a->zone_count, b->zone_count);
	for (size_t i = 0; i < a->zone_count; i++) {
		assert_string_equal(a->zones[i].id, b->zones[i].id);
		assert_int_equal(a->zones[i].kind, b->zones[i].kind);
		assert_int_equal(a->zones[i].package, b->zones[i].package);
		assert_int_equal(a->zones[i].die, b->zones[i].die);
		assert_int_equal(a->zones[i].range_uj, b->zones[i].range_uj);
	}
}

static void check_same_sample(const struct sample *a, const struct sample *b)
{
	assert_int_equal(a->time.ns, b->time.ns);
	assert_int_equal(a->suspended_ns, b->suspended_ns);
	assert_int_equal(a->late_ns, b->late_ns);
	assert_int_equal(a->memory_total_bytes, b->memory_total_bytes);
	assert_int_equal(a->memory_used_bytes, b->memory_used_bytes);
	assert_int_equal(a->zone_count, b->zone_count);
	for (size_t i = 0; i < a->zone_count; i++)
		assert_int_equal(a->zones[i].raw_uj, b->zones[i].raw_uj);
	assert_memory_equal(a->cpu_busy_ns, b->cpu_busy_ns, a->cpu_count * sizeof(uint64_t));
	assert_int_equal(a->vm_count, b->vm_count);
	for (size_t i = 0; i < a->vm_count; i++) {
		const struct sample_vm *left = &a->vms[i], *right = &b->vms[i];

		assert_true(uuid_equal(&left->uuid, &right->uuid));
		assert_string_equal(left->name, right->name);
		assert_int_equal(left->running, right->running);
		assert_int_equal(left->precision, right->precision);
		assert_int_equal(left->socket_count, right->socket_count);
		assert_int_equal(left->pid, right->pid);
		assert_int_equal(left->memory_bytes, right->memory_bytes);
		assert_int_equal(left->overhead_ns, right->overhead_ns);
		assert_int_equal(left->has_halt_poll, right->has_halt_poll);
		assert_int_equal(left->halt_poll_ns, right->halt_poll_ns);
		assert_int_equal(left->vcpu_count, right->vcpu_count);
		for (size_t k = 0; k < left->vcpu_count; k++) {
			assert_int_equal(left->vcpus[k].time_ns, right->vcpus[k].time_ns);
			assert_int_equal(left->vcpus[k].cpu, right->vcpus[k].cpu);
			assert_int_equal(left->vcpus[k].socket, right->vcpus[k].socket);
			assert_int_equal(left->vcpus[k].has_events, right->vcpus[k].has_events);
			assert_int_equal(left->vcpus[k].cycles, right->vcpus[k].cycles);
			assert_int_equal(left->vcpus[k].instructions, right->vcpus[k].instructions);
			assert_int_equal(left->vcpus[k].llc_misses, right->vcpus[k].llc_misses);
		}
	}
}

static void test_property_what_is_written_is_read(void **state)
{
	uint64_t seed = 3;

	(void)state;
	for (size_t i = 0; i < 300; i++) {
		cleanup_trace_head struct trace_head head = {.topology = NULL}, again = head;
		cleanup_free char *head_line = NULL, *line = NULL;
		struct sample sample, read;

		fill_head(&head, &seed);
		assert_int_equal(sample_init(&sample, head.topology->cpu_count), 0);
		assert_int_equal(sample_init(&read, head.topology->cpu_count), 0);
		fill_sample(&head, &sample, &seed);
		assert_int_equal(trace_format_head(&head, &head_line), 0);
		assert_ptr_equal(strchr(head_line, '\n'), head_line + strlen(head_line) - 1);
		assert_int_equal(parse_head(head_line, &again, NULL), 0);
		check_same_head(&head, &again);
		assert_int_equal(trace_format_sample(&head, &sample, &line), 0);
		assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
		assert_int_equal(trace_parse_sample(line, strlen(line), &again, &read, NULL), 0);
		check_same_sample(&sample, &read);
		sample_finish(&sample);
		sample_finish(&read);
	}
}

static void test_what_cannot_be_written(void **state)
{
	cleanup_trace_head struct trace_head head = {.topology = NULL};
	cleanup_free char *line = NULL;
	struct sample sample;

	(void)state;
	assert_int_equal(parse_head(HEAD(CPU0, ZONE), &head, NULL), 0);
	assert_int_equal(sample_init(&sample, 1), 0);
	sample.zone_count = 1;
	sample.zones[0] = (struct sample_zone){.error = -EIO};
	assert_int_equal(trace_format_sample(&head, &sample, &line), 0);
	check_contains(line, "{\"package-0\":null}");
	sample.cpu_busy_ns[0] = (uint64_t)INT64_MAX + 1;
	assert_int_equal(trace_format_sample(&head, &sample, &line), -ERANGE);
	sample.cpu_busy_ns[0] = 0;
	sample.zones[0] = (struct sample_zone){.raw_uj = UINT64_MAX};
	assert_int_equal(trace_format_sample(&head, &sample, &line), -ERANGE);
	head.zones[0].range_uj = UINT64_MAX;
	assert_int_equal(trace_format_head(&head, &line), -ERANGE);
	sample_finish(&sample);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_head_of_all_kinds),
	    cmocka_unit_test(test_bad_heads),
	    cmocka_unit_test(test_limits),
	    cmocka_unit_test(test_a_sample_of_all_kinds),
	    cmocka_unit_test(test_bad_samples),
	    cmocka_unit_test(test_property_what_is_written_is_read),
	    cmocka_unit_test(test_what_cannot_be_written),
	};

	return cmocka_run_group_tests_name("trace", tests, NULL, NULL);
}
