#include "common/log.h"
#include "host/by_name.h"
#include "host/meter_internal.h"

#include <errno.h>
#include <string.h>

static void meter_note(struct condition *condition, int error, const char *remedy)
{
	if (error == condition->error)
		return;
	condition->error = error;
	if (error < 0)
		log_warning("%s: %s; %s", condition->name, strerror(-error), remedy);
	else
		log_info("%s works again", condition->name);
}

/*
 * A gone account waits for its machine's return until its time is over. That is not said while
 * nobody knows which machines there are: a host that was off for longer than that meets its
 * machines again when libvirt has come up.
 */
static void meter_age_accounts(struct meter *meter)
{
	struct wall_time now = clock_now_wall(meter->context.clock);
	struct vm_provider_status provider;

	vm_provider_status(meter->provider, &provider);
	if (provider.state != VM_PROVIDER_OK)
		return;
	for (size_t slot = 0; slot < ledger_slot_count(meter->ledger); slot++) {
		struct ledger_vm *vm = ledger_vm(meter->ledger, slot);
		int status;

		if (vm == NULL || uuid_is_nil(&vm->uuid))
			continue;
		/* One that came and went between two savings was seen just now. */
		if (vm->state != LEDGER_VM_GONE || vm->seen_wall_ns == 0 ||
		    vm->seen_wall_ns > now.ns) {
			vm->seen_wall_ns = now.ns;
			continue;
		}
		if (now.ns - vm->seen_wall_ns < meter->settings.vms_retention_ns)
			continue;
		log_info("the account of %s departs: it has been gone for too long", vm->name);
		status = ledger_depart(meter->ledger, slot);
		if (status < 0)
			return;
	}
}

/* Also those savings that a publication had to wait for. */
static void meter_note_saving(struct meter *meter)
{
	const char *text;
	int error = ledger_life_saving(meter->life, &text);

	meter_note(&meter->saving, error, text);
}

void meter_end_accounts(struct meter *meter)
{
	meter_age_accounts(meter);
	(void)ledger_life_end(meter->life);
	meter_note_saving(meter);
}

static void meter_count_duration(struct ledger_durations *durations, uint64_t duration_ns)
{
	size_t bucket = 0;

	while (bucket < LEDGER_DURATION_COUNT - 1 &&
	       duration_ns > ledger_duration_bounds_us[bucket] * 1000)
		bucket++;
	durations->count[bucket]++;
	durations->sum_ns += duration_ns;
}

/* Says once when the provider goes away, and once when it is back. */
static void meter_watch_provider(struct meter *meter)
{
	struct vm_provider_status status;

	vm_provider_status(meter->provider, &status);
	if (status.state == meter->provider_state)
		return;
	if (status.state == VM_PROVIDER_AWAY)
		log_warning("%s", status.diag.text);
	else if (status.state == VM_PROVIDER_OK)
		log_info("the list of virtual machines is at hand");
	meter->provider_state = status.state;
}

/* The first zone that could not be read; the others go on. */
static int meter_zone_error(const struct sample *sample)
{
	for (size_t i = 0; i < sample->zone_count; i++)
		if (sample->zones[i].error < 0)
			return sample->zones[i].error;
	return 0;
}

/* Once when it begins: most often nobody can mend it, and it costs precision alone. */
static void meter_note_events(struct meter *meter)
{
	const struct vm_threads_report *report = sampler_host_report(meter->sampler);
	int error = report->uncounted;

	ledger_host(meter->ledger)->events = (struct ledger_events){
	    .wanted = meter->settings.attribution_events == SETTINGS_EVENTS_AUTO ? 1 : 0,
	    .error = error,
	    .counted = (uint32_t)report->counted,
	    .refused = (uint32_t)report->refused,
	};
	if (error < 0 && error != meter->uncounted)
		log_info("%s; %s", thread_events_reason(error), thread_events_remedy(error));
	else if (error == 0 && meter->uncounted < 0)
		log_info("events of vCPUs are counted");
	meter->uncounted = error;
}

static void meter_write_moves(struct meter *meter)
{
	struct diag diag = DIAG_INIT;
	int error;

	moves_write(meter->moves, vm_provider_roster(meter->provider),
		    meter->settings.vms_metadata_ns);
	error = moves_writing(meter->moves, &diag);
	meter_note(&meter->moving, error, diag.text);
}

/*
 * What came while wattportd was away is divided among the machines that are there at its return.
 * So it waits until somebody tells which these are, and the accounts rest as before; but not for
 * ever.
 */
static bool meter_awaits_machines(struct meter *meter)
{
	struct mono_time now = clock_now_mono(meter->context.clock);
	struct vm_provider_status provider;

	if (!meter->returning)
		return false;
	vm_provider_status(meter->provider, &provider);
	return provider.state != VM_PROVIDER_OK &&
	       clock_elapsed_ns(meter->opened, now) < METER_RETURN_WAIT_NS;
}

void meter_sample(struct meter *meter)
{
	struct mono_time start = clock_now_mono(meter->context.clock);
	bool roster_changed = vm_provider_waiting(meter->provider);
	int status;

	if (meter_awaits_machines(meter)) {
		/* What came from disk is nowhere to be seen yet, and readers go on by it. */
		status = ledger_life_publish(meter->life);
		meter_note(&meter->publishing, status, "make room in the runtime directory");
		meter_watch_provider(meter);
		return;
	}
	sample_clear(&meter->sample);
	status = sampler_host_take(meter->sampler, &meter->sample);
	meter_note(&meter->sampling, status,
		   "what cannot be read books nothing; `wattport doctor` says more");
	meter_note(&meter->zones, meter_zone_error(&meter->sample),
		   "what cannot be read books nothing; `wattport status` says which it is");
	status = engine_step(meter->engine, &meter->sample);
	meter_note(&meter->booking, status, "some machines have none, their energy is the host's");
	if (meter->returning)
		meter_tell_return(meter);
	meter->returning = false;
	meter->sampled = meter->sample.time;
	meter_note_events(meter);
	meter_note(&meter->shortage,
		   sampler_host_report(meter->sampler)->short_machines > 0 ? -EMFILE : 0,
		   "`wattport status` says which; raise LimitNOFILE= of wattportd.service");
	meter->duration_ns = clock_elapsed_ns(start, clock_now_mono(meter->context.clock));
	meter_count_duration(&ledger_host(meter->ledger)->durations, meter->duration_ns);
	moves_take(meter->moves, vm_provider_roster(meter->provider));
	status = ledger_life_publish(meter->life);
	meter_note(&meter->publishing, status, "make room in the runtime directory");
	meter_note_saving(meter);
	meter_write_moves(meter);
	/* A link that could not be made then is made as soon as it can be. */
	if (roster_changed || meter->naming.error < 0) {
		status = by_name_update(meter->context.runtime_fd, meter->ledger);
		meter_note(&meter->naming, status, "the trees by uuid are not touched by this");
	}
	meter_watch_provider(meter);
	meter_tell_late(meter);
}

bool meter_refresh(struct meter *meter, const struct uuid *uuid)
{
	uint64_t age_ns = clock_elapsed_ns(meter->sampled, clock_now_mono(meter->context.clock));
	int slot;

	if (age_ns >= METER_INTERVAL_NS_MIN && age_ns >= meter->duration_ns * METER_DUTY)
		meter_sample(meter);
	slot = ledger_find(meter->ledger, uuid);
	if (slot >= 0 && ledger_vm_const(meter->ledger, (size_t)slot)->state != LEDGER_VM_GONE)
		return true;
	/* Without a wait, whoever asks for a made-up uuid would hear "known" every other time. */
	return vm_provider_lookup(meter->provider, uuid, METER_LOOKUP_WAIT_NS) != 0;
}

uint64_t meter_sample_count(const struct meter *meter)
{
	return ledger_host_const(meter->ledger)->sample_count;
}

int meter_roster_fd(const struct meter *meter)
{
	return vm_provider_fd(meter->provider);
}

void meter_checkpoint(struct meter *meter)
{
	if (!ledger_life_is_due(meter->life))
		return;
	meter_age_accounts(meter);
	(void)ledger_life_save(meter->life);
	meter_note_saving(meter);
}

int meter_configure(struct meter *meter, const struct settings *settings, struct diag *diag)
{
	struct engine_config config = settings_engine(settings);

	if (strcmp(settings->meter_source, meter->settings.meter_source) != 0 ||
	    settings->meter_model_tdp_w != meter->settings.meter_model_tdp_w ||
	    settings->vms_provider != meter->settings.vms_provider ||
	    settings->vms_time != meter->settings.vms_time ||
	    (settings->vms_metadata_ns > 0) != (meter->settings.vms_metadata_ns > 0) ||
	    settings->attribution_events != meter->settings.attribution_events ||
	    strcmp(settings->vms_uri, meter->settings.vms_uri) != 0 ||
	    strcmp(settings->vms_users, meter->settings.vms_users) != 0 ||
	    meter_wants_parts(settings) != meter_wants_parts(&meter->settings))
		return diag_error(diag, -EINVAL,
				  "another source or provider of machines, vms.metadata turned "
				  "on or off, attribution.events, "
				  "tree.core and tree.uncore need a restart of wattportd; nothing "
				  "was changed");
	meter->settings = *settings;
	ledger_life_set_checkpoint(meter->life, settings->meter_checkpoint_ns);
	engine_configure(meter->engine, &config);
	return 0;
}
