#include "tests/sim/record.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "tests/sim/observer.h"

#include <errno.h>
#include <inttypes.h>

#define MICRO 1e6
#define MILLI 1e-3

struct record {
	struct world *world;
	struct observer *observer;
	struct sample sample;
};

static void record_finish(struct record *record)
{
	sample_finish(&record->sample);
	observer_destroy(record->observer);
	world_destroy(record->world);
}
#define cleanup_record __attribute__((cleanup(record_finish)))

static uint64_t record_micro(double value)
{
	return (uint64_t)(value * MICRO + 0.5);
}

static void record_truth_head(const struct record_plan *plan, const struct hardware *hardware,
			      FILE *truth)
{
	(void)fprintf(truth,
		      "{\"wattport_truth\":1,\"class\":\"%s\",\"seed\":%" PRIu64
		      ",\"package_idle_uw\":%" PRIu64 ",\"dram_idle_uw\":%" PRIu64 "}\n",
		      host_class_names[plan->host_class], plan->seed,
		      record_micro(hardware->idle_w), record_micro(hardware->dram_idle_w));
}

static void record_truth(const struct record *record, FILE *truth)
{
	const struct world *world = record->world;
	const char *comma = "";

	(void)fprintf(truth, "{\"t_ns\":%" PRIu64 ",\"vms\":{", record->sample.time.ns);
	for (size_t i = 0; i < world->vm_count; i++) {
		const struct truth *caused = &world->vms[i].truth;
		struct uuid uuid = observer_uuid(&world->vms[i]);
		char text[UUID_TEXT_SIZE];

		uuid_format(&uuid, text);
		(void)fprintf(truth,
			      "%s\"%s\":{\"package_uj\":%" PRIu64 ",\"package_idle_uj\":%" PRIu64
			      ",\"dram_uj\":%" PRIu64 ",\"dram_idle_uj\":%" PRIu64 "}",
			      comma, text, record_micro(caused->package_j),
			      record_micro(caused->package_idle_j), record_micro(caused->dram_j),
			      record_micro(caused->dram_idle_j));
		comma = ",";
	}
	(void)fprintf(
	    truth,
	    "},\"host\":{\"package_uj\":%" PRIu64 ",\"dram_uj\":%" PRIu64
	    "},\"vacant\":{\"package_idle_uj\":%" PRIu64 ",\"dram_idle_uj\":%" PRIu64 "}}\n",
	    record_micro(world->host.package_j), record_micro(world->host.dram_j),
	    record_micro(world->vacant.package_idle_j), record_micro(world->vacant.dram_idle_j));
}

static int record_line(struct record *record, const struct record_plan *plan, FILE *trace,
		       FILE *truth)
{
	cleanup_free char *line = NULL;
	int status = observer_sample(record->observer, &record->sample);

	if (status < 0)
		return status;
	if (!plan->events)
		observer_strip_events(&record->sample);
	status = trace_format_sample(observer_head(record->observer), &record->sample, &line);
	if (status < 0)
		return status;
	if (truth != NULL)
		record_truth(record, truth);
	return fputs(line, trace) == EOF ? -errno : 0;
}

int record_write(const struct record_plan *plan, FILE *trace, FILE *truth)
{
	cleanup_record struct record record = {.world = NULL};
	cleanup_free char *line = NULL;
	uint64_t period_ns = plan->period_ms * CLOCK_NS_PER_MS;
	uint64_t end_ns = plan->seconds * CLOCK_NS_PER_SECOND;
	uint64_t remix_ns = plan->remix_s * CLOCK_NS_PER_SECOND;
	int status = world_create(plan->host_class, plan->seed, &record.world);

	if (status == 0)
		status = observer_create(record.world, plan->seed, &record.observer);
	if (status == 0)
		status = sample_init(&record.sample,
				     observer_head(record.observer)->topology->cpu_count);
	if (status == 0)
		status = trace_format_head(observer_head(record.observer), &line);
	if (status < 0)
		return status;
	if (fputs(line, trace) == EOF)
		return -errno;
	if (truth != NULL)
		record_truth_head(plan, &record.world->hardware, truth);
	for (uint64_t at_ns = 0; status == 0 && at_ns <= end_ns; at_ns += period_ns) {
		status = record_line(&record, plan, trace, truth);
		if (remix_ns > 0 && at_ns < remix_ns && at_ns + period_ns >= remix_ns)
			world_remix(record.world);
		world_advance(record.world, (double)plan->period_ms * MILLI);
	}
	if (status == 0 && (ferror(trace) || (truth != NULL && ferror(truth))))
		status = -EIO;
	return status;
}
