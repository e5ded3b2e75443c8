#include "host/replay.h"
#include "common/cleanup.h"
#include "common/energy_source.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

struct replay {
	struct energy_source *source;
	struct ledger *ledger;
	struct engine_config config;
	struct engine *engine;
	struct sample sample;
};

/* Also where a new run of wattportd took the accounts over and measured on. */
static int replay_start_engine(struct replay *replay)
{
	engine_destroy(TAKE_PTR(replay->engine));
	/* What came in between was booked before the first sample that was recorded again. */
	ledger_forget_readings(replay->ledger);
	return engine_create(&replay->config, replay->source->topology, replay->source->zones,
			     replay->source->zone_count, replay->ledger, &replay->engine);
}

int replay_open(const char *path, const struct engine_config *config, struct replay **ret_replay,
		struct diag *diag)
{
	const struct energy_source_context context = {.clock = clock_real(), .replay_path = path};
	cleanup_replay struct replay *replay = calloc(1, sizeof(*replay));
	int status;

	if (replay == NULL)
		return diag_error(diag, -ENOMEM, "out of memory");
	replay->config = *config;
	status = energy_source_open("replay", &context, &replay->source, diag);
	if (status < 0)
		return status;
	status = ledger_create(&replay->ledger);
	if (status == 0)
		status = sample_init(&replay->sample, replay->source->topology->cpu_count);
	if (status == 0)
		status = replay_start_engine(replay);
	if (status < 0)
		return diag_error(diag, status, "cannot set up the accounts: %s",
				  strerror(-status));
	*ret_replay = TAKE_PTR(replay);
	return 0;
}

void replay_close(struct replay *replay)
{
	if (replay == NULL)
		return;
	engine_destroy(replay->engine);
	sample_finish(&replay->sample);
	ledger_destroy(replay->ledger);
	energy_source_close(replay->source);
	free(replay);
}

int replay_step(struct replay *replay, struct diag *diag)
{
	int status = energy_source_read(replay->source, &replay->sample);

	if (status == -ENODATA)
		return status;
	if (status < 0)
		return diag_error(diag, status, "%s", replay->source->notes.text);
	if (replay->sample.anew) {
		status = replay_start_engine(replay);
		if (status < 0)
			return diag_error(diag, status, "cannot set up the accounts: %s",
					  strerror(-status));
	}
	/* Machines that find no room are counted in the ledger, and their energy is the host's. */
	status = engine_step(replay->engine, &replay->sample);
	if (status == -ENOMEM)
		return diag_error(diag, status, "out of memory");
	return 0;
}

const struct ledger *replay_ledger(const struct replay *replay)
{
	return replay->ledger;
}

/* jansson's setters take NULL and then fail, so that one check at the end sees all of them. */
static int replay_set_energy(json_t *object, const char *key, uint64_t energy_uj)
{
	return json_object_set_new(object, key, json_integer((json_int_t)energy_uj));
}

static json_t *replay_share(const struct ledger_share *share)
{
	json_t *object = json_object();
	int failed = 0;

	failed |= replay_set_energy(object, "active_uj", share->part_uj[LEDGER_ACTIVE]);
	failed |= replay_set_energy(object, "idle_uj", share->part_uj[LEDGER_IDLE]);
	failed |= replay_set_energy(object, "overhead_uj", share->part_uj[LEDGER_OVERHEAD]);
	failed |= replay_set_energy(object, "guest_view_uj", share->guest_view_uj);
	if (failed == 0)
		return object;
	json_decref(object);
	return NULL;
}

static int replay_add_vms(const struct replay *replay, json_t *vms)
{
	const struct ledger_host *host = ledger_host_const(replay->ledger);
	int failed = 0;

	for (size_t slot = 0; slot < ledger_slot_count(replay->ledger); slot++) {
		const struct ledger_vm *vm = ledger_vm_const(replay->ledger, slot);
		char uuid[UUID_TEXT_SIZE];
		json_t *object;

		if (vm == NULL)
			continue;
		uuid_format(&vm->uuid, uuid);
		object = json_object();
		for (uint32_t zone = 0; zone < host->zone_count; zone++)
			failed |= json_object_set_new(object, host->zones[zone].zone.id,
						      replay_share(&vm->shares[zone]));
		failed |= json_object_set_new(vms, uuid, object);
	}
	return failed;
}

static uint64_t replay_magnitude(int64_t value)
{
	return value < 0 ? -(uint64_t)value : (uint64_t)value;
}

char *replay_json(const struct replay *replay)
{
	const struct ledger_host *host = ledger_host_const(replay->ledger);
	json_t *zones = json_object(), *vms = json_object();
	json_t *other = json_object(), *idle = json_object();
	json_t *object;
	uint64_t error_uj = 0;
	char *text = NULL;
	char *line = NULL;
	int failed = replay_add_vms(replay, vms);

	for (uint32_t i = 0; i < host->zone_count; i++) {
		const struct ledger_zone *zone = &host->zones[i];
		json_t *energy = json_object();

		failed |= replay_set_energy(energy, "energy_uj", zone->energy_uj);
		failed |= json_object_set_new(zones, zone->zone.id, energy);
		failed |= replay_set_energy(other, zone->zone.id, zone->other_uj);
		failed |= replay_set_energy(idle, zone->zone.id, zone->idle_uj);
		error_uj += replay_magnitude(ledger_conservation_error_uj(replay->ledger, i));
	}
	/* The format takes the four objects over, also when it fails. */
	object = json_pack("{s:I, s:o, s:o, s:o, s:o, s:I}", "t_ns", (json_int_t)host->updated_ns,
			   "zones", zones, "vms", vms, "host_other_uj", other, "idle_uj", idle,
			   "conservation_error_uj", (json_int_t)error_uj);
	if (object != NULL && failed == 0)
		text = json_dumps(object, JSON_COMPACT);
	json_decref(object);
	if (text != NULL && asprintf(&line, "%s\n", text) < 0)
		line = NULL;
	free(text);
	return line;
}
