/*
 * attach_report.h: what attach and detach did, or would do, in sentences.
 *
 * For command_attach.c. Safe in any thread.
 */
#ifndef WATTPORT_HOST_ATTACH_REPORT_H
#define WATTPORT_HOST_ATTACH_REPORT_H

#include "host/attach.h"

#include <stdio.h>

enum attach_report_form {
	ATTACH_REPORT_LINES, /* of one domain: a sentence a line */
	ATTACH_REPORT_LINE,  /* of many: one line each */
};

/* With the difference of a dry run before it. */
void attach_report_added(FILE *stream, const struct attach_report *report,
			 enum attach_report_form form);
void attach_report_removed(FILE *stream, const struct attach_report *report,
			   enum attach_report_form form);

/* What an operator has to know of the transport, and what is to be done in the guest. */
void attach_report_remarks(FILE *stream, enum attach_transport transport);

#endif
