/*
 * year_books.h: what the ledger has to say of each zone, known beforehand from the simulated host.
 *
 * What may be lost is lost here, too, and no more (docs/continuity.md): what came after the last
 * checkpoint when the power was cut, what came while no wattportd ran and the host was started
 * anew, and what a counter does not tell: a step back, or more wraps than can be known of.
 */
#ifndef WATTPORT_TESTS_SOAK_YEAR_BOOKS_H
#define WATTPORT_TESTS_SOAK_YEAR_BOOKS_H

#include "common/ledger.h"

#include <stdbool.h>
#include <stdint.h>

/* How well the energy of the run was kept, in joules. */
struct year_books_sum {
	uint64_t measured_j;
	uint64_t cut_j;
	uint64_t untold_j;
};

void year_books_begin(void);

/* A wattportd has started: in the boot of the one before, or in another. */
void year_books_start(bool same_boot);

/* Holds what it has published after a sample against what must be, and notes savings. */
void year_books_check(const struct ledger_host *host, bool sampled);

/* A saving that no sample came with: the last word. */
void year_books_saved(void);

/* Back to the last checkpoint that is on the disk, or to the one before it. */
void year_books_cut(bool damaged);

/* The one that was being written when the power went may be there as well. */
void year_books_cut_in_saving(const struct ledger_host *host);

struct year_books_sum year_books_sum(void);

#endif
