/*
 * accuracy: how far each model is from the truth, on random simulated hosts of each class.
 *
 *     accuracy [--hosts N] [--class NAME] [--seed N] [--json] [--each]
 *
 * What is measured stands in trial.h, what the columns mean in error_table.h.
 */
#include "common/parse.h"
#include "tests/bench/accuracy_report.h"

#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define HOSTS_DEFAULT 200
#define HOSTS_MAX     100000
#define LEARN_S	      900
#define JUDGE_S	      900
#define PERCENT	      100.0

struct accuracy_options {
	uint64_t hosts;
	uint64_t seed;
	uint64_t learn_s;
	uint64_t judge_s;
	bool classes[HOST_CLASS_COUNT];
	bool json;
	bool each;
};

static const char usage[] =
    "usage: accuracy [--hosts N] [--class NAME]... [--seed N] [--learn SECONDS]\n"
    "                [--judge SECONDS] [--json] [--each]\n"
    "--each writes a line for each host as well, to standard error.\n"
    "classes: equal mixed dvfs smt light packed bursty\n";

static int accuracy_class(const char *name)
{
	for (int i = 0; i < HOST_CLASS_COUNT; i++)
		if (strcmp(host_class_names[i], name) == 0)
			return i;
	return -1;
}

static bool accuracy_number(const char *text, uint64_t max, uint64_t *ret_value)
{
	return parse_u64(text, ret_value) == 0 && *ret_value > 0 && *ret_value <= max;
}

static bool accuracy_parse(int argc, char *argv[], struct accuracy_options *options)
{
	static const struct option longs[] = {
	    {"hosts", required_argument, NULL, 'n'}, {"class", required_argument, NULL, 'c'},
	    {"seed", required_argument, NULL, 's'},  {"learn", required_argument, NULL, 'l'},
	    {"judge", required_argument, NULL, 'j'}, {"json", no_argument, NULL, 'J'},
	    {"each", no_argument, NULL, 'e'},	     {NULL, 0, NULL, 0},
	};
	bool any = false, good = true;
	int letter;

	while ((letter = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		int index = letter == 'c' ? accuracy_class(optarg) : 0;

		if (letter == 'c' && index >= 0)
			any = options->classes[index] = true;
		else if (letter == 'n')
			good = accuracy_number(optarg, HOSTS_MAX, &options->hosts) && good;
		else if (letter == 's')
			good = accuracy_number(optarg, UINT32_MAX, &options->seed) && good;
		else if (letter == 'l')
			good = accuracy_number(optarg, UINT32_MAX, &options->learn_s) && good;
		else if (letter == 'j')
			good = accuracy_number(optarg, UINT32_MAX, &options->judge_s) && good;
		else if (letter == 'J')
			options->json = true;
		else if (letter == 'e')
			options->each = true;
		else
			return false;
	}
	for (size_t i = 0; i < HOST_CLASS_COUNT && !any; i++)
		options->classes[i] = true;
	return good && optind == argc;
}

/* One host: what each of ours found of its idle power, and its machines' mean error. */
static void accuracy_print_each(const struct trial_plan *plan, const struct trial_result *result)
{
	(void)fprintf(stderr, "%s seed %" PRIu64 ": %zu machines, idle %.1f W;",
		      host_class_names[plan->host_class], plan->seed, result->vm_count,
		      result->idle_w);
	for (size_t model = 0; model < TRIAL_OURS_COUNT; model++) {
		double error_j = 0, total_j = 0;

		for (size_t vm = 0; vm < result->vm_count; vm++) {
			error_j += fabs(result->vms[vm].found[model].total_j -
					result->vms[vm].truth.total_j);
			total_j += result->vms[vm].truth.total_j;
		}
		(void)fprintf(stderr, " %s: %.1f W, %.1f %%;", trial_model_name(model),
			      result->idle_found_w[model],
			      total_j > 0 ? PERCENT * error_j / total_j : 0);
	}
	(void)fprintf(stderr, "\n");
}

/* 0, or -errno after a word about it. */
static int accuracy_class_run(const struct accuracy_options *options, enum host_class host_class,
			      struct error_table *table)
{
	static struct trial_result result;

	for (uint64_t host = 0; host < options->hosts; host++) {
		struct trial_plan plan = {.host_class = host_class,
					  .seed = options->seed * HOSTS_MAX + host,
					  .learn_s = (unsigned int)options->learn_s,
					  .judge_s = (unsigned int)options->judge_s};
		int status = trial_run(&plan, &result);

		if (status == 0 && !result.conserved) {
			(void)fprintf(stderr, "accuracy: %s host %" PRIu64 ": energy was lost\n",
				      host_class_names[host_class], host);
			return -1;
		}
		if (status == 0 && options->each)
			accuracy_print_each(&plan, &result);
		if (status == 0)
			status = error_table_add(table, &result);
		if (status < 0) {
			(void)fprintf(stderr, "accuracy: %s host %" PRIu64 ": %s\n",
				      host_class_names[host_class], host, strerror(-status));
			return status;
		}
	}
	if (options->json)
		accuracy_report_json(table, host_class_names[host_class]);
	else
		accuracy_report_class(table, host_class_names[host_class]);
	return 0;
}

int main(int argc, char *argv[])
{
	struct accuracy_options options = {
	    .hosts = HOSTS_DEFAULT, .seed = 1, .learn_s = LEARN_S, .judge_s = JUDGE_S};
	struct error_table *tables[HOST_CLASS_COUNT] = {NULL};
	int status = 0;

	if (!accuracy_parse(argc, argv, &options)) {
		(void)fputs(usage, stderr);
		return 2;
	}
	for (int i = 0; i < HOST_CLASS_COUNT && status == 0; i++) {
		if (!options.classes[i])
			continue;
		status = error_table_create(&tables[i]);
		if (status == 0)
			status = accuracy_class_run(&options, (enum host_class)i, tables[i]);
	}
	if (status == 0 && !options.json)
		accuracy_report_summary(tables);
	for (size_t i = 0; i < HOST_CLASS_COUNT; i++)
		error_table_destroy(tables[i]);
	return status == 0 ? 0 : 1;
}
