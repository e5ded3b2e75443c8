#include "tests/sim/load.h"

#include <assert.h>
#include <math.h>

#define TWO_PI 6.283185307179586

/* How long the wobble of a load remembers, and how wide it is. */
#define WOBBLE_S     20.0
#define WOBBLE_WIDTH 0.05

/* The middle of each family; every load draws its own around it. */
static const struct profile families[PROFILE_FAMILY_COUNT] = {
    [PROFILE_INTEGER] = {0.45, 0.0002, 0.3, 1.2, 0.30, 1.0},
    [PROFILE_MEMORY] = {0.7, 0.015, 0.7, 2.2, 0.33, 0.8},
    [PROFILE_VECTOR] = {0.55, 0.002, 0.8, 2.0, 0.85, 1.3},
    [PROFILE_BRANCHY] = {0.85, 0.0008, 0.2, 1.1, 0.42, 1.1},
    [PROFILE_POLLING] = {3.0, 0.00001, 0.0, 1.0, 0.25, 0.5},
};

static double load_clamp(double value, double low, double high)
{
	return value < low ? low : value > high ? high : value;
}

void profile_draw(struct profile *ret_profile, enum profile_family family, struct dice *dice)
{
	struct profile profile = families[family];

	profile.cpi *= dice_scale(dice, 0.75, 1.33);
	profile.misses *= dice_scale(dice, 0.4, 2.5);
	profile.overlap = load_clamp(profile.overlap + dice_range(dice, -0.15, 0.15), 0, 0.9);
	profile.traffic = 1 + (profile.traffic - 1) * dice_range(dice, 0.3, 1.7);
	profile.instruction_w *= dice_scale(dice, 0.8, 1.25);
	profile.clock_scale *= dice_scale(dice, 0.85, 1.18);
	*ret_profile = profile;
}

static void load_draw_profiles(struct load *load, enum host_class host_class,
			       const struct profile *common, struct dice *dice)
{
	bool equal = host_class == HOST_EQUAL || host_class == HOST_SMT;

	load->profile_count = equal ? 1 : 1 + dice_below(dice, LOAD_PROFILE_MAX);
	for (size_t i = 0; i < load->profile_count; i++) {
		size_t family = dice_below(dice, PROFILE_FAMILY_COUNT);

		/* Polling is rarer than work. */
		if (family == PROFILE_POLLING && dice_chance(dice, 0.6))
			family = PROFILE_INTEGER;
		if (equal)
			load->profiles[i] = *common;
		else
			profile_draw(&load->profiles[i], (enum profile_family)family, dice);
	}
	load->profile = dice_below(dice, load->profile_count);
	load->dwell_s = dice_scale(dice, 10, 300);
	load->wobble = equal ? 0 : WOBBLE_WIDTH * dice_normal(dice);
}

static enum load_pattern load_draw_pattern(enum host_class host_class, struct dice *dice)
{
	double chance = dice_unit(dice);

	if (host_class == HOST_PACKED)
		return LOAD_FULL;
	if (host_class == HOST_BURSTY)
		return LOAD_BURSTS;
	if (chance < 0.3)
		return LOAD_STEADY;
	if (chance < 0.7)
		return LOAD_STEPS;
	return chance < 0.85 ? LOAD_WAVE : LOAD_BURSTS;
}

void load_draw(struct load *ret_load, enum host_class host_class, const struct profile *common,
	       double now_s, struct dice *dice)
{
	struct load load = {.pattern = load_draw_pattern(host_class, dice)};

	load.low = dice_range(dice, 0.0, 0.4);
	load.high = dice_range(dice, 0.3, 1.0);
	if (host_class == HOST_LIGHT) {
		load.low *= 0.3;
		load.high = dice_range(dice, 0.1, 0.6);
	}
	if (host_class == HOST_SMT)
		load.low = dice_range(dice, 0.3, 0.9);
	if (load.high < load.low)
		load.high = load.low;
	load.level = dice_range(dice, load.low, load.high);
	load.period_s = dice_scale(dice, 15, 240);
	if (host_class == HOST_BURSTY || dice_chance(dice, 0.3)) {
		load.on_s = dice_scale(dice, 0.1, 5);
		load.off_s = dice_scale(dice, 0.2, 8);
	} else {
		load.on_s = dice_scale(dice, 2, 40);
		load.off_s = dice_scale(dice, 2, 60);
	}
	load_draw_profiles(&load, host_class, common, dice);
	load.change_at_s = now_s;
	load.switch_at_s = now_s + dice_exponential(dice, load.dwell_s);
	*ret_load = load;
}

static void load_step_level(struct load *load, double now_s, struct dice *dice)
{
	switch (load->pattern) {
	case LOAD_FULL:
		load->level = 1;
		break;
	case LOAD_WAVE:
		load->level = load->low + (load->high - load->low) *
					      (0.5 + 0.5 * sin(TWO_PI * now_s / load->period_s));
		break;
	case LOAD_STEADY:
	case LOAD_GIVEN:
		break;
	case LOAD_STEPS:
		if (now_s < load->change_at_s)
			break;
		load->level = dice_range(dice, load->low, load->high);
		load->change_at_s = now_s + dice_exponential(dice, load->period_s);
		break;
	case LOAD_BURSTS:
		if (now_s < load->change_at_s)
			break;
		load->on = !load->on;
		load->level = load->on ? load->high : 0.02 * load->low;
		load->change_at_s =
		    now_s + dice_exponential(dice, load->on ? load->on_s : load->off_s);
		break;
	}
}

void load_step(struct load *load, double now_s, double step_s, struct dice *dice)
{
	double kept = 1 - step_s / WOBBLE_S;

	assert(load->profile_count > 0);
	load_step_level(load, now_s, dice);
	if (load->profile_count == 1 && load->wobble == 0)
		return;
	load->wobble =
	    load->wobble * kept + WOBBLE_WIDTH * sqrt(1 - kept * kept) * dice_normal(dice);
	if (now_s < load->switch_at_s)
		return;
	load->profile = dice_below(dice, load->profile_count);
	load->switch_at_s = now_s + dice_exponential(dice, load->dwell_s);
}
