/*
 * output_queue.h: text that waits for its sink: within a bound, the oldest goes first.
 *
 * Between the tick that writes and the thread that sends. A block is what one tick wrote: whole
 * lines, so that what is dropped is whole, too. No thread of its own and no lock: its owner's.
 */
#ifndef WATTPORT_GUEST_OUTPUT_QUEUE_H
#define WATTPORT_GUEST_OUTPUT_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct output_queue {
	struct output_block *oldest;
	struct output_block *newest;
	size_t size; /* bytes of all blocks */
	size_t size_max;
	uint64_t rows;
};

/* Whole lines. */
struct output_batch {
	char *text; /* malloc()ed */
	size_t size;
	uint64_t rows;
};

void output_queue_init(struct output_queue *queue, size_t size_max);

/* Frees what is left and forgets it. */
void output_queue_finish(struct output_queue *queue);

/*
 * Takes the text over, whatever it returns: how many rows had to go for it, the oldest first. A
 * block that does not fit at all goes itself.
 */
uint64_t output_queue_push(struct output_queue *queue, struct output_batch batch);

/*
 * Takes the oldest block out and hands it to the caller; blocks behind it come along as long as all
 * together have at most `size_max` bytes. False: nothing waits.
 */
bool output_queue_take(struct output_queue *queue, size_t size_max, struct output_batch *ret_batch);

#endif
