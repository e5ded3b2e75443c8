/* exporter.h: its answers as ledgers come, age, go and return, without a socket. */
#include "common/carbon.h"
#include "common/cleanup.h"
#include "common/ledger_map.h"
#include "common/log.h"
#include "host/exporter.h"
#include "tests/unit/ledger_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sys/stat.h>

struct fixture {
	char runtime_dir[32];
	struct manual_clock clock;
	struct page *page;
	struct exporter *exporter;
};

static int setup(void **state)
{
	static struct fixture fixture;
	struct diag diag = DIAG_INIT;

	log_init("test_exporter", LOG_LEVEL_ERROR);
	(void)snprintf(fixture.runtime_dir, sizeof(fixture.runtime_dir), "/tmp/exporter-XXXXXX");
	if (mkdtemp(fixture.runtime_dir) == NULL)
		return -1;
	manual_clock_init(&fixture.clock,
			  (struct mono_time){.ns = LEDGER_FIXTURE_TIME_NS + CLOCK_NS_PER_SECOND},
			  (struct wall_time){.ns = 0});
	*state = &fixture;
	if (page_create("none", &fixture.clock.clock, &fixture.page, &diag) < 0)
		return -1;
	return exporter_create(fixture.runtime_dir, &fixture.clock.clock, fixture.page,
			       &fixture.exporter);
}

static int remove_runtime_dir(const struct fixture *fixture)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "%s/%s", fixture->runtime_dir, LEDGER_MAP_NAME);
	(void)unlink(path);
	return rmdir(fixture->runtime_dir);
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	exporter_destroy(fixture->exporter);
	page_destroy(fixture->page);
	return remove_runtime_dir(fixture);
}

/* What wattportd does, with `samples` in place of the fixture's. */
static void publish(const struct fixture *fixture, uint64_t samples)
{
	cleanup_ledger struct ledger *ledger = ledger_fixture_create();
	cleanup_ledger_map struct ledger_map *map = NULL;
	cleanup_fd int directory = open(fixture->runtime_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(directory >= 0);
	ledger_host(ledger)->sample_count = samples;
	assert_int_equal(ledger_map_open(directory, &map, NULL), 0);
	assert_int_equal(ledger_map_publish(map, ledger), 0);
}

/* The body, to be freed; *ret_status is 0 where the handler itself failed. */
static char *ask(const struct fixture *fixture, const char *path, unsigned int *ret_status)
{
	const struct http_request request = {.path = path, .accept = NULL};
	struct http_response response = {.status = 200};
	char *body;
	size_t count;
	const struct http_route *routes = exporter_routes(&count);

	*ret_status = 0;
	for (size_t i = 0; i < count; i++)
		if (strcmp(routes[i].path, path) == 0 &&
		    routes[i].handle(fixture->exporter, &request, &response) == 0)
			*ret_status = response.status;
	body = strndup(response.body != NULL ? response.body : "", response.body_size);
	free(response.allocated);
	assert_non_null(body);
	return body;
}

static void assert_answer(const struct fixture *fixture, const char *path, unsigned int status,
			  const char *part)
{
	unsigned int actual;
	cleanup_free char *body = ask(fixture, path, &actual);

	if (actual != status || strstr(body, part) == NULL)
		fail_msg("%s: %u instead of %u, or no \"%s\" in: %.500s", path, actual, status,
			 part, body);
}

static void assert_lacks(const struct fixture *fixture, const char *path, const char *part)
{
	unsigned int status;
	cleanup_free char *body = ask(fixture, path, &status);

	assert_null(strstr(body, part));
}

static void test_no_ledger(void **state)
{
	const struct fixture *fixture = *state;

	assert_answer(fixture, "/healthz", 503, "start wattportd");
	assert_answer(fixture, "/status.json", 503, "start wattportd");
	assert_answer(fixture, "/metrics", 200, "wattport_build_info{");
	assert_lacks(fixture, "/metrics", "wattport_ledger_age_seconds");
	assert_answer(fixture, "/", 200, "<title>Wattport</title>");
}

/* A ledger with so much measured, taken by the exporter. */
static void measure(const struct fixture *fixture, uint64_t energy_uj)
{
	cleanup_ledger struct ledger *ledger = ledger_fixture_create();
	cleanup_ledger_map struct ledger_map *map = NULL;
	cleanup_fd int directory = open(fixture->runtime_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(directory >= 0);
	ledger_host(ledger)->zones[0].energy_uj += energy_uj;
	assert_int_equal(ledger_map_open(directory, &map, NULL), 0);
	assert_int_equal(ledger_map_publish(map, ledger), 0);
	exporter_tick(fixture->exporter);
}

/* Grams of what came since the first look, each part with the intensity of its time. */
static void test_tells_carbon(void **state)
{
	const struct fixture *fixture = *state;
	const struct carbon_options options = {.spec = "56"};
	cleanup_carbon struct carbon *carbon = NULL;
	struct diag diag = DIAG_INIT;

	assert_lacks(fixture, "/metrics", "wattport_carbon");
	assert_int_equal(carbon_create(&options, &fixture->clock.clock, &carbon, &diag), 0);
	page_set_meaning(fixture->page, carbon, NULL);
	measure(fixture, 0);
	assert_answer(fixture, "/metrics", 200, "\nwattport_carbon_grams_total 0.000000\n");
	measure(fixture, 3600000000);
	assert_answer(fixture, "/metrics", 200,
		      "\nwattport_carbon_intensity_grams_per_joule{source=\"as given\"} "
		      "0.000015555556\n");
	assert_answer(fixture, "/metrics", 200, "\nwattport_carbon_grams_total 0.056000\n");
	assert_answer(fixture, "/metrics", 200,
		      "\nwattport_carbon_uncounted_joules_total 0.000000\n");
	/* Nothing goes back when less was measured: another ledger. */
	measure(fixture, 0);
	assert_answer(fixture, "/metrics", 200, "\nwattport_carbon_grams_total 0.056000\n");
	page_set_meaning(fixture->page, NULL, NULL);
}

/* What is not known is absent, and its energy is told apart. */
static void test_tells_no_carbon_that_is_not_known(void **state)
{
	const struct fixture *fixture = *state;
	const struct carbon_options options = {.spec = "file:/nonexistent/intensity"};
	cleanup_carbon struct carbon *carbon = NULL;
	struct diag diag = DIAG_INIT;

	assert_int_equal(carbon_create(&options, &fixture->clock.clock, &carbon, &diag), 0);
	page_set_meaning(fixture->page, carbon, NULL);
	measure(fixture, 0);
	measure(fixture, 3600000000);
	assert_lacks(fixture, "/metrics", "wattport_carbon_intensity_grams_per_joule{");
	assert_answer(fixture, "/metrics", 200, "\nwattport_carbon_grams_total 0.000000\n");
	assert_answer(fixture, "/metrics", 200,
		      "\nwattport_carbon_uncounted_joules_total 3600.000000\n");
	page_set_meaning(fixture->page, NULL, NULL);
}

static void test_no_directory(void **state)
{
	const struct fixture *fixture = *state;

	assert_int_equal(remove_runtime_dir(fixture), 0);
	assert_answer(fixture, "/healthz", 503, "does not exist: start wattportd");
	assert_int_equal(mkdir(fixture->runtime_dir, 0755), 0);
}

static void test_ledger_comes(void **state)
{
	const struct fixture *fixture = *state;

	assert_answer(fixture, "/healthz", 503, "");
	publish(fixture, 5);
	assert_answer(fixture, "/healthz", 200, "ok\n");
	assert_answer(fixture, "/metrics", 200, "wattport_samples_total 5\n");
	assert_answer(fixture, "/metrics", 200, "wattport_ledger_age_seconds 1.000000000\n");
	assert_answer(fixture, "/status.json", 200, "\"fresh\": true");
}

static void test_ledger_ages(void **state)
{
	struct fixture *fixture = *state;

	publish(fixture, 5);
	manual_clock_advance(&fixture->clock, 9 * CLOCK_NS_PER_SECOND);
	assert_answer(fixture, "/healthz", 200, "ok\n");
	manual_clock_advance(&fixture->clock, 1);
	assert_answer(fixture, "/healthz", 503, "is wattportd running?");
	assert_answer(fixture, "/metrics", 200, "wattport_vm_energy_joules_total{");
	assert_lacks(fixture, "/metrics", "wattport_vm_power_watts{");
	assert_answer(fixture, "/status.json", 200, "\"fresh\": false");
}

static void test_ledger_without_a_sample(void **state)
{
	const struct fixture *fixture = *state;

	publish(fixture, 0);
	assert_answer(fixture, "/healthz", 503, "not taken a sample yet");
	assert_lacks(fixture, "/metrics", "wattport_ledger_age_seconds 1");
}

/* wattportd was replaced: first its file, then the whole directory. */
static void test_ledger_is_replaced(void **state)
{
	const struct fixture *fixture = *state;
	char path[64];

	publish(fixture, 5);
	assert_answer(fixture, "/metrics", 200, "wattport_samples_total 5\n");
	(void)snprintf(path, sizeof(path), "%s/%s", fixture->runtime_dir, LEDGER_MAP_NAME);
	assert_int_equal(unlink(path), 0);
	assert_answer(fixture, "/healthz", 503, "start wattportd");
	publish(fixture, 6);
	assert_answer(fixture, "/metrics", 200, "wattport_samples_total 6\n");
	assert_int_equal(remove_runtime_dir(fixture), 0);
	assert_int_equal(mkdir(fixture->runtime_dir, 0755), 0);
	publish(fixture, 7);
	assert_answer(fixture, "/metrics", 200, "wattport_samples_total 7\n");
}

static void test_foreign_file(void **state)
{
	const struct fixture *fixture = *state;
	cleanup_fd int fd = -1;
	char path[64];

	(void)snprintf(path, sizeof(path), "%s/%s", fixture->runtime_dir, LEDGER_MAP_NAME);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_answer(fixture, "/healthz", 503, "another version");
	assert_answer(fixture, "/metrics", 200, "wattport_build_info{");
}

#define WITH_EXPORTER(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    WITH_EXPORTER(test_no_ledger),
	    WITH_EXPORTER(test_no_directory),
	    WITH_EXPORTER(test_ledger_comes),
	    WITH_EXPORTER(test_ledger_ages),
	    WITH_EXPORTER(test_ledger_without_a_sample),
	    WITH_EXPORTER(test_ledger_is_replaced),
	    WITH_EXPORTER(test_foreign_file),
	    WITH_EXPORTER(test_tells_carbon),
	    WITH_EXPORTER(test_tells_no_carbon_that_is_not_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
