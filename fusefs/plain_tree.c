#include "common/cleanup.h"
#include "common/file.h"
#include "common/parse.h"
#include "fusefs/plain_tree_internal.h"
#include "fusefs/plain_walk.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define FNV_OFFSET	     UINT64_C(14695981039346656037) /* FNV-1a, 64 bits */
#define FNV_PRIME	     UINT64_C(1099511628211)

#define PLAIN_TREE_PAGE_SIZE 4096 /* the least of all architectures: larger ones hold several */

static uint64_t plain_tree_hash(const char *text, size_t length)
{
	uint64_t hash = FNV_OFFSET;

	for (size_t i = 0; i < length; i++)
		hash = (hash ^ (unsigned char)text[i]) * FNV_PRIME;
	return hash;
}

int plain_tree_text(const struct vtree_values *values, struct vtree_node node,
		    char ret_text[static VTREE_CONTENT_SIZE])
{
	int length = vtree_content(values, node, ret_text);
	char *newline;
	size_t blanks;

	if (length <= PLAIN_TREE_PAGE_SIZE)
		return length;
	newline = memrchr(ret_text, '\n', PLAIN_TREE_PAGE_SIZE);
	assert(newline != NULL);
	blanks = (size_t)(ret_text + PLAIN_TREE_PAGE_SIZE - 1 - newline);
	assert((size_t)length + blanks <= VTREE_CONTENT_SIZE);
	memmove(newline + blanks, newline, (size_t)(ret_text + length - newline));
	memset(newline, ' ', blanks);
	return length + (int)blanks;
}

static void plain_tree_note(struct plain_file *file, const char *text, size_t length)
{
	file->length = (uint32_t)length;
	file->hash = plain_tree_hash(text, length);
}

/* --- what there is --- */

static void plain_tree_measure(const struct plain_tree *tree, const char *top, size_t *ret_count,
			       size_t *ret_bytes)
{
	struct plain_walk walk;

	*ret_count = 0;
	*ret_bytes = 0;
	plain_walk_begin(&walk, &tree->shape, top, vtree_root());
	while (plain_walk_next(&walk)) {
		if (!S_ISREG(walk.attributes.mode))
			continue;
		(*ret_count)++;
		*ret_bytes += strlen(walk.path) + 1;
	}
}

/* Every file of that shape, with its path. */
static int plain_tree_collect(struct plain_tree *tree, const char *top)
{
	struct plain_walk walk;
	size_t count, bytes;
	char *path;

	plain_tree_measure(tree, top, &count, &bytes);
	assert(count > 0); /* energy_uj of a package, at the least */
	tree->files = calloc(count, sizeof(tree->files[0]));
	tree->paths = malloc(bytes);
	if (tree->files == NULL || tree->paths == NULL)
		return -ENOMEM;
	path = tree->paths;
	plain_walk_begin(&walk, &tree->shape, top, vtree_root());
	while (plain_walk_next(&walk)) {
		if (!S_ISREG(walk.attributes.mode))
			continue;
		tree->files[tree->file_count++] =
		    (struct plain_file){.node = walk.node, .path = path, .fd = -1};
		path = stpcpy(path, walk.path) + 1;
	}
	return 0;
}

/* For how long nobody had written the file when our own making touched the root directory. */
static uint64_t plain_tree_away_ns(const struct plain_tree *tree, const struct plain_file *file)
{
	struct stat root, there;
	int64_t away_ns;

	if (fstat(tree->root_fd, &root) < 0 ||
	    fstatat(tree->root_fd, file->path, &there, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	away_ns = (root.st_mtim.tv_sec - there.st_mtim.tv_sec) * (int64_t)CLOCK_NS_PER_SECOND +
		  root.st_mtim.tv_nsec - there.st_mtim.tv_nsec;
	return away_ns > 0 ? (uint64_t)away_ns : 0;
}

/* What a former process has left in the file, and has told if it is a counter or the snapshot. */
static void plain_tree_take_over(struct plain_tree *tree, struct plain_file *file,
				 struct mono_time now)
{
	enum vtree_counter_kind kind = vtree_counter(file->node);
	char text[VTREE_CONTENT_SIZE + 1];
	const char *cursor = text;
	size_t length;

	if (file_read_at(tree->root_fd, file->path, text, sizeof(text), &length) < 0 || length == 0)
		return;
	plain_tree_note(file, text, length);
	if (kind == VTREE_COUNTER_ONE && parse_next_u64(&cursor, &file->told.value_uj) == 0)
		file->told.time_ms = served_ms(now);
	if (kind == VTREE_COUNTER_ALL && strncmp(text, "t_ns ", strlen("t_ns ")) == 0) {
		cursor = text + strlen("t_ns ");
		if (parse_next_u64(&cursor, &tree->time_told_ns) == 0)
			tree->time_away_ns = plain_tree_away_ns(tree, file);
	}
}

/* The time goes on where a former process has left it. */
static void plain_tree_shift(struct plain_tree *tree, struct vtree_values *values)
{
	uint64_t told_ns = tree->time_told_ns;

	if (values->time_ns > 0 && !tree->time_known) {
		if (values->time_ns < told_ns)
			tree->time_shift_ns = told_ns - values->time_ns + tree->time_away_ns;
		tree->time_known = true;
	}
	values->time_ns += tree->time_shift_ns;
	if (values->time_ns < told_ns)
		values->time_ns = told_ns;
	tree->time_told_ns = values->time_ns;
}

/* The largest number with one digit more than what was told. */
static uint64_t plain_tree_limit(uint64_t told_uj)
{
	uint64_t limit = 100;

	while (limit / 10 <= told_uj) {
		if (limit > UINT64_MAX / 10)
			return UINT64_MAX;
		limit *= 10;
	}
	return limit - 1;
}

/* Nothing less than what was told, nor more than may follow it for who reads just then. */
static void plain_tree_raise(struct plain_tree *tree, struct vtree_values *values,
			     struct mono_time now)
{
	plain_tree_shift(tree, values);
	for (size_t i = 0; i < tree->file_count; i++) {
		struct plain_file *file = &tree->files[i];
		uint64_t *energy_uj = vtree_energy_uj(values, file->node);
		uint64_t limit_uj = UINT64_MAX;

		if (energy_uj == NULL || *energy_uj == 0)
			continue;
		if (file->read_ns > 0)
			limit_uj = plain_tree_limit(file->told.value_uj);
		if (*energy_uj > limit_uj)
			*energy_uj = limit_uj;
		*energy_uj =
		    served_advance(&file->told, (struct served){*energy_uj, served_ms(now)}, now);
	}
}

/*
 * Opens it for writing. Its mode lets nobody write, not even us, who are not root: for a moment it
 * does. Guests cannot use that: what they see is mounted read-only.
 */
static int plain_tree_open_file(const struct plain_tree *tree, struct plain_file *file)
{
	struct vtree_attributes attributes;
	int status = vtree_attributes(&tree->shape, file->node, &attributes);
	mode_t mode = attributes.mode & 07777;

	if (status < 0)
		return status;
	if (fchmodat(tree->root_fd, file->path, mode | S_IWUSR, 0) < 0)
		return -errno;
	file->fd = openat(tree->root_fd, file->path, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
	status = file->fd < 0 ? -errno : 0;
	if (fchmodat(tree->root_fd, file->path, mode, 0) < 0 && status == 0)
		status = -errno;
	return status;
}

static int plain_tree_prepare(struct plain_tree *tree, const char *top, struct vtree_values *values,
			      struct mono_time now)
{
	int status = plain_tree_discard(tree->root_fd, top, values);

	if (status == 0)
		status = plain_tree_collect(tree, top);
	if (status < 0)
		return status;
	for (size_t i = 0; i < tree->file_count; i++)
		plain_tree_take_over(tree, &tree->files[i], now);
	/* What is added says the same as what is there. */
	plain_tree_raise(tree, values, now);
	return plain_tree_sync(tree->root_fd, top, values);
}

/* Notes what was added, and opens what will be rewritten all the time. */
static int plain_tree_settle(struct plain_tree *tree, const struct vtree_values *values)
{
	for (size_t i = 0; i < tree->file_count; i++) {
		struct plain_file *file = &tree->files[i];
		char text[VTREE_CONTENT_SIZE];
		int status = 0;

		if (file->length == 0) {
			status = plain_tree_text(values, file->node, text);
			if (status > 0)
				plain_tree_note(file, text, (size_t)status);
		}
		/* Their readers shall be noticed from the start. */
		if (status >= 0 && vtree_counter(file->node) != VTREE_COUNTER_NONE)
			status = plain_tree_open_file(tree, file);
		if (status < 0)
			return status;
	}
	return 0;
}

int plain_tree_open(int root_fd, struct vtree_values *values, struct mono_time now,
		    struct plain_tree **ret_tree)
{
	cleanup_plain_tree struct plain_tree *tree = calloc(1, sizeof(*tree));
	char top[UUID_TEXT_SIZE];
	int status;

	if (tree == NULL)
		return -ENOMEM;
	tree->root_fd = root_fd;
	tree->uuid = values->uuid;
	tree->shape = values->shape;
	uuid_format(&values->uuid, top);
	status = plain_tree_prepare(tree, top, values, now);
	if (status == 0)
		status = plain_tree_settle(tree, values);
	if (status < 0)
		return status;
	*ret_tree = TAKE_PTR(tree);
	return 0;
}

void plain_tree_close(struct plain_tree *tree)
{
	if (tree == NULL)
		return;
	for (size_t i = 0; i < tree->file_count; i++)
		if (tree->files[i].fd >= 0)
			(void)close(tree->files[i].fd);
	free(tree->paths);
	free(tree->files);
	free(tree);
}

/* --- from values to files --- */

/* All or nothing on tmpfs: less than a page, of which the file already has the first. */
static int plain_tree_write(const struct plain_file *file, const char *text, size_t length,
			    size_t offset)
{
	return pwrite(file->fd, text, length, (off_t)offset) == (ssize_t)length ? 0 : -EIO;
}

/* Room for a longer text, in which who reads the old one on finds newlines: rule 4. */
static int plain_tree_lengthen(const struct plain_file *file, size_t length)
{
	char newlines[VTREE_CONTENT_SIZE];

	if (length <= file->length + 1)
		return 0;
	memset(newlines, '\n', length - file->length);
	return plain_tree_write(file, newlines, length - file->length, file->length);
}

/* Fills the text up to the size that the file has. */
static size_t plain_tree_pad(char text[static VTREE_CONTENT_SIZE], size_t length, size_t size)
{
	assert(length > 0 && size <= VTREE_CONTENT_SIZE);
	if (length >= size)
		return length;
	memset(text + length - 1, ' ', size - length);
	text[size - 1] = '\n';
	return size;
}

static int plain_tree_rewrite(struct plain_tree *tree, struct plain_file *file,
			      const struct vtree_values *values)
{
	char text[VTREE_CONTENT_SIZE];
	int status = plain_tree_text(values, file->node, text);
	size_t length;

	if (status < 0)
		return status;
	length = plain_tree_pad(text, (size_t)status, file->length);
	if (length == file->length && plain_tree_hash(text, length) == file->hash)
		return 0;
	if (file->fd < 0) {
		status = plain_tree_open_file(tree, file);
		if (status < 0)
			return status;
	}
	status = plain_tree_lengthen(file, length);
	if (status == 0)
		status = plain_tree_write(file, text, length, 0);
	if (status == 0)
		plain_tree_note(file, text, length);
	return status;
}

bool plain_tree_has(const struct plain_tree *tree, const struct vtree_shape *shape)
{
	const struct vtree_shape *ours = &tree->shape;

	return ours->socket_count == shape->socket_count && ours->core == shape->core &&
	       ours->uncore == shape->uncore && ours->dram == shape->dram &&
	       ours->psys == shape->psys && ours->exact == shape->exact;
}

int plain_tree_update(struct plain_tree *tree, struct vtree_values *values, struct mono_time now,
		      uint64_t since_ns)
{
	int result = 0;

	assert(plain_tree_has(tree, &values->shape));
	plain_tree_raise(tree, values, now);
	for (size_t i = 0; i < tree->file_count; i++) {
		int status = 0;

		if (tree->files[i].read_ns >= since_ns)
			status = plain_tree_rewrite(tree, &tree->files[i], values);
		if (result == 0)
			result = status;
	}
	return result;
}
