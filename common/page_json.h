/*
 * page_json.h: a view of page_view.h as JSON: what the page asks for once a second.
 *
 * Numbers are whole microjoules, microwatts and nanoseconds; what is not known is null.
 * docs/page.md has the members. Pure: safe in any thread.
 */
#ifndef WATTPORT_COMMON_PAGE_JSON_H
#define WATTPORT_COMMON_PAGE_JSON_H

#include "common/page_view.h"

/* `meaning` NULL: it is left out. Text that the caller frees; NULL: out of memory. */
struct page_meaning;
char *page_json(const struct page_view *view, const struct clock *clock,
		struct page_meaning *meaning);

#endif
