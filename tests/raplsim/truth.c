#include "tests/raplsim/truth.h"

#include <errno.h>
#include <jansson.h>

static void cleanup_json_run(json_t **json)
{
	json_decref(*json);
}

#define cleanup_json __attribute__((cleanup(cleanup_json_run)))

/* jansson's integers are signed: 2^63 microjoules are 292 years of a kilowatt. */
static json_int_t integer(uint64_t value)
{
	return (json_int_t)value;
}

static json_t *zone_truth(const struct simulator *simulator, size_t i)
{
	const struct host_zone *zone = &simulator->host.zones[i];
	struct model_energy energy = model_energy(simulator->model, i);
	struct model_counter counter = model_counter(simulator->model, i);
	struct model_power power = model_power(simulator->model, i);
	size_t dir = tree_find_dir(simulator->tree, zone->id);

	return json_pack("{s:s, s:s, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "id", zone->id,
			 "name", zone->name, "present", tree_visible(simulator->tree, dir),
			 "true_uj", integer(energy.true_uj), "raw_uj", integer(counter.raw_uj),
			 "idle_uj", integer(energy.idle_uj), "busy_uj", integer(energy.busy_uj),
			 "range_uj", integer(counter.range_uj), "wraps", integer(counter.wraps),
			 "idle_uw", integer(power.idle_uw), "busy_uw", integer(power.busy_uw));
}

static json_t *cpu_truth(const struct simulator *simulator, size_t i)
{
	const struct host_cpu *cpu = &simulator->host.cpus[i];

	return json_pack("{s:I, s:I, s:I, s:I}", "cpu", integer(cpu->id), "package",
			 integer(cpu->package), "die", integer(cpu->die), "busy_ns",
			 integer(simulator->busy_ns[i]));
}

static json_t *process_truth(const struct simulator *simulator, pid_t pid)
{
	struct process process = processes_get(simulator->processes, pid);
	json_t *threads = json_array();

	for (size_t i = 0; i < process.thread_count; i++) {
		const struct process_thread *thread = &process.threads[i];

		/* %+% would refuse a name that is not UTF-8; prctl(PR_SET_NAME) takes any bytes. */
		json_t *comm = json_string(thread->comm);

		(void)json_array_append_new(
		    threads,
		    json_pack("{s:I, s:o, s:I}", "tid", integer((uint64_t)thread->tid), "comm",
			      comm ? comm : json_string("?"), "cpu_ns", integer(thread->cpu_ns)));
	}
	return json_pack("{s:I, s:I, s:I, s:o}", "pid", integer((uint64_t)pid), "cpu_ns",
			 integer(process.cpu_ns), "true_uj", integer(process.true_uj), "threads",
			 threads);
}

int truth_print(struct simulator *simulator, const pid_t *pids, size_t pid_count, FILE *out)
{
	cleanup_json json_t *truth = NULL;
	json_t *zones = json_object();
	json_t *cpus = json_array();
	int r;

	/* At one instant: the zones' CPU time and the processes' are read one after the other, with
	 * nothing between them. */
	r = simulator_advance(simulator);
	processes_sample(simulator->processes, simulator->config.host.busy_uw);
	for (size_t i = 0; i < simulator->host.zone_count; i++)
		(void)json_object_set_new(zones, simulator->host.zones[i].key,
					  zone_truth(simulator, i));
	for (size_t i = 0; i < simulator->host.cpu_count; i++)
		(void)json_array_append_new(cpus, cpu_truth(simulator, i));
	truth =
	    json_pack("{s:I, s:s, s:o, s:o}", "t_ns", integer(simulator->now_ns), "cpu_time_source",
		      cpu_time_name(simulator->cpu_time), "zones", zones, "cpus", cpus);
	if (r < 0)
		return r;
	if (truth && pid_count > 0) {
		json_t *processes = json_array();

		for (size_t i = 0; i < pid_count; i++)
			(void)json_array_append_new(processes, process_truth(simulator, pids[i]));
		(void)json_object_set_new(truth, "processes", processes);
	}
	if (!truth || json_dumpf(truth, out, JSON_COMPACT) < 0 || fputc('\n', out) == EOF)
		return -ENOMEM;
	return 0;
}
