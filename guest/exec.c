#include "guest/exec.h"
#include "common/cleanup.h"
#include "common/cpu_busy.h"
#include "common/topology.h"
#include "guest/exec_tree.h"
#include "guest/marks.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* A first reading that was interrupted is taken anew: it tells when it was less well. */
#define EXEC_FIRST_READINGS  5
#define EXEC_FIRST_NS_ENOUGH (CLOCK_NS_PER_MS / 2)

/* All that a pipe holds (pipe(7)), in chunks of marks.c: who writes on and on holds up nothing. */
#define EXEC_MARK_CHUNKS 16

struct exec_task {
	struct meter *meter;
	const struct exec_options *options;
	struct exec_tree *tree;
	struct marks *marks;	  /* NULL: there are none */
	struct exec_share *share; /* NULL: it is not known */
	struct topology *topology;
	struct cpu_busy *busy; /* NULL: not known */
	uint64_t *busy_ns;     /* a CPU each, at the first reading */
	uint64_t own_cpu_ns;   /* of this process at the first reading */
	struct mono_time last; /* reading */
	struct exec_result *result;
};

int exec_status_of_error(int error)
{
	return error == -ENOENT ? EXEC_STATUS_NOT_FOUND : EXEC_STATUS_CANNOT;
}

void exec_result_destroy(struct exec_result *result)
{
	if (result == NULL)
		return;
	peak_destroy(result->peak);
	phases_destroy(result->phases);
	free(result);
}

static uint64_t exec_time_ns(struct timeval time)
{
	return (uint64_t)time.tv_sec * CLOCK_NS_PER_SECOND + (uint64_t)time.tv_usec * 1000;
}

static uint64_t exec_own_cpu_ns(void)
{
	struct rusage usage;

	if (getrusage(RUSAGE_SELF, &usage) < 0)
		return 0;
	return exec_time_ns(usage.ru_utime) + exec_time_ns(usage.ru_stime);
}

/* Without /proc/stat there is no busy time, and all else works. */
static void exec_open_busy(struct exec_task *task)
{
	const struct sysroot *root = task->options->root;

	if (root == NULL || topology_read(root, &task->topology, NULL) < 0)
		return;
	task->busy_ns = calloc(task->topology->cpu_count, sizeof(*task->busy_ns));
	if (task->busy_ns == NULL || cpu_busy_open(root, task->topology, &task->busy, NULL) < 0)
		return;
}

/* The machine's busy CPU time since the first call; false where it is not known. */
static bool exec_busy_ns(struct exec_task *task, struct mono_time now, uint64_t *ret_busy_ns)
{
	uint64_t sum_ns = 0;

	if (task->busy == NULL || cpu_busy_read(task->busy, now, task->busy_ns) < 0)
		return false;
	for (size_t i = 0; i < task->topology->cpu_count; i++)
		sum_ns += task->busy_ns[i];
	*ret_busy_ns = sum_ns;
	return true;
}

/* Without its parts the run is measured all the same. */
static void exec_lose_share(struct exec_task *task, int status)
{
	if (status >= 0)
		return;
	if (task->result->shares_reason.text[0] == '\0')
		(void)diag_error(&task->result->shares_reason, status, "out of memory");
	exec_share_destroy(task->share);
	task->share = NULL;
}

static void exec_open_share(struct exec_task *task)
{
	const struct exec_share_options options = {.root = task->options->root,
						   .clock = task->options->clock,
						   .package = task->options->package,
						   .dram = task->options->dram};
	struct diag *reason = &task->result->shares_reason;

	if (options.root == NULL)
		(void)diag_error(reason, -ENOENT, "CPU times are not known");
	else
		exec_lose_share(task, exec_share_create(&options, &task->share, reason));
}

/* The command's part of what came since the last time, up to that reading, which was booked. */
static void exec_share_now(struct exec_task *task, const struct meter_reading *reading)
{
	const struct exec_tree_state *state = exec_tree_state(task->tree);

	if (task->share != NULL)
		exec_lose_share(task, exec_share_take(task->share, reading,
						      state->user_ns + state->system_ns,
						      task->result->phases));
}

/* Books what came since the last reading: to the running phase, to the grams and to the peak. */
static void exec_book(struct exec_task *task, const struct meter_reading *reading)
{
	struct exec_result *result = task->result;
	struct carbon *carbon = task->options->carbon;

	if (carbon != NULL)
		carbon_now(carbon, &result->carbon);
	phases_book(result->phases, reading, carbon != NULL ? &result->carbon : NULL);
	peak_take(result->peak, reading);
	task->last = reading->time;
	result->reading_count++;
}

/* All labels that have come at once begin at the same reading. */
static void exec_take_marks(struct exec_task *task)
{
	struct meter_reading reading;
	char label[MARK_SIZE];
	bool read_now = false;

	for (int i = 0; task->marks != NULL && i < EXEC_MARK_CHUNKS && marks_read(task->marks);
	     i++) {
		while (marks_next(task->marks, label)) {
			if (!read_now) {
				meter_read_zones(task->meter, &reading);
				exec_book(task, &reading);
				exec_share_now(task, &reading);
				read_now = true;
			}
			phases_cut(task->result->phases, label);
		}
	}
}

/* How long to wait for the next reading: what readings have cost so far has a say in it. */
static uint64_t exec_period_ns(const struct exec_task *task)
{
	uint64_t count = task->result->reading_count, cost_ns;

	if (task->options->period_ns != 0)
		return task->options->period_ns;
	cost_ns = exec_own_cpu_ns() - task->own_cpu_ns;
	cost_ns = count > 0 ? cost_ns / count * EXEC_COST_DIVISOR : 0;
	if (cost_ns < EXEC_PERIOD_NS)
		return EXEC_PERIOD_NS;
	return cost_ns < EXEC_PERIOD_NS_MAX ? cost_ns : EXEC_PERIOD_NS_MAX;
}

static bool exec_is_over(const struct exec_task *task)
{
	const struct exec_tree_state *state = exec_tree_state(task->tree);

	if (!state->command_ended)
		return false;
	return state->all_ended || state->interrupted || task->options->command_only;
}

static void exec_wait(struct exec_task *task)
{
	uint64_t period_ns = exec_period_ns(task);

	while (!exec_is_over(task)) {
		uint64_t past_ns =
		    clock_elapsed_ns(task->last, clock_now_mono(task->options->clock));
		uint64_t left_ns = past_ns < period_ns ? period_ns - past_ns : 0;
		const struct timespec left = {.tv_sec = (time_t)(left_ns / CLOCK_NS_PER_SECOND),
					      .tv_nsec = (long)(left_ns % CLOCK_NS_PER_SECOND)};
		struct pollfd fds[] = {
		    {.fd = exec_tree_fd(task->tree), .events = POLLIN},
		    {.fd = task->marks != NULL ? marks_fd(task->marks) : -1, .events = POLLIN},
		};
		struct meter_reading between;

		(void)ppoll(fds, 2, &left, NULL);
		if (fds[1].revents != 0)
			exec_take_marks(task);
		if (fds[0].revents != 0)
			exec_tree_handle(task->tree);
		if (fds[0].revents != 0 || fds[1].revents != 0 || left_ns > 0)
			continue;
		meter_read_zones(task->meter, &between);
		exec_book(task, &between);
		if (task->share != NULL && exec_share_is_due(task->share, &between))
			exec_share_now(task, &between);
		period_ns = exec_period_ns(task);
	}
}

/*
 * The first one opens the source and asks the host about it: that is not the command's. Of those
 * behind it the last is kept, which is the nearest to the command's start.
 */
static int exec_begin(struct exec_task *task)
{
	struct exec_result *result = task->result;
	uint64_t window_ns = task->options->period_ns * PEAK_WINDOW_PERIODS, busy_ns;

	meter_read(task->meter, &result->before);
	exec_open_busy(task);
	exec_open_share(task);
	(void)exec_busy_ns(task, clock_now_mono(task->options->clock), &busy_ns);
	result->began = clock_now_wall(task->options->clock);
	for (int i = 0; i < EXEC_FIRST_READINGS; i++) {
		meter_read(task->meter, &result->before);
		if (result->before.read_ns < EXEC_FIRST_NS_ENOUGH)
			break;
	}
	if (task->share != NULL)
		exec_lose_share(
		    task, exec_share_begin(task->share, &result->before, &result->shares_reason));
	task->last = result->before.time;
	task->own_cpu_ns = exec_own_cpu_ns();
	if (window_ns < PEAK_WINDOW_NS_MIN)
		window_ns = PEAK_WINDOW_NS_MIN;
	result->peak = peak_create(window_ns, &result->before);
	result->phases = phases_create(&result->before);
	return result->peak == NULL || result->phases == NULL ? -ENOMEM : 0;
}

/* After all that is measured: the parts of what is not divided yet. */
static void exec_conclude_share(struct exec_task *task)
{
	struct exec_result *result = task->result;

	if (task->share != NULL)
		exec_lose_share(task, exec_share_conclude(task->share, result->phases));
	result->has_shares = task->share != NULL;
	for (size_t i = 0; result->has_shares && i < result->before.zone_count; i++)
		result->shares[i] = exec_share_of(task->share, i);
}

static void exec_conclude(struct exec_task *task)
{
	const struct exec_tree_state *state = exec_tree_state(task->tree);
	struct exec_result *result = task->result;

	result->exit_status = WIFSIGNALED(state->wait_status)
				  ? EXEC_STATUS_SIGNAL + WTERMSIG(state->wait_status)
				  : WEXITSTATUS(state->wait_status);
	result->elapsed_ns = clock_elapsed_ns(result->before.time, result->after.time);
	result->user_ns = state->user_ns;
	result->system_ns = state->system_ns;
	result->process_count = state->ended;
	result->left_running = !state->all_ended;
	result->has_busy = exec_busy_ns(task, result->after.time, &result->busy_ns);
	result->period_ns = result->elapsed_ns / result->reading_count;
	result->edge_ns = result->before.read_ns + result->after.read_ns;
	result->has_carbon = task->options->carbon != NULL;
	result->co2e = phases_whole(result->phases)->co2e;
	result->command_co2e = phases_whole(result->phases)->command_co2e;
}

bool exec_result_known(const struct exec_result *result)
{
	return result->before.up && result->after.up;
}

bool exec_result_total(const struct exec_result *result, struct meter_use *ret_use)
{
	struct meter_use total = {.energy_uj = 0}, use;
	bool any = false;

	if (!exec_result_known(result))
		return false;
	for (size_t i = 0; i < result->before.zone_count; i++) {
		const struct meter_zone *zone = &result->before.zones[i];

		if (!zone->available || !meter_zone_adds_up(zone->id))
			continue;
		if (!meter_reading_use(&result->before, &result->after, zone->id, &use))
			return false;
		total.energy_uj += use.energy_uj;
		total.power_uw += use.power_uw;
		any = true;
	}
	if (any)
		*ret_use = total;
	return any;
}

bool exec_result_share(const struct exec_result *result, size_t index,
		       struct exec_share_zone *ret_share)
{
	if (!exec_result_known(result) || !result->has_shares || !result->shares[index].divided)
		return false;
	*ret_share = result->shares[index];
	return true;
}

bool exec_result_total_share(const struct exec_result *result, struct exec_share_zone *ret_share)
{
	struct exec_share_zone total = {.idle_given = true}, share;

	for (size_t i = 0; i < result->before.zone_count; i++) {
		const struct meter_zone *zone = &result->before.zones[i];

		if (!zone->available || !meter_zone_adds_up(zone->id))
			continue;
		if (!exec_result_share(result, i, &share))
			return false;
		total.divided = true;
		total.idle_given = total.idle_given && share.idle_given;
		total.command_uj += share.command_uj;
		total.other_uj += share.other_uj;
		total.idle_uj += share.idle_uj;
	}
	if (total.divided)
		*ret_share = total;
	return total.divided;
}

/* Between the two readings lies nothing but the command. */
static int exec_measure(struct exec_task *task)
{
	struct exec_result *result = task->result;
	int mark_fd = task->marks != NULL ? marks_command_fd(task->marks) : -1;
	int status = exec_begin(task);

	if (status == 0)
		status = exec_tree_start(task->tree, task->options->command, mark_fd);
	if (status < 0)
		return status;
	if (task->marks != NULL)
		marks_started(task->marks);
	exec_wait(task);
	/* What was written last may not have been read yet. */
	exec_take_marks(task);
	meter_read(task->meter, &result->after);
	exec_book(task, &result->after);
	result->own_cpu_ns = exec_own_cpu_ns() - task->own_cpu_ns;
	/* What follows is not meanwhile. */
	exec_share_now(task, &result->after);
	exec_conclude_share(task);
	phases_end(result->phases);
	exec_conclude(task);
	return 0;
}

static void exec_task_finish(struct exec_task *task)
{
	marks_destroy(task->marks);
	exec_share_destroy(task->share);
	cpu_busy_close(task->busy);
	topology_destroy(task->topology);
	free(task->busy_ns);
	exec_tree_destroy(task->tree);
}

int exec_run(struct meter *meter, const struct exec_options *options,
	     struct exec_result **ret_result, struct diag *diag)
{
	cleanup_exec_result struct exec_result *result = calloc(1, sizeof(*result));
	struct exec_task task = {.meter = meter, .options = options, .result = result};
	int status;

	assert(options->command[0] != NULL);
	if (result == NULL)
		return diag_error(diag, -ENOMEM, "out of memory");
	status = exec_tree_create(&task.tree);
	if (status < 0)
		return diag_error(diag, status, "cannot wait for signals: %s", strerror(-status));
	result->marks_possible = marks_create(&task.marks) == 0;
	status = exec_measure(&task);
	exec_task_finish(&task);
	if (status < 0)
		return diag_error(diag, status, "cannot run %s: %s", options->command[0],
				  strerror(-status));
	*ret_result = TAKE_PTR(result);
	return 0;
}
