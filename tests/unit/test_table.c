/* table.h: alignment, widths of characters, cutting, and cells that mean harm. */
#include "common/cleanup.h"
#include "host/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>
#include <locale.h>

static const struct table_column columns[] = {
    {"NAME", TABLE_LEFT, 8}, {"N", TABLE_RIGHT, 0}, {"END", TABLE_LEFT, 0}};

/* The table with those cells, to be freed. */
static char *print(const char *const cells[], size_t count)
{
	cleanup_table struct table *table = NULL;
	char *text = NULL;
	size_t size;
	FILE *stream = open_memstream(&text, &size);

	assert_non_null(stream);
	assert_int_equal(table_create(columns, 3, &table), 0);
	for (size_t i = 0; i < count; i++)
		table_add(table, cells[i]);
	assert_int_equal(table_print(table, stream), 0);
	assert_int_equal(fclose(stream), 0);
	return text;
}

static void test_alignment(void **state)
{
	static const char *const cells[] = {"a", "1", "x", "bcdefg", "123", ""};
	cleanup_free char *text = print(cells, 6);

	(void)state;
	assert_string_equal(text, "NAME      N  END\n"
				  "a         1  x\n"
				  "bcdefg  123  \n");
}

static void test_no_rows(void **state)
{
	cleanup_free char *text = print(NULL, 0);

	(void)state;
	assert_string_equal(text, "NAME  N  END\n");
}

static void test_long_cells_are_cut(void **state)
{
	static const char *const cells[] = {"12345678", "1", "x", "123456789", "1", "x"};
	cleanup_free char *text = print(cells, 6);

	(void)state;
	assert_string_equal(text, "NAME      N  END\n"
				  "12345678  1  x\n"
				  "12345...  1  x\n");
}

static void test_control_characters(void **state)
{
	static const char *const cells[] = {"a\033[2Jb\n", "\x7f", "\xc2\x9b[0m\xff"};
	cleanup_free char *text = print(cells, 3);

	(void)state;
	assert_string_equal(text, "NAME     N  END\n"
				  "a?[2Jb?  ?  ?[0m?\n");
}

/* Umlauts take one column, CJK two, combining marks none; a cut never halves a character. */
static void test_widths(void **state)
{
	static const char *const cells[] = {
	    "J\xc3\xbcrgen",
	    "1",
	    "x",
	    "e\xcc\x81",
	    "1",
	    "x",
	    "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e\xe6\x97\xa5",
	    "1",
	    "x",
	    "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e\xe6\x97\xa5\xe6\x9c\xac",
	    "1",
	    "x",
	};
	cleanup_free char *text = NULL;

	(void)state;
	if (setlocale(LC_CTYPE, "C.UTF-8") == NULL)
		skip();
	text = print(cells, 12);
	assert_string_equal(text, "NAME      N  END\n"
				  "J\xc3\xbcrgen    1  x\n"
				  "e\xcc\x81         1  x\n"
				  "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e\xe6\x97\xa5  1  x\n"
				  "\xe6\x97\xa5\xe6\x9c\xac...   1  x\n");
}

/* A cell at its bound and one past it; many rows. */
static void test_bounds(void **state)
{
	const struct table_column wide[] = {{"", TABLE_LEFT, 0}};
	char cell[TABLE_CELL_SIZE_MAX + 1];
	cleanup_table struct table *table = NULL;
	cleanup_free char *text = NULL;
	size_t size;
	FILE *stream = open_memstream(&text, &size);

	(void)state;
	assert_non_null(stream);
	assert_int_equal(table_create(wide, 1, &table), 0);
	memset(cell, 'x', sizeof(cell));
	cell[sizeof(cell) - 2] = '\0';
	table_add(table, cell);
	cell[sizeof(cell) - 2] = 'x';
	cell[sizeof(cell) - 1] = '\0';
	table_add(table, cell);
	for (int i = 0; i < 1000; i++)
		table_add(table, "");
	assert_int_equal(table_print(table, stream), 0);
	assert_int_equal(fclose(stream), 0);
	assert_int_equal(size, 1 + 2 * TABLE_CELL_SIZE_MAX + 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_alignment),
	    cmocka_unit_test(test_no_rows),
	    cmocka_unit_test(test_long_cells_are_cut),
	    cmocka_unit_test(test_control_characters),
	    cmocka_unit_test(test_widths),
	    cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
