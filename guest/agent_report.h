/*
 * agent_report.h: where the report of `exec` and `session` goes, and in which format.
 */
#ifndef WATTPORT_GUEST_AGENT_REPORT_H
#define WATTPORT_GUEST_AGENT_REPORT_H

#include "guest/report.h"

enum agent_report_format {
	AGENT_REPORT_TEXT,
	AGENT_REPORT_JSON,
	AGENT_REPORT_CSV,
};

struct agent_report {
	enum agent_report_format format;
	const char *path; /* NULL: the stream is not ours */
	FILE *stream;
	bool header; /* of CSV: the file has none yet */
};

#define AGENT_REPORT_INIT                                                                          \
	{                                                                                          \
		.stream = NULL                                                                     \
	}

/* "text", "json", "csv"; -EINVAL otherwise. */
int agent_report_format_parse(const char *name, enum agent_report_format *ret_format);

/*
 * Opens the file, or takes `stream` where `path` is NULL. Text and JSON replace what is in it; CSV
 * goes on behind it, if it begins with the same header. Says why it cannot.
 */
int agent_report_open(struct agent_report *report, enum agent_report_format format,
		      const char *path, FILE *stream);

/* Writes it, and says where it could not. */
int agent_report_write(struct agent_report *report, const struct report_exec *told);
void agent_report_close(struct agent_report *report);

#endif
