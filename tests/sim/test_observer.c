#include "common/counter.h"
#include "tests/sim/observer.h"
#include "tests/sim/peers.h"
#include "tests/sim/record.h"
#include "tests/unit/check.h"

#include <math.h>

#define SECONDS 60

struct watched {
	struct world *world;
	struct observer *observer;
	struct sample sample;
};

static struct watched watch(enum host_class host_class, uint64_t seed)
{
	struct watched watched = {.world = NULL};
	size_t cpus;

	assert_int_equal(world_create(host_class, seed, &watched.world), 0);
	CHECK_POINTER(watched.world);
	assert_int_equal(observer_create(watched.world, seed, &watched.observer), 0);
	CHECK_POINTER(watched.observer);
	cpus = observer_head(watched.observer)->topology->cpu_count;
	assert_int_equal(cpus, hardware_cpu_count(&watched.world->hardware));
	assert_int_equal(sample_init(&watched.sample, cpus), 0);
	assert_int_equal(observer_sample(watched.observer, &watched.sample), 0);
	return watched;
}

static void watch_second(struct watched *watched)
{
	world_advance(watched->world, 1);
	assert_int_equal(observer_sample(watched->observer, &watched->sample), 0);
}

static void watch_end(struct watched *watched)
{
	sample_finish(&watched->sample);
	observer_destroy(watched->observer);
	world_destroy(watched->world);
}

static double zone_j(const struct world *world, const struct zone *zone)
{
	if (zone->kind == ZONE_PSYS)
		return world->psys_j;
	return zone->kind == ZONE_DRAM ? world->sockets[zone->package].dram_j
				       : world->sockets[zone->package].package_j;
}

/* Over many hosts, some of whose counters wrap on the way. */
static void test_counters_tell_the_energy(void **state)
{
	size_t wraps = 0, psys = 0;

	(void)state;
	for (uint64_t seed = 1; seed <= 10; seed++) {
		struct watched watched = watch(HOST_MIXED, seed);
		const struct trace_head *head = observer_head(watched.observer);
		struct counter counters[ZONE_MAX] = {{.primed = false}};
		uint64_t total_uj[ZONE_MAX] = {0};

		for (size_t second = 0; second <= SECONDS; second++) {
			for (size_t zone = 0; zone < head->zone_count; zone++) {
				uint64_t energy_uj;
				enum counter_event event = counter_advance(
				    &counters[zone], watched.sample.zones[zone].raw_uj,
				    head->zones[zone].range_uj, watched.sample.time.ns, &energy_uj);

				assert_true(event == COUNTER_ADVANCED || event == COUNTER_WRAPPED ||
					    (event == COUNTER_FIRST && second == 0));
				total_uj[zone] += energy_uj;
				wraps += event == COUNTER_WRAPPED ? 1 : 0;
			}
			if (second < SECONDS)
				watch_second(&watched);
		}
		for (size_t zone = 0; zone < head->zone_count; zone++) {
			double true_j = zone_j(watched.world, &head->zones[zone]);

			/* The kernel's rounding of the unit, and a millisecond at the end. */
			assert_true(fabs((double)total_uj[zone] * 1e-6 / true_j - 1) < 3e-4);
			psys += head->zones[zone].kind == ZONE_PSYS ? 1 : 0;
		}
		watch_end(&watched);
	}
	assert_true(wraps > 0);
	assert_true(psys > 0);
}

/* Never back, never ahead of the truth, never far behind it; CPUs in whole ticks. */
static void test_times_follow_the_truth(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 6; seed++) {
		struct watched watched = watch(HOST_PACKED, seed);
		uint64_t before_ns[WORLD_VM_MAX] = {0};
		double busy_s = 0, told_s = 0;

		for (size_t second = 0; second < SECONDS; second++) {
			watch_second(&watched);
			for (size_t i = 0, at = 0; i < watched.world->vm_count; i++) {
				const struct world_vm *vm = &watched.world->vms[i];
				double true_ns;
				uint64_t time_ns;

				if (!vm->present)
					continue;
				true_ns = 1e9 * watched.world->threads[vm->vcpus[0]].time_s;
				time_ns = watched.sample.vms[at++].vcpus[0].time_ns;
				assert_true(time_ns >= before_ns[i]);
				assert_true((double)time_ns <= true_ns + 1);
				assert_true((double)time_ns >= true_ns - 1e7 - 1);
				before_ns[i] = time_ns;
			}
		}
		for (size_t cpu = 0; cpu < watched.sample.cpu_count; cpu++) {
			assert_int_equal(watched.sample.cpu_busy_ns[cpu] % 10000000, 0);
			told_s += 1e-9 * (double)watched.sample.cpu_busy_ns[cpu];
			busy_s += watched.world->cpu_time_s[cpu];
		}
		assert_true(fabs(told_s / busy_s - 1) < 0.01);
		watch_end(&watched);
	}
}

/* Where samples come faster than the scheduler's tick, what was told stays told. */
static void test_times_never_go_back(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 6; seed++) {
		struct watched watched = watch(HOST_PACKED, seed);
		uint64_t before_ns = 0, busy_ns = 0;

		for (size_t i = 0; i < 500; i++) {
			const struct sample *sample = &watched.sample;

			world_advance(watched.world, 0.001);
			assert_int_equal(observer_sample(watched.observer, &watched.sample), 0);
			assert_true(sample->vms[0].vcpus[0].time_ns >= before_ns);
			assert_true(sample->cpu_busy_ns[0] >= busy_ns);
			before_ns = sample->vms[0].vcpus[0].time_ns;
			busy_ns = sample->cpu_busy_ns[0];
		}
		assert_true(before_ns > 0);
		watch_end(&watched);
	}
}

static void test_events_can_be_taken_away(void **state)
{
	struct watched watched = watch(HOST_MIXED, 1);
	struct uuid uuid = observer_uuid(&watched.world->vms[0]);

	(void)state;
	watch_second(&watched);
	assert_true(watched.sample.vm_count > 0);
	assert_true(uuid_equal(&watched.sample.vms[0].uuid, &uuid));
	assert_true(watched.sample.vms[0].vcpus[0].has_events);
	assert_true(watched.sample.vms[0].vcpus[0].cycles > 0);
	observer_strip_events(&watched.sample);
	for (size_t i = 0; i < watched.sample.vm_count; i++)
		for (size_t k = 0; k < watched.sample.vms[i].vcpu_count; k++)
			assert_false(watched.sample.vms[i].vcpus[k].has_events);
	watch_end(&watched);
}

/* Models that share the whole share neither more nor less. */
static void test_peers_share_the_whole(void **state)
{
	struct watched watched = watch(HOST_PACKED, 3);
	const struct trace_head *head = observer_head(watched.observer);
	double start_j = 0, all_j = 0, given_j = 0, active_j = 0, host_s = 0, busy_s = 0;
	struct peers *peers = NULL;

	(void)state;
	assert_int_equal(peers_create(head, &peers), 0);
	CHECK_POINTER(peers);
	peers_step(peers, &watched.sample);
	for (size_t second = 0; second < SECONDS; second++) {
		watch_second(&watched);
		peers_step(peers, &watched.sample);
	}
	for (size_t zone = 0; zone < head->zone_count; zone++)
		if (head->zones[zone].kind != ZONE_PSYS)
			all_j += zone_j(watched.world, &head->zones[zone]);
	for (size_t i = 0; i < watched.world->vm_count; i++) {
		struct uuid uuid = observer_uuid(&watched.world->vms[i]);
		struct peer_share share = peers_share(peers, &uuid);

		given_j += share.total_j[PEER_CAPACITY];
		active_j += share.total_j[PEER_ACTIVE];
		assert_true(share.total_j[PEER_RENT] <= share.total_j[PEER_CAPACITY] * 1.000001);
		assert_true(share.total_j[PEER_RATIO] > share.dynamic_j[PEER_RATIO]);
		assert_true(share.total_j[PEER_TICKS] > 0);
	}
	for (size_t i = 0; i < watched.world->thread_count; i++)
		if (watched.world->threads[i].account == WORLD_NOBODY)
			host_s += watched.world->threads[i].time_s;
	for (size_t cpu = 0; cpu < watched.sample.cpu_count; cpu++)
		busy_s += watched.world->cpu_time_s[cpu];
	assert_true(fabs(given_j / (all_j - start_j) - 1) < 0.001);
	assert_true(fabs(active_j / (all_j * (1 - host_s / busy_s)) - 1) < 0.01);
	peers_destroy(peers);
	watch_end(&watched);
}

/* What is written can be read again, and is the same for the same seed. */
static void test_a_record_is_a_trace(void **state)
{
	static const struct record_plan plan = {.host_class = HOST_BURSTY,
						.seed = 2,
						.seconds = 20,
						.period_ms = 500,
						.remix_s = 10,
						.events = true};
	char *texts[2] = {NULL, NULL}, *truth = NULL;
	size_t sizes[2], truth_size, lines = 0, truth_lines = 0;
	struct trace_head head;
	struct diag diag = {.text = ""};
	struct sample sample;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		FILE *trace_file = open_memstream(&texts[i], &sizes[i]);
		FILE *truth_file = i == 0 ? open_memstream(&truth, &truth_size) : NULL;

		CHECK_POINTER(trace_file);
		assert_int_equal(record_write(&plan, trace_file, truth_file), 0);
		(void)fclose(trace_file);
		if (truth_file != NULL)
			(void)fclose(truth_file);
	}
	CHECK_POINTER(texts[0]);
	CHECK_POINTER(texts[1]);
	CHECK_POINTER(truth);
	assert_string_equal(texts[0], texts[1]);
	assert_int_equal(trace_parse_head(texts[0], strcspn(texts[0], "\n"), &head, &diag), 0);
	assert_int_equal(sample_init(&sample, head.topology->cpu_count), 0);
	for (char *at = strchr(texts[0], '\n') + 1; *at != '\0'; at = strchr(at, '\n') + 1) {
		assert_int_equal(trace_parse_sample(at, strcspn(at, "\n"), &head, &sample, &diag),
				 0);
		lines++;
	}
	for (const char *at = truth; (at = strchr(at, '\n')) != NULL; at++)
		truth_lines++;
	assert_int_equal(lines, 41);
	assert_int_equal(truth_lines, lines + 1);
	check_contains(truth, "\"class\":\"bursty\",\"seed\":2");
	sample_finish(&sample);
	trace_head_finish(&head);
	free(texts[0]);
	free(texts[1]);
	free(truth);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_counters_tell_the_energy),
	    cmocka_unit_test(test_times_follow_the_truth),
	    cmocka_unit_test(test_times_never_go_back),
	    cmocka_unit_test(test_events_can_be_taken_away),
	    cmocka_unit_test(test_peers_share_the_whole),
	    cmocka_unit_test(test_a_record_is_a_trace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
