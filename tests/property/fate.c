#include "tests/property/fate.h"
#include "common/ledger_floors.h"
#include "common/ledger_map.h"
#include "common/ledger_store.h"
#include "tests/unit/check.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define MS	CLOCK_NS_PER_MS
#define DAY_NS	(86400 * CLOCK_NS_PER_SECOND)
#define WALL_NS (20000 * DAY_NS)

uint64_t fate_below(struct fate *fate, uint64_t limit)
{
	return check_random_below(&fate->random, limit);
}

bool fate_chance(struct fate *fate, uint64_t one_in)
{
	return fate_below(fate, one_in) == 0;
}

void fate_pass(struct fate *fate, uint64_t elapsed_ns)
{
	manual_clock_advance(&fate->clock, elapsed_ns);
	fate->true_ns += elapsed_ns;
}

/* In memory where there is such a file system: thousands of savings are synced. */
static int fate_make_directory(char path[static 64])
{
	int fd;

	(void)snprintf(path, 64, "%s/wattport-test-XXXXXX",
		       access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	assert_non_null(mkdtemp(path));
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static struct uuid fate_uuid(size_t vm)
{
	return (struct uuid){.bytes = {0x77, (uint8_t)vm}};
}

static void fate_new_boot(struct fate *fate)
{
	fate->boot.bytes[0]++;
	fate->clock.mono.ns = fate_below(fate, fate_chance(fate, 2) ? DAY_NS : 100 * MS);
}

void fate_begin(struct fate *fate, uint64_t seed)
{
	*fate = (struct fate){.random = seed, .vm_count = 1, .fails = seed % 2 == 0};
	manual_clock_init(&fate->clock, (struct mono_time){0}, (struct wall_time){WALL_NS});
	fate->runtime_fd = fate_make_directory(fate->path[0]);
	fate->state_fd = fate_make_directory(fate->path[1]);
	fate_new_boot(fate);
	fate_start_writer(fate);
	for (size_t i = 0; i < FATE_SERVER_COUNT; i++)
		fate_restart_server(fate, i, false);
}

static void fate_end_server(struct fate_server *server, bool with_memory)
{
	reading_destroy(server->reading);
	server->reading = NULL;
	if (with_memory)
		return;
	fs_memory_destroy(server->memory);
	server->memory = NULL;
}

void fate_end(struct fate *fate)
{
	static const char *const names[] = {LEDGER_STORE_NAME, LEDGER_STORE_NAME ".old"};

	fate_kill_writer(fate);
	for (size_t i = 0; i < FATE_SERVER_COUNT; i++)
		fate_end_server(&fate->servers[i], false);
	(void)unlinkat(fate->runtime_fd, LEDGER_MAP_NAME, 0);
	for (size_t i = 0; i < CHECK_COUNT(names); i++)
		(void)unlinkat(fate->state_fd, names[i], 0);
	(void)close(fate->runtime_fd);
	(void)close(fate->state_fd);
	for (size_t i = 0; i < CHECK_COUNT(fate->path); i++)
		assert_int_equal(rmdir(fate->path[i]), 0);
}

/* The accounts of the machines that there are, as an engine would have opened them. */
static void fate_admit(struct fate *fate)
{
	struct ledger *ledger = ledger_life_ledger(fate->life);

	for (size_t i = 0; i < fate->vm_count; i++) {
		struct uuid uuid = fate_uuid(i);
		int slot = ledger_admit(ledger, &uuid);
		struct ledger_vm *vm;

		assert_true(slot > 0);
		vm = ledger_vm(ledger, (size_t)slot);
		vm->state = i == 0 ? LEDGER_VM_OFF : LEDGER_VM_RUNNING;
		vm->socket_count = i == 1 ? 3 : 1;
		vm->updated_ns = fate->clock.mono.ns;
	}
	ledger_host(ledger)->sample_count++;
}

static void fate_publish(struct fate *fate)
{
	assert_int_equal(ledger_life_publish(fate->life), 0);
	fate->published_ns = fate->true_ns;
	fate->wall_ns = fate->clock.wall.ns;
}

void fate_start_writer(struct fate *fate)
{
	const struct ledger_life_context context = {
	    .clock = &fate->clock.clock,
	    .boot = fate->boot,
	    .runtime_fd = fate->runtime_fd,
	    .state_fd = fate->state_fd,
	    .checkpoint_ns = FATE_CHECKPOINT_MS * MS,
	};
	struct diag diag = DIAG_INIT;

	if (ledger_life_open(&context, &fate->life, &diag) < 0)
		fail_msg("%s", diag.text);
	assert_string_equal(ledger_life_start(fate->life)->damage.text, "");
	/* Its first sample books nothing. */
	fate->sampled_ns = fate->true_ns;
	fate_admit(fate);
	fate_publish(fate);
}

/* The energy of a counter in that time: none, a little, or much. */
static uint64_t fate_use(struct fate *fate, uint64_t elapsed_ns)
{
	static const uint64_t powers_uw[] = {0, 3000, 900000, FATE_POWER_UW_MAX};
	uint64_t power_uw = powers_uw[fate_below(fate, CHECK_COUNT(powers_uw))];

	return elapsed_ns / 1000 * power_uw / 1000000;
}

void fate_sample(struct fate *fate)
{
	struct ledger *ledger = ledger_life_ledger(fate->life);
	uint64_t elapsed_ns = fate->true_ns - fate->sampled_ns;

	if (fate->vm_count < FATE_VM_MAX && fate_chance(fate, 20))
		fate->vm_count++;
	fate_admit(fate);
	/* A source that fails: what it has counted comes when it is back. */
	if (!fate->fails || !fate_chance(fate, 4)) {
		fate->sampled_ns = fate->true_ns;
		/* The machine 0 is off. */
		for (size_t i = 1; i < fate->vm_count; i++) {
			struct uuid uuid = fate_uuid(i);
			struct ledger_vm *vm =
			    ledger_vm(ledger, (size_t)ledger_find(ledger, &uuid));

			for (uint32_t socket = 0; socket < vm->socket_count; socket++)
				for (size_t kind = 0; kind < ZONE_SOCKET_KIND_COUNT; kind++)
					vm->guest[socket].zone_uj[kind] +=
					    fate_use(fate, elapsed_ns);
			vm->guest_psys_uj += fate_use(fate, elapsed_ns);
		}
	}
	fate_publish(fate);
	/* wattportd looks after the samples of its own clock, not after those that readers ask for.
	 */
	if (fate_chance(fate, 2) && ledger_life_is_due(fate->life))
		assert_int_equal(ledger_life_save(fate->life), 0);
}

void fate_kill_writer(struct fate *fate)
{
	/* Perhaps between a checkpoint and the publication for which it was written. */
	if (fate->life != NULL && fate_chance(fate, 4))
		assert_int_equal(ledger_life_save(fate->life), 0);
	ledger_life_close(fate->life);
	fate->life = NULL;
}

void fate_stop_writer(struct fate *fate)
{
	assert_int_equal(ledger_life_end(fate->life), 0);
	ledger_life_close(fate->life);
	fate->life = NULL;
}

void fate_restart_server(struct fate *fate, size_t server, bool with_memory)
{
	static const struct vtree_request zones = {.core = true, .uncore = true, .psys = true};
	struct fate_server *restarted = &fate->servers[server];
	struct diag diag = DIAG_INIT;
	int fd;

	fate_end_server(restarted, with_memory);
	if (!with_memory) {
		assert_int_equal(fs_memory_create(&restarted->memory, &fd, &diag), 0);
		(void)close(fd);
	}
	assert_int_equal(reading_create(fate->runtime_fd, restarted->memory, &zones,
					CLOCK_NS_PER_SECOND, &fate->clock.clock,
					&restarted->reading),
			 0);
}

void fate_read(struct fate *fate, size_t server, size_t vm, struct vtree_values *ret_values)
{
	struct fate_server *asked = &fate->servers[server];
	struct uuid uuid = fate_uuid(vm);
	int slot = tree_table_admit(&asked->memory->trees, &uuid, fate->clock.mono);

	assert_true(slot >= 0);
	reading_values(asked->reading, (uint32_t)slot, fate->clock.mono, true, ret_values);
}

void fate_account(struct fate *fate, size_t vm, struct ledger_vm *ret_vm)
{
	cleanup_ledger_reader struct ledger_reader *reader = NULL;
	struct uuid uuid = fate_uuid(vm);
	size_t slot = 0;

	assert_int_equal(ledger_reader_open(fate->runtime_fd, &reader, NULL), 0);
	assert_int_equal(ledger_reader_vm(reader, &uuid, &slot, ret_vm), 0);
}

void fate_lose_map(struct fate *fate)
{
	fate_kill_writer(fate);
	assert_int_equal(unlinkat(fate->runtime_fd, LEDGER_MAP_NAME, 0), 0);
	fate_start_writer(fate);
}

/* Where the wall clock stands after a boot, and what that makes of the time away. */
static void fate_set_wall(struct fate *fate, uint64_t true_away_ns)
{
	/* What the readers were told without wattportd is known by the wall clock alone. */
	uint64_t unseen_ns = fate->true_ns - true_away_ns - fate->published_ns;

	uint64_t far_ns = WALL_NS + fate_below(fate, 36500 * DAY_NS);
	uint64_t away_ms;

	if (fate_chance(fate, 4) && far_ns > fate->clock.wall.ns)
		fate->clock.wall.ns = far_ns;
	else if (unseen_ns < 9 * 60 * CLOCK_NS_PER_SECOND && fate_chance(fate, 3))
		fate->clock.wall.ns = fate_below(fate, fate->clock.wall.ns);
	away_ms =
	    fate->clock.wall.ns > fate->wall_ns ? (fate->clock.wall.ns - fate->wall_ns) / MS : 0;
	if (away_ms > LEDGER_FLOORS_AWAY_MS_MAX)
		away_ms = LEDGER_FLOORS_AWAY_MS_MAX;
	fate->away_ms = away_ms > LEDGER_FLOORS_AWAY_MS_MIN ? away_ms : LEDGER_FLOORS_AWAY_MS_MIN;
}

void fate_reboot(struct fate *fate)
{
	uint64_t away_ns = fate_below(fate, fate_chance(fate, 2) ? 20 * DAY_NS : 60000 * MS);

	for (size_t i = 0; i < FATE_SERVER_COUNT; i++)
		fate_end_server(&fate->servers[i], false);
	ledger_life_close(fate->life);
	fate->life = NULL;
	assert_int_equal(unlinkat(fate->runtime_fd, LEDGER_MAP_NAME, 0), 0);
	fate_pass(fate, away_ns);
	fate_set_wall(fate, away_ns);
	fate_new_boot(fate);
	fate_start_writer(fate);
	for (size_t i = 0; i < FATE_SERVER_COUNT; i++)
		fate_restart_server(fate, i, false);
}
