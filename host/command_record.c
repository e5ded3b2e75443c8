/*
 * `wattport record`: the samples that wattportd books, as they come, into a trace.
 *
 * The daemon sends them over its socket, so a replay of the trace gives the daemon's own accounts.
 */
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/log.h"
#include "common/meter_client.h"
#include "common/parse.h"
#include "host/command.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>

#define RECORD_ANSWER_NS CLOCK_NS_PER_SECOND

/* The one flag that a signal may set (STYLE: sig_atomic_t). */
static volatile sig_atomic_t record_stopped;

enum record_option {
	OPTION_DURATION = 0x200,
};

struct record_line {
	struct command_options options;
	const char *path;
	uint64_t duration_ns; /* 0: until a signal */
};

static void record_stop(int signal_number)
{
	(void)signal_number;
	record_stopped = 1;
}

static error_t record_parse(int key, char *argument, struct argp_state *state)
{
	struct record_line *line = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &line->options;
		return 0;
	case OPTION_DURATION:
		if (parse_duration_ns(argument, &line->duration_ns) < 0 || line->duration_ns == 0)
			argp_error(state, "--duration takes a time with its unit: 30s, 24h; not %s",
				   argument);
		return 0;
	case ARGP_KEY_ARG:
		if (line->path != NULL)
			argp_error(state, "unexpected argument: %s", argument);
		line->path = argument;
		return 0;
	case ARGP_KEY_END:
		if (line->path == NULL)
			argp_error(state, "name the file to record to");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static void record_parse_line(int argc, char **argv, struct record_line *ret_line)
{
	static const struct argp_option options[] = {
	    {"duration", OPTION_DURATION, "TIME", 0, "Stop after TIME (30s, 24h)", 1},
	    {NULL, 0, NULL, 0, NULL, 0},
	};
	static const struct argp_child children[] = {
	    {&command_options_argp, 0, NULL, 0},
	    {NULL, 0, NULL, 0},
	};
	static const struct argp argp = {
	    .options = options,
	    .parser = record_parse,
	    .args_doc = "FILE",
	    .doc = "Record the samples that wattportd books, until interrupted."
		   "\v`wattport replay FILE` books them again.",
	    .children = children,
	};

	*ret_line = (struct record_line){.options = COMMAND_OPTIONS_INIT};
	(void)argp_parse(&argp, argc, argv, 0, NULL, ret_line);
}

static int record_connect(const char *runtime_dir, int *ret_fd, struct diag *diag)
{
	cleanup_fd int runtime_fd = open(runtime_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup_fd int fd = -1;
	char reply[METER_REQUEST_SIZE_MAX];
	size_t length;
	int status;

	if (runtime_fd < 0)
		return diag_error(diag, -errno, "cannot open %s: %s; start wattportd", runtime_dir,
				  strerror(errno));
	status = meter_connect(runtime_fd, &fd, diag);
	if (status < 0)
		return status;
	status = meter_ask(fd, "record", RECORD_ANSWER_NS, reply, sizeof(reply), &length);
	if (status < 0)
		return diag_error(diag, status, "wattportd does not answer: %s", strerror(-status));
	if (strcmp(reply, "ok") != 0)
		return diag_error(diag, -EPERM, "wattportd refuses: %s", reply);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

/* Milliseconds until the end, for poll(2); -1: none. */
static int record_timeout_ms(const struct record_line *line, struct mono_time start)
{
	uint64_t elapsed_ns = clock_elapsed_ns(start, clock_now_mono(clock_real()));
	uint64_t left_ms;

	if (line->duration_ns == 0)
		return -1;
	if (elapsed_ns >= line->duration_ns)
		return 0;
	left_ms = (line->duration_ns - elapsed_ns) / CLOCK_NS_PER_MS + 1;
	return left_ms < 3600000 ? (int)left_ms : 3600000;
}

/* Whole lines only: a message may end in the middle of one, and the last may be cut by the end. */
static int record_copy(const struct record_line *line, int meter_fd, int file_fd, struct diag *diag)
{
	cleanup_free char *message = malloc(METER_MESSAGE_SIZE_MAX + 1);
	struct mono_time start = clock_now_mono(clock_real());
	bool whole = true;

	if (message == NULL)
		return diag_error(diag, -ENOMEM, "out of memory");
	for (;;) {
		struct pollfd polled = {.fd = meter_fd, .events = POLLIN};
		int timeout_ms = record_timeout_ms(line, start);
		size_t length;
		int status;

		/* What is under way is taken to its end. */
		if (whole && (record_stopped || timeout_ms == 0))
			return 0;
		if (poll(&polled, 1, timeout_ms) <= 0)
			continue;
		status = meter_receive(meter_fd, message, METER_MESSAGE_SIZE_MAX + 1, &length);
		if (status == -EAGAIN)
			continue;
		if (status < 0)
			return diag_error(
			    diag, status,
			    "wattportd has gone; what was recorded until now is kept");
		if (length == 0)
			continue;
		status = file_write_all(file_fd, message, length);
		if (status < 0)
			return diag_error(diag, status, "cannot write %s: %s", line->path,
					  strerror(-status));
		whole = message[length - 1] == '\n';
	}
}

int command_record(int argc, char **argv)
{
	const struct sigaction action = {.sa_handler = record_stop};
	struct record_line line;
	struct diag diag = DIAG_INIT;
	cleanup_fd int meter_fd = -1;
	cleanup_fd int file_fd = -1;

	record_parse_line(argc, argv, &line);
	if (record_connect(line.options.runtime_dir, &meter_fd, &diag) < 0) {
		log_error("%s", diag.text);
		return EXIT_FAILURE;
	}
	file_fd = open(line.path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (file_fd < 0) {
		log_error("cannot write %s: %s", line.path, strerror(errno));
		return EXIT_FAILURE;
	}
	(void)sigaction(SIGINT, &action, NULL);
	(void)sigaction(SIGTERM, &action, NULL);
	if (record_copy(&line, meter_fd, file_fd, &diag) < 0) {
		log_error("%s", diag.text);
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}
