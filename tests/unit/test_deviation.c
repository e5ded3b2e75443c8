#include "common/deviation.h"
#include "tests/unit/check.h"

#include <math.h>

#define SECOND_NS UINT64_C(1000000000)
#define MEAN_W	  100.0

/* A second's work of one VM: so many CPUs busy, at so many instructions per cycle. */
static struct features work_of(double load, double per_cycle)
{
	struct features work = {
	    .amount = {[FEATURES_THREAD] = (uint64_t)(load * 1e9),
		       [FEATURES_CYCLES] = (uint64_t)(load * 3e9),
		       [FEATURES_INSTRUCTIONS] = (uint64_t)(load * 3e9 * per_cycle)}};

	return work;
}

/* VMs whose work costs 5 W for each busy CPU, and so much more than that. */
struct host {
	struct deviation *deviation;
	uint64_t random;
	size_t vms;
	double per_cycle[DEVIATION_VM_MAX + 2]; /* 0: events are not counted */
	double extra[DEVIATION_VM_MAX + 2];
	double drift_w;
};

static void host_start(struct host *host, size_t vms, uint64_t seed)
{
	*host = (struct host){.vms = vms, .random = seed};
	assert_int_equal(deviation_create(&host->deviation), 0);
}

static double host_random(struct host *host)
{
	return (double)check_random_below(&host->random, 1000001) / 1e6;
}

static void host_seconds(struct host *host, int seconds)
{
	for (int second = 0; second < seconds; second++) {
		double residual_w = 0.2 * (host_random(host) - 0.5);

		for (size_t i = 0; i < host->vms; i++) {
			double load = 0.2 + 2 * host_random(host);
			struct features work = work_of(load, host->per_cycle[i]);

			deviation_add_work(host->deviation, i, &work, (uint64_t)(load * 5e9));
			residual_w += host->extra[i] * load * 5;
		}
		host->drift_w += host_random(host) - 0.5 - 0.02 * host->drift_w;
		deviation_follow(host->deviation, 1, residual_w + host->drift_w, MEAN_W);
		deviation_next(host->deviation);
	}
}

static void check_deviation(const struct host *host, size_t key, double wanted, double margin)
{
	double found = deviation_of(host->deviation, key);

	if (!(fabs(found - wanted) <= margin))
		fail_msg("VM %zu: found %g, wanted %g", key, found, wanted);
}

/* Powers that drift by watts do not hide what each VM adds to them when it stirs. */
static void test_who_is_dear_is_found_in_two_minutes(void **state)
{
	struct host host;

	(void)state;
	host_start(&host, 4, 1);
	host.extra[0] = 0.6;
	host.extra[1] = -0.3;
	host.extra[3] = 0.1;
	host_seconds(&host, 120);
	for (size_t i = 0; i < host.vms; i++)
		check_deviation(&host, i, host.extra[i], 0.06);
	deviation_destroy(host.deviation);
}

/* Seconds in which a VM turned to other work, until it is believed; with events or without. */
static int seconds_to_follow(bool counted)
{
	struct host host;
	int seconds = 0;

	host_start(&host, 4, 2);
	for (size_t i = 0; i < host.vms; i++)
		host.per_cycle[i] = counted ? 1 : 0;
	host_seconds(&host, 900);
	host.extra[2] = 0.6;
	host.per_cycle[2] *= 3;
	while (fabs(deviation_of(host.deviation, 2) - 0.6) > 0.1 && seconds++ < 600)
		host_seconds(&host, 1);
	deviation_destroy(host.deviation);
	return seconds;
}

static void test_other_work_is_met_with_an_open_mind(void **state)
{
	int counted = seconds_to_follow(true), blind = seconds_to_follow(false);

	(void)state;
	if (counted * 2 > blind || blind >= 600)
		fail_msg("%d s where its events tell, %d s where they do not", counted, blind);
}

/* A VM turns from one kind of work to another, and back to the first: what that costs is known. */
static void test_work_that_comes_back_is_known(void **state)
{
	static const double extra[] = {0.6, -0.2}, per_cycle[] = {1, 3};
	struct host host;

	(void)state;
	host_start(&host, 4, 6);
	for (size_t i = 0; i < host.vms; i++)
		host.per_cycle[i] = 1;
	for (int round = 0; round < 2; round++) {
		for (size_t kind = 0; kind < 2; kind++) {
			host.extra[2] = extra[kind];
			host.per_cycle[2] = per_cycle[kind];
			host_seconds(&host, 1);
			if (round > 0)
				check_deviation(&host, 2, extra[kind], 0.1);
			host_seconds(&host, 99);
		}
	}
	deviation_destroy(host.deviation);
}

/* More VMs than can be followed: the others are taken for what VMs are here in the mean. */
static void test_those_that_use_most_are_followed(void **state)
{
	struct host host;
	struct features work = work_of(20, 0);

	(void)state;
	host_start(&host, DEVIATION_VM_MAX + 1, 3);
	for (size_t i = 0; i < host.vms; i++)
		host.extra[i] = 0.5;
	host_seconds(&host, 400);
	check_deviation(&host, DEVIATION_VM_MAX, 0.5, 0.1);
	/* One comes that uses as much as ten of them; it is dear, and takes the place of one. */
	for (int second = 0; second < 100; second++) {
		double load = 10 + 10 * host_random(&host);

		deviation_add_work(host.deviation, 4000, &work, (uint64_t)(load * 5e9));
		deviation_follow(host.deviation, 1, load * 5 * 1.5, MEAN_W);
		deviation_next(host.deviation);
	}
	check_deviation(&host, 4000, 1.5, 0.2);
	deviation_destroy(host.deviation);
}

/* A key that is given to another VM brings nothing of the first one along. */
static void test_a_key_may_be_another_vm(void **state)
{
	struct host host;
	uint32_t changes;

	(void)state;
	host_start(&host, 3, 4);
	host.extra[0] = 0.6;
	host_seconds(&host, 300);
	check_deviation(&host, 0, 0.6, 0.06);
	changes = deviation_slot_changes(host.deviation, 0);
	deviation_forget(host.deviation, 0);
	assert_true(deviation_slot_changes(host.deviation, 0) > changes);
	/* It is known by the mean of those that are left. */
	host.extra[0] = 0;
	host_seconds(&host, 1);
	check_deviation(&host, 0, 0.1, 0.25);
	deviation_destroy(host.deviation);
}

/* Whatever comes in, what comes out is a number within its bounds, and good input is heard again.
 */
static void test_nonsense_is_forgotten(void **state)
{
	struct host host;

	(void)state;
	host_start(&host, 4, 5);
	for (int second = 0; second < 2000; second++) {
		struct features work;

		for (size_t i = 0; i < FEATURES_COUNT; i++)
			work.amount[i] =
			    check_random(&host.random) >> check_random_below(&host.random, 64);
		deviation_add_work(host.deviation, check_random_below(&host.random, 60), &work,
				   check_random(&host.random) >>
				       check_random_below(&host.random, 64));
		if (second % 7 == 0)
			deviation_next(host.deviation);
		deviation_follow(host.deviation, 1 + 9 * host_random(&host),
				 2e9 * (host_random(&host) - 0.5), 1e9 * host_random(&host) + 1e-6);
		for (size_t key = 0; key < 60; key++) {
			double now = deviation_of(host.deviation, key);

			assert_true(now >= DEVIATION_MIN && now <= DEVIATION_MAX);
		}
	}
	for (size_t key = 0; key < 60; key++)
		deviation_forget(host.deviation, key);
	deviation_next(host.deviation);
	host.extra[0] = 0.6;
	host_seconds(&host, 600);
	check_deviation(&host, 0, 0.6, 0.06);
	deviation_destroy(host.deviation);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_who_is_dear_is_found_in_two_minutes),
	    cmocka_unit_test(test_other_work_is_met_with_an_open_mind),
	    cmocka_unit_test(test_work_that_comes_back_is_known),
	    cmocka_unit_test(test_those_that_use_most_are_followed),
	    cmocka_unit_test(test_a_key_may_be_another_vm),
	    cmocka_unit_test(test_nonsense_is_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
