/*
 * trace_mask.h: a trace whose machines nobody knows again.
 *
 * For `wattport record --anonymous`: names and uuids are replaced by numbers, in the order in which
 * the machines are seen first, the same machine by the same number all through. What is measured
 * stays as it is. One thread.
 */
#ifndef WATTPORT_HOST_TRACE_MASK_H
#define WATTPORT_HOST_TRACE_MASK_H

#include "common/diag.h"

#include <stddef.h>

/* Machines that one recording may meet; beyond it fails with -ENOSPC. */
#define TRACE_MASK_MAX 65536

struct trace_mask;

/* Begins with the head of the trace, a line without or with its newline. */
int trace_mask_create(const char *head, size_t length, struct trace_mask **ret_mask,
		      struct diag *diag);
void trace_mask_destroy(struct trace_mask *mask);

/* Another line, with a newline at its end; to be freed by the caller. */
int trace_mask_line(struct trace_mask *mask, const char *line, size_t length, char **ret_line,
		    struct diag *diag);

static inline void cleanup_trace_mask_value(struct trace_mask *const *mask)
{
	trace_mask_destroy(*mask);
}
#define cleanup_trace_mask __attribute__((cleanup(cleanup_trace_mask_value)))

#endif
