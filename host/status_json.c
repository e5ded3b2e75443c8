#include "host/status_json.h"
#include "common/cleanup.h"
#include "common/uuid.h"
#include "host/thread_events.h"

#include <jansson.h>

#define STATUS_JSON_FLAGS (JSON_INDENT(1) | JSON_PRESERVE_ORDER)

/*
 * Members are added one by one to an object that may be NULL: jansson then refuses, frees the value
 * and says -1, which `failed` keeps. So out of memory anywhere ends in NULL at the end.
 */
struct status_object {
	json_t *object;
	int failed;
};

static struct status_object status_object_make(void)
{
	return (struct status_object){.object = json_object(), .failed = 0};
}

static void status_put(struct status_object *to, const char *key, json_t *value)
{
	if (json_object_set_new(to->object, key, value) < 0)
		to->failed = 1;
}

/* JSON's integers are signed here: a total past 2^63 uJ (292 years at 1 GW) stands still. */
static void status_put_number(struct status_object *to, const char *key, uint64_t value)
{
	status_put(to, key, json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value));
}

static void status_put_text(struct status_object *to, const char *key, const char *text)
{
	status_put(to, key, json_string(text));
}

static void status_put_bool(struct status_object *to, const char *key, bool value)
{
	status_put(to, key, json_boolean(value));
}

/* null where nothing tells how much of the vCPUs' time is polling. */
static void status_put_polling(struct status_object *to, const char *key,
			       const struct ledger_vm *vm, uint64_t value)
{
	if (vm->has_halt_poll)
		status_put_number(to, key, value);
	else
		status_put(to, key, json_null());
}

static void status_put_error(struct status_object *to, const char *key, int error)
{
	status_put(to, key, error < 0 ? json_string(strerror(-error)) : json_null());
}

/* Hands the object over, or frees it and returns NULL when something is missing in it. */
static json_t *status_object_take(struct status_object *from)
{
	if (from->failed) {
		json_decref(from->object);
		return NULL;
	}
	return from->object;
}

/* Text of a document, which is released; NULL in, NULL out. */
static char *status_dump(json_t *document)
{
	cleanup_free char *text = NULL;
	char *line;
	size_t length;

	if (document == NULL)
		return NULL;
	text = json_dumps(document, STATUS_JSON_FLAGS);
	json_decref(document);
	if (text == NULL)
		return NULL;
	length = strlen(text);
	line = realloc(text, length + 2);
	if (line == NULL)
		return NULL;
	text = NULL;
	line[length] = '\n';
	line[length + 1] = '\0';
	return line;
}

static json_t *status_faults(const struct ledger_zone *zone)
{
	struct status_object faults = status_object_make();

	for (int i = 0; i < LEDGER_FAULT_COUNT; i++)
		status_put_number(&faults, summary_fault_name((enum ledger_zone_fault)i),
				  zone->faults[i]);
	return status_object_take(&faults);
}

static json_t *status_zone(const struct ledger_copy *copy, uint32_t index)
{
	const struct ledger_zone *zone = &copy->host.zones[index];
	struct status_object object = status_object_make();
	int64_t error_uj =
	    ledger_copy_conservation_error_uj(&copy->host, copy->vms, copy->vm_count, index);

	status_put_text(&object, "id", zone->zone.id);
	status_put_text(&object, "kind", zone_kind_name(zone->zone.kind));
	status_put_number(&object, "package", zone->zone.package);
	status_put(&object, "die",
		   zone->zone.die == ZONE_ANY_DIE ? json_null() : json_integer(zone->zone.die));
	status_put_bool(&object, "available", zone->available != 0);
	status_put_error(&object, "error", zone->error);
	status_put_bool(&object, "counted", summary_counts_zone(&copy->host, index));
	status_put_number(&object, "power_uw", zone->power_uw);
	status_put_number(&object, "static_power_uw", zone->idle_power_uw);
	status_put_number(&object, "busy_cpu_power_uw", zone->thread_power_uw);
	status_put_bool(&object, "calibrating", zone->calibration_learning != 0);
	status_put_number(&object, "calibration_error_ppm", zone->calibration_error_ppm);
	status_put_number(&object, "energy_uj", zone->energy_uj);
	status_put_number(&object, "idle_uj", zone->idle_uj);
	status_put_number(&object, "other_uj", zone->other_uj);
	status_put_number(&object, "away_uj", zone->away_uj);
	status_put_number(&object, "returned_uj", zone->returned_uj);
	status_put_bool(&object, "returned_unsure", zone->returned_unsure != 0);
	status_put(&object, "conservation_error_uj", json_integer(error_uj));
	status_put(&object, "faults", status_faults(zone));
	return status_object_take(&object);
}

static json_t *status_zones(const struct ledger_copy *copy)
{
	json_t *zones = json_array();

	for (uint32_t i = 0; i < copy->host.zone_count; i++) {
		if (json_array_append_new(zones, status_zone(copy, i)) < 0) {
			json_decref(zones);
			return NULL;
		}
	}
	return zones;
}

static json_t *status_share(const struct ledger_vm *vm, const struct ledger_share *share)
{
	struct status_object object = status_object_make();

	status_put_number(&object, "active_uj", share->part_uj[LEDGER_ACTIVE]);
	status_put_number(&object, "idle_uj", share->part_uj[LEDGER_IDLE]);
	status_put_number(&object, "overhead_uj", share->part_uj[LEDGER_OVERHEAD]);
	status_put_polling(&object, "halt_poll_uj", vm, share->halt_poll_uj);
	status_put_number(&object, "guest_view_uj", share->guest_view_uj);
	status_put_number(&object, "power_uw", share->power_uw);
	return status_object_take(&object);
}

static json_t *status_shares(const struct ledger_host *host, const struct ledger_vm *vm)
{
	struct status_object shares = status_object_make();

	for (uint32_t i = 0; i < host->zone_count; i++)
		status_put(&shares, host->zones[i].zone.id, status_share(vm, &vm->shares[i]));
	return status_object_take(&shares);
}

/* The counters of its tree, by the guest's zones: what it used here, and what it brought. */
static json_t *status_guest_zones(const struct ledger_vm *vm)
{
	struct status_object zones = status_object_make();

	for (size_t i = 0; i < LEDGER_COUNTER_COUNT(vm->socket_count); i++) {
		struct status_object zone;
		char name[ZONE_ID_SIZE];

		if (ledger_counter_zone_uj(vm, i) == 0 && ledger_counter_brought_uj(vm, i) == 0)
			continue;
		zone = status_object_make();
		ledger_counter_name(i, name);
		status_put_number(&zone, "energy_uj", ledger_counter_zone_uj(vm, i));
		status_put_number(&zone, "brought_uj", ledger_counter_brought_uj(vm, i));
		status_put(&zones, name, status_object_take(&zone));
	}
	return status_object_take(&zones);
}

static json_t *status_vm(const struct ledger_host *host, const struct summary_vm *sum)
{
	const struct ledger_vm *vm = sum->vm;
	struct status_object object = status_object_make();
	char uuid[UUID_TEXT_SIZE];

	uuid_format(&vm->uuid, uuid);
	status_put_text(&object, "uuid", uuid);
	status_put_text(&object, "name", vm->name);
	status_put_text(&object, "state", summary_state_name(vm->state));
	status_put(&object, "pid", vm->pid > 0 ? json_integer(vm->pid) : json_null());
	status_put_number(&object, "generation", vm->generation);
	status_put_number(&object, "sockets", vm->socket_count);
	status_put_number(&object, "vcpus", vm->vcpu_count);
	status_put_number(&object, "memory_bytes", vm->memory_bytes);
	status_put_text(&object, "precision", summary_precision_name(vm->precision));
	status_put_number(&object, "short_threads", vm->short_threads);
	status_put_number(&object, "vcpu_ns", vm->vcpu_ns);
	status_put_number(&object, "overhead_ns", vm->overhead_ns);
	status_put_polling(&object, "halt_poll_ns", vm, vm->halt_poll_ns);
	status_put_number(&object, "power_uw", sum->power_uw);
	status_put_number(&object, "energy_uj", sum->energy_uj);
	status_put(&object, "zones", status_shares(host, vm));
	status_put(&object, "guest_zones", status_guest_zones(vm));
	return status_object_take(&object);
}

static json_t *status_vms(const struct ledger_host *host, const struct summary *summary)
{
	json_t *vms = json_array();

	for (size_t i = 0; i < summary->vm_count; i++) {
		if (json_array_append_new(vms, status_vm(host, &summary->vms[i])) < 0) {
			json_decref(vms);
			return NULL;
		}
	}
	return vms;
}

static json_t *status_totals(const struct summary *summary)
{
	struct status_object object = status_object_make();

	status_put_number(&object, "power_uw", summary->power_uw);
	status_put_number(&object, "energy_uj", summary->energy_uj);
	status_put_number(&object, "idle_uj", summary->idle_uj);
	status_put_number(&object, "other_uj", summary->other_uj);
	status_put_number(&object, "away_uj", summary->away_uj);
	return status_object_take(&object);
}

static json_t *status_departed(const struct ledger_host *host, const struct summary *summary)
{
	return summary->departed != NULL ? status_shares(host, summary->departed) : json_null();
}

/* The last return of wattportd to readings of a run before; null: there was none. */
static json_t *status_returned(const struct ledger_return *returned)
{
	struct status_object object;

	if (returned->count == 0)
		return json_null();
	object = status_object_make();
	status_put_number(&object, "count", returned->count);
	status_put_number(&object, "t_ns", returned->time_ns);
	status_put_number(&object, "away_ns", returned->away_ns);
	status_put_number(&object, "machines_missing", returned->missing);
	return status_object_take(&object);
}

static json_t *status_events(const struct ledger_events *events)
{
	struct status_object object = status_object_make();

	status_put_text(&object, "mode", events->wanted ? "auto" : "none");
	status_put_number(&object, "counted", events->counted);
	status_put_number(&object, "refused", events->refused);
	status_put(&object, "reason",
		   events->error < 0 ? json_string(thread_events_reason(events->error))
				     : json_null());
	return status_object_take(&object);
}

char *status_json(const struct ledger_copy *copy, const struct summary *summary)
{
	const struct ledger_host *host = &copy->host;
	struct status_object object = status_object_make();
	struct diag reason = DIAG_INIT;

	(void)summary_check_fresh(summary, &reason);
	status_put_text(&object, "version", WATTPORT_VERSION);
	status_put_bool(&object, "fresh", summary->fresh);
	status_put(&object, "reason", summary->fresh ? json_null() : json_string(reason.text));
	if (summary->sampled)
		status_put_number(&object, "age_ns", summary->age_ns);
	else
		status_put(&object, "age_ns", json_null());
	status_put_text(&object, "source", host->source);
	status_put_bool(&object, "estimate", host->estimate != 0);
	status_put_text(&object, "guest_view", summary_guest_view_name(host));
	status_put_number(&object, "cpus", host->cpu_count);
	status_put_number(&object, "samples", host->sample_count);
	status_put_number(&object, "vms_missed", host->vm_missed);
	status_put(&object, "events",
		   summary->sampled ? status_events(&host->events) : json_null());
	status_put(&object, "returned", status_returned(&host->returned));
	status_put(&object, "host", status_totals(summary));
	status_put(&object, "zones", status_zones(copy));
	status_put(&object, "vms", status_vms(host, summary));
	status_put(&object, "departed", status_departed(host, summary));
	return status_dump(status_object_take(&object));
}

char *status_json_vm(const struct ledger_copy *copy, const struct summary_vm *vm)
{
	return status_dump(status_vm(&copy->host, vm));
}

char *status_json_vms(const struct ledger_copy *copy, const struct summary *summary)
{
	struct status_object object = status_object_make();

	status_put(&object, "vms", status_vms(&copy->host, summary));
	return status_dump(status_object_take(&object));
}

char *status_json_failure(const char *reason)
{
	struct status_object object = status_object_make();

	status_put_text(&object, "version", WATTPORT_VERSION);
	status_put_bool(&object, "fresh", false);
	status_put_text(&object, "reason", reason);
	return status_dump(status_object_take(&object));
}
