/*
 * report.h: readings, measured commands and sessions: text for people, JSON and CSV for programs.
 *
 * Last stage of `status`, `exec` and `session`. Pure but for writing to the stream that it is
 * given. Nothing that is unknown is shown as 0: text says "unknown", JSON says null. Estimates are
 * always called estimates.
 */
#ifndef WATTPORT_GUEST_REPORT_H
#define WATTPORT_GUEST_REPORT_H

#include "common/equivalents.h"
#include "guest/accounts_view.h"
#include "guest/exec.h"
#include "guest/meter.h"

#include <stdio.h>

/* Two readings of one meter, for the power between them. */
struct report_status {
	const struct meter_reading *earlier;
	const struct meter_reading *later;
	const char *at;			    /* where the tree is mounted */
	const struct accounts_exits *exits; /* of the time between them; NULL: nothing is told */
};

struct report_exec {
	const struct exec_result *result;
	char *const *command; /* or NULL: a session, */
	const char *session;  /* of that name */
	const char *note;     /* why some of it is not known; NULL or empty: all is */
	const char *at;
	const struct equivalents *equivalents; /* or NULL: none are told */
};

/* Microjoules in joules and the like: whole and six decimals, exact; returns `text`. */
#define REPORT_MICRO_SIZE 32
const char *report_micro(uint64_t value, char text[static REPORT_MICRO_SIZE]);

/* All return 0, or -EIO when the stream took not all, -ENOMEM. */
int report_status_text(FILE *stream, const struct report_status *report);
int report_status_json(FILE *stream, const struct report_status *report);
int report_exec_text(FILE *stream, const struct report_exec *report);
int report_exec_json(FILE *stream, const struct report_exec *report);

/*
 * CSV as RFC 4180 has it, a row for each zone of the whole and of each phase, and one for their
 * total. The header is the same on every machine, so that campaigns may add to one file.
 */
extern const char report_exec_csv_header[];
int report_exec_csv(FILE *stream, const struct report_exec *report, bool header);

#endif
