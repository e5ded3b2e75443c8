#define FUSE_USE_VERSION 314

#include "tests/raplsim/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "tests/raplsim/cleanup.h"

#define NS_PER_MS	  UINT64_C(1000000)
#define REQUESTS_AT_ONCE  32
#define INCARNATION_SHIFT 32

struct held_answer {
	struct held_answer *next;
	fuse_req_t request;
	uint64_t due_ns;
	bool interrupted;
	size_t length;
	char text[TREE_TEXT_SIZE];
};

/* An open file. As in sysfs its content is made by a read from the start and kept for the reads
 * that follow, so no reader sees two moments in one value. */
struct handle {
	struct handle *next;
	struct handle **link; /* what points to it */
	size_t node;
	uint32_t incarnation;
	size_t length;
	char text[TREE_TEXT_SIZE];
};

struct mount {
	struct simulator *simulator;
	struct fuse_session *session;
	struct fuse_buf buffer;
	struct held_answer *held;
	struct handle *handles; /* releases that nobody waits for may never come */
	time_t created;
};

/* These deadlines are real time even where the simulated time is manual. */
static uint64_t real_now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_MS * 1000 + (uint64_t)now.tv_nsec;
}

/* An inode number is a node and how often its zone had been removed when it was looked up, so that
 * a zone that returns is another device, as in the kernel. */
static fuse_ino_t ino_of(const struct tree *tree, size_t node)
{
	return (fuse_ino_t)tree_incarnation(tree, node) << INCARNATION_SHIFT |
	       (fuse_ino_t)(node + FUSE_ROOT_ID);
}

static size_t node_of(fuse_ino_t ino)
{
	return (size_t)(ino & UINT32_MAX) - FUSE_ROOT_ID;
}

static bool is_gone(const struct tree *tree, size_t node, uint32_t incarnation)
{
	return !tree_visible(tree, node) || tree_incarnation(tree, node) != incarnation;
}

static bool ino_is_gone(const struct tree *tree, fuse_ino_t ino)
{
	return is_gone(tree, node_of(ino), (uint32_t)(ino >> INCARNATION_SHIFT));
}

static struct mount *mount_of(fuse_req_t request)
{
	return fuse_req_userdata(request);
}

static struct stat attributes(const struct mount *mount, size_t node)
{
	const struct tree *tree = mount->simulator->tree;
	const struct tree_node *entry = tree_node(tree, node);
	struct stat stat = {.st_ino = ino_of(tree, node),
			    .st_nlink = 1,
			    .st_uid = geteuid(),
			    .st_gid = getegid(),
			    .st_atim = {.tv_sec = mount->created},
			    .st_mtim = {.tv_sec = mount->created},
			    .st_ctim = {.tv_sec = mount->created},
			    .st_mode = entry->mode};

	switch (entry->kind) {
	case TREE_DIR:
		stat.st_mode |= S_IFDIR;
		stat.st_nlink = 2;
		break;
	case TREE_LINK:
		stat.st_mode |= S_IFLNK;
		stat.st_size = (off_t)strlen(entry->text);
		break;
	case TREE_TEXT:
	case TREE_ENERGY:
		stat.st_mode |= S_IFREG;
		stat.st_size = TREE_TEXT_SIZE;
		break;
	}
	return stat;
}

static void do_lookup(fuse_req_t request, fuse_ino_t parent, const char *name)
{
	struct mount *mount = mount_of(request);
	const struct tree *tree = mount->simulator->tree;
	/* Nothing is cached: a zone or a file may be gone the next time. */
	struct fuse_entry_param entry = {.ino = 0};
	size_t node = TREE_NONE;

	if (!ino_is_gone(tree, parent))
		node = tree_lookup(tree, node_of(parent), name);
	if (node == TREE_NONE || faults_lookup_fails(mount->simulator->faults, node)) {
		(void)fuse_reply_err(request, ENOENT);
		return;
	}
	entry.ino = ino_of(tree, node);
	entry.attr = attributes(mount, node);
	(void)fuse_reply_entry(request, &entry);
}

static void do_getattr(fuse_req_t request, fuse_ino_t ino, struct fuse_file_info *info)
{
	struct mount *mount = mount_of(request);
	struct stat stat;

	(void)info;
	if (ino_is_gone(mount->simulator->tree, ino)) {
		(void)fuse_reply_err(request, ENOENT);
		return;
	}
	stat = attributes(mount, node_of(ino));
	(void)fuse_reply_attr(request, &stat, 0);
}

static void do_readlink(fuse_req_t request, fuse_ino_t ino)
{
	const struct tree *tree = mount_of(request)->simulator->tree;

	if (ino_is_gone(tree, ino))
		(void)fuse_reply_err(request, ENOENT);
	else
		(void)fuse_reply_readlink(request, tree_node(tree, node_of(ino))->text);
}

static int open_handle(struct mount *mount, fuse_ino_t ino, int flags, struct handle **ret_handle)
{
	const struct tree *tree = mount->simulator->tree;
	struct handle *handle;
	int r;

	if (ino_is_gone(tree, ino))
		return -ENODEV;
	if ((flags & O_ACCMODE) != O_RDONLY)
		return -EACCES;
	r = faults_open(mount->simulator->faults, node_of(ino));
	if (r < 0)
		return r;
	handle = calloc(1, sizeof(*handle));
	if (!handle)
		return -ENOMEM;
	handle->node = node_of(ino);
	handle->incarnation = tree_incarnation(tree, handle->node);
	handle->next = mount->handles;
	handle->link = &mount->handles;
	if (handle->next)
		handle->next->link = &handle->next;
	mount->handles = handle;
	*ret_handle = handle;
	return 0;
}

static void close_handle(struct handle *handle)
{
	*handle->link = handle->next;
	if (handle->next)
		handle->next->link = handle->link;
	free(handle);
}

static void do_open(fuse_req_t request, fuse_ino_t ino, struct fuse_file_info *info)
{
	struct handle *handle = NULL;
	int r;

	r = open_handle(mount_of(request), ino, info->flags, &handle);
	if (r < 0) {
		(void)fuse_reply_err(request, -r);
		return;
	}
	info->fh = (uint64_t)(uintptr_t)handle;
	info->direct_io = 1;
	if (fuse_reply_open(request, info) < 0)
		close_handle(handle); /* The opener was interrupted: no release will come. */
}

static struct handle *handle_of(const struct fuse_file_info *info)
{
	return (struct handle *)(uintptr_t)info->fh; // NOLINT(performance-no-int-to-ptr)
}

static void do_release(fuse_req_t request, fuse_ino_t ino, struct fuse_file_info *info)
{
	(void)ino;
	close_handle(handle_of(info));
	(void)fuse_reply_err(request, 0);
}

/* Makes the handle's content for a read from the start. 0 or the -errno to answer. */
static int fill_handle(struct simulator *simulator, struct handle *handle, uint64_t *ret_delay_ms)
{
	int r;

	handle->length = 0;
	if (tree_node(simulator->tree, handle->node)->kind == TREE_ENERGY) {
		r = simulator_refresh(simulator);
		if (r < 0)
			return r;
	}
	(void)tree_format(simulator->tree, handle->node, simulator->model, handle->text);
	r = faults_read(simulator->faults, handle->node, handle->text, sizeof(handle->text),
			ret_delay_ms);
	if (r < 0)
		return r;
	handle->length = (size_t)r;
	return 0;
}

/* libfuse calls this from within mount_serve(): the same thread. */
static void note_interrupt(fuse_req_t request, void *data)
{
	struct held_answer *held = data;

	(void)request;
	held->interrupted = true;
}

static int hold_answer(struct mount *mount, fuse_req_t request, const struct handle *handle,
		       uint64_t delay_ms, size_t size)
{
	struct held_answer *held = calloc(1, sizeof(*held));

	if (!held)
		return -ENOMEM;
	held->request = request;
	held->due_ns = real_now_ns() + delay_ms * NS_PER_MS;
	held->length = size < handle->length ? size : handle->length;
	memcpy(held->text, handle->text, held->length);
	held->next = mount->held;
	mount->held = held;
	fuse_req_interrupt_func(request, note_interrupt, held);
	return 0;
}

static void do_read(fuse_req_t request, fuse_ino_t ino, size_t size, off_t offset,
		    struct fuse_file_info *info)
{
	struct mount *mount = mount_of(request);
	struct handle *handle = handle_of(info);
	uint64_t delay_ms = 0;
	int r = 0;

	(void)ino;
	if (is_gone(mount->simulator->tree, handle->node, handle->incarnation))
		r = -ENODEV;
	else if (offset == 0)
		r = fill_handle(mount->simulator, handle, &delay_ms);
	if (r == 0 && delay_ms > 0) {
		r = hold_answer(mount, request, handle, delay_ms, size);
		if (r == 0)
			return;
	}
	if (r < 0) {
		(void)fuse_reply_err(request, -r);
		return;
	}
	if ((size_t)offset >= handle->length) {
		(void)fuse_reply_buf(request, NULL, 0);
		return;
	}
	if (size > handle->length - (size_t)offset)
		size = handle->length - (size_t)offset;
	(void)fuse_reply_buf(request, handle->text + offset, size);
}

/* Offsets: 1 is behind ".", 2 behind "..", and node + 2 behind that node. No entry is the root, so
 * no two are the same, and a listing goes on rightly though entries vanish in between. */
static size_t next_entry(const struct tree *tree, size_t dir, off_t offset)
{
	if (offset == 2)
		return tree_node(tree, dir)->child;
	return tree_node(tree, (size_t)offset - 2)->sibling;
}

static void do_readdir(fuse_req_t request, fuse_ino_t ino, size_t size, off_t offset,
		       struct fuse_file_info *info)
{
	struct mount *mount = mount_of(request);
	const struct tree *tree = mount->simulator->tree;
	size_t dir = node_of(ino);
	cleanup_free char *entries = malloc(size);
	size_t length = 0;

	(void)info;
	if (!entries || ino_is_gone(tree, ino)) {
		(void)fuse_reply_err(request, entries ? ENOENT : ENOMEM);
		return;
	}
	for (;;) {
		const char *name = offset == 0 ? "." : "..";
		size_t node = offset == 0 ? dir : tree_node(tree, dir)->parent;
		off_t behind = offset + 1;
		struct stat stat;
		size_t space;

		if (offset >= 2) {
			node = next_entry(tree, dir, offset);
			if (node == TREE_NONE)
				break;
			name = tree_node(tree, node)->name;
			behind = (off_t)node + 2;
		}
		offset = behind;
		if (!tree_visible(tree, node) || faults_hides(mount->simulator->faults, node))
			continue;
		stat = attributes(mount, node);
		space = fuse_add_direntry(request, entries + length, size - length, name, &stat,
					  behind);
		if (space > size - length)
			break;
		length += space;
	}
	(void)fuse_reply_buf(request, entries, length);
}

static const struct fuse_lowlevel_ops operations = {
    .lookup = do_lookup,
    .getattr = do_getattr,
    .readlink = do_readlink,
    .open = do_open,
    .read = do_read,
    .release = do_release,
    .readdir = do_readdir,
};

/* Root's files are for root alone, and the kernel sees to it: default_permissions. */
static int mount_session(struct mount *mount, const char *path)
{
	char name[] = "raplsim";
	char flag[] = "-o";
	char values[] = "fsname=raplsim,default_permissions,allow_other";
	char *arguments[] = {name, flag, values, NULL};
	struct fuse_args args = {.argc = geteuid() == 0 ? 3 : 1, .argv = arguments};
	int flags;

	mount->session = fuse_session_new(&args, &operations, sizeof(operations), mount);
	fuse_opt_free_args(&args);
	if (!mount->session)
		return -EINVAL;
	if (fuse_session_mount(mount->session, path) < 0)
		return -ENODEV;
	/* A request that was interrupted may be withdrawn between poll and read. */
	flags = fcntl(mount_fd(mount), F_GETFL);
	if (flags < 0 || fcntl(mount_fd(mount), F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	return 0;
}

int mount_create(struct simulator *simulator, const char *path, struct mount **ret_mount)
{
	struct mount *mount = calloc(1, sizeof(*mount));
	int r;

	if (!mount)
		return -ENOMEM;
	mount->simulator = simulator;
	mount->created = time(NULL);
	r = mount_session(mount, path);
	if (r < 0) {
		mount_destroy(mount);
		return r;
	}
	*ret_mount = mount;
	return 0;
}

void mount_destroy(struct mount *mount)
{
	if (!mount)
		return;
	while (mount->held) {
		struct held_answer *held = mount->held;

		mount->held = held->next;
		(void)fuse_reply_err(held->request, ENODEV);
		free(held);
	}
	if (mount->session) {
		fuse_session_unmount(mount->session);
		fuse_session_destroy(mount->session);
	}
	while (mount->handles)
		close_handle(mount->handles);
	free(mount->buffer.mem);
	free(mount);
}

int mount_fd(const struct mount *mount)
{
	return fuse_session_fd(mount->session);
}

int mount_serve(struct mount *mount)
{
	for (int i = 0; i < REQUESTS_AT_ONCE; i++) {
		int r = fuse_session_receive_buf(mount->session, &mount->buffer);

		if (r == -EAGAIN || r == -EINTR)
			return 0;
		if (r <= 0 || fuse_session_exited(mount->session))
			return -ENODEV;
		fuse_session_process_buf(mount->session, &mount->buffer);
	}
	return 0;
}

int mount_send_due(struct mount *mount)
{
	uint64_t now_ns = mount->held ? real_now_ns() : 0;
	uint64_t next_ns = UINT64_MAX;
	struct held_answer **at = &mount->held;

	while (*at) {
		struct held_answer *held = *at;

		if (!held->interrupted && held->due_ns > now_ns) {
			if (held->due_ns < next_ns)
				next_ns = held->due_ns;
			at = &held->next;
			continue;
		}
		*at = held->next;
		if (held->interrupted)
			(void)fuse_reply_err(held->request, EINTR);
		else
			(void)fuse_reply_buf(held->request, held->text, held->length);
		free(held);
	}
	if (next_ns == UINT64_MAX)
		return -1;
	/* Rounded up: poll() must not come back before the answer is due. */
	return (int)((next_ns - now_ns) / NS_PER_MS + 1);
}
