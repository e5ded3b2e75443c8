/*
 * `wattport record`: the samples that wattportd books, as they come, into a trace.
 *
 * The daemon sends them over its socket, so a replay of the trace gives the daemon's own accounts.
 * A daemon that is restarted begins anew, and so does the trace: with another head.
 */
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/meter_client.h"
#include "common/parse.h"
#include "common/trace.h"
#include "host/command.h"
#include "host/trace_file.h"
#include "host/trace_mask.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>

#define RECORD_ANSWER_NS CLOCK_NS_PER_SECOND
#define RECORD_RETRY_NS	 CLOCK_NS_PER_SECOND

/* The one flag that a signal may set (STYLE: sig_atomic_t). */
static volatile sig_atomic_t record_stopped;

enum record_option {
	OPTION_DURATION = 0x200,
	OPTION_ANONYMOUS,
};

struct record_line {
	struct command_options options;
	const char *path;
	uint64_t duration_ns; /* 0: until a signal */
	bool anonymous;
};

struct record {
	const struct record_line *line;
	int meter_fd; /* -1: wattportd has gone */
	struct mono_time start;
	struct trace_file *file;
	struct trace_mask *mask; /* with --anonymous, once the head is known */
	char *head;		 /* the first line */
	bool headed;		 /* the head of this connection has come */
	char *text;		 /* of a line that is not whole yet */
	size_t length;
	size_t capacity;
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
			argp_error(state, "--for takes a time with its unit: 30s, 24h; not %s",
				   argument);
		return 0;
	case OPTION_ANONYMOUS:
		line->anonymous = true;
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
	    {"for", OPTION_DURATION, NULL, OPTION_ALIAS, NULL, 1},
	    {"anonymous", OPTION_ANONYMOUS, NULL, 0,
	     "Put numbers in the place of the machines' names and uuids", 1},
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
		   "\vFILE.gz is compressed. A restart of wattportd is waited for. "
		   "`wattport replay FILE` books the samples again.",
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
static int record_timeout_ms(const struct record *record)
{
	const struct record_line *line = record->line;
	uint64_t elapsed_ns = clock_elapsed_ns(record->start, clock_now_mono(clock_real()));
	uint64_t left_ms;

	if (line->duration_ns == 0)
		return -1;
	if (elapsed_ns >= line->duration_ns)
		return 0;
	left_ms = (line->duration_ns - elapsed_ns) / CLOCK_NS_PER_MS + 1;
	return left_ms < 3600000 ? (int)left_ms : 3600000;
}

/* Until there is something to receive, the end has come or a signal did. */
static void record_wait(const struct record *record)
{
	struct pollfd polled = {.fd = record->meter_fd, .events = POLLIN};
	int timeout_ms = record_timeout_ms(record);
	struct timespec timeout = {.tv_sec = timeout_ms / 1000,
				   .tv_nsec = timeout_ms % 1000 * (long)CLOCK_NS_PER_MS};
	sigset_t none;

	/* Signals are blocked but for here, so that none falls between looking and waiting. */
	(void)sigemptyset(&none);
	(void)ppoll(&polled, record->meter_fd >= 0 ? 1 : 0, timeout_ms < 0 ? NULL : &timeout,
		    &none);
}

static bool record_ended(const struct record *record)
{
	return record_stopped || record_timeout_ms(record) == 0;
}

/* The head comes first from each wattportd that is recorded. */
static int record_take_head(struct record *record, const char *line, size_t length,
			    struct diag *diag)
{
	if (record->head == NULL) {
		record->head = strndup(line, length);
		if (record->head == NULL)
			return diag_error(diag, -ENOMEM, "out of memory");
		return record->line->anonymous
			   ? trace_mask_create(line, length, &record->mask, diag)
			   : 0;
	}
	if (strlen(record->head) != length || memcmp(record->head, line, length) != 0)
		return diag_error(diag, -ESTALE,
				  "this host's CPUs or zones have changed: record into another "
				  "file; what was recorded until now is kept");
	return 0;
}

static int record_take_line(struct record *record, const char *line, size_t length,
			    struct diag *diag)
{
	cleanup_free char *masked = NULL;
	struct mono_time now = clock_now_mono(clock_real());
	bool head = !record->headed;
	int status = 0;

	if (head)
		status = record_take_head(record, line, length, diag);
	else if (record->mask != NULL)
		status = trace_mask_line(record->mask, line, length, &masked, diag);
	if (status < 0)
		return status;
	record->headed = true;
	if (masked != NULL)
		return trace_file_add(record->file, masked, strlen(masked), now, diag);
	return trace_file_add(record->file, line, length, now, diag);
}

/* A message may end in the middle of a line, which then waits for its rest. */
static int record_take(struct record *record, const char *message, size_t length, struct diag *diag)
{
	while (length > 0) {
		const char *newline = memchr(message, '\n', length);
		size_t part = newline != NULL ? (size_t)(newline - message) + 1 : length;
		int status;

		if (record->length + part > TRACE_LINE_SIZE_MAX)
			return diag_error(diag, -EFBIG, "wattportd sends a line without end");
		if (record->length + part > record->capacity) {
			size_t capacity = 2 * (record->length + part);
			char *text = realloc(record->text, capacity);

			if (text == NULL)
				return diag_error(diag, -ENOMEM, "out of memory");
			record->text = text;
			record->capacity = capacity;
		}
		memcpy(record->text + record->length, message, part);
		record->length += part;
		message += part;
		length -= part;
		if (newline == NULL)
			return 0;
		status = record_take_line(record, record->text, record->length, diag);
		record->length = 0;
		if (status < 0)
			return status;
	}
	return 0;
}

/* wattportd has been restarted, or will be. What it measured meanwhile is in nobody's record. */
static void record_return(struct record *record)
{
	const struct timespec pause = {.tv_sec = RECORD_RETRY_NS / CLOCK_NS_PER_SECOND};
	struct diag diag = DIAG_INIT;
	sigset_t none;

	record->length = 0;
	record->headed = false;
	(void)sigemptyset(&none);
	if (record->meter_fd >= 0) {
		log_warning("wattportd has gone: waiting for its return");
		(void)close(record->meter_fd);
		record->meter_fd = -1;
	}
	(void)ppoll(NULL, 0, &pause, &none);
	if (record_connect(record->line->options.runtime_dir, &record->meter_fd, &diag) == 0)
		log_info("wattportd is back: the record goes on");
}

static int record_run(struct record *record, struct diag *diag)
{
	cleanup_free char *message = malloc(METER_MESSAGE_SIZE_MAX + 1);

	if (message == NULL)
		return diag_error(diag, -ENOMEM, "out of memory");
	/* A line that is under way is taken to its end. */
	while (!record_ended(record) || record->length > 0) {
		size_t length;
		int status;

		if (record->meter_fd < 0) {
			record_return(record);
			continue;
		}
		record_wait(record);
		status =
		    meter_receive(record->meter_fd, message, METER_MESSAGE_SIZE_MAX + 1, &length);
		if (status == -EAGAIN)
			continue;
		if (status < 0) {
			record_return(record);
			continue;
		}
		status = record_take(record, message, length, diag);
		if (status < 0)
			return status;
	}
	return 0;
}

static int record_start(struct record *record, struct diag *diag)
{
	const struct sigaction action = {.sa_handler = record_stop};
	sigset_t signals;
	int status = record_connect(record->line->options.runtime_dir, &record->meter_fd, diag);

	if (status < 0)
		return status;
	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGINT);
	(void)sigaddset(&signals, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &signals, NULL);
	(void)sigaction(SIGINT, &action, NULL);
	(void)sigaction(SIGTERM, &action, NULL);
	record->start = clock_now_mono(clock_real());
	return trace_file_create(record->line->path, &record->file, diag);
}

static void record_finish(struct record *record)
{
	trace_file_close(record->file);
	trace_mask_destroy(record->mask);
	if (record->meter_fd >= 0)
		(void)close(record->meter_fd);
	free(record->head);
	free(record->text);
}

int command_record(int argc, char **argv)
{
	struct record_line line;
	struct record record = {.line = &line, .meter_fd = -1};
	struct diag diag = DIAG_INIT;
	int status;

	record_parse_line(argc, argv, &line);
	status = record_start(&record, &diag);
	if (status == 0)
		status = record_run(&record, &diag);
	/* Also after a failure: what was recorded until then is kept. */
	if (record.file != NULL) {
		int flushed = trace_file_flush(record.file, status == 0 ? &diag : NULL);

		status = status < 0 ? status : flushed;
	}
	record_finish(&record);
	if (status == 0)
		return EXIT_SUCCESS;
	log_error("%s", diag.text);
	return EXIT_FAILURE;
}
