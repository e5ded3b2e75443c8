#include "host/vm_query.h"

#include <errno.h>

/* The question about that uuid, or a free place for it, or NULL. */
static struct vm_query *vm_query_place(struct vm_query_table *table, const struct uuid *uuid,
				       struct mono_time now)
{
	struct vm_query *place = NULL;

	for (size_t i = 0; i < VM_QUERY_MAX; i++) {
		struct vm_query *query = &table->queries[i];
		bool answered = query->state == VM_QUERY_KNOWN || query->state == VM_QUERY_UNKNOWN;

		if (answered && clock_elapsed_ns(query->answered, now) >= VM_QUERY_VALID_NS)
			query->state = VM_QUERY_FREE;
		if (query->state == VM_QUERY_FREE)
			place = query;
		else if (uuid_equal(&query->uuid, uuid))
			return query;
	}
	return place;
}

int vm_query_ask(struct vm_query_table *table, const struct uuid *uuid, struct mono_time now,
		 bool *ret_asked)
{
	struct vm_query *query = vm_query_place(table, uuid, now);

	*ret_asked = false;
	if (query == NULL)
		return -EBUSY;
	switch (query->state) {
	case VM_QUERY_KNOWN:
		return 1;
	case VM_QUERY_UNKNOWN:
		return 0;
	case VM_QUERY_ASKED:
	case VM_QUERY_TAKEN:
		return -EINPROGRESS;
	case VM_QUERY_FREE:
		break;
	}
	*query = (struct vm_query){.state = VM_QUERY_ASKED, .uuid = *uuid};
	*ret_asked = true;
	return -EINPROGRESS;
}

bool vm_query_take(struct vm_query_table *table, struct uuid *ret_uuid)
{
	for (size_t i = 0; i < VM_QUERY_MAX; i++) {
		if (table->queries[i].state != VM_QUERY_ASKED)
			continue;
		table->queries[i].state = VM_QUERY_TAKEN;
		*ret_uuid = table->queries[i].uuid;
		return true;
	}
	return false;
}

void vm_query_answer(struct vm_query_table *table, const struct uuid *uuid, bool known,
		     struct mono_time now)
{
	for (size_t i = 0; i < VM_QUERY_MAX; i++) {
		struct vm_query *query = &table->queries[i];

		if (query->state != VM_QUERY_TAKEN || !uuid_equal(&query->uuid, uuid))
			continue;
		query->state = known ? VM_QUERY_KNOWN : VM_QUERY_UNKNOWN;
		query->answered = now;
	}
}
