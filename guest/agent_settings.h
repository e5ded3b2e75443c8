/*
 * agent_settings.h: what /etc/wattport/agent.conf may say, and what holds without it.
 *
 * Of the agent's service; its commands have options alone. The table in agent_settings.c is the one
 * place where a key is described: packaging/agent.conf and docs/configuration.md are made from it,
 * and --SECTION.KEY=VALUE takes each of them.
 */
#ifndef WATTPORT_GUEST_AGENT_SETTINGS_H
#define WATTPORT_GUEST_AGENT_SETTINGS_H

#include "common/config.h"
#include "common/diag.h"
#include "common/view_settings.h"
#include "guest/accounts.h"
#include "guest/outputs.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AGENT_SETTINGS_PATH    "/etc/wattport/agent.conf"
#define AGENT_SETTINGS_NO_FILE "/dev/null" /* for agent_settings_load(): the defaults alone */

struct agent_settings {
	uint32_t agent_source; /* enum meter_source */
	char agent_at[CONFIG_TEXT_SIZE];
	uint32_t accounts_top; /* 0: nothing is divided */
	uint64_t accounts_period_ns;
	struct config_power accounts_idle_power;
	struct config_power accounts_idle_power_dram;
	char outputs[OUTPUTS_MAX][CONFIG_TEXT_SIZE]; /* or "none" */
	uint64_t output_period_ns;
	uint32_t output_buffer_kib;
	uint64_t output_timeout_ns;
	char output_host[CONFIG_TEXT_SIZE];	   /* or "auto" */
	char output_credentials[CONFIG_TEXT_SIZE]; /* or "none" */
	char output_ca_file[CONFIG_TEXT_SIZE];	   /* or "none": the system's */
	char http_listen[CONFIG_TEXT_SIZE];
	uint32_t http_compat;			 /* enum compat_tool, as bits */
	char http_compat_text[CONFIG_TEXT_SIZE]; /* as written: "none", "scaphandre node" */
	struct view_settings view;
};

const struct config_key *agent_settings_keys(size_t *ret_count);

/*
 * Defaults, then the file, then the entries, in their order. `path` NULL: AGENT_SETTINGS_PATH,
 * which need not exist. Everything is checked, also what outputs and other tools' names say.
 */
struct agent_settings_entries {
	const struct config_entry *list;
	size_t count;
};
int agent_settings_load(const char *path, const struct agent_settings_entries *entries,
			struct agent_settings *ret_settings, struct diag *diag);

/* One output more, in the first place that is free: -E2BIG, or what output_spec_parse() says. */
int agent_settings_add_output(struct agent_settings *settings, const char *spec, struct diag *diag);

/* The part that the accounts take. */
struct accounts_options agent_settings_accounts(const struct agent_settings *settings);

/* The outputs that there are; they point into the settings. */
struct outputs_options agent_settings_outputs(const struct agent_settings *settings);

#endif
