/*
 * settings.h: what /etc/wattport/wattport.conf may say, and what holds without it.
 *
 * A foundation of the host's programs: wattportd, wattport-fs, wattport-exporter and wattport read
 * the same file, each takes its part. The table in settings.c is the one place where a key is
 * described; packaging/wattport.conf and docs/configuration.md are checked against it.
 */
#ifndef WATTPORT_COMMON_SETTINGS_H
#define WATTPORT_COMMON_SETTINGS_H

#include "common/config.h"
#include "common/diag.h"
#include "common/engine.h"
#include "common/view_settings.h"
#include "common/vtree.h"

#include <stddef.h>
#include <stdint.h>

#define SETTINGS_PATH	     "/etc/wattport/wattport.conf"
#define SETTINGS_RUNTIME_DIR "/run/wattport"
#define SETTINGS_NO_FILE     "/dev/null" /* for settings_load(): the defaults alone */
#define SETTINGS_STATE_DIR   "/var/lib/wattport"

enum settings_provider {
	SETTINGS_PROVIDER_LIBVIRT,
	SETTINGS_PROVIDER_PROCFS,
};

enum settings_time {
	SETTINGS_TIME_SCHEDSTAT,
	SETTINGS_TIME_LIBVIRT,
};

enum settings_dram {
	SETTINGS_DRAM_MEMORY,
	SETTINGS_DRAM_WORK,
};

enum settings_events {
	SETTINGS_EVENTS_AUTO,
	SETTINGS_EVENTS_NONE,
};

enum settings_view {
	SETTINGS_VIEW_ISOLATED,
	SETTINGS_VIEW_EXACT,
};

enum settings_tree {
	SETTINGS_TREE_FUSE,
	SETTINGS_TREE_TMPFS,
};

struct settings {
	char meter_source[CONFIG_TEXT_SIZE];
	uint64_t meter_period_ns;
	uint64_t meter_checkpoint_ns;
	uint32_t meter_model_tdp_w;
	uint32_t vms_provider; /* enum settings_provider */
	char vms_uri[CONFIG_TEXT_SIZE];
	uint32_t vms_time; /* enum settings_time */
	char vms_users[CONFIG_TEXT_SIZE];
	uint64_t vms_retention_ns;
	uint64_t vms_metadata_ns;  /* 0: never */
	uint32_t attribution_idle; /* enum attribution_policy */
	struct config_power attribution_idle_power;
	struct config_power attribution_idle_power_dram;
	struct config_power attribution_idle_power_psys;
	uint32_t attribution_dram;   /* enum settings_dram */
	uint32_t attribution_events; /* enum settings_events */
	uint32_t guest_view_mode;    /* enum settings_view */
	uint32_t tree_mode;	     /* enum settings_tree */
	bool tree_psys;
	bool tree_core;
	bool tree_uncore;
	char http_listen[CONFIG_TEXT_SIZE];
	struct view_settings view;
};

/* The table, for the programs that check documents against it. */
const struct config_key *settings_keys(size_t *ret_count);

/*
 * Defaults, then the file, then the overrides. `path` NULL: SETTINGS_PATH, which need not exist.
 */
int settings_load(const char *path, const struct config_overrides *overrides,
		  struct settings *ret_settings, struct diag *diag);

/* The zones that trees show only when asked for. */
struct vtree_request settings_tree(const struct settings *settings);

/* The part that attribution takes. */
struct engine_config settings_engine(const struct settings *settings);

#endif
