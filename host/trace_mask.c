#include "host/trace_mask.h"
#include "common/cleanup.h"
#include "common/trace.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct mask_machine {
	struct uuid uuid;
	uint32_t number; /* from 1 */
};

struct trace_mask {
	struct trace_head head;
	struct sample sample;
	size_t count;
	size_t capacity;
	struct mask_machine *machines; /* by uuid */
};

int trace_mask_create(const char *head, size_t length, struct trace_mask **ret_mask,
		      struct diag *diag)
{
	cleanup_trace_mask struct trace_mask *mask = calloc(1, sizeof(*mask));
	int status;

	if (mask == NULL)
		return diag_error(diag, -ENOMEM, "out of memory");
	status = trace_parse_head(head, length, &mask->head, diag);
	if (status < 0)
		return status;
	status = sample_init(&mask->sample, mask->head.topology->cpu_count);
	if (status < 0)
		return diag_error(diag, status, "out of memory");
	*ret_mask = TAKE_PTR(mask);
	return 0;
}

void trace_mask_destroy(struct trace_mask *mask)
{
	if (mask == NULL)
		return;
	trace_head_finish(&mask->head);
	sample_finish(&mask->sample);
	free(mask->machines);
	free(mask);
}

/* Where the machine is, or would be. */
static size_t trace_mask_find(const struct trace_mask *mask, const struct uuid *uuid)
{
	size_t low = 0, high = mask->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (uuid_compare(&mask->machines[middle].uuid, uuid) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static int trace_mask_number(struct trace_mask *mask, const struct uuid *uuid, uint32_t *ret_number)
{
	size_t at = trace_mask_find(mask, uuid);

	if (at < mask->count && uuid_equal(&mask->machines[at].uuid, uuid)) {
		*ret_number = mask->machines[at].number;
		return 0;
	}
	if (mask->count == TRACE_MASK_MAX)
		return -ENOSPC;
	if (mask->count == mask->capacity) {
		size_t capacity = mask->capacity > 0 ? 2 * mask->capacity : 64;
		struct mask_machine *machines =
		    realloc(mask->machines, capacity * sizeof(*machines));

		if (machines == NULL)
			return -ENOMEM;
		mask->machines = machines;
		mask->capacity = capacity;
	}
	memmove(&mask->machines[at + 1], &mask->machines[at],
		(mask->count - at) * sizeof(mask->machines[0]));
	mask->count++;
	mask->machines[at] = (struct mask_machine){.uuid = *uuid, .number = (uint32_t)mask->count};
	*ret_number = mask->machines[at].number;
	return 0;
}

/* Version 8 of RFC 9562 is the one whose bits mean what their maker wants. */
static struct uuid trace_mask_uuid(uint32_t number)
{
	struct uuid uuid = {.bytes = {[6] = 0x80, [8] = 0x80}};

	for (size_t i = 0; i < sizeof(number); i++)
		uuid.bytes[15 - i] = (uint8_t)(number >> (8 * i));
	return uuid;
}

int trace_mask_line(struct trace_mask *mask, const char *line, size_t length, char **ret_line,
		    struct diag *diag)
{
	int status = trace_parse_sample(line, length, &mask->head, &mask->sample, diag);

	if (status < 0)
		return status;
	for (size_t i = 0; i < mask->sample.vm_count; i++) {
		struct sample_vm *vm = &mask->sample.vms[i];
		char name[32];
		uint32_t number;

		status = trace_mask_number(mask, &vm->uuid, &number);
		if (status < 0)
			return diag_error(diag, status, "cannot rename the machines: %s",
					  strerror(-status));
		vm->uuid = trace_mask_uuid(number);
		(void)snprintf(name, sizeof(name), "vm-%" PRIu32, number);
		sample_set_name(vm, name);
	}
	status = trace_format_sample(&mask->head, &mask->sample, ret_line);
	if (status < 0)
		return diag_error(diag, status, "cannot write the sample anew: %s",
				  strerror(-status));
	return 0;
}
