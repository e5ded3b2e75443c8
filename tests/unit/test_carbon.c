/* carbon.h: what --carbon takes, grams, and what becomes of files and commands. */
#include "common/carbon.h"
#include "common/carbon_table.h"
#include "tests/unit/check.h"
#include "tests/unit/tree.h"

#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* 2024-05-31 12:10:00 UTC */
#define NOW_S UINT64_C(1717157400)
#define HOUR  (3600 * CLOCK_NS_PER_SECOND)
#define KWH   UINT64_C(3600000000000)

/* The poller needs time to pass; what is now, is the test's. */
struct fixture {
	struct clock clock;
	struct tree tree;
};

/* How far it is ahead: the poller, a process of its own, sees it as well. */
static _Atomic uint64_t *wall_ahead;

static void set_ahead(uint64_t ahead_ns)
{
	atomic_store(wall_ahead, ahead_ns);
}

static struct wall_time now_wall(const struct clock *clock)
{
	(void)clock;
	return (struct wall_time){NOW_S * CLOCK_NS_PER_SECOND + atomic_load(wall_ahead)};
}

static int fixture_create(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	CHECK_POINTER(fixture);
	fixture->clock = *clock_real();
	fixture->clock.now_wall = now_wall;
	wall_ahead = mmap(NULL, sizeof(*wall_ahead), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(wall_ahead, MAP_FAILED);
	tree_create(&fixture->tree);
	*state = fixture;
	return 0;
}

static int fixture_remove(void **state)
{
	struct fixture *fixture = *state;

	tree_remove(&fixture->tree);
	(void)munmap(wall_ahead, sizeof(*wall_ahead));
	free(fixture);
	return 0;
}

static void test_fixed_figures(void **state)
{
	struct fixture *fixture = *state;
	struct carbon_options options = {.spec = "56"};
	cleanup_carbon struct carbon *carbon = NULL;
	char text[CARBON_FIGURE_TEXT_SIZE];
	struct carbon_figure figure;

	assert_int_equal(carbon_create(&options, &fixture->clock, &carbon, NULL), 0);
	carbon_wait(carbon);
	carbon_now(carbon, &figure);
	assert_true(figure.known);
	assert_int_equal(figure.intensity_mg_per_kwh, 56000);
	assert_false(figure.has_time);
	assert_int_equal(carbon_fd(carbon), -1);
	assert_string_equal(carbon_figure_text(&figure, text), "56 g/kWh (as given)");
	carbon_destroy(carbon);
	carbon = NULL;
	options.spec = "56.5g/kWh";
	assert_int_equal(carbon_create(&options, &fixture->clock, &carbon, NULL), 0);
	carbon_now(carbon, &figure);
	assert_string_equal(carbon_figure_text(&figure, text), "56.500 g/kWh (as given)");
	carbon_destroy(carbon);
	carbon = NULL;
	options.spec = "fr";
	assert_int_equal(carbon_create(&options, &fixture->clock, &carbon, NULL), 0);
	carbon_now(carbon, &figure);
	assert_string_equal(carbon_figure_text(&figure, text),
			    "56 g/kWh (France, mean of 2023, lifecycle, Ember)");
}

static void test_what_it_takes(void **state)
{
	static const char *const bad[] = {"",	 "XX",	  "-5",	      "56g",	"6000",
					  "5 6", "file:", "command:", "FRANCE", "1.2.3"};
	struct diag diag = DIAG_INIT;
	enum carbon_kind kind;

	(void)state;
	for (size_t i = 0; i < CHECK_COUNT(bad); i++) {
		diag.text[0] = '\0';
		assert_int_equal(carbon_check(bad[i], &kind, &diag), -EINVAL);
		assert_true(strlen(diag.text) > 0);
	}
	assert_int_equal(carbon_check("XX", &kind, &diag), -EINVAL);
	check_contains(diag.text, CARBON_ALLOWED);
	assert_int_equal(carbon_check("file:/x", &kind, &diag), 0);
	assert_int_equal(kind, CARBON_FILE);
	assert_int_equal(carbon_check("command:echo 5", &kind, &diag), 0);
	assert_int_equal(kind, CARBON_COMMAND);
}

/* Sorted, without twins, and nothing that cannot be. */
static void test_table(void **state)
{
	(void)state;
	assert_null(carbon_table_find("F"));
	assert_int_equal(carbon_table_find("fR")->intensity_g_per_kwh, 56);
	for (size_t i = 0; carbon_table_get(i) != NULL; i++) {
		const struct carbon_country *country = carbon_table_get(i);

		assert_true(i == 0 || strcmp(carbon_table_get(i - 1)->code, country->code) < 0);
		assert_in_range(country->intensity_g_per_kwh, 10, 1000);
		assert_in_range(country->year, 2022, 2026);
	}
}

static void test_grams(void **state)
{
	struct carbon_figure figure = {.known = true, .intensity_mg_per_kwh = 56000};
	struct carbon_sum sum = {.energy_uj = 0};
	char text[CARBON_TEXT_SIZE];

	(void)state;
	carbon_sum_add(&sum, &figure, KWH);
	assert_int_equal(sum.co2e_ug, 56000000);
	assert_string_equal(carbon_grams_text(sum.co2e_ug, text), "56.0 g");
	/* Parts that are less than a microgram each add up. */
	for (int i = 0; i < 3600; i++)
		carbon_sum_add(&sum, &figure, 1000);
	assert_int_equal(sum.co2e_ug, 56000056);
	/* Another intensity, another time. */
	figure.intensity_mg_per_kwh = 100000;
	carbon_sum_add(&sum, &figure, KWH);
	assert_int_equal(sum.co2e_ug, 156000056);
	figure.known = false;
	carbon_sum_add(&sum, &figure, 5);
	assert_int_equal(sum.co2e_ug, 156000056);
	assert_int_equal(sum.unknown_uj, 5);
	assert_int_equal(sum.energy_uj, 2 * KWH + 3600000);
	assert_string_equal(carbon_grams_text(0, text), "0 ug");
	assert_string_equal(carbon_grams_text(999, text), "999 ug");
	assert_string_equal(carbon_grams_text(1234, text), "1.23 mg");
	assert_string_equal(carbon_grams_text(UINT64_C(1234000000), text), "1.23 kg");
	assert_string_equal(carbon_grams_text(UINT64_MAX, text), "18446744 t");
}

/* Never more than a little above what is right, also at the ends of the numbers. */
static void test_grams_at_the_limits(void **state)
{
	struct carbon_figure figure = {.known = true,
				       .intensity_mg_per_kwh = CARBON_MG_PER_KWH_MAX};
	struct carbon_sum sum = {.energy_uj = 0};

	(void)state;
	for (int i = 0; i < 3; i++)
		carbon_sum_add(&sum, &figure, UINT64_MAX);
	assert_int_equal(sum.energy_uj, UINT64_MAX);
	figure.known = false;
	for (int i = 0; i < 3; i++)
		carbon_sum_add(&sum, &figure, UINT64_MAX);
	assert_int_equal(sum.unknown_uj, UINT64_MAX);
}

static struct carbon *open_carbon(struct fixture *fixture, const char *spec, uint64_t limit_ns)
{
	const struct carbon_options options = {
	    .spec = spec, .period_ns = CLOCK_NS_PER_MS, .limit_ns = limit_ns};
	struct carbon *carbon = NULL;
	struct diag diag = DIAG_INIT;

	if (carbon_create(&options, &fixture->clock, &carbon, &diag) < 0)
		fail_msg("%s", diag.text);
	return carbon;
}

/* Waits for an answer in which that is to be read, however long it takes. */
static void await_text(struct carbon *carbon, const char *part)
{
	char text[CARBON_FIGURE_TEXT_SIZE] = "";
	struct carbon_figure figure;

	while (strstr(text, part) == NULL) {
		struct pollfd poll_fd = {.fd = carbon_fd(carbon), .events = POLLIN};

		if (carbon_fd(carbon) < 0 || poll(&poll_fd, 1, 30000) <= 0)
			fail_msg("\"%s\" does not come, there is: %s", part, text);
		carbon_now(carbon, &figure);
		(void)carbon_figure_text(&figure, text);
	}
}

static void test_a_file_that_changes(void **state)
{
	struct fixture *fixture = *state;
	cleanup_carbon struct carbon *carbon = NULL;
	struct carbon_figure figure;
	char spec[256];

	(void)snprintf(spec, sizeof(spec), "file:%s/intensity", fixture->tree.path);
	carbon = open_carbon(fixture, spec, 0);
	await_text(carbon, "unknown: file ");
	carbon_now(carbon, &figure);
	check_contains(figure.reason.text, "intensity: cannot be opened: No such file");
	tree_write(
	    &fixture->tree, "intensity",
	    "{\"zone\":\"FR\",\"carbonIntensity\":58,\"datetime\":\"2024-05-31T12:00:00Z\"}");
	await_text(carbon, "58 g/kWh (ElectricityMaps FR, lifecycle, file ");
	carbon_now(carbon, &figure);
	assert_true(figure.has_time);
	assert_int_equal(figure.age_ns, 600 * CLOCK_NS_PER_SECOND);
	/* It goes on to hold while nothing newer comes, and then no more. */
	tree_write(&fixture->tree, "intensity", "busy");
	set_ahead(HOUR);
	carbon_now(carbon, &figure);
	assert_true(figure.known);
	set_ahead(2 * HOUR);
	await_text(carbon, "the format is not known");
	carbon_now(carbon, &figure);
	assert_false(figure.known);
	assert_int_equal(figure.intensity_mg_per_kwh, 0);
	check_contains(figure.reason.text, "130 min old, and 120 min are the most");
}

/* A number that nobody has written anew for hours says nothing: its file tells. */
static void test_a_number_is_as_old_as_its_file(void **state)
{
	struct fixture *fixture = *state;
	cleanup_carbon struct carbon *carbon = NULL;
	struct carbon_figure figure;
	char spec[256];

	tree_write(&fixture->tree, "number", "56\n");
	(void)snprintf(spec, sizeof(spec), "file:%s/number", fixture->tree.path);
	fixture->clock.now_wall = clock_real()->now_wall;
	carbon = open_carbon(fixture, spec, 0);
	await_text(carbon, "56 g/kWh (a plain number, file ");
	carbon_now(carbon, &figure);
	assert_true(figure.has_time);
	set_ahead(clock_now_wall(&fixture->clock).ns - NOW_S * CLOCK_NS_PER_SECOND + 3 * HOUR);
	fixture->clock.now_wall = now_wall;
	carbon_now(carbon, &figure);
	assert_false(figure.known);
}

/* Written anew, with a time of its file that is an hour ahead of our clock, and `more_ns`. */
static void write_ahead(const struct fixture *fixture, const char *number, uint64_t more_ns)
{
	const uint64_t ns = NOW_S * CLOCK_NS_PER_SECOND + HOUR + more_ns;
	const struct timespec ahead = {.tv_sec = (time_t)(ns / CLOCK_NS_PER_SECOND),
				       .tv_nsec = (long)(ns % CLOCK_NS_PER_SECOND)};
	const struct timespec times[2] = {ahead, ahead};

	tree_write(&fixture->tree, "new", "%s\n", number);
	assert_int_equal(utimensat(fixture->tree.fd, "new", times, 0), 0);
	assert_int_equal(renameat(fixture->tree.fd, "new", fixture->tree.fd, "number"), 0);
}

/*
 * A server's clock may be ahead of ours. Such a file is as old as our own knowledge of it: else it
 * would be fresh until our clock has come there, however long nobody has written it.
 */
static void test_a_file_from_the_future_grows_old(void **state)
{
	struct fixture *fixture = *state;
	cleanup_carbon struct carbon *carbon = NULL;
	struct carbon_figure figure;
	char spec[256];

	(void)snprintf(spec, sizeof(spec), "file:%s/number", fixture->tree.path);
	write_ahead(fixture, "56", 0);
	carbon = open_carbon(fixture, spec, 0);
	await_text(carbon, "56 g/kWh (a plain number, file ");
	carbon_now(carbon, &figure);
	assert_int_equal(figure.time.ns, NOW_S * CLOCK_NS_PER_SECOND);
	assert_int_equal(figure.age_ns, 0);
	/* Read again, of the same time: it is known since then. */
	set_ahead(HOUR / 2);
	write_ahead(fixture, "57", 0);
	await_text(carbon, "57 g/kWh");
	carbon_now(carbon, &figure);
	assert_int_equal(figure.age_ns, HOUR / 2);
	/* Our clock has come there, and that makes it no younger. */
	set_ahead(2 * HOUR);
	write_ahead(fixture, "58", 0);
	await_text(carbon, "58 g/kWh");
	carbon_now(carbon, &figure);
	assert_int_equal(figure.age_ns, 2 * HOUR);
	set_ahead(2 * HOUR + CLOCK_NS_PER_SECOND);
	carbon_now(carbon, &figure);
	assert_false(figure.known);
	check_contains(figure.reason.text, "the last figure is 120 min old");
	/* Another time is of another writing. */
	write_ahead(fixture, "59", 2 * HOUR);
	await_text(carbon, "59 g/kWh");
	carbon_now(carbon, &figure);
	assert_int_equal(figure.age_ns, 0);
}

static void test_a_command(void **state)
{
	struct fixture *fixture = *state;
	cleanup_carbon struct carbon *carbon = NULL;
	struct carbon_figure figure;

	carbon = open_carbon(fixture, "command:echo 4; echo oh >&2; printf 2.5", 0);
	await_text(carbon, "the format is not known");
	carbon_destroy(carbon);
	carbon = open_carbon(fixture, "command:printf 4; printf 2.5", 0);
	carbon_wait(carbon);
	carbon_now(carbon, &figure);
	assert_true(figure.known);
	assert_int_equal(figure.intensity_mg_per_kwh, 42500);
	assert_string_equal(figure.source, "a plain number, command");
	carbon_destroy(carbon);
	carbon = open_carbon(fixture, "command:echo 5; exit 3", 0);
	await_text(carbon, "unknown: command: ended with status 3");
	carbon_destroy(carbon);
	carbon = open_carbon(fixture, "command:kill -TERM $$", 0);
	await_text(carbon, "ended with signal 15");
}

/* What does not answer is ended, with all that it has started; the caller never waits for it. */
static void test_a_command_that_hangs(void **state)
{
	struct fixture *fixture = *state;
	cleanup_carbon struct carbon *carbon = NULL;
	struct carbon_figure figure;

	carbon = open_carbon(fixture, "command:echo 5; cat </dev/zero >/dev/null & wait",
			     50 * CLOCK_NS_PER_MS);
	carbon_now(carbon, &figure);
	assert_false(figure.known);
	check_contains(figure.reason.text, "no answer yet");
	await_text(carbon, "no answer within ");
	carbon_destroy(carbon);
	/* Said all, and goes on: ended as well. */
	carbon = open_carbon(fixture, "command:echo 5; exec >&-; cat </dev/zero >/dev/null",
			     50 * CLOCK_NS_PER_MS);
	await_text(carbon, "ended with signal 9");
}

/* It ends with its parent's descriptor: a pipe that its command holds open shows it. */
static void test_it_ends_with_its_parent(void **state)
{
	struct fixture *fixture = *state;
	struct carbon *carbon;
	char spec[256], path[256];
	struct pollfd poll_fd;

	(void)snprintf(path, sizeof(path), "%s/alive", fixture->tree.path);
	assert_int_equal(mkfifo(path, 0600), 0);
	poll_fd = (struct pollfd){.fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC)};
	(void)snprintf(spec, sizeof(spec), "command:exec 9>%s; echo begun >&9; exec sleep 1000",
		       path);
	carbon = open_carbon(fixture, spec, 1000 * CLOCK_NS_PER_SECOND);
	poll_fd.events = POLLIN;
	assert_int_equal(poll(&poll_fd, 1, 30000), 1);
	carbon_destroy(carbon);
	poll_fd.events = 0;
	assert_int_equal(poll(&poll_fd, 1, 30000), 1);
	assert_int_equal(poll_fd.revents, POLLHUP);
	(void)close(poll_fd.fd);
}

int main(void)
{
#define CARBON_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_create, fixture_remove)
	const struct CMUnitTest tests[] = {
	    CARBON_TEST(test_fixed_figures),
	    CARBON_TEST(test_what_it_takes),
	    CARBON_TEST(test_table),
	    CARBON_TEST(test_grams),
	    CARBON_TEST(test_grams_at_the_limits),
	    CARBON_TEST(test_a_file_that_changes),
	    CARBON_TEST(test_a_number_is_as_old_as_its_file),
	    CARBON_TEST(test_a_file_from_the_future_grows_old),
	    CARBON_TEST(test_a_command),
	    CARBON_TEST(test_a_command_that_hangs),
	    CARBON_TEST(test_it_ends_with_its_parent),
	};

	return cmocka_run_group_tests_name("carbon", tests, NULL, NULL);
}
