#include "tests/raplsim/options.h"

#include <errno.h>
#include <getopt.h>
#include <string.h>

#include "tests/raplsim/cpu_list.h"
#include "tests/raplsim/parse.h"

#define UNIT_PJ_MAX   UINT64_C(1000000000000)
#define POWER_UW_MAX  UINT64_C(1000000000000)
#define UPDATE_US_MAX UINT64_C(1000000)
#define START_UJ_MAX  UINT64_C(4294967295000000)

/* A counter that has run for a while: a reader that takes its first value for a difference is
 * caught. */
#define START_UJ 1000000000

enum option_id {
	OPTION_PACKAGES = 256,
	OPTION_DIES,
	OPTION_CPUS,
	OPTION_DRAM,
	OPTION_PSYS,
	OPTION_CORE,
	OPTION_UNCORE,
	OPTION_MMIO,
	OPTION_IDLE_WATTS,
	OPTION_BUSY_WATTS,
	OPTION_DRAM_WATTS,
	OPTION_PSYS_EXTRA_WATTS,
	OPTION_UNIT_UJ,
	OPTION_DRAM_UNIT_UJ,
	OPTION_PSYS_UNIT_UJ,
	OPTION_START_UJ,
	OPTION_START_BELOW_WRAP,
	OPTION_UPDATE_US,
	OPTION_BUSY,
	OPTION_TIME,
	OPTION_FOREGROUND,
	OPTION_PID_FILE,
};

static const struct option option_table[] = {
    {"packages", required_argument, NULL, OPTION_PACKAGES},
    {"dies", required_argument, NULL, OPTION_DIES},
    {"cpus", required_argument, NULL, OPTION_CPUS},
    {"dram", no_argument, NULL, OPTION_DRAM},
    {"psys", no_argument, NULL, OPTION_PSYS},
    {"core", no_argument, NULL, OPTION_CORE},
    {"uncore", no_argument, NULL, OPTION_UNCORE},
    {"mmio", no_argument, NULL, OPTION_MMIO},
    {"idle-watts", required_argument, NULL, OPTION_IDLE_WATTS},
    {"busy-watts", required_argument, NULL, OPTION_BUSY_WATTS},
    {"dram-watts", required_argument, NULL, OPTION_DRAM_WATTS},
    {"psys-extra-watts", required_argument, NULL, OPTION_PSYS_EXTRA_WATTS},
    {"unit-uj", required_argument, NULL, OPTION_UNIT_UJ},
    {"dram-unit-uj", required_argument, NULL, OPTION_DRAM_UNIT_UJ},
    {"psys-unit-uj", required_argument, NULL, OPTION_PSYS_UNIT_UJ},
    {"start-uj", required_argument, NULL, OPTION_START_UJ},
    {"start-below-wrap", required_argument, NULL, OPTION_START_BELOW_WRAP},
    {"update-us", required_argument, NULL, OPTION_UPDATE_US},
    {"busy", required_argument, NULL, OPTION_BUSY},
    {"time", required_argument, NULL, OPTION_TIME},
    {"foreground", no_argument, NULL, OPTION_FOREGROUND},
    {"pid-file", required_argument, NULL, OPTION_PID_FILE},
    {NULL, 0, NULL, 0},
};

/* What a number may be. */
struct limits {
	unsigned int decimals;
	uint64_t min;
	uint64_t max;
};

static const struct limits watts = {6, 0, POWER_UW_MAX};
static const struct limits unit_uj = {6, 1000, UNIT_PJ_MAX};

static int take(const char *text, struct limits limits, uint64_t *ret_value)
{
	uint64_t value;
	int r;

	r = parse_fixed(text, limits.decimals, &value);
	if (r < 0)
		return r;
	if (value < limits.min || value > limits.max)
		return -ERANGE;
	*ret_value = value;
	return 0;
}

static int take_count(const char *text, unsigned int max, unsigned int *ret_count)
{
	uint64_t value;
	int r;

	r = take(text, (struct limits){0, 1, max}, &value);
	if (r < 0)
		return r;
	*ret_count = (unsigned int)value;
	return 0;
}

/* One of two words. */
static int take_choice(const char *text, const char *no, const char *yes, bool *ret_choice)
{
	if (strcmp(text, no) != 0 && strcmp(text, yes) != 0)
		return -EINVAL;
	*ret_choice = strcmp(text, yes) == 0;
	return 0;
}

static int apply_host_option(struct host_config *host, int option, const char *value)
{
	switch (option) {
	case OPTION_PACKAGES:
		return take_count(value, HOST_PACKAGES_MAX, &host->packages);
	case OPTION_DIES:
		return take_count(value, HOST_DIES_MAX, &host->dies);
	case OPTION_DRAM:
		host->dram = true;
		return 0;
	case OPTION_PSYS:
		host->psys = true;
		return 0;
	case OPTION_CORE:
		host->core = true;
		return 0;
	case OPTION_UNCORE:
		host->uncore = true;
		return 0;
	case OPTION_MMIO:
		host->mmio = true;
		return 0;
	case OPTION_IDLE_WATTS:
		return take(value, watts, &host->idle_uw);
	case OPTION_BUSY_WATTS:
		return take(value, watts, &host->busy_uw);
	case OPTION_DRAM_WATTS:
		return take(value, watts, &host->dram_uw);
	case OPTION_PSYS_EXTRA_WATTS:
		return take(value, watts, &host->psys_extra_uw);
	case OPTION_UNIT_UJ:
		return take(value, unit_uj, &host->unit_pj);
	case OPTION_DRAM_UNIT_UJ:
		return take(value, unit_uj, &host->dram_unit_pj);
	case OPTION_PSYS_UNIT_UJ:
		return take(value, unit_uj, &host->psys_unit_pj);
	case OPTION_START_BELOW_WRAP:
		host->near_wrap = true;
		return take(value, (struct limits){0, 1, START_UJ_MAX}, &host->start_uj);
	case OPTION_START_UJ:
		host->near_wrap = false;
		return take(value, (struct limits){0, 0, START_UJ_MAX}, &host->start_uj);
	default:
		return -EINVAL;
	}
}

static int apply_option(struct options *options, int option, const char *value)
{
	struct simulator_config *simulator = &options->simulator;
	uint64_t update_us;
	int r;

	switch (option) {
	case OPTION_CPUS:
		return take(value, (struct limits){0, 1, CPU_LIST_CPUS_MAX}, &simulator->cpu_count);
	case OPTION_UPDATE_US:
		r = take(value, (struct limits){0, 1, UPDATE_US_MAX}, &update_us);
		if (r == 0)
			simulator->update_ns = update_us * 1000;
		return r;
	case OPTION_BUSY:
		return take_choice(value, "real", "clock", &simulator->scripted);
	case OPTION_TIME:
		return take_choice(value, "real", "manual", &simulator->manual);
	case OPTION_FOREGROUND:
		options->foreground = true;
		return 0;
	case OPTION_PID_FILE:
		options->pid_file = value;
		return 0;
	default:
		return apply_host_option(&simulator->host, option, value);
	}
}

/* What no option alone can tell. */
static int finish_options(struct options *options)
{
	struct simulator_config *simulator = &options->simulator;
	struct host_config *host = &simulator->host;

	if (simulator->manual && !simulator->scripted) {
		(void)fputs("raplsim: --time manual needs --busy clock: this machine's CPU time "
			    "passes by itself\n",
			    stderr);
		return -EINVAL;
	}
	if (simulator->cpu_count != 0 && !simulator->scripted) {
		(void)fputs(
		    "raplsim: --cpus needs --busy clock: this machine has the CPUs it has\n",
		    stderr);
		return -EINVAL;
	}
	if (host->dram_unit_pj == 0)
		host->dram_unit_pj = host->unit_pj;
	if (host->psys_unit_pj == 0)
		host->psys_unit_pj = host->unit_pj;
	return 0;
}

int options_parse(int count, char **arguments, struct options *ret_options)
{
	struct options options = {.simulator = {.update_ns = 1000000,
						.host = {.packages = 1,
							 .dies = 1,
							 .idle_uw = 20000000,
							 .busy_uw = 15000000,
							 .dram_uw = 3000000,
							 .psys_extra_uw = 10000000,
							 .unit_pj = 61035000,
							 .start_uj = START_UJ}}};
	int option;

	while ((option = getopt_long(count, arguments, "", option_table, NULL)) != -1) {
		if (option == '?')
			return -EINVAL;
		if (apply_option(&options, option, optarg) < 0) {
			(void)fprintf(stderr, "raplsim: '%s' is not a value of --%s\n", optarg,
				      option_table[option - OPTION_PACKAGES].name);
			return -EINVAL;
		}
	}
	if (optind + 1 != count) {
		(void)fputs("raplsim: run takes one directory\n", stderr);
		return -EINVAL;
	}
	if (finish_options(&options) < 0)
		return -EINVAL;
	options.dir = arguments[optind];
	*ret_options = options;
	return 0;
}

void options_print_usage(FILE *out)
{
	(void)fputs(
	    "  --packages N            packages (1)\n"
	    "  --dies N                dies of each package (1)\n"
	    "  --cpus N                with --busy clock: this many CPUs, not this machine's\n"
	    "  --dram --psys --core --uncore   zones beside the packages\n"
	    "  --mmio                  a control type intel-rapl-mmio that repeats them\n"
	    "  --idle-watts W          of each package (20)\n"
	    "  --busy-watts W          of each busy CPU, on top (15)\n"
	    "  --dram-watts W          of each package's memory (3)\n"
	    "  --psys-extra-watts W    of the rest of the machine (10)\n"
	    "  --unit-uj U             one hardware unit in microjoules (61.035)\n"
	    "  --dram-unit-uj U, --psys-unit-uj U   where theirs is another\n"
	    "  --start-uj UJ           the counters' first value (1000000000)\n"
	    "  --start-below-wrap UJ   or how far it is from the wrap\n"
	    "  --update-us US          how often the hardware refreshes them (1000)\n"
	    "  --busy real|clock       this machine's CPU time, or as `load` says\n"
	    "  --time real|manual      with --busy clock: time passes as `pass` says\n"
	    "  --foreground            stay; otherwise returns once mounted\n"
	    "  --pid-file FILE         holds the process id while it runs\n",
	    out);
}
