/*
 * table.h: columns of text on a terminal, as wide as what is in them.
 *
 * For the command line. Cells may come from outside (names of machines): control characters are
 * shown as '?', so that no name can move the cursor, and widths are those of the characters. Errors
 * stick until table_print(). One thread a table.
 */
#ifndef WATTPORT_HOST_TABLE_H
#define WATTPORT_HOST_TABLE_H

#include <stddef.h>
#include <stdio.h>

#define TABLE_COLUMN_MAX    16
#define TABLE_CELL_SIZE_MAX 1024 /* bytes; longer ones are cut */

enum table_align {
	TABLE_LEFT,
	TABLE_RIGHT,
};

/* Literals. */
struct table_column {
	const char *title;
	enum table_align align;
	size_t width_max; /* longer cells are cut and end in "..."; 0: never */
};

struct table;

/* At most TABLE_COLUMN_MAX columns, which must outlive the table. 0 or -ENOMEM. */
int table_create(const struct table_column columns[], size_t count, struct table **ret_table);
void table_destroy(struct table *table);

/* The next cell, row by row. */
void table_add(struct table *table, const char *text);

/* Titles and rows, each a line. 0, -ENOMEM, or the error of writing. */
int table_print(const struct table *table, FILE *stream);

static inline void cleanup_table_value(struct table *const *table)
{
	table_destroy(*table);
}
#define cleanup_table __attribute__((cleanup(cleanup_table_value)))

#endif
