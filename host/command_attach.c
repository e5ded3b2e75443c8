/*
 * `wattport attach` and `wattport detach`: one row of a table each.
 */
#include "common/cleanup.h"
#include "common/log.h"
#include "host/attach_domain.h"
#include "host/attach_report.h"
#include "host/command.h"

#include <errno.h>
#include <libvirt/virterror.h>
#include <stdio.h>
#include <string.h>

enum attach_option {
	OPTION_TRANSPORT = 0x200,
	OPTION_DRY_RUN,
	OPTION_ALL,
};

/* What sets the two commands apart. */
struct attach_command {
	int (*change)(virDomainPtr domain, const struct attach_request *request,
		      struct attach_report *ret_report, struct diag *diag);
	void (*print)(FILE *stream, const struct attach_report *report,
		      enum attach_report_form form);
	bool remarks; /* about the guest and migration */
};

struct attach_line {
	const struct attach_command *command;
	struct command_options options;
	struct attach_request request;
	struct config_overrides overrides;
	const char *domain;
	bool all;
};

static void cleanup_connection_value(const virConnectPtr *connection)
{
	if (*connection != NULL)
		(void)virConnectClose(*connection);
}
#define cleanup_connection __attribute__((cleanup(cleanup_connection_value)))

static void cleanup_found_value(const virDomainPtr *domain)
{
	if (*domain != NULL)
		(void)virDomainFree(*domain);
}
#define cleanup_found __attribute__((cleanup(cleanup_found_value)))

static void attach_parse_transport(struct attach_request *request, const char *name,
				   struct argp_state *state)
{
	request->choose = false;
	if (strcmp(name, "9p") == 0)
		request->transport = ATTACH_9P;
	else if (strcmp(name, "virtiofs") == 0)
		request->transport = ATTACH_VIRTIOFS;
	else if (strcmp(name, "auto") == 0)
		request->choose = true;
	else
		argp_error(state, "--transport is auto, 9p or virtiofs, not %s", name);
}

static error_t attach_parse(int key, char *argument, struct argp_state *state)
{
	struct attach_line *line = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &line->options;
		return 0;
	case OPTION_TRANSPORT:
		attach_parse_transport(&line->request, argument, state);
		return 0;
	case OPTION_DRY_RUN:
		line->request.dry_run = true;
		return 0;
	case OPTION_ALL:
		line->all = true;
		return 0;
	case ARGP_KEY_ARG:
		if (line->domain != NULL)
			argp_error(state, "unexpected argument: %s", argument);
		line->domain = argument;
		return 0;
	case ARGP_KEY_END:
		if (line->domain == NULL && !line->all)
			argp_error(state, "the name or uuid of a domain is missing, or --all");
		if (line->domain != NULL && line->all)
			argp_error(state, "either --all or a domain, not both: %s", line->domain);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* The messages are told by us. */
static void attach_ignore_error(void *user, virErrorPtr error)
{
	(void)user;
	(void)error;
}

static int attach_connect(const struct attach_line *line, virConnectPtr *ret_connection,
			  struct diag *diag)
{
	struct settings settings;
	virConnectPtr connection;
	int status = settings_load(line->options.config, &line->overrides, &settings, diag);

	if (status < 0)
		return status;
	virSetErrorFunc(NULL, attach_ignore_error);
	connection = virConnectOpen(settings.vms_uri);
	if (connection == NULL)
		return diag_error(diag, -ECONNREFUSED,
				  "cannot reach libvirt at %s: %s; start libvirtd, be root or in "
				  "the group libvirt, or name another with --vms.uri=",
				  settings.vms_uri, virGetLastErrorMessage());
	*ret_connection = connection;
	return 0;
}

static int attach_one(const struct attach_line *line, virConnectPtr connection, struct diag *diag)
{
	cleanup_found virDomainPtr domain = NULL;
	struct attach_report report;
	int status = attach_domain_find(connection, line->domain, &domain, diag);

	if (status == 0)
		status = line->command->change(domain, &line->request, &report, diag);
	if (status < 0)
		return status;
	line->command->print(stdout, &report, ATTACH_REPORT_LINES);
	if (line->command->remarks)
		attach_report_remarks(stdout, report.transport);
	attach_report_finish(&report);
	return 0;
}

/* What holds for a transport is said once, behind the domains that have it. */
static void attach_remark_all(const bool *used)
{
	if (used[ATTACH_9P])
		attach_report_remarks(stdout, ATTACH_9P);
	if (used[ATTACH_VIRTIOFS])
		attach_report_remarks(stdout, ATTACH_VIRTIOFS);
}

/* A domain that cannot be changed is told of and does not keep the others from it. */
static int attach_each(const struct attach_line *line, const virDomainPtr *list, int count)
{
	bool used[] = {[ATTACH_9P] = false, [ATTACH_VIRTIOFS] = false};
	int failed = 0;

	for (int i = 0; i < count; i++) {
		const char *name = virDomainGetName(list[i]);
		struct diag diag = DIAG_INIT;
		struct attach_report report;

		if (line->command->change(list[i], &line->request, &report, &diag) < 0) {
			log_error("%s: %s", name != NULL ? name : "?", diag.text);
			failed++;
			continue;
		}
		line->command->print(stdout, &report, ATTACH_REPORT_LINE);
		used[report.transport] = true;
		attach_report_finish(&report);
	}
	if (line->command->remarks)
		attach_remark_all(used);
	return failed;
}

static int attach_all(const struct attach_line *line, virConnectPtr connection, struct diag *diag)
{
	virDomainPtr *list;
	int count = attach_domain_list(connection, &list, diag);
	int failed;

	if (count < 0)
		return count;
	failed = attach_each(line, list, count);
	attach_domain_list_free(list, count);
	if (count == 0)
		(void)printf("libvirt has no domains.\n");
	return failed == 0 ? 0
			   : diag_error(diag, -EIO, "%d of %d domains were left as they are",
					failed, count);
}

static int attach_work(const struct attach_line *line, struct diag *diag)
{
	cleanup_connection virConnectPtr connection = NULL;
	int status = attach_connect(line, &connection, diag);

	if (status < 0)
		return status;
	status =
	    line->all ? attach_all(line, connection, diag) : attach_one(line, connection, diag);
	if (fflush(stdout) != 0 && status == 0)
		return diag_error(diag, -errno, "%s", strerror(errno));
	return status;
}

static int attach_run(int argc, char **argv, const struct argp *argp,
		      const struct attach_command *command)
{
	struct attach_line line = {
	    .options = COMMAND_OPTIONS_INIT, .request = {.choose = true}, .command = command};
	struct diag diag = DIAG_INIT;

	if (config_extract(&argc, argv, &line.overrides, &diag) < 0) {
		log_error("%s", diag.text);
		return COMMAND_EXIT_USAGE;
	}
	if (argp_parse(argp, argc, argv, 0, NULL, &line) != 0)
		return COMMAND_EXIT_USAGE;
	line.request.runtime_dir = line.options.runtime_dir;
	if (attach_work(&line, &diag) < 0) {
		log_error("%s", diag.text);
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}

/* The first is attach's alone: detach takes the list from the second on. */
static const struct argp_option attach_options[] = {
    {"transport", OPTION_TRANSPORT, "NAME", 0,
     "auto (default: virtiofs where it works, else 9p), 9p or virtiofs", 1},
    {"all", OPTION_ALL, NULL, 0, "Every domain that is defined or runs", 1},
    {"dry-run", OPTION_DRY_RUN, NULL, 0, "Show what would be changed, change nothing", 1},
    {NULL, 0, NULL, 0, NULL, 0},
};

static const struct argp_child attach_children[] = {
    {&command_options_argp, 0, NULL, 0},
    {NULL, 0, NULL, 0},
};

int command_attach(int argc, char **argv)
{
	static const struct attach_command command = {attach_add, attach_report_added, true};
	static const struct argp argp = {
	    .options = attach_options,
	    .parser = attach_parse,
	    .args_doc = "DOMAIN\n--all",
	    .doc = "Gives a virtual machine its energy tree: writes a file system with the tag "
		   "" ATTACH_TAG " into its definition, and plugs it in if the machine runs and "
		   "can take it.",
	    .children = attach_children,
	};

	return attach_run(argc, argv, &argp, &command);
}

int command_detach(int argc, char **argv)
{
	static const struct attach_command command = {attach_remove, attach_report_removed, false};
	static const struct argp argp = {
	    .options = attach_options + 1,
	    .parser = attach_parse,
	    .args_doc = "DOMAIN\n--all",
	    .doc = "Takes a virtual machine's energy tree out of its definition, and out of the "
		   "machine if it runs and can give it back.",
	    .children = attach_children,
	};

	return attach_run(argc, argv, &argp, &command);
}
