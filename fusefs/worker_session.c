/*
 * The kernel's requests: from the connection, or from what a predecessor left of them, to who
 * answers them.
 */
#include "common/log.h"
#include "fusefs/worker_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define WORKER_WRITE_MAX 4096 /* nothing is ever written: the least that the kernel takes */
#define WORKER_BURST_MAX 16   /* requests in a row before the other descriptors are looked at */
#define WORKER_LOG_SIZE	 512

/* --- requests that would change something --- */

static void worker_refuse(fuse_req_t request)
{
	(void)fuse_reply_err(request, EROFS);
}

static void worker_setattr(fuse_req_t request, fuse_ino_t id, struct stat *attributes, int set,
			   struct fuse_file_info *info)
{
	(void)id, (void)attributes, (void)set, (void)info;
	worker_refuse(request);
}

static void worker_mknod(fuse_req_t request, fuse_ino_t parent, const char *name, mode_t mode,
			 dev_t device)
{
	(void)parent, (void)name, (void)mode, (void)device;
	worker_refuse(request);
}

static void worker_mkdir(fuse_req_t request, fuse_ino_t parent, const char *name, mode_t mode)
{
	(void)parent, (void)name, (void)mode;
	worker_refuse(request);
}

static void worker_remove(fuse_req_t request, fuse_ino_t parent, const char *name)
{
	(void)parent, (void)name;
	worker_refuse(request);
}

static void worker_symlink(fuse_req_t request, const char *target, fuse_ino_t parent,
			   const char *name)
{
	(void)target, (void)parent, (void)name;
	worker_refuse(request);
}

static void worker_rename(fuse_req_t request, fuse_ino_t parent, const char *name,
			  fuse_ino_t new_parent, const char *new_name, unsigned int flags)
{
	(void)parent, (void)name, (void)new_parent, (void)new_name, (void)flags;
	worker_refuse(request);
}

static void worker_link(fuse_req_t request, fuse_ino_t id, fuse_ino_t parent, const char *name)
{
	(void)id, (void)parent, (void)name;
	worker_refuse(request);
}

static void worker_write(fuse_req_t request, fuse_ino_t id, const char *data, size_t size,
			 off_t offset, struct fuse_file_info *info)
{
	(void)id, (void)data, (void)size, (void)offset, (void)info;
	worker_refuse(request);
}

static void worker_make(fuse_req_t request, fuse_ino_t parent, const char *name, mode_t mode,
			struct fuse_file_info *info)
{
	(void)parent, (void)name, (void)mode, (void)info;
	worker_refuse(request);
}

static void worker_init(void *userdata, struct fuse_conn_info *connection)
{
	struct fs_memory *memory = ((struct worker *)userdata)->memory;

	/* Nothing that splices, caches or writes: each answer is computed and short. */
	if (!memory->opened)
		memory->granted = FUSE_CAP_ASYNC_READ | FUSE_CAP_PARALLEL_DIROPS;
	/* The kernel holds to what it was told first, maybe by another version. */
	connection->want = connection->capable & memory->granted;
	connection->max_write = WORKER_WRITE_MAX;
}

/*
 * What is left out is answered with ENOSYS, which the kernel remembers: it does not ask again and
 * tells callers what fits (EOPNOTSUPP for extended attributes, ENOTTY for ioctl).
 */
static const struct fuse_lowlevel_ops worker_operations = {
    .init = worker_init,
    .lookup = worker_lookup,
    .getattr = worker_getattr,
    .readlink = worker_readlink,
    .opendir = worker_opendir,
    .readdir = worker_readdir,
    .access = worker_access,
    .open = worker_open,
    .read = worker_read,
    .release = worker_release,
    .setattr = worker_setattr,
    .mknod = worker_mknod,
    .mkdir = worker_mkdir,
    .unlink = worker_remove,
    .rmdir = worker_remove,
    .symlink = worker_symlink,
    .rename = worker_rename,
    .link = worker_link,
    .write = worker_write,
    .create = worker_make,
};

/* --- the connection --- */

static ssize_t worker_io_write(int fd, struct iovec *parts, int count, void *userdata)
{
	struct worker *worker = userdata;
	ssize_t length = 0;

	for (int i = 0; i < count; i++)
		length += (ssize_t)parts[i].iov_len;
	if (worker->swallow)
		return length;
	do
		length = writev(fd, parts, count);
	while (length < 0 && errno == EINTR);
	/* ENOENT: who asked was interrupted and waits no more. All else loses an answer. */
	if (length < 0 && errno != ENOENT)
		worker->lost = -errno;
	return length;
}

/* libfuse wants one, but requests are read by worker_receive() into memory that outlives us. */
static ssize_t worker_io_read(int fd, void *buffer, size_t size, void *userdata)
{					    /* not reached: see above */
	(void)fd, (void)buffer, (void)size; /* not reached: see above */
	(void)userdata;			    /* not reached: see above */
	return -ENOSYS;			    /* not reached: see above */
} /* not reached: see above */

__attribute__((format(printf, 2, 0))) static void worker_log(enum fuse_log_level level,
							     const char *format, va_list arguments)
{
	char text[WORKER_LOG_SIZE];

	(void)level;
	(void)vsnprintf(text, sizeof(text), format, arguments);
	text[strcspn(text, "\n")] = '\0';
	log_debug("libfuse: %s", text);
}

static int worker_open_session(struct worker *worker, struct diag *diag)
{
	static const struct fuse_custom_io io = {.writev = worker_io_write, .read = worker_io_read};
	char name[] = "wattport-fs";
	char *argv[] = {name, NULL};
	struct fuse_args arguments = FUSE_ARGS_INIT(1, argv);
	int status;

	fuse_set_log_func(worker_log);
	worker->session =
	    fuse_session_new(&arguments, &worker_operations, sizeof(worker_operations), worker);
	fuse_opt_free_args(&arguments);
	if (worker->session == NULL)
		return diag_error(diag, -ENOMEM, "cannot start a FUSE session");
	status = fuse_session_custom_io(worker->session, &io, worker->options->fuse_fd);
	if (status < 0)
		return diag_error(diag, status, "cannot use the FUSE connection: %s",
				  strerror(-status));
	return 0;
}

/* Deals with one request that wire_end() has ended; notes it if it has to wait. */
static void worker_process(struct worker *worker, char message[], size_t size)
{
	struct fuse_buf buffer = {.mem = message, .size = size};

	worker->unique = wire_unique(message);
	worker->parked_now = WORKER_NOT_PARKED;
	fuse_session_process_buf(worker->session, &buffer);
	/* A successor finds it among those that wait before it is forgotten here. */
	if (worker->parked_now != WORKER_NOT_PARKED && size <= FS_PARKED_SIZE)
		memcpy(worker->memory->parked[worker->parked_now].bytes, message, size);
}

void worker_greet(struct worker *worker)
{
	struct fs_memory *memory = worker->memory;
	struct fs_message message = memory->init;

	worker->swallow = memory->opened;
	worker_process(worker, message.bytes,
		       wire_end(message.bytes, wire_length(message.bytes), sizeof(message.bytes)));
	worker->swallow = false;
	/* An answer that is lost is the successor's to give. */
	memory->opened = memory->opened || worker->lost == 0;
}

/* Linux before 6.9: what the predecessor left unanswered, as it was read. */
static void worker_replay(struct worker *worker)
{
	struct fs_memory *memory = worker->memory;
	struct fs_message message;
	uint32_t length;

	worker->again = true;
	for (uint32_t i = 0; i < FS_PARKED_MAX; i++) {
		length = wire_length(memory->parked[i].bytes);
		if (length == 0 || length > FS_PARKED_SIZE)
			continue;
		memcpy(message.bytes, memory->parked[i].bytes, FS_PARKED_SIZE);
		worker_process(worker, message.bytes,
			       wire_end(message.bytes, length, sizeof(message.bytes)));
		/* An answer that is lost is the successor's to give, and so is the rest. */
		if (worker->lost != 0)
			return;
		/* It waits again in the first free place: here or before. */
		if (worker->parked_now != i)
			wire_clear(memory->parked[i].bytes);
	}
	message = memory->current;
	length = wire_length(message.bytes);
	if (length != 0)
		worker_process(worker, message.bytes,
			       wire_end(message.bytes, length, sizeof(message.bytes)));
	if (worker->lost != 0)
		return;
	wire_clear(memory->current.bytes);
	worker->again = false;
}

void worker_take_over(struct worker *worker)
{
	struct fs_memory *memory = worker->memory;
	int status =
	    worker->options->without_resend ? -EINVAL : wire_resend(worker->options->fuse_fd);

	if (status < 0) {
		if (!memory->told_no_resend)
			log_info("this kernel does not send requests again (Linux 6.9 does): "
				 "they are kept and repeated here");
		memory->told_no_resend = true;
		worker_replay(worker);
		return;
	}
	for (uint32_t i = 0; i < FS_PARKED_MAX; i++)
		wire_clear(memory->parked[i].bytes);
	wire_clear(memory->current.bytes);
}

int worker_receive(struct worker *worker)
{
	char *message = worker->memory->current.bytes;

	for (size_t i = 0; i < WORKER_BURST_MAX && worker->lost == 0; i++) {
		int length =
		    wire_read(worker->options->fuse_fd, message, FS_MESSAGE_SIZE - WIRE_TAIL_SIZE);

		if (length == -EAGAIN)
			return 0;
		if (length < 0)
			return length;
		worker->again = wire_is_again(message);
		worker_process(worker, message,
			       wire_end(message, (uint32_t)length, FS_MESSAGE_SIZE));
		/* An answer that is lost is the successor's to give. */
		if (worker->lost == 0)
			wire_clear(message);
	}
	return 0;
}

/* --- the worker without its process --- */

int worker_create(const struct worker_options *options, const struct clock *clock,
		  struct worker **ret_worker, struct diag *diag)
{
	struct worker *worker = calloc(1, sizeof(*worker));
	int status;

	if (worker == NULL)
		return diag_error(diag, -ENOMEM, "out of memory");
	worker->options = options;
	worker->memory = options->memory;
	worker->clock = clock;
	status = reading_create(options->runtime_fd, worker->memory, &options->zones,
				options->period_ns, clock, &worker->reading);
	if (status == 0)
		status = access_create(options->proc_fd, options->users, reading_next_process,
				       worker->reading, &worker->access);
	if (status == 0)
		status = refresh_create(options->runtime_fd, worker_unpark, worker,
					&worker->memory->told_away, &worker->refresh);
	if (status < 0)
		(void)diag_error(diag, status, "out of memory");
	else
		status = worker_open_session(worker, diag);
	if (status < 0) {
		worker_destroy(worker);
		return status;
	}
	*ret_worker = worker;
	return 0;
}

void worker_destroy(struct worker *worker)
{
	if (worker == NULL)
		return;
	if (worker->session != NULL)
		fuse_session_destroy(worker->session);
	access_destroy(worker->access);
	refresh_destroy(worker->refresh);
	reading_destroy(worker->reading);
	free(worker);
}
