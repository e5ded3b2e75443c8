/*
 * plain_tree.h: one machine's tree as plain files: made, taken over, rewritten in place, removed.
 *
 * For tree.mode = tmpfs, where nobody is asked when a guest reads. Below plain.c, which brings the
 * values; the layout and every text are common/vtree.h's. One thread.
 *
 * Rule: whoever reads, at any moment and with a descriptor kept for days, gets one whole text, and
 * a counter that never goes back. What is done for it:
 * 1. A tree, and whatever is added to one, is made whole in a directory apart and then renamed into
 *    its place. No reader sees a directory half full or a file that is still empty.
 * 2. From then on a file keeps its inode, and is changed by one pwrite(2) from its start: never
 *    truncated (readers would find it empty), never renamed over (kept descriptors would stay with
 *    the old one).
 * 3. So a text must not become shorter: what is left of the old one would stand behind it. Counters
 *    only grow. Another text that is shorter than its file is filled up with spaces in front of its
 *    newline: it stays one line, and what reads numbers or words skips them. Zeros in front of a
 *    number would do for fewer readers, since many take such a number for an octal one.
 * 4. A text that becomes longer does so by one character where it can. Who reads a file reads on
 *    until its end, within one read(2) as well as from a guest with two, and may so find the end of
 *    the new text behind the old one: of one character more that is a second newline, of two it
 *    would be a digit. So a counter that is read gets one digit more at a time; and any other text
 *    that needs more room, a counter's that was not seen read yet too, first gets newlines there.
 * 5. What a counter's file says when a tree is taken over was told: nothing less is written to it.
 *    The time in the snapshot goes on from there, by as long as nobody wrote.
 * 6. What is said above of one read holds within one page: reading and writing lock one at a time.
 * Of all files only the snapshot of a very large machine is longer (more than 40 sockets with all
 *    four kinds of zones; with packages and memory alone even 64 sockets fit). No line of it lies
 * on two pages, which blanks at the end of the last line on the first one see to: so no number is
 *    ever torn, but the second half may be of the sample before or after that of the first. Who
 *    reads it until two reads are the same but for t_ns has seen both halves of one.
 *
 * That a read sees one text or the other, not a part of each, is not written down anywhere. It is
 * so because shmem_file_read_iter() (mm/shmem.c) takes and drops the page's lock right before it
 * copies, and write(2) holds that lock while it copies: a reader that was first has copied its few
 * bytes long before the writer, which has to get and prepare the page, begins. Only a reader that
 * is interrupted for longer in the middle of its copy, between two words, and a write that meets
 * it just then could make a mixture. Hence pwrite(2), and not a store into a mapped page, which
 * does not take the lock: tried with a writer that did nothing but write, on 12 bytes that all
 * change, that gave 744 mixtures in 5 million reads; pwrite(2) gave none. The file system has to be
 * tmpfs for it: other ones keep other locks.
 */
#ifndef WATTPORT_FUSEFS_PLAIN_TREE_H
#define WATTPORT_FUSEFS_PLAIN_TREE_H

#include "common/clock.h"
#include "common/served.h"
#include "common/uuid.h"
#include "common/vtree.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where trees are made before they are shown; whatever it holds at a start is of no use. */
#define PLAIN_TREE_STAGING ".new"

struct plain_file {
	struct vtree_node node;
	const char *path;   /* below the directory of all trees; in `paths` of the tree */
	int fd;		    /* for writing; -1 until something has to be written */
	uint32_t length;    /* of what stands in it */
	uint64_t hash;	    /* likewise */
	struct served told; /* of a counter */
	uint64_t read_ns;   /* struct mono_time when somebody was seen reading it; 0: never */
	bool watched;	    /* reads of it are seen: both are plain_trees.c's to set */
};

struct plain_tree {
	struct uuid uuid;
	struct vtree_shape shape;
	int root_fd; /* of the directory of all trees: the caller's, outlives this */
	size_t file_count;
	struct plain_file *files; /* in the order of vtree_list() */
	char *paths;		  /* of all files, one behind the other */
	/* The time of the snapshot, which counts from a beginning that its process remembers. */
	uint64_t time_told_ns;
	uint64_t time_away_ns;	/* how long nobody wrote before this one was opened */
	uint64_t time_shift_ns; /* so much later it is than the values say */
	bool time_known;	/* whether that was found out */
};

/*
 * Makes the tree, or takes over what is there: adds what it lacks, removes what is not part of it
 * any more. `values` are raised to what was told before. -ENOSPC: the file system is full, and no
 * part of a new tree is there. To be opened anew when the shape of its values has changed.
 */
int plain_tree_open(int root_fd, struct vtree_values *values, struct mono_time now,
		    struct plain_tree **ret_tree);

/* Gives back the memory and the descriptors; the files stay. */
void plain_tree_close(struct plain_tree *tree);

/* Whether the tree has that shape. */
bool plain_tree_has(const struct plain_tree *tree, const struct vtree_shape *shape);

/*
 * Raises the counters of `values` to what was told, with a step where one is due, and rewrites the
 * files whose text has changed: of all, or (since_ns > 0) of those that were read at that time or
 * later. The first error of a file that could not be written; the others are.
 */
int plain_tree_update(struct plain_tree *tree, struct vtree_values *values, struct mono_time now,
		      uint64_t since_ns);

/* Removes a tree, or a file, with all that is in it; nothing there is no error. */
int plain_tree_remove(int root_fd, const char *path);

static inline void cleanup_plain_tree_value(struct plain_tree *const *tree)
{
	plain_tree_close(*tree);
}
#define cleanup_plain_tree __attribute__((cleanup(cleanup_plain_tree_value)))

#endif
