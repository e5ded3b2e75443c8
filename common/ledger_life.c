#include "common/ledger_life.h"
#include "common/cleanup.h"
#include "common/ledger_floors.h"
#include "common/ledger_map.h"
#include "common/ledger_store.h"
#include "common/served.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* Less is what a clock is slewed by, or what passes between readings of two. */
#define LEAP_NS_MIN ((int64_t)CLOCK_NS_PER_SECOND)

/* Until a saving that failed is tried again: meanwhile a power cut would take more than it may. */
#define RETRY_NS CLOCK_NS_PER_SECOND

/* What a saving opens at a time, and one more. */
#define SPARE_COUNT 2

struct ledger_life {
	struct ledger_life_context context;
	struct ledger_life_start start;
	struct ledger *ledger;
	struct ledger_map *map;
	struct ledger_floors *floors;
	enum ledger_floors_room room; /* at the last publication */
	struct mono_time saved;
	int saving_error;
	struct diag saving;
	/* Kept for a saving: who has too few descriptors loses precision, not accounts. */
	int spare[SPARE_COUNT];
};

static struct ledger_instant life_instant(const struct ledger_life *life)
{
	const struct clock *clock = life->context.clock;

	return (struct ledger_instant){
	    .boot = life->context.boot,
	    .time_ms = served_ms(clock_now_mono(clock)),
	    .wall_ns = clock_now_wall(clock).ns,
	};
}

/* What a former run left in memory is newest; what is on disk outlives a reboot. */
static int life_take_over(struct ledger_life *life, struct diag *diag)
{
	struct ledger_life_start *start = &life->start;
	int count = ledger_map_recover(life->map, life->ledger);

	if (count < 0)
		return diag_error(diag, count, "cannot take over the accounts: %s",
				  strerror(-count));
	start->origin = LEDGER_LIFE_MEMORY;
	if (ledger_host(life->ledger)->sample_count == 0) {
		count = ledger_store_load(life->context.state_fd, life->ledger, &start->damage);
		if (count < 0)
			return diag_error(diag, count, "%s", start->damage.text);
		start->origin =
		    ledger_host(life->ledger)->orderly != 0 ? LEDGER_LIFE_ORDERLY : LEDGER_LIFE_CUT;
	}
	/* A host that never had a machine has a ledger, too. */
	if (ledger_host(life->ledger)->sample_count == 0)
		start->origin = LEDGER_LIFE_NEW;
	start->account_count = count;
	return 0;
}

/* RAPL's counters, process ids and clocks begin anew with every boot. */
static bool life_is_same_boot(const struct ledger_life *life, const struct ledger_instant *now)
{
	const struct ledger_instant *told = &ledger_host_const(life->ledger)->told;

	return !uuid_is_nil(&now->boot) && uuid_equal(&told->boot, &now->boot) &&
	       told->time_ms <= now->time_ms;
}

static void life_set_aside(struct ledger_life *life)
{
	for (size_t i = 0; i < SPARE_COUNT; i++)
		if (life->spare[i] < 0)
			life->spare[i] = fcntl(life->context.state_fd, F_DUPFD_CLOEXEC, 0);
}

static void life_set_free(struct ledger_life *life)
{
	for (size_t i = 0; i < SPARE_COUNT; i++) {
		if (life->spare[i] >= 0)
			(void)close(life->spare[i]);
		life->spare[i] = -1;
	}
}

int ledger_life_open(const struct ledger_life_context *context, struct ledger_life **ret_life,
		     struct diag *diag)
{
	cleanup_ledger_life struct ledger_life *life = calloc(1, sizeof(*life));
	struct ledger_instant now;
	int status;

	if (life == NULL)
		return diag_error(diag, -ENOMEM, "out of memory");
	life->context = *context;
	for (size_t i = 0; i < SPARE_COUNT; i++)
		life->spare[i] = -1;
	life_set_aside(life);
	life->saved = clock_now_mono(context->clock);
	status = ledger_create(&life->ledger);
	if (status == 0)
		status = ledger_floors_create(life->ledger, &life->floors);
	if (status < 0)
		return diag_error(diag, status, "out of memory");
	status = ledger_map_open(context->runtime_fd, &life->map, diag);
	if (status < 0)
		return status;
	status = life_take_over(life, diag);
	if (status < 0)
		return status;
	ledger_host(life->ledger)->orderly = 0;
	now = life_instant(life);
	if (!life_is_same_boot(life, &now))
		ledger_forget_readings(life->ledger);
	ledger_floors_resume(life->ledger, &now);
	*ret_life = TAKE_PTR(life);
	return 0;
}

void ledger_life_close(struct ledger_life *life)
{
	if (life == NULL)
		return;
	life_set_free(life);
	ledger_map_close(life->map);
	ledger_floors_destroy(life->floors);
	ledger_destroy(life->ledger);
	free(life);
}

struct ledger *ledger_life_ledger(struct ledger_life *life)
{
	return life->ledger;
}

const struct ledger_life_start *ledger_life_start(const struct ledger_life *life)
{
	return &life->start;
}

static int life_store(struct ledger_life *life, const struct ledger_floors *floors)
{
	life->saving = (struct diag)DIAG_INIT;
	life_set_free(life);
	life->saving_error =
	    ledger_store_save(life->context.state_fd, life->ledger, floors, &life->saving);
	life_set_aside(life);
	life->saved = clock_now_mono(life->context.clock);
	return life->saving_error;
}

static uint64_t life_moved(uint64_t wall_ns, int64_t leap_ns)
{
	uint64_t moved_ns;

	if (wall_ns == 0 || __builtin_add_overflow(wall_ns, leap_ns, &moved_ns) || moved_ns == 0)
		return wall_ns;
	return moved_ns;
}

/*
 * How long a machine has been gone is told by the wall clock, because it outlives a boot. Where
 * that clock was set under our eyes, these times are set with it.
 */
static void life_follow_wall(struct ledger_life *life, const struct ledger_instant *now)
{
	const struct ledger_instant *told = &ledger_host_const(life->ledger)->told;
	int64_t passed_ns = (int64_t)((now->time_ms - told->time_ms) * CLOCK_NS_PER_MS);
	int64_t leap_ns = (int64_t)(now->wall_ns - told->wall_ns) - passed_ns;

	if (told->wall_ns == 0 || !life_is_same_boot(life, now))
		return;
	if (leap_ns < LEAP_NS_MIN && leap_ns > -LEAP_NS_MIN)
		return;
	for (size_t slot = 0; slot < ledger_slot_count(life->ledger); slot++) {
		struct ledger_vm *vm = ledger_vm(life->ledger, slot);

		if (vm != NULL)
			vm->seen_wall_ns = life_moved(vm->seen_wall_ns, leap_ns);
	}
}

int ledger_life_publish(struct ledger_life *life)
{
	struct ledger_instant now = life_instant(life);

	life_follow_wall(life, &now);
	life->room = ledger_floors_advance(life->floors, &now);
	if (life->room == LEDGER_FLOORS_NONE)
		(void)ledger_life_save(life);
	return ledger_map_publish(life->map, life->ledger);
}

void ledger_life_bring(struct ledger_life *life, size_t slot, const struct ledger_brought *brought)
{
	struct ledger_instant now = life_instant(life);

	ledger_floors_bring(life->floors, slot, brought, &now);
}

bool ledger_life_is_due(const struct ledger_life *life)
{
	uint64_t period_ns = life->context.checkpoint_ns;

	if (life->saving_error < 0 && period_ns > RETRY_NS)
		period_ns = RETRY_NS;
	return life->room != LEDGER_FLOORS_AMPLE ||
	       clock_elapsed_ns(life->saved, clock_now_mono(life->context.clock)) >= period_ns;
}

int ledger_life_save(struct ledger_life *life)
{
	ledger_floors_promise(life->floors, life->context.checkpoint_ns);
	life->room = LEDGER_FLOORS_AMPLE;
	return life_store(life, life->floors);
}

int ledger_life_end(struct ledger_life *life)
{
	return life_store(life, NULL);
}

int ledger_life_saving(const struct ledger_life *life, const char **ret_text)
{
	*ret_text = life->saving.text;
	return life->saving_error;
}

void ledger_life_set_checkpoint(struct ledger_life *life, uint64_t checkpoint_ns)
{
	life->context.checkpoint_ns = checkpoint_ns;
}
