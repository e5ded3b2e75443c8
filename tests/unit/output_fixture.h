/*
 * output_fixture.h: a view with something of everything, made by hand: two zones that add up, psys
 * beside them, units, processes, a container, and names that mean harm.
 */
#ifndef WATTPORT_TESTS_OUTPUT_FIXTURE_H
#define WATTPORT_TESTS_OUTPUT_FIXTURE_H

#include "guest/accounts_view.h"
#include "guest/output_row.h"

#define OUTPUT_FIXTURE_HOST    "web-1"
#define OUTPUT_FIXTURE_WALL_NS UINT64_C(1795288144641499930)

/* Lives as long as the process. */
const struct accounts_view *output_fixture_view(void);

/* The same readings without any account. */
const struct accounts_view *output_fixture_bare(void);

/* The host is away: nothing is measured. */
const struct accounts_view *output_fixture_stale(void);

/* One of two zones cannot be read at this moment. */
const struct accounts_view *output_fixture_away(void);

/* The tree is there and does not tell how old its figures are, or where they come from. */
const struct accounts_view *output_fixture_silent(void);

/* There is no source at all. */
const struct accounts_view *output_fixture_nothing(void);

#endif
