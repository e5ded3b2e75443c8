#include "tests/soak/year_meter.h"
#include "tests/soak/year.h"
#include "tests/soak/year_books.h"
#include "tests/soak/year_calls.h"
#include "tests/soak/year_host.h"
#include "tests/soak/year_readers.h"

#include "common/cleanup.h"
#include "common/ledger_floors.h"
#include "common/ledger_map.h"
#include "common/ledger_store.h"
#include "host/meter.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WARM_CLOSINGS 30		/* until then memory may grow */
#define HEAP_SLACK    (64 * 1024)	/* of what a closed meter leaves */
#define LIVE_SLACK    (8 * 1024 * 1024) /* of what a running one takes */

static struct {
	char path[2][64]; /* runtime, state */
	int runtime_fd, state_fd;
	struct sysroot *root;
	struct settings settings;
	struct meter *meter;
	uint64_t published_ns;	    /* true time */
	uint64_t published_wall_ns; /* as the host had it */
	uint32_t boot;		    /* of the last one */
	unsigned closings;
	int fds; /* open beside those of the simulated host */
	size_t heap, live_heap;
} run;

static int make_directory(char path[static 64])
{
	int fd;

	(void)snprintf(path, 64, "%s/wattport-test-XXXXXX",
		       access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	if (mkdtemp(path) == NULL)
		year_give_up("a temporary directory");
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		year_give_up(path);
	return fd;
}

static void remove_directory(const char *path)
{
	DIR *directory = opendir(path);
	const struct dirent *entry;

	if (directory == NULL)
		return;
	while ((entry = readdir(directory)) != NULL)
		if (entry->d_name[0] != '.' || strlen(entry->d_name) > 2)
			(void)unlinkat(dirfd(directory), entry->d_name, 0);
	(void)closedir(directory);
	(void)rmdir(path);
}

/* The fields are compared with what they may be, so a copy of the whole is taken once only. */
static void read_host(struct ledger_host *ret_host)
{
	static struct ledger_reader *reader;
	struct diag diag = DIAG_INIT;

	ledger_reader_close(reader);
	reader = NULL;
	if (ledger_reader_open(run.runtime_fd, &reader, &diag) < 0)
		year_violation("ledger: it cannot be opened: %s", diag.text);
	if (ledger_reader_host(reader, ret_host) < 0)
		year_violation("ledger: it cannot be read");
	ledger_reader_close(reader);
	reader = NULL;
}

static size_t heap_used(void)
{
	struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd - year_disk_bytes();
}

/* Those of the simulated host come and go with its machines. */
static int count_fds(void)
{
	DIR *directory = opendir("/proc/self/fd");
	const struct dirent *entry;
	int count = -1; /* the directory's own */

	if (directory == NULL)
		year_give_up("/proc/self/fd");
	while ((entry = readdir(directory)) != NULL)
		count += entry->d_name[0] != '.';
	(void)closedir(directory);
	for (size_t i = 0; i < YEAR_ZONE_COUNT; i++)
		count -= year_host.zones[i].present;
	for (size_t i = 0; i < YEAR_VM_MAX; i++)
		for (size_t k = 0; k < YEAR_THREAD_MAX; k++)
			count -= year_host.vms[i].threads[k].tid != 0 ? 2 : 0;
	return count;
}

/* Whatever a run of wattportd has opened and allocated went with it. */
static void check_resources(void)
{
	int fds = count_fds();
	size_t heap = heap_used();

	if (run.closings++ < WARM_CLOSINGS) {
		run.fds = fds > run.fds ? fds : run.fds;
		run.heap = heap > run.heap ? heap : run.heap;
		return;
	}
	/* Fewer: a server has not yet looked at the ledger. */
	if (fds > run.fds)
		year_violation("descriptors: %d are open behind a run of the meter, there were %d",
			       fds, run.fds);
	if (heap > run.heap + HEAP_SLACK)
		year_violation("memory: %zu bytes are in use behind a run of the meter, there "
			       "were %zu",
			       heap, run.heap);
}

static void check_live_heap(void)
{
	size_t heap = heap_used();

	if (run.closings < WARM_CLOSINGS)
		run.live_heap = heap > run.live_heap ? heap : run.live_heap;
	else if (heap > run.live_heap + LIVE_SLACK)
		year_violation("memory: %zu bytes are in use, there were %zu at most", heap,
			       run.live_heap);
}

static void check_account(const struct ledger_vm *account)
{
	for (size_t i = 0; i < YEAR_VM_MAX; i++) {
		struct year_vm *vm = &year_host.vms[i];

		if (uuid_is_nil(&vm->uuid) || !uuid_equal(&vm->uuid, &account->uuid))
			continue;
		vm->seen = true;
		if (account->vcpu_ns + account->overhead_ns > vm->spent_ns)
			year_violation("cpu time: %s has %" PRIu64 " ns booked, and spent %" PRIu64,
				       vm->name, account->vcpu_ns + account->overhead_ns,
				       vm->spent_ns);
	}
}

void year_meter_check(void)
{
	cleanup_ledger_reader struct ledger_reader *reader = NULL;
	struct ledger_copy copy;
	struct diag diag = DIAG_INIT;

	if (ledger_reader_open(run.runtime_fd, &reader, &diag) < 0)
		year_violation("ledger: it cannot be opened: %s", diag.text);
	if (ledger_reader_copy(reader, &copy) < 0)
		year_violation("ledger: it cannot be copied");
	for (uint32_t i = 0; i < copy.host.zone_count; i++) {
		int64_t error_uj =
		    ledger_copy_conservation_error_uj(&copy.host, copy.vms, copy.vm_count, i);

		if (error_uj != 0)
			year_violation("conservation: %s is %" PRId64 " uJ more than its parts",
				       copy.host.zones[i].zone.id, error_uj);
	}
	for (size_t i = 0; i < YEAR_VM_MAX; i++)
		year_host.vms[i].seen = false;
	for (size_t i = 0; i < copy.vm_count; i++)
		check_account(&copy.vms[i]);
	year_books_check(&copy.host, false);
	ledger_copy_free(&copy);
	check_live_heap();
}

static void note_publication(void)
{
	run.published_ns = year_host.true_ns;
	run.published_wall_ns = year_host.clock.wall.ns;
}

void year_meter_sample(void)
{
	struct ledger_host host;

	uint64_t before = meter_sample_count(run.meter);
	bool sampled;

	year_host_show();
	meter_sample(run.meter);
	/* It waits for a provider that is away, for a while after its return. */
	sampled = meter_sample_count(run.meter) != before;
	read_host(&host);
	year_books_check(&host, sampled);
	meter_checkpoint(run.meter);
	year_books_saved();
	if (sampled)
		note_publication();
}

void year_meter_start(void)
{
	struct meter_context context = {
	    .settings = &run.settings,
	    .root = run.root,
	    .clock = &year_host.clock.clock,
	    .runtime_fd = run.runtime_fd,
	    .state_fd = run.state_fd,
	    .fd_budget = year_chance(3) ? 7 : 1000,
	};
	struct diag diag = DIAG_INIT;

	/* No program starts in no time. */
	year_host_pass(YEAR_MS + year_below(50 * YEAR_MS));
	year_host_show();
	year_host.roster_changed = true;
	if (meter_create(&context, &run.meter, &diag) < 0)
		year_violation("start: wattportd cannot start: %s", diag.text);
	year_books_start(run.boot == year_host.boot);
	run.boot = year_host.boot;
	year_meter_sample();
	year_meter_check();
}

static void finish(bool killed)
{
	year_calls_set_killed(killed);
	meter_destroy(TAKE_PTR(run.meter));
	year_calls_set_killed(false);
	year_books_saved();
	check_resources();
}

void year_meter_stop(void)
{
	finish(false);
}

void year_meter_kill(void)
{
	finish(true);
}

bool year_meter_runs(void)
{
	return run.meter != NULL;
}

int year_meter_runtime_fd(void)
{
	return run.runtime_fd;
}

void year_meter_reload(void)
{
	struct settings settings = run.settings;
	struct diag diag = DIAG_INIT;

	settings.attribution_idle = (uint32_t)year_below(3);
	settings.guest_view_mode = year_chance(2) ? SETTINGS_VIEW_EXACT : SETTINGS_VIEW_ISOLATED;
	settings.meter_checkpoint_ns = (1 + year_below(20)) * YEAR_SECOND;
	if (meter_configure(run.meter, &settings, &diag) < 0)
		year_violation("reload: %s", diag.text);
	run.settings = settings;
}

/*
 * docs/continuity.md: the time away is told by the wall clock. What readers were told without
 * wattportd for longer than that will not be reached again.
 */
static bool told_in_vain(uint64_t silent_ns)
{
	uint64_t away_ms = 0;

	if (year_host.clock.wall.ns > run.published_wall_ns)
		away_ms = (year_host.clock.wall.ns - run.published_wall_ns) / YEAR_MS;
	if (away_ms < LEDGER_FLOORS_AWAY_MS_MIN)
		away_ms = LEDGER_FLOORS_AWAY_MS_MIN;
	if (away_ms > LEDGER_FLOORS_AWAY_MS_MAX)
		away_ms = LEDGER_FLOORS_AWAY_MS_MAX;
	return silent_ns / YEAR_MS + 1 >= away_ms;
}

/* All processes are gone, and /run is empty. */
static void boot(bool cut, bool damaged)
{
	uint64_t silent_ns = year_host.true_ns - run.published_ns;
	uint64_t off_ns = year_below(year_chance(10) ? 3 * YEAR_DAY : 300 * YEAR_SECOND);

	(void)unlinkat(run.runtime_fd, LEDGER_MAP_NAME, 0);
	year_readers_end();
	year_host_reboot();
	year_host.true_ns += off_ns;
	year_host.clock.wall.ns += off_ns;
	if (year_chance(8))
		year_host.clock.wall.ns = year_below(2 * year_host.clock.wall.ns);
	if (damaged || told_in_vain(silent_ns))
		year_readers_forget_all();
	year_disk_set_full(false);
	(void)cut;
}

static void restart_all(void)
{
	year_meter_start();
	year_readers_begin(run.runtime_fd);
}

/* One byte of it is another. */
static void damage_state(void)
{
	int fd = openat(run.state_fd, LEDGER_STORE_NAME, O_RDWR | O_CLOEXEC);
	off_t size = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
	unsigned char byte = 0;
	off_t place;

	if (size <= 0)
		year_give_up("ledger.state");
	place = (off_t)year_below((uint64_t)size);
	if (pread(fd, &byte, 1, place) != 1)
		year_give_up("ledger.state");
	byte ^= (unsigned char)(1 << year_below(8));
	if (pwrite(fd, &byte, 1, place) != 1)
		year_give_up("ledger.state");
	(void)close(fd);
}

static void forget_bad_files(void)
{
	for (unsigned i = 1; i <= 100; i++) {
		char name[64];

		(void)snprintf(name, sizeof(name), LEDGER_STORE_NAME ".bad-%u", i);
		(void)unlinkat(run.state_fd, name, 0);
	}
}

void year_meter_power_cut(bool in_saving, bool damaged)
{
	bool failed = year_disk_failed();
	struct ledger_host host;

	if (in_saving) {
		uint64_t before = meter_sample_count(run.meter);

		year_host_pass(21 * YEAR_SECOND);
		year_host_show();
		year_disk_freeze((unsigned)year_below(2));
		meter_sample(run.meter);
		read_host(&host);
		year_books_check(&host, meter_sample_count(run.meter) != before);
		meter_checkpoint(run.meter);
	}
	if (run.meter != NULL)
		year_meter_kill();
	year_disk_cut(year_chance(2));
	if (damaged) {
		forget_bad_files();
		damage_state();
	}
	boot(true, damaged || failed);
	if (!in_saving)
		year_books_cut(damaged);
	year_host_show();
	if (in_saving) {
		/* What it starts with tells which of the two it was. */
		cleanup_ledger struct ledger *ledger = NULL;
		struct diag diag = DIAG_INIT;

		if (ledger_create(&ledger) < 0 ||
		    ledger_store_load(run.state_fd, ledger, &diag) < 0)
			year_violation("state: %s", diag.text);
		year_books_cut_in_saving(ledger_host_const(ledger));
	}
	restart_all();
}

void year_meter_reboot(void)
{
	bool failed;

	if (run.meter == NULL)
		year_meter_start();
	year_meter_stop();
	failed = year_disk_failed();
	year_disk_cut(true);
	boot(false, failed);
	if (failed)
		year_books_cut(false);
	restart_all();
}

void year_meter_lose_map(bool overwritten)
{
	bool failed = year_disk_failed();

	if (run.meter != NULL)
		year_meter_kill();
	if (overwritten) {
		int fd = openat(run.runtime_fd, LEDGER_MAP_NAME, O_WRONLY | O_CLOEXEC);
		uint64_t rubbish = year_below(UINT64_MAX);

		if (fd < 0 || pwrite(fd, &rubbish, sizeof(rubbish), 0) != (ssize_t)sizeof(rubbish))
			year_give_up("the ledger");
		(void)close(fd);
	} else if (unlinkat(run.runtime_fd, LEDGER_MAP_NAME, 0) < 0) {
		year_give_up("the ledger");
	}
	year_books_cut(false);
	year_meter_start();
	if (failed || told_in_vain(year_host.true_ns - run.published_ns)) {
		/* The servers remember what cannot be reached again. */
		year_readers_end();
		year_readers_begin(run.runtime_fd);
	}
	/* Servers look for another map once a second. */
	year_host_pass(1001 * YEAR_MS);
}

void year_meter_begin(void)
{
	static const struct config_overrides none;
	struct diag diag = DIAG_INIT;

	run.runtime_fd = make_directory(run.path[0]);
	run.state_fd = make_directory(run.path[1]);
	year_disk_begin(run.state_fd);
	if (sysroot_open(year_host_path(), &run.root, &diag) < 0 ||
	    settings_load(SETTINGS_NO_FILE, &none, &run.settings, &diag) < 0)
		year_give_up(diag.text);
	(void)snprintf(run.settings.meter_source, sizeof(run.settings.meter_source), "powercap");
	run.settings.attribution_events = SETTINGS_EVENTS_NONE;
	run.settings.vms_metadata_ns = 0; /* there is no libvirt to write to */
	run.settings.tree_psys = true;
	year_meter_start();
}

void year_meter_remove_directories(void)
{
	for (size_t i = 0; i < 2; i++)
		if (run.path[i][0] != '\0')
			remove_directory(run.path[i]);
}

void year_meter_end(void)
{
	meter_destroy(run.meter);
	sysroot_close(run.root);
	(void)close(run.runtime_fd);
	(void)close(run.state_fd);
	year_disk_end();
	year_meter_remove_directories();
}
