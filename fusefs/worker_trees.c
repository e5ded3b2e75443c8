/*
 * The directory of all trees: which names are there, and for whom.
 *
 * It answers for every machine that wattportd knows or sees starting, also before its first sample,
 * because whoever starts a machine opens its tree before. A start must never fail because of us, so
 * a name is refused only when wattportd says that nobody knows it: not when it is away, hangs, or
 * waits for a libvirt that is busy with that very start.
 *
 * A process of another machine is shown a closed directory for every name, whether there is such a
 * machine or not. It learns nothing by that; and a machine that an operator gave the wrong
 * directory, or a clone that kept its model's, still starts: what it reads there is refused. (QEMU
 * would not start without it.) A closed directory is nothing but its number, so no amount of them
 * takes anybody's room.
 */
#include "fusefs/worker_internal.h"

#include <errno.h>
#include <string.h>

#define WORKER_CLOSED (UINT64_C(1) << 62)

bool worker_is_closed(fuse_ino_t id)
{
	return (id & WORKER_CLOSED) != 0;
}

static fuse_ino_t worker_closed(const struct uuid *uuid)
{
	return tree_hash(uuid) | WORKER_CLOSED;
}

/* A uuid in libvirt's spelling: lower case. */
static int worker_parse_name(const char *name, struct uuid *ret_uuid)
{
	char text[UUID_TEXT_SIZE];
	struct uuid uuid;

	if (uuid_parse(name, &uuid) < 0 || uuid_is_nil(&uuid))
		return -ENOENT;
	uuid_format(&uuid, text);
	if (strcmp(name, text) != 0)
		return -ENOENT;
	*ret_uuid = uuid;
	return 0;
}

/* The machine has an account, or had one: what was told of it once goes on being told. */
static bool worker_is_told(struct worker *worker, const struct uuid *uuid, struct mono_time now)
{
	const struct tree_table *trees = &worker->memory->trees;
	int slot = tree_table_find(trees, uuid);

	return (slot >= 0 && trees->trees[slot].updated_ns != 0) ||
	       reading_has_account(worker->reading, uuid, now);
}

/* Answers with the machine's tree. */
static void worker_reply_tree(struct worker *worker, fuse_req_t request, const struct uuid *uuid,
			      struct mono_time now)
{
	struct tree_table *trees = &worker->memory->trees;
	int slot = tree_table_find(trees, uuid);

	if (slot < 0) {
		/* Somebody's slot may have to go: know who has an account. */
		if (trees->count == TREE_MAX)
			reading_list(worker->reading, now);
		slot = tree_table_admit(trees, uuid, now);
	}
	if (slot < 0)
		(void)fuse_reply_err(request, -slot);
	else
		worker_reply_entry(worker, request,
				   tree_node_pack(tree_table_root(trees, (uint32_t)slot)), now);
}

void worker_lookup_tree(fuse_req_t request, const char *name)
{
	struct worker *worker = worker_of(request);
	struct mono_time now = clock_now_mono(worker->clock);
	struct worker_parked parked = {
	    .request = request, .unique = worker->unique, .slot = WORKER_LOOKUP};
	int status = worker_parse_name(name, &parked.uuid);

	switch (worker_verdict(worker, request, status == 0 ? &parked.uuid : NULL, now)) {
	case ACCESS_DENIED:
		(void)fuse_reply_err(request, EACCES);
		return;
	case ACCESS_FOREIGN:
		if (status < 0)
			break;
		worker_reply_entry(worker, request, worker_closed(&parked.uuid), now);
		return;
	case ACCESS_ROOT:
		if (status == 0 && !worker->options->any_name &&
		    !worker_is_told(worker, &parked.uuid, now) && worker_park(worker, &parked, now))
			return;
		break;
	case ACCESS_OWN:
		break;
	}
	if (status < 0)
		(void)fuse_reply_err(request, -status);
	else
		worker_reply_tree(worker, request, &parked.uuid, now);
}

void worker_answer_lookup(struct worker *worker, const struct worker_parked *parked,
			  enum refresh_end end)
{
	if (end == REFRESH_UNKNOWN)
		(void)fuse_reply_err(parked->request, ENOENT);
	else
		worker_reply_tree(worker, parked->request, &parked->uuid,
				  clock_now_mono(worker->clock));
}

/* The machines of the ledger: places are slots, which stay where they are. */
int worker_list_tree(const struct worker *worker, off_t place, struct uuid *ret_uuid,
		     fuse_ino_t *ret_id, off_t *ret_next)
{
	const struct tree_table *trees = &worker->memory->trees;

	for (off_t slot = place; slot < (off_t)trees->count; slot++) {
		if (!trees->keys[slot].used || !trees->keys[slot].listed)
			continue;
		*ret_uuid = trees->keys[slot].uuid;
		*ret_id = tree_node_pack(tree_table_root(trees, (uint32_t)slot));
		*ret_next = slot + 1;
		return 0;
	}
	return -ENOENT;
}
