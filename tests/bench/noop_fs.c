/*
 * The yardstick for wattport-fs: a low-level, single-threaded FUSE server with one file, DIR/file,
 * whose content is always the same. A read of it costs what FUSE itself costs.
 *
 *     noop_fs -f DIR
 */
#define FUSE_USE_VERSION 314

#include <errno.h>
#include <fuse_lowlevel.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define NOOP_INODE 2
#define NOOP_NAME  "file"

static const char noop_content[] = "1234567890123456\n";

static void noop_describe(fuse_ino_t inode, struct stat *stat)
{
	*stat = (struct stat){.st_ino = inode, .st_nlink = 1};
	stat->st_mode = inode == FUSE_ROOT_ID ? S_IFDIR | 0555 : S_IFREG | 0444;
	stat->st_size = inode == FUSE_ROOT_ID ? 0 : 4096;
}

static void noop_lookup(fuse_req_t request, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param entry = {.ino = NOOP_INODE};

	if (parent != FUSE_ROOT_ID || strcmp(name, NOOP_NAME) != 0) {
		(void)fuse_reply_err(request, ENOENT);
		return;
	}
	noop_describe(NOOP_INODE, &entry.attr);
	(void)fuse_reply_entry(request, &entry);
}

static void noop_getattr(fuse_req_t request, fuse_ino_t inode, struct fuse_file_info *info)
{
	struct stat stat;

	(void)info;
	noop_describe(inode, &stat);
	(void)fuse_reply_attr(request, &stat, 0);
}

static void noop_open(fuse_req_t request, fuse_ino_t inode, struct fuse_file_info *info)
{
	(void)inode;
	info->direct_io = 1;
	(void)fuse_reply_open(request, info);
}

static void noop_read(fuse_req_t request, fuse_ino_t inode, size_t size, off_t offset,
		      struct fuse_file_info *info)
{
	size_t length = sizeof(noop_content) - 1;
	size_t start = offset < 0 || (size_t)offset > length ? length : (size_t)offset;

	(void)inode;
	(void)info;
	length -= start;
	(void)fuse_reply_buf(request, noop_content + start, length < size ? length : size);
}

static const struct fuse_lowlevel_ops noop_ops = {
    .lookup = noop_lookup,
    .getattr = noop_getattr,
    .open = noop_open,
    .read = noop_read,
};

int main(int argc, char **argv)
{
	struct fuse_args arguments = FUSE_ARGS_INIT(argc, argv);
	struct fuse_cmdline_opts options = {.mountpoint = NULL};
	struct fuse_session *session;
	int status = 1;

	if (fuse_parse_cmdline(&arguments, &options) != 0 || options.mountpoint == NULL)
		return 2;
	session = fuse_session_new(&arguments, &noop_ops, sizeof(noop_ops), NULL);
	if (session == NULL)
		goto finish;
	if (fuse_set_signal_handlers(session) == 0 &&
	    fuse_session_mount(session, options.mountpoint) == 0) {
		status = fuse_session_loop(session) == 0 ? 0 : 1;
		fuse_session_unmount(session);
	}
	fuse_session_destroy(session);
finish:
	free(options.mountpoint);
	fuse_opt_free_args(&arguments);
	return status;
}
