/*
 * `wattport status` and `wattport vm`: one copy of the ledger, as tables or as JSON.
 *
 * Figures that are not fresh are shown, since totals stay true, but told on stderr and by the exit
 * status, so that a script does not take them for the present.
 */
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/log.h"
#include "host/command.h"
#include "host/ledger_view.h"
#include "host/status_json.h"
#include "host/status_text.h"
#include "host/summary.h"

#include <errno.h>
#include <stdio.h>

/* One instant of the ledger. */
struct status_picture {
	struct ledger_copy copy;
	struct summary summary;
};

static void status_picture_release(struct status_picture *picture)
{
	summary_finish(&picture->summary);
	ledger_copy_free(&picture->copy);
}
#define cleanup_picture __attribute__((cleanup(status_picture_release)))

static int status_take(const char *runtime_dir, struct status_picture *ret_picture,
		       struct diag *diag)
{
	cleanup_ledger_view struct ledger_view *view = NULL;
	int status = ledger_view_create(runtime_dir, &view);

	if (status < 0)
		return diag_error(diag, status, "out of memory");
	status = ledger_view_copy(view, &ret_picture->copy, diag);
	if (status < 0)
		return status;
	status =
	    summary_init(&ret_picture->summary, &ret_picture->copy, clock_now_mono(clock_real()));
	return status < 0 ? diag_error(diag, status, "out of memory") : 0;
}

/* Prints a document and frees it; NULL: there was no memory for it. */
static int status_print_document(char *document)
{
	cleanup_free char *text = document;

	if (text == NULL)
		return -ENOMEM;
	return fputs(text, stdout) < 0 ? -EIO : 0;
}

/* What is printed may stand in a buffer until now: only flushing tells whether it arrived. */
static int status_finish(int status, const struct summary *summary)
{
	struct diag diag = DIAG_INIT;

	if (status == 0 && fflush(stdout) != 0)
		status = -errno;
	if (status < 0) {
		log_error("cannot print: %s", strerror(-status));
		return EXIT_FAILURE;
	}
	if (summary_check_fresh(summary, &diag) < 0) {
		log_error("%s", diag.text);
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}

int command_status(int argc, char **argv)
{
	cleanup_picture struct status_picture picture = {.copy = {.vms = NULL}};
	struct command_line line;
	struct diag diag = DIAG_INIT;
	int status;

	command_parse(argc, argv, "Shows what the host and its virtual machines use.", NULL, &line);
	if (status_take(line.options.runtime_dir, &picture, &diag) < 0) {
		log_error("%s", diag.text);
		return EXIT_FAILURE;
	}
	if (line.json)
		status = status_print_document(status_json(&picture.copy, &picture.summary));
	else
		status = status_text_print(&picture.copy, &picture.summary, stdout);
	return status_finish(status, &picture.summary);
}

static int status_print_vm(const struct status_picture *picture, const struct summary_vm *vm,
			   bool json)
{
	if (vm == NULL && json)
		return status_print_document(status_json_vms(&picture->copy, &picture->summary));
	if (vm == NULL)
		return status_text_print_vms(&picture->copy, &picture->summary, stdout);
	if (json)
		return status_print_document(status_json_vm(&picture->copy, vm));
	return status_text_print_vm(&picture->copy, &picture->summary, vm, stdout);
}

int command_vm(int argc, char **argv)
{
	cleanup_picture struct status_picture picture = {.copy = {.vms = NULL}};
	const struct summary_vm *vm = NULL;
	struct command_line line;
	struct diag diag = DIAG_INIT;
	int status;

	command_parse(argc, argv,
		      "Lists the virtual machines, or shows all of the one of that name or uuid.",
		      "[NAME|UUID]", &line);
	status = status_take(line.options.runtime_dir, &picture, &diag);
	if (status == 0 && line.argument != NULL)
		status = summary_find(&picture.summary, line.argument, &vm, &diag);
	if (status < 0) {
		log_error("%s", diag.text);
		return EXIT_FAILURE;
	}
	return status_finish(status_print_vm(&picture, vm, line.json), &picture.summary);
}
