#include <string.h>

#include "tests/raplsim/commands.h"
#include "tests/raplsim/control.h"
#include "tests/raplsim/run.h"

#define STATUS_USAGE 2

static void print_usage(FILE *out)
{
	(void)fputs("usage: raplsim run DIR [OPTION]...     a host under DIR, for --sysroot DIR\n"
		    "       raplsim ctl DIR COMMAND...      talk to it\n\noptions:\n",
		    out);
	options_print_usage(out);
	(void)fputs("\ncommands:\n", out);
	commands_print_usage(out);
}

static int control_main(int count, char **arguments)
{
	int r;

	if (count < 3) {
		(void)fputs("raplsim: ctl takes a directory and a command\n", stderr);
		return STATUS_USAGE;
	}
	r = control_request(arguments[1], (size_t)count - 2, arguments + 2);
	if (r < 0) {
		(void)fprintf(stderr, "raplsim: no simulator answers in %s: %s\n", arguments[1],
			      strerror(-r));
		return 1;
	}
	return r;
}

int main(int count, char **arguments)
{
	static char run_name[] = "raplsim run"; /* What getopt() puts before its messages. */
	struct options options;

	if (count >= 2 && strcmp(arguments[1], "--help") == 0) {
		print_usage(stdout);
		return 0;
	}
	if (count >= 2 && strcmp(arguments[1], "--version") == 0) {
		(void)puts("raplsim " WATTPORT_VERSION);
		return 0;
	}
	if (count >= 2 && strcmp(arguments[1], "ctl") == 0)
		return control_main(count - 1, arguments + 1);
	if (count >= 2 && strcmp(arguments[1], "run") == 0) {
		arguments[1] = run_name;
		if (options_parse(count - 1, arguments + 1, &options) < 0)
			return STATUS_USAGE;
		return run(&options);
	}
	print_usage(stderr);
	return STATUS_USAGE;
}
