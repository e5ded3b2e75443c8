/*
 * `wattport doctor`.
 */
#include "common/cleanup.h"
#include "common/log.h"
#include "host/command.h"
#include "host/doctor.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int doctor_show(const struct doctor *doctor, bool json)
{
	cleanup_free char *text = NULL;

	if (!json) {
		doctor_print(stdout, doctor);
		return fflush(stdout) == 0 ? 0 : -errno;
	}
	text = doctor_json(doctor);
	if (text == NULL)
		return -ENOMEM;
	return puts(text) >= 0 && fflush(stdout) == 0 ? 0 : -EIO;
}

int command_doctor(int argc, char **argv)
{
	struct config_overrides overrides;
	cleanup_sysroot struct sysroot *root = NULL;
	cleanup_free struct doctor *doctor = malloc(sizeof(*doctor));
	struct diag diag = DIAG_INIT;
	struct doctor_context context;
	struct command_line line;
	struct settings settings;
	int status;

	if (config_extract(&argc, argv, &overrides, &diag) < 0) {
		log_error("%s", diag.text);
		return COMMAND_EXIT_USAGE;
	}
	command_parse(argc, argv,
		      "Says what this host can do for Wattport, and the command that mends what it "
		      "cannot. Changes nothing. Exit status 0 if Wattport can work here.",
		      NULL, &line);
	if (doctor == NULL ||
	    settings_load(line.options.config, &overrides, &settings, &diag) < 0 ||
	    sysroot_open(line.options.sysroot, &root, &diag) < 0) {
		log_error("%s", diag.text[0] != '\0' ? diag.text : "out of memory");
		return EXIT_FAILURE;
	}
	context = (struct doctor_context){
	    .root = root,
	    .clock = clock_real(),
	    .settings = &settings,
	    .runtime_dir = line.options.runtime_dir,
	};
	doctor_run(&context, doctor);
	status = doctor_show(doctor, line.json);
	if (status < 0) {
		log_error("cannot write: %s", strerror(-status));
		return EXIT_FAILURE;
	}
	return doctor_works(doctor) ? EXIT_SUCCESS : EXIT_FAILURE;
}
