#include "fusefs/takeover.h"
#include "common/cleanup.h"
#include "common/log.h"
#include "fusefs/fd_store.h"
#include "fusefs/heritage.h"
#include "fusefs/mountpoint.h"
#include "fusefs/pid_file.h"
#include "fusefs/plain_mount.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#define TAKEOVER_TRIES	    16 /* to lock a file that others are taking away */
#define TAKEOVER_HEIR_LOOKS 40 /* for a worker that is about to serve without its keeper */
#define TAKEOVER_HEIR_MS    5  /* from one to the next */
#define TAKEOVER_FUSE_MAJOR 10 /* Documentation/admin-guide/devices.txt */
#define TAKEOVER_FUSE_MINOR 229

/* The best found so far. */
struct takeover_found {
	uint64_t device; /* mounted at the mount point; 0: nothing */
	uint64_t epoch;
	int fuse_fd;
	int memory_fd;
};

static void takeover_found_finish(struct takeover_found *found)
{
	if (found->fuse_fd >= 0)
		(void)close(found->fuse_fd);
	if (found->memory_fd >= 0)
		(void)close(found->memory_fd);
}
#define cleanup_found __attribute__((cleanup(takeover_found_finish)))

static bool takeover_is_fuse(int fd)
{
	struct stat stat;

	return fstat(fd, &stat) == 0 && S_ISCHR(stat.st_mode) &&
	       stat.st_rdev == makedev(TAKEOVER_FUSE_MAJOR, TAKEOVER_FUSE_MINOR);
}

/* fuse_dev_poll() of fs/fuse/dev.c: an error where the mount is gone, or there never was one. */
static bool takeover_is_alive(int fuse_fd)
{
	struct pollfd polled = {.fd = fuse_fd};

	return poll(&polled, 1, 0) >= 0 && (polled.revents & (POLLERR | POLLNVAL)) == 0;
}

/* Keeps the two if they belong to the mount and nothing better was found; else closes them. */
static void takeover_consider(struct takeover_found *found, int candidate_fuse_fd,
			      int candidate_memory_fd)
{
	cleanup_heritage struct heritage_mapping mapping = {.heritage = NULL};
	cleanup_fd int fuse_fd = candidate_fuse_fd;
	cleanup_fd int memory_fd = candidate_memory_fd;

	if (!takeover_is_fuse(fuse_fd) || !takeover_is_alive(fuse_fd) ||
	    heritage_map(memory_fd, &mapping) < 0 || found->device == 0 ||
	    mapping.heritage->mount_device != found->device ||
	    mapping.heritage->epoch <= found->epoch)
		return;
	takeover_found_finish(found);
	found->epoch = mapping.heritage->epoch;
	found->fuse_fd = TAKE_FD(fuse_fd);
	found->memory_fd = TAKE_FD(memory_fd);
}

/* What the service manager kept: one connection, and memory, mostly one. */
static void takeover_search_store(struct takeover_found *found, struct fd_store *ret_store)
{
	int first, count;

	fd_store_take(ret_store);
	first = ret_store->first;
	count = ret_store->count;
	for (int i = first; i < first + count; i++)
		for (int j = first; takeover_is_fuse(i) && j < first + count; j++)
			takeover_consider(found, fcntl(i, F_DUPFD_CLOEXEC, HERITAGE_MEMORY_FD + 1),
					  fcntl(j, F_DUPFD_CLOEXEC, HERITAGE_MEMORY_FD + 1));
	for (int i = first; i < first + count; i++)
		(void)close(i);
}

/* What a process has; -EPERM when we may not take it. */
static int takeover_search_process(struct takeover_found *found,
				   const struct pid_file_holder *holder)
{
	cleanup_fd int fuse_fd = (int)syscall(SYS_pidfd_getfd, holder->pidfd, HERITAGE_FUSE_FD, 0);
	cleanup_fd int memory_fd = -1;

	if (fuse_fd < 0)
		return errno == EPERM || errno == ENOSYS ? -EPERM : 0;
	memory_fd = (int)syscall(SYS_pidfd_getfd, holder->pidfd, HERITAGE_MEMORY_FD, 0);
	if (memory_fd >= 0)
		takeover_consider(found, TAKE_FD(fuse_fd), TAKE_FD(memory_fd));
	return 0;
}

static int takeover_refuse(const struct takeover_request *request, pid_t pid, struct diag *diag)
{
	return diag_error(diag, -EPERM,
			  "process %d serves %s and its connection cannot be taken over: allow it "
			  "(CAP_SYS_PTRACE, kernel.yama.ptrace_scope below 3), or give up all open "
			  "trees with wattport-fs --unmount",
			  (int)pid, request->runtime_dir);
}

static int takeover_refuse_foreign(const struct takeover_request *request, struct diag *diag)
{
	return diag_error(diag, -EXDEV,
			  "a wattport-fs in another container (PID namespace) serves %s; stop it "
			  "there, or give this one its own --runtime-dir",
			  request->runtime_dir);
}

/* Takes what the keeper that lives has. */
static int takeover_challenge(const struct takeover_request *request, struct takeover_found *found,
			      const struct pid_file_holder *holder, struct diag *diag)
{
	/* Plain files are nobody's to hand over (plain_mount.h). */
	bool nothing = request->give_up || plain_mount_is(request->mount_path);
	int status = nothing ? 0 : takeover_search_process(found, holder);

	if (status < 0)
		return takeover_refuse(request, holder->pid, diag);
	if (!nothing && found->fuse_fd < 0)
		return diag_error(diag, -EAGAIN,
				  "process %d is about to serve %s and has nothing to take over "
				  "yet; try again",
				  (int)holder->pid, request->runtime_dir);
	return 0;
}

/* Somebody else holds the lock of the keeper: he is the rival, or we give up. */
static int takeover_meet(const struct takeover_request *request, struct takeover_found *found,
			 int lock_fd, struct pid_file_holder *ret_rival, struct diag *diag)
{
	struct pid_file_holder holder = {.pidfd = -1};
	int status = pid_file_holder(lock_fd, &holder);

	if (status == -ESRCH)
		return status;
	if (status == -EXDEV)
		return takeover_refuse_foreign(request, diag);
	if (status < 0)
		return diag_error(diag, status, "cannot find out who serves %s: %s",
				  request->runtime_dir, strerror(-status));
	/* Without `found` he was started later than we, and has been faster. */
	if (request->replace && found != NULL)
		status = takeover_challenge(request, found, &holder, diag);
	else
		status = diag_error(diag, -EBUSY,
				    "another wattport-fs serves %s (process %d); stop it, take its "
				    "place with --replace, or give this one its own --runtime-dir",
				    request->runtime_dir, (int)holder.pid);
	if (status == 0)
		*ret_rival = holder;
	else
		(void)close(holder.pidfd);
	return status;
}

/* Locks the keeper's file, or finds who has locked it: in *takeover is one of them. */
static int takeover_lock(const struct takeover_request *request, struct takeover_found *found,
			 struct takeover *takeover, struct diag *diag)
{
	int status = -EBUSY;

	for (size_t i = 0; i < TAKEOVER_TRIES; i++) {
		cleanup_fd int fd = -1;

		status = pid_file_open(request->runtime_fd, TAKEOVER_KEEPER_NAME, &fd);
		if (status == 0)
			status = pid_file_lock(fd);
		if (status == 0 &&
		    pid_file_is_current(fd, request->runtime_fd, TAKEOVER_KEEPER_NAME)) {
			takeover->lock_fd = TAKE_FD(fd);
			return 0;
		}
		if (status < 0 && status != -EBUSY)
			break;
		if (status == 0)
			continue;
		status = takeover_meet(request, found, fd, &takeover->rival, diag);
		/* Gone meanwhile. */
		if (status != -ESRCH)
			return status;
	}
	if (status == 0 || status == -ESRCH)
		status = -EBUSY;
	return diag_error(diag, status, "cannot lock %s/%s: %s", request->runtime_dir,
			  TAKEOVER_KEEPER_NAME, strerror(-status));
}

/* What the worker has that serves without a keeper. */
static int takeover_search_worker(const struct takeover_request *request,
				  struct takeover_found *found, int worker_fd, struct diag *diag)
{
	struct pid_file_holder holder = {.pidfd = -1};
	int status = pid_file_holder(worker_fd, &holder);

	if (status == -ESRCH)
		return 0;
	if (status == -EXDEV)
		return takeover_refuse_foreign(request, diag);
	if (status == 0)
		status = takeover_search_process(found, &holder);
	if (holder.pidfd >= 0)
		(void)close(holder.pidfd);
	if (status < 0 && found->fuse_fd < 0 && found->epoch == 0)
		return takeover_refuse(request, holder.pid, diag);
	return 0;
}

/*
 * The same; where nothing is found, and something is mounted, a worker may be about to come into
 * the place of the one before it, since its keeper was killed while it took over.
 */
static int takeover_search_heir(const struct takeover_request *request,
				struct takeover_found *found, int worker_fd, struct diag *diag)
{
	int status = takeover_search_worker(request, found, worker_fd, diag);

	for (size_t i = 0; i < TAKEOVER_HEIR_LOOKS && status == 0; i++) {
		if (found->fuse_fd >= 0 || found->device == 0)
			break;
		(void)poll(NULL, 0, TAKEOVER_HEIR_MS);
		status = takeover_search_worker(request, found, worker_fd, diag);
	}
	return status;
}

int takeover_end_worker(const struct takeover *takeover, struct diag *diag)
{
	struct pid_file_holder holder;
	int status = pid_file_holder(takeover->worker_fd, &holder);

	if (status == -ESRCH)
		return 0;
	if (status == 0) {
		status = pid_file_end(&holder);
		(void)close(holder.pidfd);
	}
	if (status < 0)
		return diag_error(diag, status, "cannot end the worker of the last wattport-fs: %s",
				  strerror(-status));
	return 0;
}

static uint64_t takeover_device(const struct takeover_request *request)
{
	uint64_t device = 0;

	return mountpoint_device(request->mount_path, &device, NULL) == 0 ? device : 0;
}

/* Alone by the lock, or not: what was found before it holds if the mount is still the same. */
static int takeover_confirm(const struct takeover_request *request, struct takeover *takeover,
			    struct takeover_found *found, struct diag *diag)
{
	if (takeover_device(request) != takeover->device)
		return diag_error(diag, -EAGAIN,
				  "what is mounted at %s has changed meanwhile; try again",
				  request->mount_path);
	if (found->memory_fd < 0)
		return 0;
	if (heritage_map(found->memory_fd, &takeover->memory) < 0)
		return diag_error(diag, -ENOMEM,
				  "cannot map the memory of the last wattport-fs: out of memory");
	takeover->fuse_fd = TAKE_FD(found->fuse_fd);
	takeover->memory_fd = TAKE_FD(found->memory_fd);
	return 0;
}

static int takeover_find(const struct takeover_request *request, struct takeover *takeover,
			 struct diag *diag)
{
	cleanup_found struct takeover_found found = {.fuse_fd = -1, .memory_fd = -1};
	int status = mountpoint_device(request->mount_path, &found.device, diag);

	if (status < 0 && status != -ENOENT)
		return status;
	takeover->device = found.device;
	takeover_search_store(&found, &takeover->store);
	status = takeover_lock(request, &found, takeover, diag);
	if (status < 0)
		return status;
	status = pid_file_open(request->runtime_fd, TAKEOVER_WORKER_NAME, &takeover->worker_fd);
	if (status < 0)
		return diag_error(diag, status, "cannot make %s/%s: %s", request->runtime_dir,
				  TAKEOVER_WORKER_NAME, strerror(-status));
	if (takeover->lock_fd >= 0 && !request->give_up)
		status = takeover_search_heir(request, &found, takeover->worker_fd, diag);
	if (status == 0 && !request->give_up)
		status = takeover_confirm(request, takeover, &found, diag);
	return status;
}

int takeover_begin(const struct takeover_request *request, struct takeover *ret_takeover,
		   struct diag *diag)
{
	struct takeover takeover = TAKEOVER_NOTHING;
	int status = takeover_find(request, &takeover, diag);

	/* The worker's file stays: a worker may hold it. */
	if (status < 0)
		takeover_finish(&takeover, request->runtime_fd, true);
	else
		*ret_takeover = takeover;
	return status;
}

/* Ends the keeper that lives and takes its lock; its worker serves on. */
static int takeover_depose(const struct takeover_request *request, struct takeover *takeover,
			   struct diag *diag)
{
	cleanup_found struct takeover_found found = {.fuse_fd = -1, .memory_fd = -1};
	int status;

	if (takeover_device(request) != takeover->device)
		return diag_error(diag, -EAGAIN,
				  "what is mounted at %s has changed meanwhile; try again",
				  request->mount_path);
	status = pid_file_end(&takeover->rival);
	if (status < 0)
		return diag_error(diag, status, "cannot end process %d: %s",
				  (int)takeover->rival.pid, strerror(-status));
	log_info("takes the place of process %d", (int)takeover->rival.pid);
	(void)close(takeover->rival.pidfd);
	takeover->rival.pidfd = -1;
	status = takeover_lock(request, NULL, takeover, diag);
	if (status < 0 || takeover->memory.heritage == NULL)
		return status;
	/* A third one may have come and gone in between, and left newer memory to its worker. */
	found.device = takeover->device;
	found.epoch = takeover->memory.heritage->epoch;
	status = takeover_search_worker(request, &found, takeover->worker_fd, diag);
	if (status == 0 && found.fuse_fd >= 0)
		status =
		    diag_error(diag, -EAGAIN, "somebody else has served %s meanwhile; try again",
			       request->runtime_dir);
	return status;
}

int takeover_seize(const struct takeover_request *request, struct takeover *takeover,
		   struct diag *diag)
{
	int status = takeover->rival.pidfd >= 0 ? takeover_depose(request, takeover, diag) : 0;

	if (status < 0)
		return status;
	if (takeover->memory.heritage != NULL)
		(void)__atomic_add_fetch(&takeover->memory.heritage->reign, 1, __ATOMIC_SEQ_CST);
	return 0;
}

void takeover_finish(struct takeover *takeover, int runtime_fd, bool worker_lives)
{
	if (takeover->worker_fd >= 0) {
		if (!worker_lives)
			(void)unlinkat(runtime_fd, TAKEOVER_WORKER_NAME, 0);
		(void)close(takeover->worker_fd);
	}
	if (takeover->lock_fd >= 0) {
		(void)unlinkat(runtime_fd, TAKEOVER_KEEPER_NAME, 0);
		(void)close(takeover->lock_fd);
	}
	if (takeover->fuse_fd >= 0)
		(void)close(takeover->fuse_fd);
	if (takeover->memory_fd >= 0)
		(void)close(takeover->memory_fd);
	if (takeover->rival.pidfd >= 0)
		(void)close(takeover->rival.pidfd);
	heritage_unmap(&takeover->memory);
	fd_store_finish(&takeover->store);
	*takeover = (struct takeover)TAKEOVER_NOTHING;
}
