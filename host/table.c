#include "host/table.h"
#include "common/cleanup.h"
#include "common/glyph.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#define TABLE_GAP	2
#define TABLE_ELLIPSIS	"..."
#define TABLE_CELL_SIZE (TABLE_CELL_SIZE_MAX + sizeof(TABLE_ELLIPSIS))

struct table {
	const struct table_column *columns;
	size_t column_count;
	int error;
	size_t cell_count;
	size_t cell_capacity;
	char **cells;
};

int table_create(const struct table_column columns[], size_t count, struct table **ret_table)
{
	struct table *table = calloc(1, sizeof(*table));

	assert(count > 0 && count <= TABLE_COLUMN_MAX);
	if (table == NULL)
		return -ENOMEM;
	table->columns = columns;
	table->column_count = count;
	*ret_table = table;
	return 0;
}

void table_destroy(struct table *table)
{
	if (table == NULL)
		return;
	for (size_t i = 0; i < table->cell_count; i++)
		free(table->cells[i]);
	free(table->cells);
	free(table);
}

/* The cell as it may be shown, cut to `width_max` columns with the ellipsis where it is wider. */
static void table_fill_cell(const char *text, size_t width_max, char cell[static TABLE_CELL_SIZE])
{
	const bool cut = width_max > 0 && glyph_text_width(text) > width_max;
	const size_t room = cut ? width_max - strlen(TABLE_ELLIPSIS) : SIZE_MAX;
	struct glyph glyph;
	size_t width = 0;
	char *end = cell;

	while (glyph_next(&text, &glyph) && width + glyph.width <= room &&
	       (size_t)(end - cell) + strlen(glyph.text) < TABLE_CELL_SIZE_MAX) {
		width += glyph.width;
		end = stpcpy(end, glyph.text);
	}
	(void)stpcpy(end, cut ? TABLE_ELLIPSIS : "");
}

static char *table_make_cell(const struct table_column *column, const char *text)
{
	char cell[TABLE_CELL_SIZE] = "";

	table_fill_cell(text, column->width_max, cell);
	return strdup(cell);
}

static int table_grow(struct table *table)
{
	const size_t capacity = table->cell_capacity == 0 ? 64 : table->cell_capacity * 2;
	char **cells;

	if (table->cell_count < table->cell_capacity)
		return 0;
	cells = reallocarray(table->cells, capacity, sizeof(*cells));
	if (cells == NULL)
		return -ENOMEM;
	table->cells = cells;
	table->cell_capacity = capacity;
	return 0;
}

void table_add(struct table *table, const char *text)
{
	const struct table_column *column =
	    &table->columns[table->cell_count % table->column_count];
	char *cell;

	if (table->error < 0)
		return;
	table->error = table_grow(table);
	if (table->error < 0)
		return;
	cell = table_make_cell(column, text);
	if (cell == NULL)
		table->error = -ENOMEM;
	else
		table->cells[table->cell_count++] = cell;
}

static void table_measure(const struct table *table, size_t ret_widths[])
{
	for (size_t i = 0; i < table->column_count; i++)
		ret_widths[i] = glyph_text_width(table->columns[i].title);
	for (size_t i = 0; i < table->cell_count; i++) {
		const size_t width = glyph_text_width(table->cells[i]);
		size_t *widest = &ret_widths[i % table->column_count];

		if (width > *widest)
			*widest = width;
	}
}

static void table_print_cell(const struct table *table, size_t column, const char *text,
			     size_t width, FILE *stream)
{
	const bool last = column == table->column_count - 1;
	const int space = (int)(width - glyph_text_width(text));

	if (table->columns[column].align == TABLE_RIGHT)
		(void)fprintf(stream, "%*s%s", space, "", text);
	else
		/* No spaces at the end of a line. */
		(void)fprintf(stream, "%s%*s", text, last ? 0 : space, "");
	(void)fprintf(stream, "%*s", last ? 0 : TABLE_GAP, last ? "\n" : "");
}

int table_print(const struct table *table, FILE *stream)
{
	size_t widths[TABLE_COLUMN_MAX] = {0};

	if (table->error < 0)
		return table->error;
	assert(table->cell_count % table->column_count == 0);
	table_measure(table, widths);
	for (size_t i = 0; i < table->column_count; i++)
		table_print_cell(table, i, table->columns[i].title, widths[i], stream);
	for (size_t i = 0; i < table->cell_count; i++)
		table_print_cell(table, i % table->column_count, table->cells[i],
				 widths[i % table->column_count], stream);
	return ferror(stream) ? -EIO : 0;
}
