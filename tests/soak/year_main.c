/*
 * soak_year: wattportd's meter and wattport-fs' readings over a simulated host whose year passes in
 * minutes, under a random schedule of all that may befall them. The same seed, the same run.
 */
#include "tests/soak/year.h"
#include "tests/soak/year_books.h"
#include "tests/soak/year_calls.h"
#include "tests/soak/year_host.h"
#include "tests/soak/year_meter.h"
#include "tests/soak/year_provider.h"
#include "tests/soak/year_readers.h"
#include "tests/unit/check.h"

#include "common/log.h"
#include "common/parse.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

struct event {
	unsigned weight;
	void (*happen)(void);
};

static struct {
	uint64_t seed;
	uint64_t random;
	uint64_t minutes;
	uint64_t until; /* the last event */
	uint64_t events, samples;
} run = {.seed = 1, .minutes = 1, .until = UINT64_MAX};

uint64_t year_below(uint64_t limit)
{
	return check_random_below(&run.random, limit);
}

bool year_chance(uint64_t one_in)
{
	return year_below(one_in) == 0;
}

static void print_time(void)
{
	(void)printf("year seed %" PRIu64 " event %" PRIu64 " day %.3f ", run.seed, run.events,
		     (double)year_host.true_ns / (double)YEAR_DAY);
}

void year_event(const char *format, ...)
{
	va_list arguments;

	print_time();
	va_start(arguments, format);
	(void)vprintf(format, arguments);
	va_end(arguments);
	(void)printf("\n");
}

static void clear_up(void)
{
	year_readers_end();
	year_meter_end();
	year_host_end();
}

void year_violation(const char *format, ...)
{
	va_list arguments;

	(void)printf("VIOLATION ");
	print_time();
	va_start(arguments, format);
	(void)vprintf(format, arguments);
	va_end(arguments);
	(void)printf("\nagain: tests/soak/run --part year --seed %" PRIu64 " --until %" PRIu64 "\n",
		     run.seed, run.events);
	(void)fflush(stdout);
	year_meter_remove_directories();
	year_host_end();
	_exit(1);
}

void year_give_up(const char *what)
{
	(void)fprintf(stderr, "soak_year: %s: %s\n", what, strerror(errno));
	_exit(3);
}

/* --- what may happen ---------------------------------------------------------------------------
 */

static struct year_vm *any_vm(bool known, bool running)
{
	size_t first = (size_t)year_below(YEAR_VM_MAX);

	for (size_t i = 0; i < YEAR_VM_MAX; i++) {
		struct year_vm *vm = &year_host.vms[(first + i) % YEAR_VM_MAX];

		if (vm->known == known && vm->running == running)
			return vm;
	}
	return NULL;
}

static struct year_zone *any_zone(void)
{
	return &year_host.zones[year_below(YEAR_ZONE_COUNT)];
}

static void arrive(void)
{
	struct year_vm *vm = any_vm(false, false);

	if (vm == NULL)
		return;
	year_readers_forget((size_t)(vm - year_host.vms));
	year_vm_arrive(vm);
	year_vm_start(vm, year_chance(2));
	year_event("%s arrives as process %d", vm->name, vm->threads[YEAR_VCPU_MAX].tid);
}

static void depart(void)
{
	struct year_vm *vm = any_vm(true, year_chance(2));

	if (vm == NULL)
		return;
	year_event("%s departs", vm->name);
	year_vm_depart(vm);
}

/* Its account may have departed meanwhile; then its counters begin anew. */
static void come_back(void)
{
	struct year_vm *vm = any_vm(false, false);

	if (vm == NULL || vm->name[0] == '\0')
		return;
	if (year_meter_runs()) {
		/* It may have departed since, and that be not shown yet. */
		year_meter_sample();
		year_meter_check();
	}
	if (!vm->seen) {
		year_readers_forget((size_t)(vm - year_host.vms));
		/* These remember what it was told in its former life. */
		for (size_t i = 0; i < YEAR_SERVER_COUNT; i++)
			year_readers_restart(i, false);
	}
	vm->known = true;
	year_vm_start(vm, year_chance(2));
	year_event("%s returns as process %d%s", vm->name, vm->threads[YEAR_VCPU_MAX].tid,
		   vm->seen ? "" : ", after its account had departed");
}

static void start_vm(void)
{
	struct year_vm *vm = any_vm(true, false);

	if (vm == NULL)
		return;
	year_vm_start(vm, year_chance(2));
	year_event("%s starts as process %d", vm->name, vm->threads[YEAR_VCPU_MAX].tid);
}

static void stop_vm(void)
{
	struct year_vm *vm = any_vm(true, true);

	if (vm == NULL)
		return;
	year_event("%s stops", vm->name);
	year_vm_stop(vm);
	if (year_chance(2))
		return;
	/* At once another one, with the process id of the first. */
	year_vm_start(vm, false);
	year_event("%s starts again as process %d", vm->name, vm->threads[YEAR_VCPU_MAX].tid);
}

static void rename_vm(void)
{
	struct year_vm *vm = any_vm(true, year_chance(2));

	if (vm == NULL)
		return;
	(void)snprintf(vm->name, sizeof(vm->name), "renamed-%" PRIu64, year_below(1000));
	year_host.roster_changed = true;
	year_event("a machine is %s now", vm->name);
}

static void plug_vcpu(void)
{
	struct year_vm *vm = any_vm(true, true);

	if (vm == NULL)
		return;
	if (year_chance(2))
		year_vm_plug(vm);
	else
		year_vm_unplug(vm);
	year_event("%s has %zu vCPUs", vm->name, vm->vcpu_count);
}

static void plug_cpu(void)
{
	size_t cpu = 1 + (size_t)year_below(YEAR_CPU_COUNT - 1);

	year_host_plug_cpu(cpu, year_host.offline[cpu]);
	year_event("CPU %zu is %s", cpu, year_host.offline[cpu] ? "offline" : "online");
}

static void break_zone(void)
{
	static const int errors[] = {EIO, ENODATA, EAGAIN, EACCES, ENODEV};
	struct year_zone *zone = any_zone();

	zone->error = zone->error != 0 ? 0 : errors[year_below(CHECK_COUNT(errors))];
	year_event("%s reads with error %d", zone->id, zone->error);
}

static void move_zone(void)
{
	/* The first package stays: the kernel has no class without a zone. */
	struct year_zone *zone = &year_host.zones[1 + year_below(YEAR_ZONE_COUNT - 1)];

	if (zone->present)
		year_zone_remove(zone);
	else
		year_zone_add(zone);
	year_event("%s %s", zone->id, zone->present ? "returns" : "vanishes");
}

static void reset_zone(void)
{
	struct year_zone *zone = any_zone();

	year_zone_reset(zone);
	year_event("%s begins anew at %" PRIu64 " uJ", zone->id, year_zone_raw_uj(zone));
}

static void end_meter(void)
{
	if (!year_meter_runs())
		return;
	if (year_chance(2)) {
		year_event("wattportd is killed");
		year_meter_kill();
	} else {
		year_event("wattportd is stopped");
		year_meter_stop();
	}
	/* Most often the service manager starts another at once. */
	if (!year_chance(4))
		year_meter_start();
}

static void restart_server(void)
{
	size_t server = (size_t)year_below(YEAR_SERVER_COUNT);
	bool with_memory = year_chance(2);

	year_event("wattport-fs %zu starts anew %s what it told", server,
		   with_memory ? "with" : "without");
	year_readers_restart(server, with_memory);
}

static void cut_power(void)
{
	bool in_saving = year_meter_runs() && year_chance(2) && !year_disk_failed();
	bool damaged = !in_saving && !year_disk_failed() && year_disk_saved() > 2 && year_chance(4);

	year_event("the power is cut%s%s", in_saving ? " in the midst of a saving" : "",
		   damaged ? ", and ledger.state damaged" : "");
	year_meter_power_cut(in_saving, damaged);
}

static void reboot(void)
{
	year_event("the host is rebooted");
	year_meter_reboot();
}

static void lose_map(void)
{
	bool overwritten = year_chance(2);

	year_event("the ledger in /run is %s", overwritten ? "overwritten" : "deleted");
	year_meter_lose_map(overwritten);
}

static void fill_disk(void)
{
	static bool full;

	full = !full;
	year_disk_set_full(full);
	year_event("the disk %s", full ? "is full" : "has room again");
}

static void suspend(void)
{
	uint64_t hours = 1 + year_below(20);
	bool reset = year_chance(2);

	year_event("suspended for %" PRIu64 " h, counters %s", hours, reset ? "reset" : "kept");
	year_host_suspend(hours * YEAR_HOUR, reset);
}

static void set_wall_clock(void)
{
	uint64_t step_ns = year_below(year_chance(4) ? 2 * YEAR_DAY : 600 * YEAR_SECOND);
	bool back = year_chance(2);

	year_host.clock.wall.ns += back ? -step_ns : step_ns;
	year_event("the wall clock is set %s by %" PRIu64 " s", back ? "back" : "forward",
		   step_ns / YEAR_SECOND);
}

static void lose_provider(void)
{
	year_provider_set_away(!year_provider_is_away());
	year_event("libvirtd is %s", year_provider_is_away() ? "away" : "back");
}

static void hang(void)
{
	uint64_t ns = year_below(3 * YEAR_HOUR);

	year_event("wattportd hangs for %" PRIu64 " s", ns / YEAR_SECOND);
	for (size_t i = 0; i < 4; i++) {
		year_host_pass(ns / 4);
		year_readers_read();
	}
}

static void reload(void)
{
	if (!year_meter_runs())
		return;
	year_event("reload");
	year_meter_reload();
}

static const struct event events[] = {
    {12, arrive},    {6, depart},     {4, come_back},	   {6, start_vm},	{8, stop_vm},
    {2, rename_vm},  {4, plug_vcpu},  {2, plug_cpu},	   {6, break_zone},	{4, move_zone},
    {2, reset_zone}, {12, end_meter}, {8, restart_server}, {3, cut_power},	{2, reboot},
    {2, lose_map},   {2, fill_disk},  {2, suspend},	   {3, set_wall_clock}, {3, lose_provider},
    {2, hang},	     {3, reload},
};

static void happen(void)
{
	unsigned all = 0, drawn;

	for (size_t i = 0; i < CHECK_COUNT(events); i++)
		all += events[i].weight;
	drawn = (unsigned)year_below(all);
	for (size_t i = 0; i < CHECK_COUNT(events); i++) {
		if (drawn < events[i].weight) {
			run.events++;
			events[i].happen();
			year_readers_read();
			if (year_meter_runs())
				year_meter_check();
			return;
		}
		drawn -= events[i].weight;
	}
}

/* --- the run ------------------------------------------------------------------------------------
 */

static void pass_time(void)
{
	static const uint64_t limits_ns[] = {2 * YEAR_MS, 2 * YEAR_SECOND, 60 * YEAR_SECOND,
					     60 * YEAR_SECOND, 60 * YEAR_SECOND};

	year_host_pass(year_below(limits_ns[year_below(CHECK_COUNT(limits_ns))]));
}

static void step(void)
{
	pass_time();
	if (!year_meter_runs() && year_chance(4)) {
		year_event("wattportd is started");
		year_meter_start();
	}
	if (year_meter_runs() && !year_chance(4)) {
		year_meter_sample();
		if (run.samples++ % 16 == 0)
			year_meter_check();
	}
	if (year_chance(2))
		year_readers_read();
	if (year_chance(20))
		happen();
}

static int run_all(void)
{
	time_t end = time(NULL) + (time_t)(60 * run.minutes);
	struct year_books_sum sum;

	run.random = run.seed;
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	log_init("soak_year", LOG_LEVEL_ERROR);
	year_host_begin();
	year_books_begin();
	year_meter_begin();
	year_readers_begin(year_meter_runtime_fd());
	while (run.events < run.until && time(NULL) < end)
		for (int i = 0; i < 100 && run.events < run.until; i++)
			step();
	sum = year_books_sum();
	print_time();
	(void)printf("ends: %" PRIu64 " samples, 0 violations; %" PRIu64 " J booked, %" PRIu64
		     " J lost by power cuts, %" PRIu64 " J that no counter told\n",
		     run.samples, sum.measured_j, sum.cut_j, sum.untold_j);
	clear_up();
	return 0;
}

int main(int argc, char *argv[])
{
	for (int i = 1; i < argc; i++) {
		uint64_t *number = NULL;

		if (strcmp(argv[i], "--seed") == 0)
			number = &run.seed;
		else if (strcmp(argv[i], "--minutes") == 0)
			number = &run.minutes;
		else if (strcmp(argv[i], "--until") == 0)
			number = &run.until;
		if (number == NULL || i + 1 == argc || parse_u64(argv[++i], number) < 0) {
			(void)fprintf(stderr, "usage: soak_year [--seed N] [--minutes N] "
					      "[--until EVENT]\n");
			return 2;
		}
	}
	return run_all();
}
