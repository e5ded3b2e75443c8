#include "guest/agent_settings.h"
#include "common/clock.h"
#include "guest/compat.h"
#include "guest/meter.h"
#include "guest/mount.h"

#include <errno.h>
#include <string.h>

#define SECOND_NS CLOCK_NS_PER_SECOND

static const char *const source_choices[] = {
    [METER_AUTO] = "auto", [METER_TREE] = "tree", [METER_POWERCAP] = "powercap", NULL};

#define KEY(member, ...) CONFIG_KEY(agent_settings, member, __VA_ARGS__)
#define OUTPUT_KEY(index_, name_)                                                                  \
	KEY(outputs[index_], "output", name_, CONFIG_TEXT, "none",                                 \
	    .allowed = "none, or FORMAT[@PERIOD]:SINK", .summary = "the same as output.1")

static const struct config_key agent_settings_table[] = {
    KEY(agent_source, "agent", "source", CONFIG_CHOICE, "auto", .choices = source_choices,
	.allowed = "auto, tree or powercap",
	.summary = "read the host's tree or this machine's own RAPL: auto takes the first that is "
		   "there"),
    KEY(agent_at, "agent", "at", CONFIG_TEXT, MOUNT_AT_DEFAULT, .allowed = "a directory",
	.summary = "where the host's tree is mounted"),
    KEY(accounts_top, "accounts", "top", CONFIG_COUNT, "50", .minimum = 0,
	.maximum = ACCOUNTS_TOP_MAX, .allowed = "a number from 0 to 500",
	.summary = "so many units, processes, users and so on are shown by name, the others "
		   "together; 0 divides nothing"),
    KEY(accounts_period_ns, "accounts", "period", CONFIG_DURATION, "1s",
	.minimum = ACCOUNTS_PERIOD_NS_MIN, .maximum = ACCOUNTS_PERIOD_NS_MAX,
	.allowed = "a duration from 100ms to 30s", .summary = "how often energy is divided"),
    KEY(accounts_idle_power, "accounts", "idle-power", CONFIG_POWER, "auto",
	.maximum = CONFIG_POWER_UW_MAX, .allowed = CONFIG_POWER_ALLOWED "12.5W",
	.summary = "what each package draws at rest: found by measuring, or given"),
    KEY(accounts_idle_power_dram, "accounts", "idle-power-dram", CONFIG_POWER, "auto",
	.maximum = CONFIG_POWER_UW_MAX, .allowed = CONFIG_POWER_ALLOWED "3W",
	.summary = "the same of each package's memory"),
    KEY(outputs[0], "output", "1", CONFIG_TEXT, "none", .allowed = "none, or FORMAT[@PERIOD]:SINK",
	.summary = "an output: csv, json or influx to - (stdout), a file or named pipe, "
		   "udp://HOST:PORT, or http://HOST:PORT/DATABASE, as in "
		   "influx@10s:http://127.0.0.1:8086/telegraf"),
    OUTPUT_KEY(1, "2"),
    OUTPUT_KEY(2, "3"),
    OUTPUT_KEY(3, "4"),
    OUTPUT_KEY(4, "5"),
    OUTPUT_KEY(5, "6"),
    OUTPUT_KEY(6, "7"),
    OUTPUT_KEY(7, "8"),
    KEY(output_period_ns, "output", "period", CONFIG_DURATION, "10s",
	.minimum = OUTPUT_PERIOD_NS_MIN, .maximum = OUTPUT_PERIOD_NS_MAX,
	.allowed = "a duration from 100ms to 24h",
	.summary = "time between two ticks of an output that names none itself"),
    KEY(output_buffer_kib, "output", "buffer", CONFIG_COUNT, "4096", .minimum = 4,
	.maximum = 1048576, .allowed = "KiB from 4 to 1048576",
	.summary = "how much of each output waits while its sink cannot be reached; then the "
		   "oldest is dropped"),
    KEY(output_timeout_ns, "output", "timeout", CONFIG_DURATION, "10s", .minimum = SECOND_NS / 10,
	.maximum = 300 * SECOND_NS, .allowed = "a duration from 100ms to 5min",
	.summary = "how long a server or a reader may take before it counts as gone"),
    KEY(output_host, "output", "host", CONFIG_TEXT, "auto", .allowed = "auto, or a name",
	.summary = "what outputs call this machine: auto is its host name"),
    KEY(output_credentials, "output", "credentials", CONFIG_TEXT, "none",
	.allowed = "none, or a file",
	.summary = "users, passwords and tokens of the servers that outputs write to, a line each: "
		   "HOST:PORT basic USER PASSWORD, or HOST:PORT token TOKEN"),
    KEY(output_ca_file, "output", "ca-file", CONFIG_TEXT, "none", .allowed = "none, or a file",
	.summary = "certificates of the authorities that may vouch for these servers, instead of "
		   "the system's"),
    KEY(http_listen, "http", "listen", CONFIG_TEXT, ":9772",
	.allowed = "[HOST]:PORT, with IPv6 addresses in brackets",
	.summary = "where the agent answers"),
    KEY(http_compat_text, "http", "compat", CONFIG_TEXT, "none",
	.allowed = "none, or scaphandre, node and kepler with spaces between them",
	.summary = "whose metrics /metrics has as well, by their names and in their units, for "
		   "dashboards that know those"),
    VIEW_SETTINGS_KEYS(agent_settings, "the agent"),
};

const struct config_key *agent_settings_keys(size_t *ret_count)
{
	*ret_count = sizeof(agent_settings_table) / sizeof(agent_settings_table[0]);
	return agent_settings_table;
}

static bool agent_settings_has(const char *text)
{
	return strcmp(text, "none") != 0 && *text != '\0';
}

/* What the table cannot see: text that has a syntax of its own. */
static int agent_settings_check(struct agent_settings *settings, struct diag *diag)
{
	int status = compat_parse(settings->http_compat_text, &settings->http_compat, diag);

	if (status < 0) {
		diag_prefix(diag, "http.compat");
		return status;
	}
	for (unsigned int i = 0; i < OUTPUTS_MAX; i++) {
		struct output_spec spec;

		if (!agent_settings_has(settings->outputs[i]))
			continue;
		status = output_spec_parse(settings->outputs[i], &spec, diag);
		if (status < 0) {
			diag_prefix(diag, "output.%u", i + 1);
			return status;
		}
	}
	return 0;
}

int agent_settings_load(const char *path, const struct agent_settings_entries *entries,
			struct agent_settings *ret_settings, struct diag *diag)
{
	struct agent_settings settings = {.output_period_ns = 0};
	size_t count;
	const struct config_key *keys = agent_settings_keys(&count);
	int status;

	config_defaults(keys, count, &settings);
	status = config_read_file(keys, count, path != NULL ? path : AGENT_SETTINGS_PATH,
				  path != NULL, &settings, diag);
	for (size_t i = 0; status == 0 && entries != NULL && i < entries->count; i++)
		status = config_set(keys, count, &entries->list[i], &settings, diag);
	if (status == 0)
		status = agent_settings_check(&settings, diag);
	if (status < 0)
		return status;
	*ret_settings = settings;
	return 0;
}

int agent_settings_add_output(struct agent_settings *settings, const char *spec, struct diag *diag)
{
	struct output_spec parsed;
	int status = output_spec_parse(spec, &parsed, diag);

	if (status < 0)
		return status;
	for (size_t i = 0; i < OUTPUTS_MAX; i++) {
		if (agent_settings_has(settings->outputs[i]))
			continue;
		memcpy(settings->outputs[i], parsed.text, sizeof(settings->outputs[i]));
		return 0;
	}
	return diag_error(diag, -E2BIG, "there are %d outputs at most", OUTPUTS_MAX);
}

struct accounts_options agent_settings_accounts(const struct agent_settings *settings)
{
	const struct config_power *package = &settings->accounts_idle_power;
	const struct config_power *dram = &settings->accounts_idle_power_dram;

	return (struct accounts_options){
	    .top = settings->accounts_top,
	    .exits = true,
	    .package = {.given = package->given, .power_uw = package->power_uw},
	    .dram = {.given = dram->given, .power_uw = dram->power_uw},
	};
}

struct outputs_options agent_settings_outputs(const struct agent_settings *settings)
{
	struct outputs_options options = {
	    .period_ns = settings->output_period_ns,
	    .buffer_size = (size_t)settings->output_buffer_kib * 1024,
	    .timeout_ms = (uint32_t)(settings->output_timeout_ns / CLOCK_NS_PER_MS),
	};

	if (strcmp(settings->output_host, "auto") != 0)
		options.host = settings->output_host;
	if (agent_settings_has(settings->output_credentials))
		options.credentials_file = settings->output_credentials;
	if (agent_settings_has(settings->output_ca_file))
		options.ca_file = settings->output_ca_file;
	for (size_t i = 0; i < OUTPUTS_MAX; i++)
		if (agent_settings_has(settings->outputs[i]))
			options.specs[options.count++] = settings->outputs[i];
	return options;
}
