#include "host/meter.h"
#include "common/cleanup.h"
#include "common/energy_source.h"
#include "common/engine.h"
#include "common/file.h"
#include "common/ledger_life.h"
#include "common/log.h"
#include "common/topology.h"
#include "common/trace.h"
#include "host/by_name.h"
#include "host/sampler_host.h"
#include "host/vm_provider.h"

#include <assert.h>
#include <errno.h>
#include <jansson.h>

/* A condition is told when it begins and when it ends, not at every sample. */
struct condition {
	const char *name;
	int error;
};

struct meter {
	struct meter_context context;
	struct settings settings;
	struct topology *topology;
	struct energy_source *source;
	struct ledger_life *life;
	struct ledger *ledger; /* its */
	struct engine *engine;
	struct vm_provider *provider;
	struct sampler_host *sampler;
	struct sample sample;
	struct mono_time sampled;
	uint64_t duration_ns; /* of the last sample */
	struct condition sampling;
	struct condition zones;
	struct condition booking;
	struct condition publishing;
	struct condition naming;
	struct condition saving;
	int uncounted; /* why vCPUs' events are not counted, as of the last sample */
	enum vm_provider_state provider_state;
};

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

/* Whether core and uncore are to be measured, too. */
static bool meter_wants_parts(const struct settings *settings)
{
	return settings->tree_core || settings->tree_uncore;
}

static int meter_open_source(struct meter *meter, struct diag *diag)
{
	const struct energy_source_context context = {
	    .root = meter->context.root,
	    .clock = meter->context.clock,
	    .topology = meter->topology,
	    .model_tdp_w = meter->settings.meter_model_tdp_w,
	    .parts = meter_wants_parts(&meter->settings),
	};
	struct diag reasons = DIAG_INIT;
	int status;

	if (strcmp(meter->settings.meter_source, "replay") == 0)
		return diag_error(diag, -EINVAL,
				  "meter.source = replay is no source of a running host; use "
				  "`wattport replay FILE`");
	status =
	    energy_source_open(meter->settings.meter_source, &context, &meter->source, &reasons);
	if (status < 0)
		return diag_error(diag, status, "%s", reasons.text);
	if (reasons.text[0] != '\0')
		log_info("%s", reasons.text);
	log_info("energy comes from %s%s: %zu zones", meter->source->ops->name,
		 meter->source->ops->estimate ? " (an estimate, not a measurement)" : "",
		 meter->source->zone_count);
	if (meter->source->notes.text[0] != '\0')
		log_info("%s", meter->source->notes.text);
	return 0;
}

/* The name of this boot of the host; nil where it cannot be read. */
static struct uuid meter_boot(const struct sysroot *root)
{
	struct uuid boot = {.bytes = {0}};
	char line[UUID_TEXT_SIZE + 1];

	if (file_read_line_at(sysroot_proc_fd(root), "sys/kernel/random/boot_id", line,
			      sizeof(line)) == 0)
		(void)uuid_parse(line, &boot);
	return boot;
}

static void meter_tell_start(const struct ledger_life_start *start)
{
	if (start->damage.text[0] != '\0')
		log_warning("%s", start->damage.text);
	switch (start->origin) {
	case LEDGER_LIFE_NEW:
		break;
	case LEDGER_LIFE_MEMORY:
		log_info("went on with the %d accounts of the run before", start->account_count);
		break;
	case LEDGER_LIFE_ORDERLY:
		log_info("went on with %d accounts from disk", start->account_count);
		break;
	case LEDGER_LIFE_CUT:
		log_warning("went on with %d accounts from the last checkpoint on disk: the run "
			    "before had no orderly end, and what came after it is lost; what "
			    "guests are told does not go back, it grows by 1.6 %% less until the "
			    "accounts have caught up",
			    start->account_count);
		break;
	}
}

static int meter_open_ledger(struct meter *meter, struct diag *diag)
{
	const struct ledger_life_context context = {
	    .clock = meter->context.clock,
	    .boot = meter_boot(meter->context.root),
	    .runtime_fd = meter->context.runtime_fd,
	    .state_fd = meter->context.state_fd,
	    .checkpoint_ns = meter->settings.meter_checkpoint_ns,
	};
	int status = ledger_life_open(&context, &meter->life, diag);

	if (status < 0)
		return status;
	meter->ledger = ledger_life_ledger(meter->life);
	meter_tell_start(ledger_life_start(meter->life));
	return 0;
}

static int meter_open_engine(struct meter *meter, struct diag *diag)
{
	struct engine_config config = settings_engine(&meter->settings);
	struct ledger_host *host = ledger_host(meter->ledger);
	int status = engine_create(&config, meter->topology, meter->source->zones,
				   meter->source->zone_count, meter->ledger, &meter->engine);

	if (status < 0)
		return diag_error(diag, status,
				  "cannot set up the zones: %s; if the host's zones changed often, "
				  "move the saved accounts away",
				  strerror(-status));
	(void)snprintf(host->source, sizeof(host->source), "%s", meter->source->ops->name);
	host->estimate = meter->source->ops->estimate ? 1 : 0;
	status = sample_init(&meter->sample, meter->topology->cpu_count);
	if (status < 0)
		return diag_error(diag, status, "out of memory");
	return 0;
}

static int meter_open_machines(struct meter *meter, struct diag *diag)
{
	static const char *const names[] = {
	    [SETTINGS_PROVIDER_LIBVIRT] = "libvirt", [SETTINGS_PROVIDER_PROCFS] = "procfs"};
	const struct vm_provider_context context = {
	    .root = meter->context.root,
	    .clock = meter->context.clock,
	    .uri = meter->settings.vms_uri,
	    .told_times = meter->settings.vms_time == SETTINGS_TIME_LIBVIRT,
	};
	struct sampler_host_context sampler = {
	    .root = meter->context.root,
	    .clock = meter->context.clock,
	    .topology = meter->topology,
	    .source = meter->source,
	    .fd_budget = meter->context.fd_budget,
	    .events = meter->settings.attribution_events == SETTINGS_EVENTS_AUTO
			  ? &thread_events_hardware
			  : NULL,
	};
	int status =
	    vm_provider_open(names[meter->settings.vms_provider], &context, &meter->provider, diag);

	if (status < 0)
		return status;
	sampler.provider = meter->provider;
	return sampler_host_create(&sampler, &meter->sampler, diag);
}

int meter_create(const struct meter_context *context, struct meter **ret_meter, struct diag *diag)
{
	cleanup_meter struct meter *meter = calloc(1, sizeof(*meter));
	int status;

	if (meter == NULL)
		return diag_error(diag, -ENOMEM, "out of memory");
	meter->context = *context;
	meter->settings = *context->settings;
	meter->sampling = (struct condition){.name = "reading the host"};
	meter->zones = (struct condition){.name = "reading every zone"};
	meter->booking = (struct condition){.name = "keeping an account for every machine"};
	meter->publishing = (struct condition){.name = "showing every account"};
	meter->naming = (struct condition){.name = "linking the trees by name"};
	meter->saving = (struct condition){.name = "saving the accounts"};
	status = topology_read(context->root, &meter->topology, diag);
	if (status < 0)
		return status;
	status = meter_open_source(meter, diag);
	if (status < 0)
		return status;
	status = meter_open_ledger(meter, diag);
	if (status < 0)
		return status;
	status = meter_open_engine(meter, diag);
	if (status < 0)
		return status;
	status = meter_open_machines(meter, diag);
	if (status < 0)
		return status;
	*ret_meter = TAKE_PTR(meter);
	return 0;
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

void meter_destroy(struct meter *meter)
{
	if (meter == NULL)
		return;
	/* Only a meter that was whole has accounts worth saving. */
	if (meter->sampler != NULL) {
		meter_age_accounts(meter);
		(void)ledger_life_end(meter->life);
		meter_note_saving(meter);
	}
	sampler_host_destroy(meter->sampler);
	vm_provider_close(meter->provider);
	engine_destroy(meter->engine);
	sample_finish(&meter->sample);
	ledger_life_close(meter->life);
	energy_source_close(meter->source);
	topology_destroy(meter->topology);
	free(meter);
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

void meter_sample(struct meter *meter)
{
	struct mono_time start = clock_now_mono(meter->context.clock);
	bool roster_changed = vm_provider_waiting(meter->provider);
	int status;

	sample_clear(&meter->sample);
	status = sampler_host_take(meter->sampler, &meter->sample);
	meter_note(&meter->sampling, status,
		   "what cannot be read books nothing; `wattport doctor` says more");
	meter_note(&meter->zones, meter_zone_error(&meter->sample),
		   "what cannot be read books nothing; `wattport status` says which it is");
	status = engine_step(meter->engine, &meter->sample);
	meter_note(&meter->booking, status, "some machines have none, their energy is the host's");
	meter->sampled = meter->sample.time;
	meter_note_events(meter);
	meter->duration_ns = clock_elapsed_ns(start, clock_now_mono(meter->context.clock));
	meter_count_duration(&ledger_host(meter->ledger)->durations, meter->duration_ns);
	status = ledger_life_publish(meter->life);
	meter_note(&meter->publishing, status, "make room in the runtime directory");
	meter_note_saving(meter);
	if (roster_changed) {
		status = by_name_update(meter->context.runtime_fd, meter->ledger);
		meter_note(&meter->naming, status, "the trees by uuid are not touched by this");
	}
	meter_watch_provider(meter);
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
	    settings->attribution_events != meter->settings.attribution_events ||
	    strcmp(settings->vms_uri, meter->settings.vms_uri) != 0 ||
	    meter_wants_parts(settings) != meter_wants_parts(&meter->settings))
		return diag_error(diag, -EINVAL,
				  "another source or provider of machines, attribution.events, "
				  "tree.core and tree.uncore need a restart of wattportd; nothing "
				  "was changed");
	meter->settings = *settings;
	ledger_life_set_checkpoint(meter->life, settings->meter_checkpoint_ns);
	engine_configure(meter->engine, &config);
	return 0;
}

static json_t *meter_status_machines(struct meter *meter)
{
	const struct vm_threads_report *report = sampler_host_report(meter->sampler);

	return json_pack(
	    "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s}", "followed",
	    (json_int_t)report->followed, "failed", (json_int_t)report->failed, "unkept",
	    (json_int_t)report->unkept, "jiffies", (json_int_t)report->jiffies, "unseen",
	    (json_int_t)report->unseen, "missed", (json_int_t)report->missed, "counted",
	    (json_int_t)report->counted, "refused", (json_int_t)report->refused, "uncounted",
	    report->uncounted < 0 ? thread_events_reason(report->uncounted) : "");
}

char *meter_status(struct meter *meter)
{
	const struct ledger_host *host = ledger_host_const(meter->ledger);
	struct vm_provider_status provider;
	json_t *object;
	char *text;

	vm_provider_status(meter->provider, &provider);
	object =
	    json_pack("{s:s, s:s, s:b, s:s, s:I, s:I, s:{s:s, s:s}, s:o}", "version",
		      WATTPORT_VERSION, "source", host->source, "estimate", (int)host->estimate,
		      "notes", meter->source->notes.text, "samples", (json_int_t)host->sample_count,
		      "sample_ns", (json_int_t)meter->duration_ns, "provider", "state",
		      vm_provider_state_name(provider.state), "reason", provider.diag.text,
		      "machines", meter_status_machines(meter));
	if (object == NULL)
		return NULL;
	text = json_dumps(object, JSON_COMPACT);
	json_decref(object);
	return text;
}

static struct trace_head meter_head(const struct meter *meter)
{
	struct trace_head head = {
	    .clock_tick_ns = TRACE_TICK_NS,
	    .topology = meter->topology,
	    .zone_count = meter->source->zone_count,
	};

	memcpy(head.zones, meter->source->zones, sizeof(head.zones));
	return head;
}

char *meter_trace_line(struct meter *meter)
{
	struct trace_head head = meter_head(meter);
	char *line;

	return trace_format_sample(&head, &meter->sample, &line) < 0 ? NULL : line;
}

char *meter_trace_begin(struct meter *meter)
{
	struct trace_head head = meter_head(meter);
	cleanup_free char *line = NULL, *sample = NULL;
	char *text = NULL;

	if (trace_format_head(&head, &line) < 0)
		return NULL;
	if (meter->sampled.ns == 0)
		return TAKE_PTR(line);
	sample = meter_trace_line(meter);
	if (sample == NULL || asprintf(&text, "%s%s", line, sample) < 0)
		return NULL;
	return text;
}
