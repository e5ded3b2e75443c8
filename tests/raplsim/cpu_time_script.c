#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "tests/raplsim/cpu_time.h"

#define PERMILLE_MAX 1000U

/* A nanosecond at one permille is a picosecond, so loads add up without a remainder. 64 bits of
 * picoseconds are 213 days of one busy CPU. */
struct script {
	struct cpu_time base;
	uint64_t now_ns;
	size_t cpu_count;
	struct script_cpu {
		uint64_t busy_ps;
		uint64_t permille;
	} cpus[];
};

static void advance(struct script *source, uint64_t now_ns)
{
	if (now_ns <= source->now_ns)
		return;
	for (size_t i = 0; i < source->cpu_count; i++)
		source->cpus[i].busy_ps += (now_ns - source->now_ns) * source->cpus[i].permille;
	source->now_ns = now_ns;
}

static int script_read(struct cpu_time *self, uint64_t now_ns, uint64_t *busy_ns)
{
	struct script *source = (struct script *)self;

	advance(source, now_ns);
	for (size_t i = 0; i < source->cpu_count; i++)
		busy_ns[i] = source->cpus[i].busy_ps / PERMILLE_MAX;
	return 0;
}

static void script_destroy(struct cpu_time *self)
{
	free(self);
}

static const struct cpu_time_ops script_ops = {
    .name = "script", .read = script_read, .destroy = script_destroy};

int cpu_time_script_open(size_t cpu_count, uint64_t now_ns, struct cpu_time **ret_source)
{
	struct script *source;

	source = calloc(1, sizeof(*source) + cpu_count * sizeof(source->cpus[0]));
	if (!source)
		return -ENOMEM;
	source->base.ops = &script_ops;
	source->now_ns = now_ns;
	source->cpu_count = cpu_count;
	*ret_source = (struct cpu_time *)source;
	return 0;
}

int cpu_time_script_load(struct cpu_time *source, size_t index, uint64_t permille, uint64_t now_ns)
{
	struct script *script = (struct script *)source;

	if (source->ops != &script_ops)
		return -ENOTSUP;
	assert(index < script->cpu_count);
	if (permille > PERMILLE_MAX)
		return -EINVAL;
	advance(script, now_ns);
	script->cpus[index].permille = permille;
	return 0;
}
