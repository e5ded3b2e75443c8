/*
 * report.h: readings and measured commands as text for people and as JSON for programs.
 *
 * Last stage of `status` and `exec`. Pure but for writing to the stream that it is given. Nothing
 * that is unknown is shown as 0: text says "unknown", JSON says null. Estimates are always called
 * estimates.
 */
#ifndef WATTPORT_GUEST_REPORT_H
#define WATTPORT_GUEST_REPORT_H

#include "guest/exec.h"
#include "guest/meter.h"

#include <stdio.h>

/* Two readings of one meter, for the power between them. */
struct report_status {
	const struct meter_reading *earlier;
	const struct meter_reading *later;
	const char *at; /* where the tree is mounted */
};

struct report_exec {
	const struct exec_result *result;
	char *const *command;
	const char *at;
};

/* Microjoules in joules and the like: whole and six decimals, exact; returns `text`. */
#define REPORT_MICRO_SIZE 32
const char *report_micro(uint64_t value, char text[static REPORT_MICRO_SIZE]);

/* All return 0, or -EIO when the stream took not all, -ENOMEM. */
int report_status_text(FILE *stream, const struct report_status *report);
int report_status_json(FILE *stream, const struct report_status *report);
int report_exec_text(FILE *stream, const struct report_exec *report);
int report_exec_json(FILE *stream, const struct report_exec *report);

#endif
