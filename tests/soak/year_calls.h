/*
 * year_calls.h: the calls of the product that do not reach this machine (linked with --wrap): a
 * state directory whose disk may be full or lose its power, and readings that fail.
 */
#ifndef WATTPORT_TESTS_SOAK_YEAR_CALLS_H
#define WATTPORT_TESTS_SOAK_YEAR_CALLS_H

#include <stdbool.h>
#include <stddef.h>

/* The directory whose files are kept as a disk keeps them. */
void year_disk_begin(int state_fd);
void year_disk_end(void);

void year_disk_set_full(bool full);

/*
 * Power is lost: of each file remains what was synced, and of the names those that were, or, where
 * the disk was quick, those that are.
 */
void year_disk_cut(bool names_reached);

/* From the next saving but `calls` synced calls on nothing reaches the disk until the cut. */
void year_disk_freeze(unsigned calls);

/* How often a saving reached the disk, and whether one has failed since the last that did. */
unsigned year_disk_saved(void);
bool year_disk_failed(void);

/* What remembering the disk takes of this process's memory. */
size_t year_disk_bytes(void);

/* Whether the meter is being killed: it says no last word. */
void year_calls_set_killed(bool killed);

#endif
