#include "common/settings.h"
#include "common/clock.h"

#include <errno.h>

#define SECOND_NS CLOCK_NS_PER_SECOND
#define DAY_NS	  (UINT64_C(86400) * CLOCK_NS_PER_SECOND)

static const char *const provider_choices[] = {
    [SETTINGS_PROVIDER_LIBVIRT] = "libvirt", [SETTINGS_PROVIDER_PROCFS] = "procfs", NULL};
static const char *const time_choices[] = {
    [SETTINGS_TIME_SCHEDSTAT] = "schedstat", [SETTINGS_TIME_LIBVIRT] = "libvirt", NULL};
static const char *const idle_choices[] = {[ATTRIBUTION_IDLE_VCPU] = "vcpu",
					   [ATTRIBUTION_IDLE_BUSY] = "busy",
					   [ATTRIBUTION_IDLE_NONE] = "none",
					   NULL};
static const char *const dram_choices[] = {
    [SETTINGS_DRAM_MEMORY] = "memory", [SETTINGS_DRAM_WORK] = "work", NULL};
static const char *const events_choices[] = {
    [SETTINGS_EVENTS_AUTO] = "auto", [SETTINGS_EVENTS_NONE] = "none", NULL};
static const char *const view_choices[] = {
    [SETTINGS_VIEW_ISOLATED] = "isolated", [SETTINGS_VIEW_EXACT] = "exact", NULL};
static const char *const tree_choices[] = {
    [SETTINGS_TREE_FUSE] = "fuse", [SETTINGS_TREE_TMPFS] = "tmpfs", NULL};

#define KEY(member, ...) CONFIG_KEY(settings, member, __VA_ARGS__)

static const struct config_key settings_table[] = {
    KEY(meter_source, "meter", "source", CONFIG_TEXT, "auto",
	.allowed = "auto, or the name of a source",
	.summary = "where energy comes from: auto takes the first of powercap, model that works"),
    KEY(meter_period_ns, "meter", "period", CONFIG_DURATION, "1s", .minimum = SECOND_NS / 100,
	.maximum = 60 * SECOND_NS, .allowed = "a duration from 10ms to 60s",
	.summary = "time between samples when nobody asks for one"),
    KEY(meter_checkpoint_ns, "meter", "checkpoint", CONFIG_DURATION, "5s",
	.minimum = SECOND_NS / 10, .maximum = 3600 * SECOND_NS,
	.allowed = "a duration from 100ms to 1h",
	.summary = "time between two savings of the accounts to disk"),
    KEY(meter_model_tdp_w, "meter", "model-tdp", CONFIG_COUNT, "0", .minimum = 0, .maximum = 2000,
	.allowed = "whole watts from 1 to 2000, or 0 for the table's",
	.summary = "source = model: the thermal design power of one package"),
    KEY(vms_provider, "vms", "provider", CONFIG_CHOICE, "libvirt", .choices = provider_choices,
	.allowed = "libvirt or procfs",
	.summary = "who says which virtual machines there are: libvirt, or procfs for QEMU "
		   "without libvirt (Proxmox, bare QEMU)"),
    KEY(vms_uri, "vms", "uri", CONFIG_TEXT, "qemu:///system", .allowed = "a libvirt URI",
	.summary = "the libvirt to ask"),
    KEY(vms_time, "vms", "time", CONFIG_CHOICE, "schedstat", .choices = time_choices,
	.allowed = "schedstat or libvirt",
	.summary = "where CPU time comes from: schedstat (nanoseconds), or libvirt where "
		   "QEMU's /proc cannot be seen (steps of 10 ms)"),
    KEY(vms_users, "vms", "users", CONFIG_TEXT, "auto",
	.allowed = "auto, or names of users with spaces between them",
	.summary = "the users, beside root, under which virtual machines run and whose QEMU is "
		   "believed: auto takes those of libvirt-qemu and qemu that there are"),
    KEY(vms_retention_ns, "vms", "retention", CONFIG_DURATION, "7d", .minimum = SECOND_NS,
	.maximum = 3650 * DAY_NS, .allowed = "a duration from 1s to 3650d",
	.summary = "how long the account of a machine that is gone waits for its return"),
    KEY(vms_metadata_ns, "vms", "metadata", CONFIG_DURATION, "60s", .minimum = 0,
	.maximum = 3600 * SECOND_NS, .allowed = "a duration up to 1h, or 0s for never",
	.summary =
	    "how often a machine's account is written into its libvirt metadata, so that its "
	    "counters go on if it moves to another host"),
    KEY(attribution_idle, "attribution", "idle", CONFIG_CHOICE, "vcpu", .choices = idle_choices,
	.allowed = "vcpu, busy or none",
	.summary = "who carries idle power: each vCPU its share, those that run by use, or "
		   "the host"),
    KEY(attribution_idle_power, "attribution", "idle-power", CONFIG_POWER, "auto",
	.maximum = CONFIG_POWER_UW_MAX, .allowed = CONFIG_POWER_ALLOWED "23.5W",
	.summary = "idle power of one package: found by measuring, or given"),
    KEY(attribution_idle_power_dram, "attribution", "idle-power-dram", CONFIG_POWER, "auto",
	.maximum = CONFIG_POWER_UW_MAX, .allowed = CONFIG_POWER_ALLOWED "3W",
	.summary = "the same of one package's memory"),
    KEY(attribution_idle_power_psys, "attribution", "idle-power-psys", CONFIG_POWER, "auto",
	.maximum = CONFIG_POWER_UW_MAX, .allowed = CONFIG_POWER_ALLOWED "80W",
	.summary = "the same of the whole machine"),
    KEY(attribution_dram, "attribution", "dram", CONFIG_CHOICE, "memory", .choices = dram_choices,
	.allowed = "memory or work",
	.summary =
	    "how what memory draws beyond its idle power is divided where no cache misses are "
	    "counted: by the memory that each holds, or by the work that makes it rise"),
    KEY(attribution_events, "attribution", "events", CONFIG_CHOICE, "auto",
	.choices = events_choices, .allowed = "auto or none",
	.summary = "count cycles, instructions and cache misses of vCPUs where the processor "
		   "and the kernel allow it (auto), or go by CPU time alone"),
    KEY(guest_view_mode, "guest-view", "mode", CONFIG_CHOICE, "isolated", .choices = view_choices,
	.allowed = "isolated or exact",
	.summary = "what a guest sees: isolated tells it nothing about its neighbours, exact is "
		   "its exact share, for trusted hosts"),
    KEY(tree_mode, "tree", "mode", CONFIG_CHOICE, "fuse", .choices = tree_choices,
	.allowed = "fuse or tmpfs",
	.summary = "how guests' trees are served: fuse computes each read, tmpfs keeps plain "
		   "files up to date, for hosts that cannot use FUSE"),
    KEY(tree_psys, "tree", "psys", CONFIG_BOOL, "no", .allowed = "yes or no",
	.summary = "give guests a psys zone where the host measures one"),
    KEY(tree_core, "tree", "core", CONFIG_BOOL, "no", .allowed = "yes or no",
	.summary = "measure the cores apart, too, and give guests a core zone below each package, "
		   "where the host has them (Intel)"),
    KEY(tree_uncore, "tree", "uncore", CONFIG_BOOL, "no", .allowed = "yes or no",
	.summary = "the same of uncore: the graphics of client processors, divided by CPU time"),
    KEY(http_listen, "http", "listen", CONFIG_TEXT, ":9771",
	.allowed = "[HOST]:PORT, with IPv6 addresses in brackets",
	.summary = "where wattport-exporter answers"),
    VIEW_SETTINGS_KEYS(settings, "wattport-exporter"),
};

const struct config_key *settings_keys(size_t *ret_count)
{
	*ret_count = sizeof(settings_table) / sizeof(settings_table[0]);
	return settings_table;
}

int settings_load(const char *path, const struct config_overrides *overrides,
		  struct settings *ret_settings, struct diag *diag)
{
	struct settings settings = {.meter_period_ns = 0};
	size_t count;
	const struct config_key *keys = settings_keys(&count);
	int status;

	config_defaults(keys, count, &settings);
	status = config_read_file(keys, count, path != NULL ? path : SETTINGS_PATH, path != NULL,
				  &settings, diag);
	if (status < 0)
		return status;
	if (overrides != NULL) {
		status = config_apply(keys, count, overrides, &settings, diag);
		if (status < 0)
			return status;
	}
	*ret_settings = settings;
	return 0;
}

static struct engine_idle_power settings_idle_power(const struct config_power *power)
{
	return (struct engine_idle_power){.given = power->given, .power_uw = power->power_uw};
}

struct vtree_request settings_tree(const struct settings *settings)
{
	return (struct vtree_request){.core = settings->tree_core,
				      .uncore = settings->tree_uncore,
				      .psys = settings->tree_psys};
}

struct engine_config settings_engine(const struct settings *settings)
{
	return (struct engine_config){
	    .idle = (enum attribution_policy)settings->attribution_idle,
	    .dram_by_work = settings->attribution_dram == SETTINGS_DRAM_WORK,
	    .guest_view_exact = settings->guest_view_mode == SETTINGS_VIEW_EXACT,
	    .package = settings_idle_power(&settings->attribution_idle_power),
	    .dram = settings_idle_power(&settings->attribution_idle_power_dram),
	    .psys = settings_idle_power(&settings->attribution_idle_power_psys),
	};
}
