/*
 * `wattport replay`: what a recorded trace comes to, with any settings of attribution.
 *
 * Without --config the settings are the defaults, not this machine's own: a trace that somebody
 * sent gives the same accounts here as there.
 */
#include "common/cleanup.h"
#include "common/log.h"
#include "common/quantity.h"
#include "host/command.h"
#include "host/replay.h"
#include "host/table.h"

#include <errno.h>
#include <string.h>

enum replay_option {
	OPTION_JSON = 0x200,
	OPTION_EACH,
};

struct replay_line {
	struct command_options options;
	const char *path;
	bool json;
	bool each;
};

static error_t replay_parse(int key, char *argument, struct argp_state *state)
{
	struct replay_line *line = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &line->options;
		return 0;
	case OPTION_JSON:
		line->json = true;
		return 0;
	case OPTION_EACH:
		line->each = true;
		return 0;
	case ARGP_KEY_ARG:
		if (line->path != NULL)
			argp_error(state, "unexpected argument: %s", argument);
		line->path = argument;
		return 0;
	case ARGP_KEY_END:
		if (line->path == NULL)
			argp_error(state, "name the trace to replay");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static void replay_parse_line(int argc, char **argv, struct replay_line *ret_line)
{
	static const struct argp_option options[] = {
	    {"json", OPTION_JSON, NULL, 0, "Print JSON with exact integers", 1},
	    {"each", OPTION_EACH, NULL, 0, "Print the accounts after each sample, as JSON", 1},
	    {NULL, 0, NULL, 0, NULL, 0},
	};
	static const struct argp_child children[] = {
	    {&command_options_argp, 0, NULL, 0},
	    {NULL, 0, NULL, 0},
	};
	static const struct argp argp = {
	    .options = options,
	    .parser = replay_parse,
	    .args_doc = "FILE",
	    .doc = "Book a recorded trace and show the accounts."
		   "\vSettings of attribution apply: --attribution.idle=busy, "
		   "--guest-view.mode=exact and the like.",
	    .children = children,
	};

	*ret_line = (struct replay_line){.options = COMMAND_OPTIONS_INIT};
	(void)argp_parse(&argp, argc, argv, 0, NULL, ret_line);
}

static int replay_print_json(const struct replay *replay)
{
	cleanup_free char *text = replay_json(replay);

	if (text == NULL)
		return -ENOMEM;
	return fputs(text, stdout) < 0 ? -EIO : 0;
}

static void replay_add_energy(struct table *table, uint64_t energy_uj)
{
	char text[QUANTITY_SIZE];

	quantity_energy(energy_uj, text);
	table_add(table, text);
}

/* A row an account and zone. */
static int replay_print_table(const struct replay *replay)
{
	static const struct table_column columns[] = {
	    {"ACCOUNT", TABLE_LEFT, 40},    {"ZONE", TABLE_LEFT, 0},
	    {"ENERGY", TABLE_RIGHT, 0},	    {"ACTIVE", TABLE_RIGHT, 0},
	    {"IDLE SHARE", TABLE_RIGHT, 0}, {"OVERHEAD", TABLE_RIGHT, 0},
	    {"GUEST SEES", TABLE_RIGHT, 0}};
	const struct ledger *ledger = replay_ledger(replay);
	const struct ledger_host *host = ledger_host_const(ledger);
	cleanup_table struct table *table = NULL;
	int status = table_create(columns, sizeof(columns) / sizeof(columns[0]), &table);

	if (status < 0)
		return status;
	for (uint32_t zone = 0; zone < host->zone_count; zone++) {
		table_add(table, "(host)");
		table_add(table, host->zones[zone].zone.id);
		replay_add_energy(table, host->zones[zone].energy_uj);
		replay_add_energy(table, host->zones[zone].other_uj);
		replay_add_energy(table, host->zones[zone].idle_uj);
		table_add(table, "");
		table_add(table, "");
	}
	for (size_t slot = 0; slot < ledger_slot_count(ledger); slot++) {
		const struct ledger_vm *vm = ledger_vm_const(ledger, slot);

		for (uint32_t zone = 0; vm != NULL && zone < host->zone_count; zone++) {
			const struct ledger_share *share = &vm->shares[zone];

			table_add(table, vm->name);
			table_add(table, host->zones[zone].zone.id);
			replay_add_energy(table, ledger_share_total_uj(share));
			for (size_t part = 0; part < LEDGER_PART_COUNT; part++)
				replay_add_energy(table, share->part_uj[part]);
			replay_add_energy(table, share->guest_view_uj);
		}
	}
	return table_print(table, stdout);
}

static int replay_run(const struct replay_line *line, const struct engine_config *config,
		      struct diag *diag)
{
	cleanup_replay struct replay *replay = NULL;
	int status = replay_open(line->path, config, &replay, diag);

	if (status < 0)
		return status;
	while ((status = replay_step(replay, diag)) == 0) {
		if (!line->each)
			continue;
		status = replay_print_json(replay);
		if (status < 0)
			return diag_error(diag, status, "cannot print: %s", strerror(-status));
	}
	if (status != -ENODATA) {
		diag_prefix(diag, "%s", line->path);
		return status;
	}
	if (line->each)
		status = 0;
	else
		status = line->json ? replay_print_json(replay) : replay_print_table(replay);
	if (status == 0 && fflush(stdout) != 0)
		status = -errno;
	return status < 0 ? diag_error(diag, status, "cannot print: %s", strerror(-status)) : 0;
}

int command_replay(int argc, char **argv)
{
	struct config_overrides overrides;
	struct replay_line line = {.path = NULL};
	struct settings settings;
	struct engine_config config;
	struct diag diag = DIAG_INIT;
	int status = config_extract(&argc, argv, &overrides, &diag);

	if (status == 0) {
		replay_parse_line(argc, argv, &line);
		status = settings_load(line.options.config != NULL ? line.options.config
								   : SETTINGS_NO_FILE,
				       &overrides, &settings, &diag);
	}
	if (status < 0) {
		log_error("%s", diag.text);
		return COMMAND_EXIT_USAGE;
	}
	config = settings_engine(&settings);
	if (replay_run(&line, &config, &diag) < 0) {
		log_error("%s", diag.text);
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}
