/*
 * sim: writes what happens on a simulated host as a trace, and the truth beside it (record.h).
 *
 *     sim --trace FILE [--truth FILE] [--class NAME] [--seed N] [--seconds N] [--period-ms N]
 *         [--remix SECONDS] [--no-events]
 */
#include "common/cleanup.h"
#include "common/parse.h"
#include "tests/sim/record.h"

#include <errno.h>
#include <getopt.h>

#define SECONDS_MAX UINT64_C(10000000)

static const char usage[] =
    "usage: sim --trace FILE [--truth FILE] [--class NAME] [--seed N] [--seconds N]\n"
    "           [--period-ms N] [--remix SECONDS] [--no-events]\n"
    "classes: equal mixed dvfs smt light packed bursty\n";

struct sim_options {
	struct record_plan plan;
	const char *trace;
	const char *truth;
};

static bool sim_number(const char *text, uint64_t *ret_value)
{
	return parse_u64(text, ret_value) == 0 && *ret_value > 0 && *ret_value <= SECONDS_MAX;
}

static bool sim_class(const char *name, enum host_class *ret_class)
{
	for (int i = 0; i < HOST_CLASS_COUNT; i++) {
		if (strcmp(host_class_names[i], name) == 0) {
			*ret_class = (enum host_class)i;
			return true;
		}
	}
	return false;
}

static bool sim_parse(int argc, char *argv[], struct sim_options *options)
{
	static const struct option longs[] = {
	    {"trace", required_argument, NULL, 't'},
	    {"truth", required_argument, NULL, 'T'},
	    {"class", required_argument, NULL, 'c'},
	    {"seed", required_argument, NULL, 's'},
	    {"seconds", required_argument, NULL, 'n'},
	    {"remix", required_argument, NULL, 'r'},
	    {"period-ms", required_argument, NULL, 'p'},
	    {"no-events", no_argument, NULL, 'e'},
	    {NULL, 0, NULL, 0},
	};
	struct record_plan *plan = &options->plan;
	bool good = true;
	int letter;

	while ((letter = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (letter) {
		case 't':
			options->trace = optarg;
			break;
		case 'T':
			options->truth = optarg;
			break;
		case 'c':
			good = sim_class(optarg, &plan->host_class) && good;
			break;
		case 's':
			good = sim_number(optarg, &plan->seed) && good;
			break;
		case 'n':
			good = sim_number(optarg, &plan->seconds) && good;
			break;
		case 'r':
			good = sim_number(optarg, &plan->remix_s) && good;
			break;
		case 'p':
			good = sim_number(optarg, &plan->period_ms) && good;
			break;
		case 'e':
			plan->events = false;
			break;
		default:
			return false;
		}
	}
	return good && optind == argc && options->trace != NULL;
}

static int sim_open(const char *path, FILE **ret_file)
{
	*ret_file = fopen(path, "we");
	if (*ret_file != NULL)
		return 0;
	(void)fprintf(stderr, "sim: cannot write %s: %s\n", path, strerror(errno));
	return -errno;
}

int main(int argc, char *argv[])
{
	struct sim_options options = {.plan = {.host_class = HOST_MIXED,
					       .seed = 1,
					       .seconds = 1800,
					       .period_ms = 1000,
					       .events = true}};
	cleanup_file FILE *trace = NULL;
	cleanup_file FILE *truth = NULL;
	int status;

	if (!sim_parse(argc, argv, &options)) {
		(void)fputs(usage, stderr);
		return 2;
	}
	if (sim_open(options.trace, &trace) < 0)
		return 1;
	if (options.truth != NULL && sim_open(options.truth, &truth) < 0)
		return 1;
	status = record_write(&options.plan, trace, truth);
	if (status == 0 && fflush(trace) != 0)
		status = -errno;
	if (status == 0 && truth != NULL && fflush(truth) != 0)
		status = -errno;
	if (status < 0) {
		(void)fprintf(stderr, "sim: %s\n", strerror(-status));
		return 1;
	}
	return 0;
}
