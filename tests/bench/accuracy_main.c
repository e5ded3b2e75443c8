/*
 * accuracy: how far each model is from the truth, on random simulated hosts of each class.
 *
 *     accuracy [--hosts N] [--class NAME] [--seed N] [--json]
 *
 * What is measured stands in trial.h, what the columns mean in error_table.h.
 */
#include "common/parse.h"
#include "tests/bench/error_table.h"

#include <getopt.h>
#include <inttypes.h>
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
};

static const char usage[] =
    "usage: accuracy [--hosts N] [--class NAME]... [--seed N] [--learn SECONDS]\n"
    "                [--judge SECONDS] [--json]\n"
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
	    {"hosts", required_argument, NULL, 'n'},
	    {"class", required_argument, NULL, 'c'},
	    {"seed", required_argument, NULL, 's'},
	    {"learn", required_argument, NULL, 'l'},
	    {"judge", required_argument, NULL, 'j'},
	    {"json", no_argument, NULL, 'J'},
	    {NULL, 0, NULL, 0},
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
		else
			return false;
	}
	for (size_t i = 0; i < HOST_CLASS_COUNT && !any; i++)
		options->classes[i] = true;
	return good && optind == argc;
}

static void accuracy_print_row(const struct error_row *row, bool machine)
{
	(void)printf(" %.1f |", PERCENT * row->mean);
	if (machine)
		(void)printf(" %.1f |", PERCENT * row->machine);
	(void)printf(" %.1f | %+.1f |", PERCENT * row->p95, PERCENT * row->bias);
}

static void accuracy_print(struct error_table *table, const char *name, uint64_t hosts)
{
	(void)printf("\n### %s: %" PRIu64 " hosts, %zu machines\n\n", name, hosts,
		     error_table_machines(table));
	(void)printf("| %% | total: mean | machine | p95 | bias | dynamic: mean | machine | p95 | "
		     "bias | static power: mean | p95 | bias |\n"
		     "|---|---|---|---|---|---|---|---|---|---|---|---|\n");
	for (size_t model = 0; model < TRIAL_MODEL_COUNT; model++) {
		struct error_row total = error_table_total(table, model);
		struct error_row dynamic = error_table_dynamic(table, model);

		(void)printf("| %s |", trial_model_name(model));
		accuracy_print_row(&total, true);
		/* A model that knows no dynamic part gives none at all. */
		if (dynamic.bias > -1)
			accuracy_print_row(&dynamic, true);
		else
			(void)printf("  |  |  |  |");
		if (model < TRIAL_OURS_COUNT) {
			struct error_row still = error_table_static(table, model);

			accuracy_print_row(&still, false);
		} else {
			(void)printf("  |  |  |");
		}
		(void)printf("\n");
	}
	(void)fflush(stdout);
}

static void accuracy_json_row(const char *name, const struct error_row *row)
{
	(void)printf(",\"%s\":{\"mean\":%.5f,\"machine\":%.5f,\"p95\":%.5f,\"bias\":%.5f}", name,
		     row->mean, row->machine, row->p95, row->bias);
}

/* A line for each model. */
static void accuracy_print_json(struct error_table *table, const char *name, uint64_t hosts)
{
	for (size_t model = 0; model < TRIAL_MODEL_COUNT; model++) {
		struct error_row total = error_table_total(table, model);
		struct error_row dynamic = error_table_dynamic(table, model);

		(void)printf("{\"class\":\"%s\",\"hosts\":%" PRIu64
			     ",\"machines\":%zu,\"model\":\"%s\"",
			     name, hosts, error_table_machines(table), trial_model_name(model));
		accuracy_json_row("total", &total);
		if (dynamic.bias > -1)
			accuracy_json_row("dynamic", &dynamic);
		if (model < TRIAL_OURS_COUNT) {
			struct error_row still = error_table_static(table, model);

			accuracy_json_row("static", &still);
		}
		(void)printf("}\n");
	}
	(void)fflush(stdout);
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
		if (status == 0)
			status = error_table_add(table, &result);
		if (status < 0) {
			(void)fprintf(stderr, "accuracy: %s host %" PRIu64 ": %s\n",
				      host_class_names[host_class], host, strerror(-status));
			return status;
		}
	}
	if (options->json)
		accuracy_print_json(table, host_class_names[host_class], options->hosts);
	else
		accuracy_print(table, host_class_names[host_class], options->hosts);
	return 0;
}

int main(int argc, char *argv[])
{
	struct accuracy_options options = {
	    .hosts = HOSTS_DEFAULT, .seed = 1, .learn_s = LEARN_S, .judge_s = JUDGE_S};

	if (!accuracy_parse(argc, argv, &options)) {
		(void)fputs(usage, stderr);
		return 2;
	}
	for (int i = 0; i < HOST_CLASS_COUNT; i++) {
		struct error_table *table = NULL;
		int status;

		if (!options.classes[i])
			continue;
		status = error_table_create(&table);
		if (status == 0)
			status = accuracy_class_run(&options, (enum host_class)i, table);
		error_table_destroy(table);
		if (status < 0)
			return 1;
	}
	return 0;
}
