#include "common/cleanup.h"
#include "common/file.h"
#include "common/log.h"
#include "host/meter_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

bool meter_wants_parts(const struct settings *settings)
{
	return settings->tree_core || settings->tree_uncore;
}

static struct energy_source_context meter_source_context(const struct meter *meter)
{
	return (struct energy_source_context){
	    .root = meter->context.root,
	    .clock = meter->context.clock,
	    .topology = meter->topology,
	    .model_tdp_w = meter->settings.meter_model_tdp_w,
	    .parts = meter_wants_parts(&meter->settings),
	};
}

/* The source that auto would take by now in the place of an estimate, or NULL. */
static const char *meter_better_source(const struct meter *meter)
{
	const struct energy_source_context context = meter_source_context(meter);

	if (!meter->source->ops->estimate || strcmp(meter->settings.meter_source, "auto") != 0)
		return NULL;
	for (size_t i = 0; energy_source_list(i) != NULL; i++) {
		const struct energy_source_ops *ops = energy_source_list(i);
		cleanup_energy_source struct energy_source *source = NULL;

		if (ops->automatic && !ops->estimate &&
		    energy_source_open(ops->name, &context, &source, NULL) == 0)
			return ops->name;
	}
	return NULL;
}

void meter_tell_late(struct meter *meter)
{
	struct mono_time now = clock_now_mono(meter->context.clock);
	struct diag late = meter->source->late;
	const char *better;

	if (clock_elapsed_ns(meter->looked, now) < METER_LOOK_NS)
		return;
	meter->looked = now;
	better = meter_better_source(meter);
	if (better != NULL)
		diag_append(&late, "%s", better);
	if (strcmp(late.text, meter->late.text) == 0)
		return;
	meter->late = late;
	if (late.text[0] != '\0')
		log_warning("%s: not there when wattportd started, so not measured; "
			    "systemctl restart wattportd",
			    late.text);
}

static int meter_open_source(struct meter *meter, struct diag *diag)
{
	const struct energy_source_context context = meter_source_context(meter);
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
	meter->looked = clock_now_mono(meter->context.clock);
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

/* A name that nobody else has; nil where there is none to be had, and then nothing travels. */
static struct uuid meter_random(void)
{
	struct uuid random = {.bytes = {0}};

	if (getrandom(random.bytes, sizeof(random.bytes), 0) != (ssize_t)sizeof(random.bytes))
		return (struct uuid){.bytes = {0}};
	return random;
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
	if (uuid_is_nil(&ledger_host(meter->ledger)->id))
		ledger_host(meter->ledger)->id = meter_random();
	meter_tell_start(ledger_life_start(meter->life));
	return 0;
}

static int meter_open_engine(struct meter *meter, struct diag *diag)
{
	struct engine_config config = settings_engine(&meter->settings);
	struct ledger_host *host = ledger_host(meter->ledger);
	int status;

	/* Raw readings of one source are nothing to another. */
	if (!meter->source->ops->lasting || strcmp(host->source, meter->source->ops->name) != 0)
		ledger_forget_readings(meter->ledger);
	meter->returning = ledger_has_readings(meter->ledger);
	meter->opened = clock_now_mono(meter->context.clock);
	status = engine_create(&config, meter->topology, meter->source->zones,
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
	    .users = &meter->users,
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
	int status = access_users_resolve(meter->settings.vms_users, &meter->users, diag);

	if (status == 0)
		status = vm_provider_open(names[meter->settings.vms_provider], &context,
					  &meter->provider, diag);
	if (status < 0)
		return status;
	sampler.provider = meter->provider;
	return sampler_host_create(&sampler, &meter->sampler, diag);
}

/* Only libvirt keeps something for a machine that goes with it. */
static int meter_open_moves(struct meter *meter, struct diag *diag)
{
	bool libvirt = meter->settings.vms_provider == SETTINGS_PROVIDER_LIBVIRT;
	const struct moves_context context = {
	    .clock = meter->context.clock,
	    .life = meter->life,
	    .uri = libvirt && meter->settings.vms_metadata_ns > 0 ? meter->settings.vms_uri : NULL,
	};
	int status = moves_create(&context, &meter->moves);

	if (status < 0)
		return diag_error(diag, status, "cannot set up what machines take along: %s",
				  strerror(-status));
	return 0;
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
	meter->shortage = (struct condition){.name = "following every thread of every machine"};
	meter->publishing = (struct condition){.name = "showing every account"};
	meter->naming = (struct condition){.name = "linking the trees by name"};
	meter->saving = (struct condition){.name = "saving the accounts"};
	meter->moving = (struct condition){.name = "writing accounts for machines that move"};
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
	status = meter_open_moves(meter, diag);
	if (status < 0)
		return status;
	*ret_meter = TAKE_PTR(meter);
	return 0;
}

void meter_destroy(struct meter *meter)
{
	if (meter == NULL)
		return;
	/* Only a meter that was whole has accounts worth saving. */
	if (meter->sampler != NULL)
		meter_end_accounts(meter);
	sampler_host_destroy(meter->sampler);
	moves_destroy(meter->moves);
	vm_provider_close(meter->provider);
	engine_destroy(meter->engine);
	sample_finish(&meter->sample);
	ledger_life_close(meter->life);
	energy_source_close(meter->source);
	topology_destroy(meter->topology);
	free(meter);
}
