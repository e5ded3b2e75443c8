/*
 * What readers of a tree are promised, through all that may befall its writers and servers:
 * test_continuity [FIRST-SEED [COUNT]]. A seed that failed is replayed by `test_continuity SEED 1`.
 */
#include "common/ledger_floors.h"
#include "common/parse.h"
#include "tests/property/fate.h"
#include "tests/unit/check.h"

#include <stdio.h>

#define FATES	      PROPERTY_ROUNDS
#define STEPS	      400
#define MS	      CLOCK_NS_PER_MS
#define COUNTER_COUNT (1 + 3 * ZONE_SOCKET_KIND_COUNT)

static uint64_t first_seed = 1;
static uint64_t fate_count = FATES;
static uint64_t seed;

/* What one reader remembers of one counter. */
struct memory {
	uint64_t told_uj; /* at the last read */
	uint64_t read_ns;
	uint64_t account_uj; /* as published then */
	uint64_t stepped_uj; /* since then */
	uint64_t before_uj;  /* at the read before, ... */
	uint64_t before_ns;
	uint64_t lead_uj; /* so far it may be ahead of its account */
};

struct reader {
	struct memory counters[FATE_VM_MAX][COUNTER_COUNT];
	uint64_t published; /* times, since the last read of everything */
};

/*
 * What a checkpoint may put between a floor and its ceiling (ledger_floors.h): at most for the
 * power that the machine may have, and a fiftieth, since the time that a power is reckoned over is
 * cut to whole milliseconds. The machine 0 is off.
 */
static uint64_t room_of(size_t vm)
{
	uint64_t uj_per_ms = vm == 0 ? 1 : 1 + FATE_POWER_UW_MAX / 1000 + FATE_POWER_UW_MAX / 50000;

	return LEDGER_FLOORS_ROOM_UJ + 2 * FATE_CHECKPOINT_MS * (1 + uj_per_ms);
}

static uint64_t account_of(const struct ledger_vm *vm, size_t i)
{
	return i == 0 ? vm->guest_psys_uj
		      : vm->guest[(i - 1) / ZONE_SOCKET_KIND_COUNT]
			    .zone_uj[(i - 1) % ZONE_SOCKET_KIND_COUNT];
}

static uint64_t value_of(const struct vtree_values *values, size_t i)
{
	return i == 0 ? values->psys_uj
		      : values->socket_uj[(i - 1) / ZONE_SOCKET_KIND_COUNT]
					 [(i - 1) % ZONE_SOCKET_KIND_COUNT];
}

/* Never back, never still for a millisecond, above its account and not far. */
static void check_value(struct memory *counter, const struct fate *fate, uint64_t value_uj,
			uint64_t account_uj)
{
	if (counter->told_uj > 0) {
		assert_true(value_uj >= counter->told_uj);
		if (fate->true_ns - counter->read_ns >= MS)
			assert_true(value_uj > counter->told_uj);
		if (fate->true_ns - counter->before_ns >= MS)
			assert_true(value_uj > counter->before_uj);
		counter->lead_uj += (fate->true_ns - counter->read_ns) / MS + 1;
	} else {
		/* Opened since; and on a host with one account, read for the first time. */
		counter->lead_uj = 2 + (fate->true_ns - counter->read_ns) / MS;
	}
	assert_true(value_uj > account_uj);
	assert_true(value_uj - account_uj <= counter->lead_uj);
}

/* While wattportd's map lasts: no watt more than was used, and hardly one less. */
static void check_power(const struct memory *counter, const struct fate *fate, uint64_t value_uj,
			uint64_t account_uj, uint64_t published)
{
	uint64_t grown_uj = account_uj - counter->account_uj;
	uint64_t steps = (fate->true_ns - counter->read_ns) / MS + 1;

	if (counter->told_uj == 0)
		return;
	assert_true(value_uj - counter->told_uj <= grown_uj + steps);
	/* What it had stepped by itself is part of it. */
	assert_true(value_uj - counter->told_uj + counter->stepped_uj + steps + published >=
		    grown_uj - grown_uj / LEDGER_FLOORS_CATCH_UP);
}

static void read_vm(struct reader *reader, struct fate *fate, size_t vm, bool same_map)
{
	struct vtree_values values;
	struct ledger_vm account;

	fate_account(fate, vm, &account);
	fate_read(fate, fate_below(fate, FATE_SERVER_COUNT), vm, &values);
	for (size_t i = 0; i < 1 + values.shape.socket_count * ZONE_SOCKET_KIND_COUNT; i++) {
		struct memory *counter = &reader->counters[vm][i];
		uint64_t value_uj = value_of(&values, i), account_uj = account_of(&account, i);

		if (same_map) {
			check_value(counter, fate, value_uj, account_uj);
			check_power(counter, fate, value_uj, account_uj, reader->published);
		}
		counter->before_uj = counter->told_uj;
		counter->before_ns = counter->read_ns;
		counter->told_uj = value_uj;
		counter->read_ns = fate->true_ns;
		counter->account_uj = account_uj;
		counter->stepped_uj = (fate->true_ns - fate->published_ns) / MS + 1;
	}
}

static void read_all(struct reader *reader, struct fate *fate)
{
	for (size_t vm = 0; vm < fate->vm_count; vm++)
		read_vm(reader, fate, vm, true);
	reader->published = 0;
}

/* The first look at what was taken over from disk: accounts may have fallen, counters have not. */
static void read_from_disk(struct reader *reader, struct fate *fate, uint64_t away_ms, bool orderly)
{
	for (size_t vm = 0; vm < fate->vm_count; vm++) {
		struct memory before[COUNTER_COUNT];

		memcpy(before, reader->counters[vm], sizeof(before));
		read_vm(reader, fate, vm, false);
		for (size_t i = 0; i < COUNTER_COUNT; i++) {
			struct memory *now = &reader->counters[vm][i];
			uint64_t added_uj;

			if (before[i].told_uj == 0 || now->read_ns == before[i].read_ns)
				continue;
			assert_true(now->told_uj > before[i].told_uj);
			added_uj = now->told_uj - before[i].told_uj;
			assert_true(now->told_uj > now->account_uj);
			now->lead_uj = now->told_uj - now->account_uj;
			if (orderly)
				assert_int_equal(now->account_uj, before[i].account_uj);
			if (orderly || !fate->fails)
				assert_true(added_uj <=
					    (orderly ? 0 : room_of(vm)) + away_ms +
						(now->read_ns - before[i].read_ns) / MS + 1);
		}
	}
	reader->published = 0;
}

static void pass_time(struct fate *fate)
{
	static const uint64_t limits_ns[] = {MS / 2, 2 * MS, 30 * MS, 3000 * MS};

	fate_pass(fate, fate_below(fate, limits_ns[fate_below(fate, CHECK_COUNT(limits_ns))]));
	/* Also hours and a day without a sample: nobody reads, wattportd hangs or is dead. */
	if (fate_chance(fate, 200))
		fate_pass(fate, fate_below(fate, 86400 * CLOCK_NS_PER_SECOND));
}

static void fall(struct reader *reader, struct fate *fate)
{
	/* What has been told until this moment is what counts. */
	read_all(reader, fate);
	switch (fate_below(fate, 8)) {
	case 0: /* power cut */
		fate_reboot(fate);
		read_from_disk(reader, fate, fate->away_ms, false);
		break;
	case 1: /* reboot in order */
		if (fate->life == NULL)
			fate_start_writer(fate);
		fate_stop_writer(fate);
		fate_pass(fate, fate_below(fate, 90 * CLOCK_NS_PER_SECOND));
		read_all(reader, fate);
		fate_reboot(fate);
		read_from_disk(reader, fate, fate->away_ms, true);
		break;
	case 2: /* /run emptied under running guests; servers look for another map once a second */
		fate_lose_map(fate);
		fate_pass(fate, 1001 * MS);
		read_from_disk(reader, fate, 1001, false);
		break;
	default:
		if (fate->life == NULL)
			fate_start_writer(fate);
		else if (fate_chance(fate, 2))
			fate_kill_writer(fate);
		else
			fate_stop_writer(fate);
		break;
	}
}

static void step(struct reader *reader, struct fate *fate)
{
	pass_time(fate);
	switch (fate_below(fate, 8)) {
	case 0:
	case 1:
	case 2:
		if (fate->life != NULL) {
			fate_sample(fate);
			reader->published++;
		}
		break;
	case 3:
		if (fate_chance(fate, 6))
			fall(reader, fate);
		break;
	case 4:
		fate_restart_server(fate, fate_below(fate, FATE_SERVER_COUNT),
				    fate_chance(fate, 2));
		break;
	default:
		read_all(reader, fate);
		break;
	}
}

/* What was told ahead is paid off by what is used, and then account and counter are one. */
static void check_that_nothing_is_lost(struct reader *reader, struct fate *fate)
{
	if (fate->life == NULL)
		fate_start_writer(fate);
	fate->vm_count = FATE_VM_MAX;
	fate_sample(fate);
	read_all(reader, fate);
	for (size_t vm = 0; vm < FATE_VM_MAX; vm++) {
		struct ledger *ledger = ledger_life_ledger(fate->life);
		struct vtree_values values;
		struct ledger_vm *account;

		fate_read(fate, 0, vm, &values);
		account = ledger_vm(ledger, (size_t)ledger_find(ledger, &values.uuid));
		account->guest_psys_uj += 64 * (values.psys_uj - account->guest_psys_uj);
		assert_int_equal(ledger_life_publish(fate->life), 0);
		fate_read(fate, 1, vm, &values);
		assert_int_equal(values.psys_uj, account->guest_psys_uj + 1);
	}
}

static void check_fate(void)
{
	static struct reader reader;
	struct fate fate;

	reader = (struct reader){.published = 0};
	fate_begin(&fate, seed);
	for (int i = 0; i < STEPS; i++)
		step(&reader, &fate);
	check_that_nothing_is_lost(&reader, &fate);
	fate_end(&fate);
}

static void test_counters_outlive_everything(void **state)
{
	(void)state;
	(void)printf("%llu fates from seed %llu on\n", (unsigned long long)fate_count,
		     (unsigned long long)first_seed);
	for (uint64_t i = 0; i < fate_count; i++) {
		seed = first_seed + i;
		/* An abort shows no seed: then these say where to look. */
		if (i % 100 == 0)
			(void)fprintf(stderr, "from seed %llu\n", (unsigned long long)seed);
		check_fate();
	}
	seed = 0;
}

static int tell_failed_seed(void **state)
{
	(void)state;
	if (seed != 0)
		(void)fprintf(stderr, "failed with seed %llu\n", (unsigned long long)seed);
	return 0;
}

int main(int argc, char *argv[])
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(test_counters_outlive_everything, tell_failed_seed),
	};

	if ((argc > 1 && parse_u64(argv[1], &first_seed) < 0) ||
	    (argc > 2 && parse_u64(argv[2], &fate_count) < 0)) {
		(void)fprintf(stderr, "usage: test_continuity [FIRST-SEED [COUNT]]\n");
		return 2;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
