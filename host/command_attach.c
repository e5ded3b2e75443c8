/*
 * `wattport attach` and `wattport detach`.
 */
#include "common/cleanup.h"
#include "common/log.h"
#include "host/attach.h"
#include "host/command.h"

#include <errno.h>
#include <libvirt/virterror.h>
#include <stdio.h>
#include <string.h>

enum attach_option {
	OPTION_TRANSPORT = 0x200,
};

struct attach_line {
	struct command_options options;
	struct attach_request request;
	struct config_overrides overrides;
	const char *domain;
	bool add;
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
	case ARGP_KEY_ARG:
		if (line->domain != NULL)
			argp_error(state, "unexpected argument: %s", argument);
		line->domain = argument;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "the name or uuid of a domain is missing");
		return EINVAL;
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

static int attach_work(const struct attach_line *line, struct diag *diag)
{
	cleanup_connection virConnectPtr connection = NULL;
	cleanup_found virDomainPtr domain = NULL;
	struct attach_report report;
	int status = attach_connect(line, &connection, diag);

	if (status < 0)
		return status;
	status = attach_find(connection, line->domain, &domain, diag);
	if (status < 0)
		return status;
	if (line->add)
		status = attach_add(domain, &line->request, &report, diag);
	else
		status = attach_remove(domain, &line->request, &report, diag);
	if (status < 0)
		return status;
	if (line->add)
		attach_print_added(stdout, &report);
	else
		attach_print_removed(stdout, &report);
	return fflush(stdout) == 0 ? 0 : diag_error(diag, -errno, "%s", strerror(errno));
}

static int attach_run(int argc, char **argv, const struct argp *argp, bool add)
{
	struct attach_line line = {
	    .options = COMMAND_OPTIONS_INIT, .request = {.choose = true}, .add = add};
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

static const struct argp_child attach_children[] = {
    {&command_options_argp, 0, NULL, 0},
    {NULL, 0, NULL, 0},
};

int command_attach(int argc, char **argv)
{
	static const struct argp_option options[] = {
	    {"transport", OPTION_TRANSPORT, "NAME", 0,
	     "auto (default: virtiofs where it works, else 9p), 9p or virtiofs", 1},
	    {NULL, 0, NULL, 0, NULL, 0},
	};
	static const struct argp argp = {
	    .options = options,
	    .parser = attach_parse,
	    .args_doc = "DOMAIN",
	    .doc = "Gives a virtual machine its energy tree: writes a file system with the tag "
		   "" ATTACH_TAG " into its definition, and plugs it in if the machine runs and "
		   "can take it.",
	    .children = attach_children,
	};

	return attach_run(argc, argv, &argp, true);
}

int command_detach(int argc, char **argv)
{
	static const struct argp argp = {
	    .parser = attach_parse,
	    .args_doc = "DOMAIN",
	    .doc = "Takes a virtual machine's energy tree out of its definition, and out of the "
		   "machine if it runs and can give it back.",
	    .children = attach_children,
	};

	return attach_run(argc, argv, &argp, false);
}
