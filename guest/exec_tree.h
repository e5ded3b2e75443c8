/*
 * exec_tree.h: the command of `exec` with all its descendants: started, signalled, waited for.
 *
 * This process becomes the parent of orphans below it (PR_SET_CHILD_SUBREAPER), so that children
 * which outlive the command are waited for as well, and their CPU time is known. While a tree is
 * there all children of this process are taken for its members. One thread; it takes over SIGCHLD
 * and the signals that end programs.
 */
#ifndef WATTPORT_GUEST_EXEC_TREE_H
#define WATTPORT_GUEST_EXEC_TREE_H

#include <stdbool.h>
#include <stdint.h>

struct exec_tree;

/* Blocks the signals. To be destroyed, which gives them back. */
int exec_tree_create(struct exec_tree **ret_tree);
void exec_tree_destroy(struct exec_tree *tree);

/*
 * Starts the NULL-terminated command, with the signals as this process was given them. With
 * `mark_fd` (or -1) as a descriptor that it inherits, named in WATTPORT_MARK. Errors of
 * posix_spawnp(3).
 */
int exec_tree_start(struct exec_tree *tree, char *const command[], int mark_fd);

/* Readable when exec_tree_handle() has something to do. */
int exec_tree_fd(const struct exec_tree *tree);

/* Takes signals, hands them on to the command, and reaps. */
void exec_tree_handle(struct exec_tree *tree);

struct exec_tree_state {
	bool command_ended;
	bool all_ended;	  /* the command, and all below it */
	bool interrupted; /* a signal came when the command had ended: who waits, waits no more */
	int wait_status;  /* of the command, once it has ended */
	uint64_t ended;	  /* processes that were reaped */
	uint64_t user_ns; /* CPU time of those, and of the children that they waited for */
	uint64_t system_ns;
};

const struct exec_tree_state *exec_tree_state(const struct exec_tree *tree);

static inline void cleanup_exec_tree_value(struct exec_tree *const *tree)
{
	exec_tree_destroy(*tree);
}
#define cleanup_exec_tree __attribute__((cleanup(cleanup_exec_tree_value)))

#endif
