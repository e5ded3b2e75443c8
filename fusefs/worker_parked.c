/* Requests that wait for wattportd: reads for a sample, lookups to hear whether there is a machine.
 */
#include "fusefs/worker_internal.h"

#include <assert.h>

static_assert(TREE_MAX + FS_PARKED_MAX <= REFRESH_TAG_MAX, "each lookup that waits has a tag");

/* A free place, or WORKER_NOT_PARKED: then the request is answered at once. */
static uint32_t worker_find_place(const struct worker *worker, uint32_t slot)
{
	if (worker->parked_count[slot] >= WORKER_PARKED_TREE_MAX)
		return WORKER_NOT_PARKED;
	for (uint32_t i = 0; i < FS_PARKED_MAX; i++)
		if (worker->parked[i].request == NULL)
			return i;
	return WORKER_NOT_PARKED;
}

bool worker_park(struct worker *worker, const struct worker_parked *parked, struct mono_time now)
{
	uint32_t place = worker_find_place(worker, parked->slot);
	uint32_t tag = parked->slot;

	if (place == WORKER_NOT_PARKED)
		return false;
	/* Reads of one tree share a sample; each lookup is for itself. */
	if (parked->slot == WORKER_LOOKUP)
		tag = TREE_MAX + place;
	if (!refresh_ask(worker->refresh, tag, &parked->uuid, now))
		return false;
	worker->parked[place] = *parked;
	worker->parked_count[parked->slot]++;
	if (place >= worker->parked_limit)
		worker->parked_limit = place + 1;
	worker->parked_now = place;
	return true;
}

static void worker_free_place(struct worker *worker, uint32_t place)
{
	worker->parked_count[worker->parked[place].slot]--;
	worker->parked[place].request = NULL;
	/* An answer that is lost is the successor's to give. */
	if (worker->lost == 0)
		wire_clear(worker->memory->parked[place].bytes);
}

void worker_unpark(void *context, uint32_t tag, enum refresh_end end)
{
	struct worker *worker = context;

	if (tag >= TREE_MAX) {
		struct worker_parked parked = worker->parked[tag - TREE_MAX];

		worker_answer_lookup(worker, &parked, end);
		worker_free_place(worker, tag - TREE_MAX);
	}
	for (uint32_t i = 0; tag < TREE_MAX && i < worker->parked_limit; i++) {
		struct worker_parked parked = worker->parked[i];

		if (parked.request == NULL || parked.slot != tag)
			continue;
		worker_answer_read(worker, &parked);
		worker_free_place(worker, i);
	}
	while (worker->parked_limit > 0 && worker->parked[worker->parked_limit - 1].request == NULL)
		worker->parked_limit--;
}
