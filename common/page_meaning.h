/*
 * page_meaning.h: what the energy on the page means: grams of CO2e, and everyday equivalents.
 *
 * Of page.c. Grams are counted from the first view on, each part of the energy with the intensity
 * of its time; of what was used before nobody knows the intensity. One thread at a time.
 */
#ifndef WATTPORT_COMMON_PAGE_MEANING_H
#define WATTPORT_COMMON_PAGE_MEANING_H

#include "common/carbon.h"
#include "common/equivalents.h"
#include "common/metrics.h"
#include "common/page_view.h"

#include <jansson.h>

#define PAGE_EQUIVALENTS_MAX 3

struct page_meaning {
	struct carbon *carbon;		       /* NULL: grams are not told */
	const struct equivalents *equivalents; /* NULL: no equivalents */
	bool begun;
	uint64_t energy_uj; /* of the last view */
	struct carbon_sum sum;
};

/* Counts what was used since the last view. */
void page_meaning_add(struct page_meaning *meaning, const struct page_view *view);

/* The same for /metrics: the intensity now, and grams since the first view. */
void page_meaning_write(struct page_meaning *meaning, struct metrics *metrics);

/* As docs/page.md has it, of the view that was added last; NULL: out of memory. */
json_t *page_meaning_json(struct page_meaning *meaning, const struct page_view *view);

#endif
