#include "guest/output_queue.h"
#include "common/cleanup.h"

#include <assert.h>

struct output_block {
	struct output_block *next; /* younger */
	struct output_batch batch;
};

void output_queue_init(struct output_queue *queue, size_t size_max)
{
	*queue = (struct output_queue){.size_max = size_max};
}

static struct output_batch output_queue_remove(struct output_queue *queue)
{
	struct output_block *block = queue->oldest;
	struct output_batch batch = block->batch;

	queue->oldest = block->next;
	if (queue->oldest == NULL)
		queue->newest = NULL;
	assert(queue->size >= batch.size && queue->rows >= batch.rows);
	queue->size -= batch.size;
	queue->rows -= batch.rows;
	free(block);
	return batch;
}

void output_queue_finish(struct output_queue *queue)
{
	while (queue->oldest != NULL)
		free(output_queue_remove(queue).text);
}

uint64_t output_queue_push(struct output_queue *queue, struct output_batch batch)
{
	struct output_block *block = malloc(sizeof(*block));
	uint64_t dropped = 0;

	if (block == NULL || batch.size > queue->size_max) {
		free(block);
		free(batch.text);
		return batch.rows;
	}
	while (batch.size > queue->size_max - queue->size) {
		struct output_batch old = output_queue_remove(queue);

		dropped += old.rows;
		free(old.text);
	}
	*block = (struct output_block){.batch = batch};
	if (queue->newest != NULL)
		queue->newest->next = block;
	else
		queue->oldest = block;
	queue->newest = block;
	queue->size += batch.size;
	queue->rows += batch.rows;
	return dropped;
}

bool output_queue_take(struct output_queue *queue, size_t size_max, struct output_batch *ret_batch)
{
	struct output_batch batch;
	size_t size, together = 0;
	char *text;

	if (queue->oldest == NULL)
		return false;
	for (const struct output_block *block = queue->oldest; block != NULL; block = block->next) {
		if (together > 0 && block->batch.size > size_max - together)
			break;
		together += block->batch.size;
		if (together >= size_max)
			break;
	}
	batch = output_queue_remove(queue);
	text = together > batch.size ? realloc(batch.text, together) : NULL;
	/* Without memory for all of them, the oldest goes alone. */
	if (text != NULL)
		batch.text = text;
	for (size = batch.size; text != NULL && size < together; size = batch.size) {
		struct output_batch more = output_queue_remove(queue);

		memcpy(batch.text + size, more.text, more.size);
		batch.size += more.size;
		batch.rows += more.rows;
		free(more.text);
	}
	*ret_batch = batch;
	return true;
}
