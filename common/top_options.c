#include "common/parse.h"
#include "common/top.h"
#include "common/top_canvas.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	TOP_OPTION_ONCE = 0x400,
	TOP_OPTION_WIDTH,
	TOP_OPTION_HEIGHT,
	TOP_OPTION_FILTER,
	TOP_OPTION_KIND,
	TOP_OPTION_WATT_HOURS,
};

/* In the order of enum top_sort. */
static const char *const top_sort_names[TOP_SORT_COUNT] = {"power", "energy", "cpu", "name"};

static int top_sort_parse(const char *name, enum top_sort *ret_sort)
{
	for (int i = 0; i < TOP_SORT_COUNT; i++) {
		if (strcmp(top_sort_names[i], name) == 0) {
			*ret_sort = (enum top_sort)i;
			return 0;
		}
	}
	return -EINVAL;
}

/* COLUMNS, as shells have it; what is no width is not taken. */
static void top_options_take_columns(struct top_options *options)
{
	const char *columns = getenv("COLUMNS");
	uint32_t width;

	if (columns != NULL && parse_u32(columns, &width) == 0 && width <= TOP_CANVAS_MAX)
		options->width = width;
}

static void top_parse_size(const struct argp_state *state, const char *option, const char *argument,
			   uint32_t *ret_size)
{
	if (parse_u32(argument, ret_size) < 0 || *ret_size == 0 || *ret_size > TOP_CANVAS_MAX)
		argp_error(state, "--%s is 1 to %d, not '%s'", option, TOP_CANVAS_MAX, argument);
}

static error_t top_options_parse(int key, char *argument, struct argp_state *state)
{
	struct top_options *options = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		top_options_take_columns(options);
		return 0;
	case 'd':
		if (parse_duration_ns(argument, &options->period_ns) < 0 ||
		    options->period_ns < TOP_PERIOD_NS_MIN ||
		    options->period_ns > TOP_PERIOD_NS_MAX)
			argp_error(state, "-d is 100ms to 10s, with its unit, not '%s'", argument);
		return 0;
	case TOP_OPTION_ONCE:
		options->once = true;
		return 0;
	case TOP_OPTION_WIDTH:
		top_parse_size(state, "width", argument, &options->width);
		return 0;
	case TOP_OPTION_HEIGHT:
		top_parse_size(state, "height", argument, &options->height);
		return 0;
	case 's':
		if (top_sort_parse(argument, &options->sort) < 0)
			argp_error(state, "--sort is power, energy, cpu or name, not '%s'",
				   argument);
		return 0;
	case TOP_OPTION_FILTER:
		options->filter = argument;
		return 0;
	case TOP_OPTION_KIND:
		options->kind = argument;
		return 0;
	case TOP_OPTION_WATT_HOURS:
		options->watt_hours = true;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option top_options_list[] = {
    {"once", TOP_OPTION_ONCE, NULL, 0, "Print one picture as plain text", 1},
    {"delay", 'd', "TIME", 0, "Look so often: 100ms to 10s (1s)", 1},
    {"sort", 's', "BY", 0, "Order by power, energy, cpu or name", 1},
    {"filter", TOP_OPTION_FILTER, "TEXT", 0, "Only what has it in its name", 1},
    {"kind", TOP_OPTION_KIND, "KIND", 0, "Begin with that kind, where there are several", 1},
    {"watt-hours", TOP_OPTION_WATT_HOURS, NULL, 0, "Energy in Wh instead of J", 1},
    {"width", TOP_OPTION_WIDTH, "COLUMNS", 0, "--once: so wide (COLUMNS, or 80)", 1},
    {"height", TOP_OPTION_HEIGHT, "LINES", 0, "--once: so high (as it takes)", 1},
    {NULL, 0, NULL, 0, NULL, 0},
};

const struct argp top_argp = {.options = top_options_list, .parser = top_options_parse};
