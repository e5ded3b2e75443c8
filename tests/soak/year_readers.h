/*
 * year_readers.h: readers of the trees, through the readings of two wattport-fs, and what no reader
 * may ever see: a counter that goes back, or stands still for a millisecond.
 */
#ifndef WATTPORT_TESTS_SOAK_YEAR_READERS_H
#define WATTPORT_TESTS_SOAK_YEAR_READERS_H

#include <stdbool.h>
#include <stddef.h>

#define YEAR_SERVER_COUNT 2

void year_readers_begin(int runtime_fd);
void year_readers_end(void);

/* Another worker, with what the one before told or without. */
void year_readers_restart(size_t server, bool with_memory);

/* Reads every counter of every machine that is known. */
void year_readers_read(void);

/* What was told so far binds nobody any more: of one machine, or of all. */
void year_readers_forget(size_t vm);
void year_readers_forget_all(void);

#endif
