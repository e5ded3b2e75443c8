#include "host/table.h"
#include "common/cleanup.h"
#include "common/utf8.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <wchar.h>

#define TABLE_GAP      2
#define TABLE_ELLIPSIS "..."

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

/* The character of that length; text is well-formed by now. */
static wchar_t table_character(const char *text, size_t length)
{
	static const unsigned char first_bits[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
	unsigned int character = (unsigned char)text[0] & first_bits[length];

	for (size_t i = 1; i < length; i++)
		character = character << 6 | ((unsigned char)text[i] & 0x3f);
	return (wchar_t)character;
}

/* Columns that a character takes; where the locale does not know it, one. */
static size_t table_character_width(const char *text, size_t length)
{
	int width = wcwidth(table_character(text, length));

	return width < 0 ? 1 : (size_t)width;
}

static size_t table_width(const char *text)
{
	size_t width = 0;

	for (size_t length; *text != '\0'; text += length) {
		length = utf8_length(text);
		width += table_character_width(text, length);
	}
	return width;
}

/* C0, DEL and, encoded in two bytes, C1: what terminals obey. */
static void table_defuse(char *text)
{
	for (; *text != '\0'; text++) {
		const unsigned char *byte = (const unsigned char *)text;

		if (byte[0] < 0x20 || byte[0] == 0x7f)
			*text = '?';
		else if (byte[0] == 0xc2 && byte[1] < 0xa0)
			text[0] = text[1] = '?';
	}
}

/* Cuts it to that width, ellipsis included. */
static void table_cut(char *text, size_t width_max)
{
	const size_t room = width_max - strlen(TABLE_ELLIPSIS);
	size_t width = 0;
	char *end = text;

	if (table_width(text) <= width_max)
		return;
	for (size_t length; *end != '\0'; end += length) {
		length = utf8_length(end);
		width += table_character_width(end, length);
		if (width > room)
			break;
	}
	/* What is cut off was wider than the ellipsis, and so at least as long. */
	memcpy(end, TABLE_ELLIPSIS, sizeof(TABLE_ELLIPSIS));
}

static char *table_make_cell(const struct table_column *column, const char *text)
{
	char cell[TABLE_CELL_SIZE_MAX + sizeof(TABLE_ELLIPSIS)];

	utf8_copy(cell, TABLE_CELL_SIZE_MAX, text);
	table_defuse(cell);
	if (column->width_max > 0)
		table_cut(cell, column->width_max);
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
		ret_widths[i] = table_width(table->columns[i].title);
	for (size_t i = 0; i < table->cell_count; i++) {
		const size_t width = table_width(table->cells[i]);
		size_t *widest = &ret_widths[i % table->column_count];

		if (width > *widest)
			*widest = width;
	}
}

static void table_print_cell(const struct table *table, size_t column, const char *text,
			     size_t width, FILE *stream)
{
	const bool last = column == table->column_count - 1;
	const int space = (int)(width - table_width(text));

	if (table->columns[column].align == TABLE_RIGHT)
		(void)fprintf(stream, "%*s%s", space, "", text);
	else
		/* No spaces at the end of a line. */
		(void)fprintf(stream, "%s%*s", text, last ? 0 : space, "");
	(void)fprintf(stream, "%*s", last ? 0 : TABLE_GAP, last ? "\n" : "");
}

int table_print(const struct table *table, FILE *stream)
{
	size_t widths[TABLE_COLUMN_MAX];

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
