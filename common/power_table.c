#include "common/power_table.h"

#include <stddef.h>
#include <string.h>

/*
 * Rule: what a package draws is a curve over its load that differs from model to model.
 * What we do: idle and busy power are fixed parts of the thermal design power, a line between them.
 *
 * The parts are from two measured load curves, RAPL package power over busy threads:
 *     2 x Xeon E5-2620 v3 (2 x 85 W):  0: 15.7 W   2: 34.6 W   12: 67 W     24: 96 W
 *     EPYC 8024P (90 W):               0: 17.7 W   1: 37.5 W    8: 49.3 W   16: 46.7 W
 * The curves say what the line gets wrong: the first busy threads cost far more than the last, so
 * that a lightly loaded machine draws up to twice the estimate's dynamic part.
 */
struct power_vendor {
	uint32_t idle_permille; /* of the TDP */
	uint32_t busy_permille;
	uint32_t core_tdp_w; /* for models that are not in the table: its typical TDP a core */
};

static const struct power_vendor power_intel = {92, 565, 8};
static const struct power_vendor power_amd = {197, 519, 5};
/* Between the two. */
static const struct power_vendor power_other = {145, 542, 6};

/* A package without a row has at least this: the smallest TDP of the table. */
#define POWER_TABLE_TDP_W_MIN 15

/* TDP as the makers' own pages give it (ark.intel.com, amd.com): the default one, no cTDP. */
static const struct {
	const char *name; /* a whole word of the model name */
	uint32_t tdp_w;
} power_models[] = {
    {"E5-2620 v3", 85},	    {"E5-2630 v4", 85},	    {"E5-2680 v4", 120},    {"Gold 6130", 125},
    {"Gold 6248", 150},	    {"Gold 6430", 270},	    {"Platinum 8280", 205}, {"Platinum 8380", 270},
    {"Platinum 9242", 350}, {"EPYC 7302", 155},	    {"EPYC 7402", 180},	    {"EPYC 7502", 180},
    {"EPYC 7742", 225},	    {"EPYC 7763", 280},	    {"EPYC 8024P", 90},	    {"EPYC 9354", 280},
    {"EPYC 9654", 360},	    {"i7-4770S", 65},	    {"i7-8550U", 15},	    {"i5-8250U", 15},
    {"Ryzen 5 3600", 65},   {"Ryzen 7 5800X", 105}, {"Ryzen 9 5950X", 105},
};

/* Whether `word` stands in `text` with nothing of a name directly behind it ("6248" / "6248R"). */
static bool power_has_word(const char *text, const char *word)
{
	size_t length = strlen(word);

	for (const char *found = strstr(text, word); found != NULL;
	     found = strstr(found + 1, word)) {
		char next = found[length];
		bool goes_on = (next >= '0' && next <= '9') || (next >= 'A' && next <= 'Z') ||
			       (next >= 'a' && next <= 'z');

		if (!goes_on)
			return true;
	}
	return false;
}

static uint32_t power_known_tdp_w(const struct cpu_model *model)
{
	for (size_t i = 0; i < sizeof(power_models) / sizeof(power_models[0]); i++)
		if (power_has_word(model->name, power_models[i].name))
			return power_models[i].tdp_w;
	return 0;
}

static uint32_t power_guess_tdp_w(const struct power_vendor *vendor, size_t core_count)
{
	if (core_count > POWER_TABLE_TDP_W_MAX / vendor->core_tdp_w)
		return POWER_TABLE_TDP_W_MAX;
	if (core_count * vendor->core_tdp_w < POWER_TABLE_TDP_W_MIN)
		return POWER_TABLE_TDP_W_MIN;
	return (uint32_t)core_count * vendor->core_tdp_w;
}

struct power_figures power_table_lookup(const struct cpu_model *model, size_t core_count,
					uint32_t tdp_w)
{
	const struct power_vendor *vendor = &power_other;
	struct power_figures figures = {.tdp_w = tdp_w, .tdp_known = true};

	if (cpu_model_is_amd(model))
		vendor = &power_amd;
	else if (strcmp(model->vendor, "GenuineIntel") == 0)
		vendor = &power_intel;
	if (figures.tdp_w == 0)
		figures.tdp_w = power_known_tdp_w(model);
	if (figures.tdp_w == 0) {
		figures.tdp_w = power_guess_tdp_w(vendor, core_count);
		figures.tdp_known = false;
	}
	if (figures.tdp_w > POWER_TABLE_TDP_W_MAX)
		figures.tdp_w = POWER_TABLE_TDP_W_MAX;
	figures.idle_uw = (uint64_t)figures.tdp_w * vendor->idle_permille * 1000;
	figures.busy_uw = (uint64_t)figures.tdp_w * vendor->busy_permille * 1000;
	return figures;
}
