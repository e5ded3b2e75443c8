#include "tests/raplsim/simulator.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/raplsim/cleanup.h"
#include "tests/raplsim/cpu_list.h"

#define NS_PER_SECOND UINT64_C(1000000000)
#define CPUS_DIR      "/sys/devices/system/cpu/"

static uint64_t clock_now(const struct simulator *simulator)
{
	struct timespec now;

	if (simulator->config.manual)
		return simulator->now_ns;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

static int read_cpu_list(const char *path, char text[TREE_TEXT_SIZE])
{
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length;

	if (fd < 0)
		return -errno;
	length = read(fd, text, TREE_TEXT_SIZE - 1);
	if (length < 0)
		return -errno;
	text[length] = '\0';
	return 0;
}

/* Fills in cpu_ids. Returns the number of CPUs or -errno. */
static int find_cpus(struct simulator *simulator)
{
	const struct simulator_config *config = &simulator->config;

	simulator->cpu_ids = calloc(CPU_LIST_CPUS_MAX, sizeof(*simulator->cpu_ids));
	if (!simulator->cpu_ids)
		return -ENOMEM;
	if (config->cpu_count == 0) {
		char text[TREE_TEXT_SIZE];
		int r = read_cpu_list(CPUS_DIR "online", text);

		return r < 0 ? r : cpu_list_parse(text, simulator->cpu_ids);
	}
	if (!config->scripted || config->cpu_count > CPU_LIST_CPUS_MAX)
		return -EINVAL;
	for (unsigned int i = 0; i < config->cpu_count; i++)
		simulator->cpu_ids[i] = i;
	return (int)config->cpu_count;
}

static int open_tree(struct simulator *simulator)
{
	char possible[TREE_TEXT_SIZE];
	char present[TREE_TEXT_SIZE];
	int r;

	if (simulator->config.cpu_count != 0)
		return tree_create(&simulator->host, NULL, NULL, &simulator->tree);
	r = read_cpu_list(CPUS_DIR "possible", possible);
	if (r < 0)
		return r;
	r = read_cpu_list(CPUS_DIR "present", present);
	if (r < 0)
		return r;
	return tree_create(&simulator->host, possible, present, &simulator->tree);
}

static int open_model(struct simulator *simulator)
{
	const struct host *host = &simulator->host;
	cleanup_free struct model_zone *zones = calloc(host->zone_count, sizeof(*zones));
	struct model_config config = {.start_ns = clock_now(simulator),
				      .update_ns = simulator->config.update_ns,
				      .cpu_count = host->cpu_count,
				      .zone_count = host->zone_count,
				      .zones = zones};

	if (!zones)
		return -ENOMEM;
	for (size_t i = 0; i < host->zone_count; i++)
		zones[i] = host->zones[i].model;
	return model_create(&config, &simulator->model);
}

static int open_cpu_time(struct simulator *simulator)
{
	struct cpu_time_cpus cpus = {simulator->cpu_ids, simulator->host.cpu_count};

	if (simulator->config.scripted)
		return cpu_time_script_open(cpus.count, clock_now(simulator), &simulator->cpu_time);
	return cpu_time_open(cpus, &simulator->cpu_time);
}

static int open_parts(struct simulator *simulator)
{
	int cpu_count = find_cpus(simulator);
	int r;

	if (cpu_count < 0)
		return cpu_count;
	r = host_init(&simulator->host, &simulator->config.host, simulator->cpu_ids,
		      (size_t)cpu_count);
	if (r < 0)
		return r;
	simulator->busy_ns = calloc((size_t)cpu_count, sizeof(*simulator->busy_ns));
	if (!simulator->busy_ns)
		return -ENOMEM;
	r = open_tree(simulator);
	if (r < 0)
		return r;
	r = faults_create(tree_node_count(simulator->tree), &simulator->faults);
	if (r < 0)
		return r;
	r = processes_create(&simulator->processes);
	if (r < 0)
		return r;
	r = open_cpu_time(simulator);
	if (r < 0)
		return r;
	r = open_model(simulator);
	if (r < 0)
		return r;
	return simulator_advance(simulator);
}

int simulator_init(struct simulator *simulator, const struct simulator_config *config)
{
	int r;

	*simulator = (struct simulator){.config = *config};
	r = open_parts(simulator);
	if (r < 0)
		simulator_finish(simulator);
	return r;
}

void simulator_finish(struct simulator *simulator)
{
	model_destroy(simulator->model);
	cpu_time_destroy(simulator->cpu_time);
	processes_destroy(simulator->processes);
	faults_destroy(simulator->faults);
	tree_destroy(simulator->tree);
	host_finish(&simulator->host);
	free(simulator->busy_ns);
	free(simulator->cpu_ids);
	*simulator = (struct simulator){.quit = true};
}

int simulator_advance(struct simulator *simulator)
{
	uint64_t now_ns = clock_now(simulator);
	int r;

	r = cpu_time_read(simulator->cpu_time, now_ns, simulator->busy_ns);
	if (r < 0)
		return r;
	simulator->now_ns = now_ns;
	model_advance(simulator->model, now_ns, simulator->busy_ns);
	return 0;
}

int simulator_refresh(struct simulator *simulator)
{
	return model_is_fresh(simulator->model, clock_now(simulator))
		   ? 0
		   : simulator_advance(simulator);
}

int simulator_pass(struct simulator *simulator, uint64_t duration_ns)
{
	if (!simulator->config.manual)
		return -ENOTSUP;
	simulator->now_ns += duration_ns;
	return simulator_advance(simulator);
}

int simulator_set_power(struct simulator *simulator, const struct host_config *changed)
{
	int r;

	r = simulator_advance(simulator);
	if (r < 0)
		return r;
	processes_sample(simulator->processes, simulator->config.host.busy_uw);
	simulator->config.host = *changed;
	for (size_t i = 0; i < simulator->host.zone_count; i++)
		model_set_power(simulator->model, i,
				host_zone_power(changed, simulator->host.zones[i].kind));
	return 0;
}
