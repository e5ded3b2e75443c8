#include "common/cleanup.h"
#include "common/log.h"
#include "common/privilege.h"
#include "fusefs/pid_file.h"
#include "fusefs/worker_internal.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

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

static void worker_create(fuse_req_t request, fuse_ino_t parent, const char *name, mode_t mode,
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
    .create = worker_create,
};

/* --- the connection --- */

static ssize_t worker_io_write(int fd, struct iovec *parts, int count, void *userdata)
{
	const struct worker *worker = userdata;
	ssize_t length = 0;

	if (!worker->swallow)
		return writev(fd, parts, count);
	for (int i = 0; i < count; i++)
		length += (ssize_t)parts[i].iov_len;
	return length;
}

/* libfuse wants one, but requests are read by worker_receive() into memory that outlives us. */
static ssize_t worker_io_read(int fd, void *buffer, size_t size, void *userdata)
{
	(void)userdata;
	return read(fd, buffer, size);
}

__attribute__((format(printf, 2, 0))) static void worker_log(enum fuse_log_level level,
							     const char *format, va_list arguments)
{
	char text[WORKER_LOG_SIZE];

	(void)level;
	(void)vsnprintf(text, sizeof(text), format, arguments);
	text[strcspn(text, "\n")] = '\0';
	log_debug("libfuse: %s", text);
}

static int worker_session(struct worker *worker, struct diag *diag)
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

/* Deals with one request that lies in `message`; notes it if it has to wait. */
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

/* The kernel's opening message, which it sends once for a mount; answered once. */
static void worker_greet(struct worker *worker)
{
	struct fs_memory *memory = worker->memory;

	worker->swallow = memory->opened;
	worker_process(worker, memory->init.bytes, wire_length(memory->init.bytes));
	worker->swallow = false;
	memory->opened = true;
}

/* Linux before 6.9: what the predecessor left unanswered, as it was read. */
static void worker_replay(struct worker *worker)
{
	struct fs_memory *memory = worker->memory;
	struct fs_message message;

	worker->again = true;
	for (uint32_t i = 0; i < FS_PARKED_MAX; i++) {
		struct fs_parked_message parked = memory->parked[i];
		uint32_t length = wire_length(parked.bytes);

		if (length == 0 || length > FS_PARKED_SIZE)
			continue;
		worker_process(worker, parked.bytes, length);
		/* It waits again in the first free place: here or before. */
		if (worker->parked_now != i)
			wire_clear(memory->parked[i].bytes);
	}
	message = memory->current;
	if (wire_length(message.bytes) != 0)
		worker_process(worker, message.bytes, wire_length(message.bytes));
	wire_clear(memory->current.bytes);
	worker->again = false;
}

/* Has every request answered that the predecessor did not answer. */
static void worker_take_over(struct worker *worker)
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

/* Takes a burst of requests; 0 when there are no more for now, -ENODEV when there never will be. */
static int worker_receive(struct worker *worker)
{
	char *message = worker->memory->current.bytes;

	for (size_t i = 0; i < WORKER_BURST_MAX; i++) {
		int length = wire_read(worker->options->fuse_fd, message, FS_MESSAGE_SIZE);

		if (length == -EAGAIN)
			return 0;
		if (length < 0)
			return length;
		worker->again = wire_is_again(message);
		worker_process(worker, message, (size_t)length);
		wire_clear(message);
	}
	return 0;
}

static int worker_wait(struct worker *worker, struct pollfd polled[static 2])
{
	uint64_t deadline_ns = refresh_deadline_ns(worker->refresh);
	uint64_t left_ns =
	    clock_elapsed_ns(clock_now_mono(worker->clock), (struct mono_time){deadline_ns});
	struct timespec timeout = {.tv_sec = (time_t)(left_ns / CLOCK_NS_PER_SECOND),
				   .tv_nsec = (long)(left_ns % CLOCK_NS_PER_SECOND)};

	polled[0] = (struct pollfd){.fd = worker->options->fuse_fd, .events = POLLIN};
	polled[1] = (struct pollfd){.fd = refresh_fd(worker->refresh), .events = POLLIN};
	if (ppoll(polled, 2, deadline_ns == REFRESH_NO_DEADLINE ? NULL : &timeout, NULL) < 0 &&
	    errno != EINTR)
		return -errno;
	return 0;
}

static int worker_loop(struct worker *worker, struct diag *diag)
{
	for (;;) {
		struct pollfd polled[2];
		struct mono_time now;
		int status = worker_wait(worker, polled);

		if (status < 0)
			return diag_error(diag, status, "cannot wait: %s", strerror(-status));
		now = clock_now_mono(worker->clock);
		if (polled[1].revents != 0 || now.ns >= refresh_deadline_ns(worker->refresh))
			refresh_process(worker->refresh, now);
		if (polled[0].revents == 0)
			continue;
		status = worker_receive(worker);
		if (status == -ENODEV)
			return 0;
		if (status < 0)
			return diag_error(diag, status, "cannot read from the kernel: %s",
					  strerror(-status));
	}
}

static void worker_tell_ready(const struct worker *worker)
{
	/* A keeper that does not listen any more is about to end us. */
	if (write(worker->options->ready_fd, "", 1) < 0)
		log_debug("nobody waits for this worker");
}

/* Where processes are hidden, none can be told from another. */
static void worker_check_sight(struct worker *worker)
{
	if (worker->memory->told_blind || access_sees(worker->options->proc_fd, getppid()))
		return;
	worker->memory->told_blind = true;
	log_warning(
	    "processes are hidden (hidepid): whose they are cannot be told, so every reader is "
	    "refused; use Linux 5.8 or later, or mount /proc without hidepid");
}

static int worker_serve(struct worker *worker, struct diag *diag)
{
	const struct worker_options *options = worker->options;
	int status = reading_create(options->runtime_fd, worker->memory, &options->zones,
				    options->period_ns, worker->clock, &worker->reading);

	if (status == 0)
		status = access_create(options->proc_fd, options->users, reading_next_process,
				       worker->reading, &worker->access);
	if (status == 0)
		status = refresh_create(options->runtime_fd, worker_unpark, worker,
					&worker->memory->told_away, &worker->refresh);
	if (status < 0)
		return diag_error(diag, status, "out of memory");
	status = worker_session(worker, diag);
	if (status < 0)
		return status;
	worker_check_sight(worker);
	status = privilege_filter(&privilege_table_wattport_fs_worker, diag);
	if (status < 0)
		return status;
	handle_table_recover(&worker->memory->handles, &worker->memory->trees);
	worker_greet(worker);
	worker_take_over(worker);
	worker_tell_ready(worker);
	return worker_loop(worker, diag);
}

/* The order is what keeps two workers from serving at the same time: takeover.h says why. */
static int worker_claim(const struct worker_options *options, struct diag *diag)
{
	int status = pid_file_lock(options->pid_fd);

	if (status < 0)
		return diag_error(diag, status, "cannot lock the file of the workers: %s",
				  strerror(-status));
	if (__atomic_load_n(&options->memory->heritage.reign, __ATOMIC_SEQ_CST) != options->reign)
		return diag_error(diag, -ESRCH, "another keeper has taken over");
	return 0;
}

int worker_run(const struct worker_options *options, struct diag *diag)
{
	struct worker *worker;
	int status = worker_claim(options, diag);

	if (status == 0)
		status = privilege_drop_to(options->user, diag);
	if (status < 0)
		return status;
	worker = calloc(1, sizeof(*worker));
	if (worker == NULL)
		return diag_error(diag, -ENOMEM, "out of memory");
	worker->options = options;
	worker->memory = options->memory;
	worker->clock = clock_real();
	status = worker_serve(worker, diag);
	if (worker->session != NULL)
		fuse_session_destroy(worker->session);
	access_destroy(worker->access);
	refresh_destroy(worker->refresh);
	reading_destroy(worker->reading);
	free(worker);
	return status;
}
