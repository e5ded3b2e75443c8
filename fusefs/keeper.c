#include "fusefs/keeper.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/log.h"
#include "common/sysroot.h"
#include "fusefs/fs_memory.h"
#include "fusefs/fuse_wire.h"
#include "fusefs/mountpoint.h"
#include "fusefs/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>

#define KEEPER_OPENING_MS    5000 /* for the kernel's opening message */
#define KEEPER_QUICK_NS	     CLOCK_NS_PER_SECOND
#define KEEPER_QUICK_MAX     16 /* so many workers may die within a second of their birth */
#define KEEPER_BACKOFF_MS    100
#define KEEPER_WORKER_FAILED 1 /* exit status of a worker that another could not better */

struct keeper {
	const struct keeper_options *options;
	const struct clock *clock;
	char mount_path[PATH_MAX];
	int runtime_fd;
	int lock_fd;
	int signal_fd;
	int fuse_fd;
	int ready_fds[2];
	struct sysroot *root;
	struct fs_memory *memory;
	sigset_t signals;  /* that come by signal_fd */
	pid_t worker;	   /* 0: none */
	bool told_ready;   /* to the service manager */
	unsigned quick;	   /* workers in a row that died young */
	uint64_t birth_ns; /* of the worker */
};

static int keeper_open_runtime(struct keeper *keeper, struct diag *diag)
{
	const char *path = keeper->options->runtime_dir;
	char resolved[PATH_MAX];
	int status = 0;
	int length;

	/* Whatever the umask: the worker and other views get in as nobody. */
	if (mkdir(path, 0755) == 0)
		status = chmod(path, 0755) < 0 ? -errno : 0;
	else if (errno != EEXIST)
		status = -errno;
	if (status < 0)
		return diag_error(diag, status,
				  "cannot make %s: %s; name another directory with --runtime-dir",
				  path, strerror(-status));
	keeper->runtime_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (keeper->runtime_fd < 0 || realpath(path, resolved) == NULL)
		return diag_error(diag, -errno, "cannot open %s: %s", path, strerror(errno));
	length = snprintf(keeper->mount_path, sizeof(keeper->mount_path), "%s/%s", resolved,
			  MOUNTPOINT_NAME);
	if (length < 0 || (size_t)length >= sizeof(keeper->mount_path))
		return diag_error(diag, -ENAMETOOLONG, "the path %s is too long", path);
	return 0;
}

/* One keeper a runtime directory: the lock goes with the process, however that ends. */
static int keeper_lock(struct keeper *keeper, struct diag *diag)
{
	char text[32];
	int length = snprintf(text, sizeof(text), "%" PRIdMAX "\n", (intmax_t)getpid());
	cleanup_fd int fd = -1;

	fd = openat(keeper->runtime_fd, KEEPER_PID_NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
		    0644);
	if (fd < 0)
		return diag_error(diag, -errno, "cannot make %s/%s: %s",
				  keeper->options->runtime_dir, KEEPER_PID_NAME, strerror(errno));
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return diag_error(
		    diag, -EBUSY,
		    "another wattport-fs serves %s; stop it, or give this one its own "
		    "--runtime-dir",
		    keeper->options->runtime_dir);
	/* From here on the file is ours, also to take away. */
	keeper->lock_fd = TAKE_FD(fd);
	if (ftruncate(keeper->lock_fd, 0) < 0)
		return diag_error(diag, -errno, "cannot write %s: %s", KEEPER_PID_NAME,
				  strerror(errno));
	return file_write_all(keeper->lock_fd, text, (size_t)length);
}

static int keeper_catch_signals(struct keeper *keeper, struct diag *diag)
{
	(void)sigemptyset(&keeper->signals);
	(void)sigaddset(&keeper->signals, SIGTERM);
	(void)sigaddset(&keeper->signals, SIGINT);
	(void)sigaddset(&keeper->signals, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &keeper->signals, NULL) < 0)
		return diag_error(diag, -errno, "cannot block signals: %s", strerror(errno));
	keeper->signal_fd = signalfd(-1, &keeper->signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (keeper->signal_fd < 0 || pipe2(keeper->ready_fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return diag_error(diag, -errno, "no descriptor left: %s", strerror(errno));
	return 0;
}

/* The kernel says hello once for a mount; every worker has to hear it. */
static int keeper_take_opening(struct keeper *keeper, struct diag *diag)
{
	struct pollfd polled = {.fd = keeper->fuse_fd, .events = POLLIN};
	int status;

	if (poll(&polled, 1, KEEPER_OPENING_MS) <= 0)
		return diag_error(diag, -ETIMEDOUT, "the kernel does not open the connection");
	status = wire_read(keeper->fuse_fd, keeper->memory->init.bytes, FS_MESSAGE_SIZE);
	if (status < 0)
		return diag_error(diag, status, "cannot read from the kernel: %s",
				  strerror(-status));
	return 0;
}

/* In the child: what the worker does not need is closed before it starts. */
static int keeper_be_worker(struct keeper *keeper)
{
	struct worker_options options = {
	    .memory = keeper->memory,
	    .fuse_fd = keeper->fuse_fd,
	    .runtime_fd = keeper->runtime_fd,
	    .proc_fd = sysroot_proc_fd(keeper->root),
	    .ready_fd = keeper->ready_fds[1],
	    .keeper = getppid(),
	    .zones = keeper->options->zones,
	    .without_resend = keeper->options->without_resend,
	};
	struct diag diag = DIAG_INIT;

	(void)close(keeper->lock_fd);
	(void)close(keeper->signal_fd);
	(void)close(keeper->ready_fds[0]);
	/* A terminal's ^C and a service manager's SIGTERM to all are for the keeper to obey: it
	 * unmounts while there still is somebody who serves. */
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGTERM, SIG_IGN);
	(void)sigprocmask(SIG_UNBLOCK, &keeper->signals, NULL);
	if (worker_run(&options, &diag) == 0)
		return 0;
	log_error("worker: %s", diag.text);
	return KEEPER_WORKER_FAILED;
}

static int keeper_start_worker(struct keeper *keeper, struct diag *diag)
{
	pid_t parent = getpid();
	char text[32];
	int length;
	pid_t child = fork();

	if (child < 0)
		return diag_error(diag, -errno, "cannot fork: %s", strerror(errno));
	if (child == 0) {
		/* Not exit(): what the keeper registered for its end is not the child's. */
		_exit(getppid() == parent ? keeper_be_worker(keeper) : KEEPER_WORKER_FAILED);
	}
	keeper->worker = child;
	keeper->birth_ns = clock_now_mono(keeper->clock).ns;
	length = snprintf(text, sizeof(text), "%" PRIdMAX "\n", (intmax_t)child);
	/* For people and tests; serving does not depend on it. */
	(void)file_replace_at(keeper->runtime_fd, KEEPER_WORKER_PID_NAME, text, (size_t)length,
			      0644);
	return 0;
}

/* Only workers that keep dying young are kept waiting: their readers wait with them. */
static void keeper_back_off(struct keeper *keeper)
{
	struct mono_time now = clock_now_mono(keeper->clock);
	uint64_t age_ns = clock_elapsed_ns((struct mono_time){keeper->birth_ns}, now);
	struct pollfd polled = {.fd = keeper->signal_fd, .events = POLLIN};

	keeper->quick = age_ns < KEEPER_QUICK_NS ? keeper->quick + 1 : 0;
	if (keeper->quick <= KEEPER_QUICK_MAX)
		return;
	log_warning("the last %u workers died within a second: waiting %d ms", keeper->quick,
		    KEEPER_BACKOFF_MS);
	(void)poll(&polled, 1, KEEPER_BACKOFF_MS);
}

/* The worker is gone: another one, unless the mount is gone too or another would fare no better. */
static int keeper_replace_worker(struct keeper *keeper, int how, struct diag *diag)
{
	keeper->worker = 0;
	if (WIFEXITED(how) && WEXITSTATUS(how) == 0)
		return diag_error(diag, -ENODEV,
				  "somebody unmounted %s; restart wattport-fs to serve again",
				  keeper->mount_path);
	if (WIFEXITED(how) && !keeper->told_ready)
		return diag_error(diag, -ECHILD, "the worker could not start");
	if (WIFSIGNALED(how))
		log_warning("the worker was ended by signal %d; starting another", WTERMSIG(how));
	else
		log_warning("the worker ended with status %d; starting another", WEXITSTATUS(how));
	keeper_back_off(keeper);
	return keeper_start_worker(keeper, diag);
}

/* Takes the signals that came; *ret_stop: one of them asks for the end. */
static int keeper_handle_signals(struct keeper *keeper, bool *ret_stop, struct diag *diag)
{
	struct signalfd_siginfo info;
	int how;

	while (read(keeper->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
		if (info.ssi_signo != SIGCHLD)
			*ret_stop = true;
	if (*ret_stop || keeper->worker == 0 ||
	    waitpid(keeper->worker, &how, WNOHANG) != keeper->worker)
		return 0;
	return keeper_replace_worker(keeper, how, diag);
}

static void keeper_handle_ready(struct keeper *keeper)
{
	char bytes[16];

	if (read(keeper->ready_fds[0], bytes, sizeof(bytes)) <= 0 || keeper->told_ready)
		return;
	keeper->told_ready = true;
	/* Nothing happens without NOTIFY_SOCKET, that is, outside of systemd. */
	(void)sd_notify(0, "READY=1");
	log_info("ready: serving %s", keeper->mount_path);
}

static int keeper_loop(struct keeper *keeper, struct diag *diag)
{
	bool stop = false;
	int status = keeper_start_worker(keeper, diag);

	while (status == 0 && !stop) {
		struct pollfd polled[] = {
		    {.fd = keeper->signal_fd, .events = POLLIN},
		    {.fd = keeper->ready_fds[0], .events = POLLIN},
		};

		if (poll(polled, 2, -1) < 0 && errno != EINTR)
			return diag_error(diag, -errno, "cannot wait: %s", strerror(errno));
		if (polled[1].revents != 0)
			keeper_handle_ready(keeper);
		if (polled[0].revents != 0)
			status = keeper_handle_signals(keeper, &stop, diag);
	}
	return status;
}

static int keeper_prepare(struct keeper *keeper, struct diag *diag)
{
	int status = keeper_open_runtime(keeper, diag);

	if (status == 0)
		status = keeper_lock(keeper, diag);
	if (status == 0)
		status = sysroot_open(keeper->options->sysroot, &keeper->root, diag);
	if (status == 0)
		status = keeper_catch_signals(keeper, diag);
	if (status < 0)
		return status;
	status = fs_memory_create(&keeper->memory, diag);
	if (status < 0)
		return status;
	keeper->memory->started_wall_ns = clock_now_wall(keeper->clock).ns;
	status = mountpoint_attach(keeper->mount_path, &keeper->fuse_fd, diag);
	if (status < 0)
		return status;
	return keeper_take_opening(keeper, diag);
}

/* The mount first: then nobody asks the worker any more, and it ends by itself or is ended. */
static int keeper_finish(struct keeper *keeper, struct diag *diag)
{
	int status = 0;

	if (keeper->fuse_fd >= 0) {
		status = mountpoint_detach(keeper->mount_path, diag);
		(void)close(keeper->fuse_fd);
	}
	if (keeper->worker > 0) {
		(void)kill(keeper->worker, SIGKILL);
		(void)waitpid(keeper->worker, NULL, 0);
	}
	if (keeper->lock_fd >= 0) {
		(void)unlinkat(keeper->runtime_fd, KEEPER_WORKER_PID_NAME, 0);
		(void)unlinkat(keeper->runtime_fd, KEEPER_PID_NAME, 0);
		(void)close(keeper->lock_fd);
	}
	for (size_t i = 0; i < 2; i++)
		if (keeper->ready_fds[i] >= 0)
			(void)close(keeper->ready_fds[i]);
	if (keeper->signal_fd >= 0)
		(void)close(keeper->signal_fd);
	if (keeper->runtime_fd >= 0)
		(void)close(keeper->runtime_fd);
	fs_memory_destroy(keeper->memory);
	sysroot_close(keeper->root);
	return status;
}

int keeper_run(const struct keeper_options *options, struct diag *diag)
{
	struct keeper keeper = {
	    .options = options,
	    .clock = clock_real(),
	    .runtime_fd = -1,
	    .lock_fd = -1,
	    .signal_fd = -1,
	    .fuse_fd = -1,
	    .ready_fds = {-1, -1},
	};
	struct diag finish_diag = DIAG_INIT;
	int status = keeper_prepare(&keeper, diag);
	int finished;

	if (status == 0)
		status = keeper_loop(&keeper, diag);
	(void)sd_notify(0, "STOPPING=1");
	finished = keeper_finish(&keeper, &finish_diag);
	if (status == 0 && finished < 0)
		status = diag_error(diag, finished, "%s", finish_diag.text);
	return status;
}
