/*
 * vm_query.h: questions after machines that are in no roster yet, and their answers.
 *
 * A part of vm_provider.c: the owner asks, the provider's thread takes the questions and answers.
 * An answer counts for a moment, so that whoever asks for made-up uuids costs little. Pure state;
 * vm_provider.c holds its lock around every call.
 */
#ifndef WATTPORT_HOST_VM_QUERY_H
#define WATTPORT_HOST_VM_QUERY_H

#include "common/clock.h"
#include "common/uuid.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VM_QUERY_MAX 32 /* uuids at the same time */

/* So long an answer counts. */
#define VM_QUERY_VALID_NS (100 * CLOCK_NS_PER_MS)

enum vm_query_state {
	VM_QUERY_FREE,
	VM_QUERY_ASKED,
	VM_QUERY_TAKEN, /* by the thread */
	VM_QUERY_KNOWN,
	VM_QUERY_UNKNOWN,
};

struct vm_query_table {
	struct vm_query {
		enum vm_query_state state;
		struct uuid uuid;
		struct mono_time answered;
	} queries[VM_QUERY_MAX];
};

/*
 * The answer: 1 or 0; -EINPROGRESS while there is none, and *ret_asked when this call put the
 * question; -EBUSY when the table is full.
 */
int vm_query_ask(struct vm_query_table *table, const struct uuid *uuid, struct mono_time now,
		 bool *ret_asked);

/* The next question for the thread; false: none. */
bool vm_query_take(struct vm_query_table *table, struct uuid *ret_uuid);

/* Answers a question that was taken; others are not heeded. */
void vm_query_answer(struct vm_query_table *table, const struct uuid *uuid, bool known,
		     struct mono_time now);

#endif
