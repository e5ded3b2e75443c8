#include "common/top_frame.h"
#include "common/utf8.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define TOP_ROWS_FIRST 64

static void top_page_empty(struct top_page *page)
{
	*page = (struct top_page){.rows = page->rows, .row_capacity = page->row_capacity};
}

void top_frame_clear(struct top_frame *frame)
{
	struct top_page pages[TOP_PAGE_MAX];

	for (size_t i = 0; i < TOP_PAGE_MAX; i++)
		top_page_empty(&frame->pages[i]);
	memcpy(pages, frame->pages, sizeof(pages));
	*frame = (struct top_frame){.page_count = 0};
	memcpy(frame->pages, pages, sizeof(pages));
}

void top_frame_finish(struct top_frame *frame)
{
	for (size_t i = 0; i < TOP_PAGE_MAX; i++)
		free(frame->pages[i].rows);
	*frame = (struct top_frame){.page_count = 0};
}

struct top_page *top_frame_add_page(struct top_frame *frame, const struct top_page *texts)
{
	struct top_page *page = &frame->pages[frame->page_count];

	assert(frame->page_count < TOP_PAGE_MAX);
	frame->page_count++;
	page->title = texts->title;
	page->column = texts->column;
	page->detail = texts->detail;
	memcpy(page->rest_name, texts->rest_name, sizeof(page->rest_name));
	page->kind = texts->kind;
	return page;
}

struct top_row *top_page_add_row(struct top_page *page)
{
	if (page->row_count == page->row_capacity) {
		const size_t capacity =
		    page->row_capacity == 0 ? TOP_ROWS_FIRST : page->row_capacity * 2;
		struct top_row *rows = reallocarray(page->rows, capacity, sizeof(*rows));

		if (rows == NULL)
			return NULL;
		page->rows = rows;
		page->row_capacity = capacity;
	}
	page->rows[page->row_count] = (struct top_row){.fact_count = 0};
	return &page->rows[page->row_count++];
}

void top_row_add_fact(struct top_row *row, const char *name, const char *value)
{
	struct top_fact *fact = &row->facts[row->fact_count];

	if (row->fact_count == TOP_FACT_MAX)
		return;
	row->fact_count++;
	fact->name = name;
	utf8_copy(fact->value, sizeof(fact->value), value);
}

/* FNV-1a, 64 bits (draft-eastlake-fnv): two that meet only share the mark of the chosen row. */
uint64_t top_identity(const void *bytes, size_t size)
{
	const unsigned char *byte = bytes;
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ byte[i]) * UINT64_C(0x100000001b3);
	return hash;
}
