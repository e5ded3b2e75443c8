/* session.h: counters at a start and at a stop, and what may happen between. */
#include "common/counter.h"
#include "guest/session.h"
#include "tests/unit/check.h"
#include "tests/unit/guest_tree.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define BOOT	 "0e0fd0a8-1111-4222-8333-444444444444"
#define RAPL_MAX UINT64_C(262143328850)
#define SECOND	 CLOCK_NS_PER_SECOND

/* A machine of its own, with a package and DRAM of 32 bits. */
static struct meter_reading reading_of(uint64_t time_s, uint64_t package_uj, uint64_t dram_uj)
{
	struct meter_reading reading = {
	    .time = {time_s * SECOND},
	    .up = true,
	    .opened = true,
	    .zone_count = 2,
	    .zones = {
		{.id = "package-0",
		 .available = true,
		 .energy_uj = package_uj,
		 .range_uj = RAPL_MAX},
		{.id = "dram-0", .available = true, .energy_uj = dram_uj, .range_uj = RAPL_MAX}}};

	return reading;
}

static struct session_state begin(const struct meter_reading *reading)
{
	struct session_state state;
	struct diag diag = DIAG_INIT;

	if (session_begin("job-1", reading, (struct wall_time){7 * SECOND}, BOOT, &state, &diag) <
	    0)
		fail_msg("%s", diag.text);
	return state;
}

static void conclude(const struct session_state *state, const struct meter_reading *now,
		     uint64_t watts, struct exec_result *result, struct diag *note)
{
	const struct session_limit limit = {watts * 1000000};

	session_conclude(state, now, BOOT, limit, result, note);
}

static void test_the_difference(void **state)
{
	struct meter_reading reading = reading_of(100, 5000000, 100);
	struct session_state session = begin(&reading);
	struct exec_result result;
	struct meter_use use;
	struct diag note;

	(void)state;
	reading = reading_of(110, 35000000, 2000100);
	conclude(&session, &reading, 0, &result, &note);
	assert_true(exec_result_known(&result));
	assert_string_equal(note.text, "");
	assert_int_equal(result.elapsed_ns, 10 * SECOND);
	assert_int_equal(result.began.ns, 7 * SECOND);
	assert_true(meter_reading_use(&result.before, &result.after, "package-0", &use));
	assert_int_equal(use.energy_uj, 30000000);
	assert_int_equal(use.power_uw, 3000000);
	assert_true(exec_result_total(&result, &use));
	assert_int_equal(use.energy_uj, 32000000);
}

/* One wrap is known by the range: what it adds is the range and one unit. */
static void test_one_wrap(void **state)
{
	struct meter_reading reading = reading_of(100, RAPL_MAX - 4000000, 0);
	struct session_state session = begin(&reading);
	struct exec_result result;
	struct meter_use use;
	struct diag note;

	(void)state;
	reading = reading_of(110, 6000000, 1);
	conclude(&session, &reading, 0, &result, &note);
	assert_string_equal(note.text, "");
	assert_true(meter_reading_use(&result.before, &result.after, "package-0", &use));
	assert_int_equal(use.energy_uj, 10000000 + counter_modulus_uj(RAPL_MAX) - RAPL_MAX);
	/* Half an hour, and nearly once around: known by what the zone can draw. */
	reading = reading_of(100, RAPL_MAX / 2, 0);
	session = begin(&reading);
	reading = reading_of(1900, RAPL_MAX / 2 - 1000000, 1);
	conclude(&session, &reading, 200, &result, &note);
	assert_true(meter_reading_use(&result.before, &result.after, "package-0", &use));
	assert_in_range(use.energy_uj, RAPL_MAX - 1100000, RAPL_MAX);
}

/* 262 kJ are an hour at 73 W: what may have been more of them is nothing, not the least of them. */
static void test_more_than_one_wrap_is_not_knowable(void **state)
{
	struct meter_reading reading = reading_of(100, 5000000, 0);
	struct session_state session = begin(&reading);
	struct exec_result result;
	struct meter_use use;
	struct diag note;

	(void)state;
	reading = reading_of(100 + 3600, 6000000, 0);
	conclude(&session, &reading, 0, &result, &note);
	assert_true(exec_result_known(&result));
	assert_false(meter_reading_use(&result.before, &result.after, "package-0", &use));
	assert_false(exec_result_total(&result, &use));
	check_contains(note.text, "package-0 may have wrapped more than once in 3600 s");
	check_contains(note.text, "--max-watts");
	conclude(&session, &reading, 80, &result, &note);
	assert_false(meter_reading_use(&result.before, &result.after, "package-0", &use));
	conclude(&session, &reading, 70, &result, &note);
	assert_true(meter_reading_use(&result.before, &result.after, "package-0", &use));
	assert_int_equal(use.energy_uj, 1000000);
	assert_string_equal(note.text, "");
}

static void check_nothing(const struct session_state *session, const struct meter_reading *now,
			  const char *boot, bool lost, const char *said)
{
	struct exec_result result;
	struct meter_use use;
	struct diag note;

	session_conclude(session, now, boot, (struct session_limit){0}, &result, &note);
	assert_false(exec_result_known(&result));
	assert_false(exec_result_total(&result, &use));
	assert_int_equal(result.elapsed_ns, 0);
	check_contains(result.after.reason.text, said);
	assert_int_equal(session_is_lost(session, now, boot), lost ? -ESTALE : 0);
}

static void test_what_ends_it(void **state)
{
	struct meter_reading reading = reading_of(100, 5000000, 0);
	struct session_state session = begin(&reading);

	(void)state;
	reading.time.ns += SECOND;
	check_nothing(&session, &reading, "another", true, "started anew");
	reading.from_tree = true;
	check_nothing(&session, &reading, BOOT, true, "the host's tree");
	reading.from_tree = false;
	reading.up = false;
	(void)diag_error(&reading.reason, -EIO, "no zone can be read");
	check_nothing(&session, &reading, BOOT, false, "no zone can be read");
}

static void test_zones_that_change(void **state)
{
	struct meter_reading reading = reading_of(100, 5000000, 5000000);
	struct session_state session = begin(&reading);
	struct exec_result result;
	struct meter_use use;
	struct diag note;

	(void)state;
	reading = reading_of(110, 6000000, 4000000);
	conclude(&session, &reading, 0, &result, &note);
	check_contains(note.text, "dram-0 went back");
	assert_true(meter_reading_use(&result.before, &result.after, "package-0", &use));
	assert_false(exec_result_total(&result, &use));
	reading.zones[1].available = false;
	conclude(&session, &reading, 0, &result, &note);
	check_contains(note.text, "dram-0 cannot be read any more");
	reading.zones[0].range_uj--;
	conclude(&session, &reading, 0, &result, &note);
	check_contains(note.text, "package-0 has another range");
}

static void test_nothing_to_start_from(void **state)
{
	struct meter_reading reading = {.up = false};
	struct session_state session;
	struct diag diag = DIAG_INIT;

	(void)state;
	(void)diag_error(&reading.reason, -ENOENT, "no tree here");
	assert_int_equal(session_begin("x", &reading, (struct wall_time){0}, BOOT, &session, &diag),
			 -ENODATA);
	check_contains(diag.text, "no tree here");
}

static void test_names(void **state)
{
	static const char *const bad[] = {"", ".x", "a/b", "a b", "a\n", "\303\251"};
	char name[SESSION_NAME_SIZE + 1];
	struct diag diag = DIAG_INIT;

	(void)state;
	for (size_t i = 0; i < CHECK_COUNT(bad); i++)
		assert_int_equal(session_name_check(bad[i], &diag), -EINVAL);
	check_contains(diag.text, "1 to 64 letters");
	memset(name, 'a', sizeof(name));
	name[SESSION_NAME_SIZE - 1] = '\0';
	assert_int_equal(session_name_check(name, NULL), 0);
	name[SESSION_NAME_SIZE - 1] = 'a';
	name[SESSION_NAME_SIZE] = '\0';
	assert_int_equal(session_name_check(name, NULL), -EINVAL);
	assert_int_equal(session_name_check("slurm-123_4.batch@host", NULL), 0);
}

static void count_names(const char *name, void *context)
{
	assert_true(strcmp(name, "job-1") == 0 || strcmp(name, "job-2") == 0);
	(*(int *)context)++;
}

/* Two at a time, each its own; a name that is there is not overwritten; the file is the user's. */
static void test_files(void **state)
{
	const struct tree *tree = *state;
	struct meter_reading reading = reading_of(100, 5000000, 7);
	struct session_state session = begin(&reading), loaded;
	struct diag diag = DIAG_INIT;
	struct stat stat;
	int count = 0;

	assert_int_equal(session_save(tree->fd, &session, &diag), 0);
	assert_int_equal(fstatat(tree->fd, "job-1.session", &stat, 0), 0);
	assert_int_equal(stat.st_mode & 07777, 0600);
	session.zones[0].raw_uj = 1;
	assert_int_equal(session_save(tree->fd, &session, &diag), -EEXIST);
	check_contains(diag.text, "session stop job-1");
	(void)snprintf(session.name, sizeof(session.name), "job-2");
	assert_int_equal(session_save(tree->fd, &session, &diag), 0);
	assert_int_equal(session_load(tree->fd, "job-1", &loaded, &diag), 0);
	assert_int_equal(loaded.zones[0].raw_uj, 5000000);
	assert_int_equal(loaded.zones[1].raw_uj, 7);
	assert_int_equal(loaded.zones[1].range_uj, RAPL_MAX);
	assert_string_equal(loaded.boot, BOOT);
	assert_int_equal(loaded.user, getuid());
	tree_write(tree, "other", "x");
	assert_int_equal(session_list(tree->fd, count_names, &count), 0);
	assert_int_equal(count, 2);
	assert_int_equal(session_remove(tree->fd, "job-1"), 0);
	assert_int_equal(session_load(tree->fd, "job-1", &loaded, &diag), -ENOENT);
	check_contains(diag.text, "there is no session job-1");
	assert_int_equal(session_load(tree->fd, "../job-2", &loaded, &diag), -EINVAL);
}

static void check_damaged(const char *text, const char *said)
{
	struct session_state loaded;
	struct diag diag = DIAG_INIT;

	assert_int_equal(session_state_parse(text, strlen(text), &loaded, &diag), -EBADMSG);
	check_contains(diag.text, said);
}

static void test_damaged_files(void **state)
{
	struct meter_reading reading = reading_of(100, 5000000, 7);
	struct session_state session = begin(&reading), loaded;
	struct diag diag = DIAG_INIT;
	struct tree tree;
	char *text = NULL, *place;

	(void)state;
	assert_int_equal(session_state_format(&session, &text), 0);
	check_damaged("", "no session");
	check_damaged("{\"session\":{},\"wattport_session\":2,\"crc32\":1}", "another version");
	place = strstr(text, "5000000");
	CHECK_POINTER(place);
	place[0] = '6';
	check_damaged(text, "checksum is wrong");
	/* It is told and left where it is. */
	tree_create(&tree);
	tree_write(&tree, "job-1.session", "%s", text);
	assert_int_equal(session_load(tree.fd, "job-1", &loaded, &diag), -EBADMSG);
	check_contains(diag.text, "job-1.session is left as it is");
	place[0] = '5';
	tree_write(&tree, "job-9.session", "%s", text);
	assert_int_equal(session_load(tree.fd, "job-9", &loaded, &diag), -EBADMSG);
	check_contains(diag.text, "of the session job-1");
	tree_remove(&tree);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_the_difference),
	    cmocka_unit_test(test_one_wrap),
	    cmocka_unit_test(test_more_than_one_wrap_is_not_knowable),
	    cmocka_unit_test(test_what_ends_it),
	    cmocka_unit_test(test_zones_that_change),
	    cmocka_unit_test(test_nothing_to_start_from),
	    cmocka_unit_test(test_names),
	    TREE_TEST(test_files),
	    cmocka_unit_test(test_damaged_files),
	};

	return cmocka_run_group_tests_name("session", tests, NULL, NULL);
}
