/*
 * tree.h: a /sys and /proc of a test's own making, in a temporary directory.
 */
#ifndef WATTPORT_TESTS_TREE_H
#define WATTPORT_TESTS_TREE_H

struct tree {
	char path[64];
	int fd; /* of the directory */
};

/* Makes it, with empty `sys` and `proc` in it. Whatever fails here fails the test. */
void tree_create(struct tree *tree);
void tree_remove(struct tree *tree);

/* A test that finds one in *state. */
int tree_setup(void **state);
int tree_teardown(void **state);
#define TREE_TEST(name) cmocka_unit_test_setup_teardown(name, tree_setup, tree_teardown)

/* Writes a file, in place if it is there, and makes the directories that lead to it. */
void tree_write(const struct tree *tree, const char *path, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * Makes what a powercap.list of tests/fixtures says, below `sys`. A file that gives an error there
 * is left out: a plain file gives none.
 */
void tree_write_list(const struct tree *tree, const char *list);

/* Removes a file or a directory with all that is in it; nothing there is no failure. */
void tree_delete(const struct tree *tree, const char *path);

#endif
