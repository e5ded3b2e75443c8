#include "tests/sim/hardware.h"

const char *const host_class_names[HOST_CLASS_COUNT] = {
    [HOST_EQUAL] = "equal", [HOST_MIXED] = "mixed",   [HOST_DVFS] = "dvfs",	[HOST_SMT] = "smt",
    [HOST_LIGHT] = "light", [HOST_PACKED] = "packed", [HOST_BURSTY] = "bursty",
};

static void hardware_draw_shape(struct hardware *hardware, enum host_class host_class,
				struct dice *dice)
{
	static const size_t cores[] = {4, 6, 8, 8, 10, 12, 16};

	hardware->sockets = 1 + dice_below(dice, HARDWARE_SOCKET_MAX);
	hardware->cores = cores[dice_below(dice, sizeof(cores) / sizeof(cores[0]))];
	hardware->threads = host_class == HOST_SMT || dice_chance(dice, 0.65) ? 2 : 1;
	if (host_class == HOST_LIGHT && hardware->cores < 8)
		hardware->cores = 8;
}

static void hardware_draw_frequency(struct hardware *hardware, enum host_class host_class,
				    struct dice *dice)
{
	switch (host_class) {
	case HOST_DVFS:
		hardware->governor = GOVERNOR_ONDEMAND;
		break;
	case HOST_SMT:
		hardware->governor = GOVERNOR_FIXED;
		break;
	case HOST_EQUAL:
	case HOST_MIXED:
	case HOST_LIGHT:
	case HOST_PACKED:
	case HOST_BURSTY:
	case HOST_CLASS_COUNT:
		hardware->governor = dice_chance(dice, 0.7) ? GOVERNOR_TURBO : GOVERNOR_FIXED;
		break;
	}
	hardware->governor_lag_s = dice_scale(dice, 0.01, 0.3);
	hardware->ghz_min = dice_range(dice, 0.8, 1.2);
	hardware->ghz_base = dice_range(dice, 2.0, 3.0);
	hardware->ghz_turbo_all = hardware->ghz_base * dice_range(dice, 1.05, 1.3);
	hardware->ghz_turbo_one = hardware->ghz_turbo_all * dice_range(dice, 1.03, 1.3);
	hardware->turbo_curve = dice_range(dice, 0.5, 1.5);
	hardware->volt_min = dice_range(dice, 0.65, 0.8);
	hardware->volt_max = dice_range(dice, 1.0, 1.25);
	hardware->volt_curve = dice_range(dice, 1.0, 2.0);
}

static void hardware_draw_core(struct hardware *hardware, struct dice *dice)
{
	hardware->core_base_w = dice_scale(dice, 0.1, 0.8);
	hardware->core_clock_w = dice_scale(dice, 0.05, 0.5);
	hardware->instruction_scale = dice_scale(dice, 0.6, 2.0);
	hardware->core_leak_w = dice_scale(dice, 0.1, 0.6);
	hardware->memory_ns = dice_range(dice, 70, 130);
	hardware->smt_yield = dice_range(dice, 0.55, 0.75);
	hardware->smt_together = dice_range(dice, -0.2, 0.4);
}

static void hardware_draw_package(struct hardware *hardware, struct dice *dice)
{
	double per_core = dice_range(dice, 0.4, 1.6);

	hardware->idle_w = dice_range(dice, 8, 25) + per_core * (double)hardware->cores;
	/* Every other host has deep package states switched off: then waking costs nothing. */
	hardware->wake_w =
	    dice_chance(dice, 0.5) ? hardware->idle_w * dice_range(dice, 0.02, 0.15) : 0;
	hardware->uncore_w = hardware->idle_w * dice_range(dice, 0, 0.15);
	hardware->uncore_cpus = dice_range(dice, 2, 16);
	hardware->miss_nj = dice_scale(dice, 5, 50);
	hardware->heat_per_w = dice_range(dice, 0, 0.08);
	hardware->heat_lag_s = dice_scale(dice, 3, 40);
}

static void hardware_draw_memory(struct hardware *hardware, struct dice *dice)
{
	static const double sizes_gib[] = {64, 96, 128, 192, 256, 384};

	hardware->memory_gib = sizes_gib[dice_below(dice, sizeof(sizes_gib) / sizeof(double))];
	hardware->dram_counted = dice_chance(dice, 0.8);
	hardware->dram_idle_w = hardware->memory_gib * dice_range(dice, 0.02, 0.06);
	hardware->dram_line_nj = dice_scale(dice, 10, 40);
	hardware->numa_local = dice_range(dice, 0.5, 1.0);
	hardware->psys = dice_chance(dice, 0.3);
	hardware->platform_w = dice_range(dice, 15, 80);
	hardware->supply_yield = dice_range(dice, 0.8, 0.94);
}

static void hardware_draw_counters(struct hardware *hardware, struct dice *dice)
{
	static const double ticks_s[] = {0.001, 0.004, 0.01};

	/* Intel's 2^-14 J, its servers' DRAM and AMD's packages in 2^-16 J. */
	hardware->package_unit_j = dice_chance(dice, 0.7) ? 0x1p-14 : 0x1p-16;
	hardware->dram_unit_j = 0x1p-16;
	hardware->refresh_s = dice_range(dice, 0.00095, 0.0011);
	hardware->thread_tick_s = ticks_s[dice_below(dice, sizeof(ticks_s) / sizeof(double))];
	hardware->cpu_ticked = dice_chance(dice, 0.5);
	hardware->event_noise = dice_chance(dice, 0.5) ? dice_range(dice, 0.002, 0.03) : 0;
}

void hardware_draw(struct hardware *ret_hardware, enum host_class host_class, struct dice *dice)
{
	struct hardware hardware = {.sockets = 1};

	hardware_draw_shape(&hardware, host_class, dice);
	hardware_draw_frequency(&hardware, host_class, dice);
	hardware_draw_core(&hardware, dice);
	hardware_draw_package(&hardware, dice);
	hardware_draw_memory(&hardware, dice);
	hardware_draw_counters(&hardware, dice);
	*ret_hardware = hardware;
}
