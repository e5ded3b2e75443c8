#include "common/attribution.h"
#include "common/cleanup.h"
#include "host/replay.h"
#include "tests/unit/check.h"
#include "tests/unit/tree.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define HEAD                                                                                       \
	"{\"wattport_trace\":1,\"clock_tick_ns\":10000000,\"cpus\":[{\"cpu\":0,\"core\":0,"        \
	"\"package\":0},{\"cpu\":1,\"core\":1,\"package\":0}],\"zones\":[{\"id\":\"package-0\","   \
	"\"package\":0,\"kind\":\"package\",\"range_uj\":10000000}]}\n"
/* Both CPUs busy for half a second: a 0.5 s, b 0.125 s and as much overhead, the host 0.25 s. */
#define FIRST                                                                                      \
	"{\"t_ns\":1000000000,\"raw_uj\":{\"package-0\":9000000},\"cpu_busy_ns\":[0,0],\"vms\":["  \
	"{\"uuid\":\"00000000-0000-0000-0000-00000000000a\",\"vcpus\":[{\"time_ns\":0,"            \
	"\"cpu\":0}]},{\"uuid\":\"00000000-0000-0000-0000-00000000000b\",\"vcpus\":["              \
	"{\"time_ns\":0,\"cpu\":1}]}]}\n"
#define SECOND                                                                                     \
	"{\"t_ns\":2000000000,\"raw_uj\":{\"package-0\":500000},\"cpu_busy_ns\":[500000000,"       \
	"500000000],\"vms\":[{\"uuid\":\"00000000-0000-0000-0000-00000000000a\",\"vcpus\":["       \
	"{\"time_ns\":500000000,\"cpu\":0}]},{\"uuid\":\"00000000-0000-0000-0000-00000000000b\","  \
	"\"overhead_ns\":125000000,\"vcpus\":[{\"time_ns\":125000000,\"cpu\":1}]}]}\n"

/* Half a watt is idle power; what a guest sees is its exact share. */
static struct engine_config config_of(enum attribution_policy idle)
{
	return (struct engine_config){
	    .idle = idle, .guest_view_exact = true, .package = {.given = true, .power_uw = 500000}};
}

static struct replay *open_trace(const struct tree *tree, const char *text,
				 const struct engine_config *config)
{
	struct replay *replay = NULL;
	struct diag diag = DIAG_INIT;
	char path[128];

	tree_write(tree, "trace", "%s", text);
	(void)snprintf(path, sizeof(path), "%s/trace", tree->path);
	if (replay_open(path, config, &replay, &diag) < 0)
		fail_msg("%s", diag.text);
	CHECK_POINTER(replay);
	return replay;
}

/* The accounts after the whole trace, as JSON that the caller frees. */
static char *accounts_of(const struct tree *tree, const char *text, enum attribution_policy idle)
{
	const struct engine_config config = config_of(idle);
	cleanup_replay struct replay *replay = open_trace(tree, text, &config);
	int status;

	do {
		status = replay_step(replay, NULL);
	} while (status == 0);
	assert_int_equal(status, -ENODATA);
	return replay_json(replay);
}

#define SHARE(active, idle, overhead, view)                                                        \
	"{\"package-0\":{\"active_uj\":" active ",\"idle_uj\":" idle ",\"overhead_uj\":" overhead  \
	",\"guest_view_uj\":" view "}}"
#define ACCOUNTS(time, energy, a, b, other, idle)                                                  \
	"{\"t_ns\":" time ",\"zones\":{\"package-0\":{\"energy_uj\":" energy "}},\"vms\":{"        \
	"\"00000000-0000-0000-0000-00000000000a\":" a                                              \
	",\"00000000-0000-0000-0000-00000000000b\":" b "},\"host_other_uj\":{\"package-0\":" other \
	"},\"idle_uj\":{\"package-0\":" idle "},\"conservation_error_uj\":0}\n"

/* Over a wrap: 500000 + 10000000 + 1 - 9000000 uJ, of which 500000 are idle. */
static void test_sums_are_exact_and_follow_the_policy(void **state)
{
	static const struct {
		enum attribution_policy idle;
		const char *expected;
	} cases[] = {
	    {ATTRIBUTION_IDLE_VCPU,
	     ACCOUNTS("2000000000", "1500001", SHARE("500001", "250000", "0", "750001"),
		      SHARE("125000", "250000", "125000", "500000"), "250000", "0")},
	    {ATTRIBUTION_IDLE_BUSY,
	     ACCOUNTS("2000000000", "1500001", SHARE("750001", "0", "0", "750001"),
		      SHARE("187500", "0", "187500", "375000"), "375000", "0")},
	    {ATTRIBUTION_IDLE_NONE,
	     ACCOUNTS("2000000000", "1500001", SHARE("500001", "0", "0", "500001"),
		      SHARE("125000", "0", "125000", "250000"), "250000", "500000")},
	};

	for (size_t i = 0; i < CHECK_COUNT(cases); i++) {
		cleanup_free char *text = accounts_of(*state, HEAD FIRST SECOND, cases[i].idle);

		CHECK_POINTER(text);
		assert_string_equal(text, cases[i].expected);
	}
}

static void test_the_first_sample_books_nothing(void **state)
{
	const struct engine_config config = config_of(ATTRIBUTION_IDLE_VCPU);
	cleanup_replay struct replay *replay = open_trace(*state, HEAD FIRST SECOND, &config);
	cleanup_free char *text = NULL;

	assert_int_equal(replay_step(replay, NULL), 0);
	text = replay_json(replay);
	CHECK_POINTER(text);
	assert_string_equal(text, ACCOUNTS("1000000000", "0", SHARE("0", "0", "0", "0"),
					   SHARE("0", "0", "0", "0"), "0", "0"));
	assert_int_equal(ledger_conservation_error_uj(replay_ledger(replay), 0), 0);
	assert_int_equal(replay_step(replay, NULL), 0);
	assert_int_equal(replay_step(replay, NULL), -ENODATA);
	assert_int_equal(replay_step(replay, NULL), -ENODATA);
}

static void test_a_second_replay_gives_the_same(void **state)
{
	cleanup_free char *once = accounts_of(*state, HEAD FIRST SECOND, ATTRIBUTION_IDLE_VCPU);
	cleanup_free char *twice = accounts_of(*state, HEAD FIRST SECOND, ATTRIBUTION_IDLE_VCPU);

	CHECK_POINTER(once);
	CHECK_POINTER(twice);
	assert_string_equal(once, twice);
}

/* The accounts go on, and what came between two runs of wattportd is nobody's. */
static void test_another_head_begins_anew(void **state)
{
	cleanup_free char *once = accounts_of(*state, HEAD FIRST SECOND, ATTRIBUTION_IDLE_NONE);
	cleanup_free char *twice =
	    accounts_of(*state, HEAD FIRST SECOND HEAD FIRST SECOND, ATTRIBUTION_IDLE_NONE);
	cleanup_free char *early =
	    accounts_of(*state, HEAD FIRST HEAD SECOND HEAD, ATTRIBUTION_IDLE_NONE);

	CHECK_POINTER(once);
	CHECK_POINTER(twice);
	CHECK_POINTER(early);
	check_contains(once, "\"energy_uj\":1500001");
	check_contains(twice, "\"energy_uj\":3000002");
	check_contains(twice, "\"conservation_error_uj\":0");
	check_contains(early, "\"energy_uj\":0");
}

static void test_another_machine_is_refused(void **state)
{
	const struct engine_config config = config_of(ATTRIBUTION_IDLE_VCPU);
	cleanup_replay struct replay *replay = open_trace(
	    *state,
	    HEAD FIRST "{\"wattport_trace\":1,\"cpus\":[{\"cpu\":0,\"package\":0}],\"zones\":["
		       "{\"id\":\"package-0\",\"package\":0,\"kind\":\"package\","
		       "\"range_uj\":5}]}\n" SECOND,
	    &config);
	struct diag diag = DIAG_INIT;

	assert_int_equal(replay_step(replay, &diag), 0);
	assert_int_equal(replay_step(replay, &diag), -ESTALE);
	check_contains(diag.text, "line 3");
	check_contains(diag.text, "another machine");
}

static size_t compress_to(const char *path, const char *text)
{
	struct stat status;
	gzFile file = gzopen(path, "w");

	CHECK_POINTER(file);
	assert_int_equal(gzwrite(file, text, (unsigned)strlen(text)), strlen(text));
	assert_int_equal(gzclose_w(file), Z_OK);
	assert_int_equal(stat(path, &status), 0);
	return (size_t)status.st_size;
}

/* Compressed, and cut off at any byte: never an error, never more than there is. */
static void test_gzip(void **state)
{
	const struct engine_config config = config_of(ATTRIBUTION_IDLE_NONE);
	const struct tree *tree = *state;
	char path[128];
	size_t length;

	(void)snprintf(path, sizeof(path), "%s/trace.gz", tree->path);
	length = compress_to(path, HEAD FIRST SECOND);
	for (size_t cut = length; cut >= length / 2; cut--) {
		struct replay *replay = NULL;
		int status;

		assert_int_equal(truncate(path, (off_t)cut), 0);
		status = replay_open(path, &config, &replay, NULL);
		while (status == 0)
			status = replay_step(replay, NULL);
		assert_int_equal(status, replay != NULL ? -ENODATA : -EINVAL);
		if (cut == length)
			assert_int_equal(
			    ledger_host_const(replay_ledger(replay))->zones[0].energy_uj, 1500001);
		replay_close(replay);
	}
}

static void test_a_broken_line_is_told_by_its_number(void **state)
{
	static const char *const broken[] = {
	    HEAD FIRST "{\"t_ns\":\n",
	    HEAD FIRST "not a sample\n",
	    HEAD FIRST "{\"raw_uj\":{}}\n",
	};
	const struct engine_config config = config_of(ATTRIBUTION_IDLE_VCPU);

	for (size_t i = 0; i < CHECK_COUNT(broken); i++) {
		cleanup_replay struct replay *replay = open_trace(*state, broken[i], &config);
		struct diag diag = DIAG_INIT;
		int status;

		assert_int_equal(replay_step(replay, &diag), 0);
		status = replay_step(replay, &diag);
		assert_true(status < 0 && status != -ENODATA);
		check_contains(diag.text, "line 3");
	}
}

static void test_what_is_no_trace_is_refused(void **state)
{
	static const char *const texts[] = {"", "\n", "[1]\n", "{\"wattport_trace\":2}\n"};
	const struct tree *tree = *state;
	const struct engine_config config = config_of(ATTRIBUTION_IDLE_VCPU);
	struct replay *replay = NULL;
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/trace", tree->path);
	for (size_t i = 0; i <= CHECK_COUNT(texts); i++) {
		struct diag diag = DIAG_INIT;

		assert_true(replay_open(path, &config, &replay, &diag) < 0);
		check_contains(diag.text, "trace");
		if (i < CHECK_COUNT(texts))
			tree_write(tree, "trace", "%s", texts[i]);
	}
	assert_null(replay);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TREE_TEST(test_sums_are_exact_and_follow_the_policy),
	    TREE_TEST(test_the_first_sample_books_nothing),
	    TREE_TEST(test_a_second_replay_gives_the_same),
	    TREE_TEST(test_another_head_begins_anew),
	    TREE_TEST(test_another_machine_is_refused),
	    TREE_TEST(test_gzip),
	    TREE_TEST(test_a_broken_line_is_told_by_its_number),
	    TREE_TEST(test_what_is_no_trace_is_refused),
	};

	return cmocka_run_group_tests_name("replay", tests, NULL, NULL);
}
