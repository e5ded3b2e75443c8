#include "fusefs/keeper.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/privilege.h"
#include "common/sysroot.h"
#include "fusefs/connection.h"
#include "fusefs/fd_store.h"
#include "fusefs/mountpoint.h"
#include "fusefs/plain_mount.h"
#include "fusefs/process_view.h"
#include "fusefs/runtime_directory.h"
#include "fusefs/takeover.h"
#include "fusefs/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>

#define KEEPER_QUICK_NS	     CLOCK_NS_PER_SECOND
#define KEEPER_QUICK_MAX     16 /* so many workers may die within a second of their birth */
#define KEEPER_BACKOFF_MS    100
#define KEEPER_WORKER_FAILED 1 /* exit status of a worker that another could not better */

struct keeper {
	const struct keeper_options *options;
	const struct clock *clock;
	char mount_path[PATH_MAX];
	int runtime_fd;
	int signal_fd;
	int ready_fds[2];
	struct takeover takeover;
	struct sysroot *root;
	int proc_fd;		    /* for the worker */
	struct privilege_user user; /* whom it becomes, if we are root */
	struct connection connection;
	sigset_t signals;  /* that come by signal_fd */
	pid_t worker;	   /* 0: none */
	bool inherited;	   /* somebody may hold the trees open since before our time */
	bool told_ready;   /* to the service manager */
	bool told_failed;  /* that no worker can be started */
	unsigned quick;	   /* workers in a row that died young */
	uint64_t birth_ns; /* of the worker */
};

static int keeper_open_runtime(struct keeper *keeper, struct diag *diag)
{
	char path[PATH_MAX];
	int status =
	    runtime_directory_open(keeper->options->runtime_dir, &keeper->runtime_fd, path, diag);

	if (status < 0)
		return status;
	return runtime_directory_join(path, MOUNTPOINT_NAME, keeper->mount_path, diag);
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

/* In the child: what the worker does not need is closed before it starts. */
static int keeper_be_worker(struct keeper *keeper)
{
	struct worker_options options = {
	    .memory = keeper->connection.memory,
	    .fuse_fd = keeper->connection.fuse_fd,
	    .runtime_fd = keeper->runtime_fd,
	    .proc_fd = keeper->proc_fd,
	    .users = &keeper->options->users,
	    .user = &keeper->user,
	    .ready_fd = keeper->ready_fds[1],
	    .pid_fd = keeper->takeover.worker_fd,
	    .reign = keeper->connection.memory->heritage.reign,
	    .zones = keeper->options->zones,
	    .any_name = keeper->options->any_name,
	    .period_ns = keeper->options->period_ns,
	    .without_resend = keeper->options->without_resend,
	};
	struct diag diag = DIAG_INIT;

	(void)close(keeper->takeover.lock_fd);
	(void)close(keeper->signal_fd);
	(void)close(keeper->ready_fds[0]);
	/*
	 * A terminal's ^C and a service manager's SIGTERM to all are for the keeper to obey: it
	 * unmounts while there still is somebody who serves, or leaves that to us. Whom we write
	 * to (keeper, log) may be gone.
	 */
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGTERM, SIG_IGN);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)sigprocmask(SIG_UNBLOCK, &keeper->signals, NULL);
	if (worker_run(&options, &diag) == 0)
		return 0;
	log_error("worker: %s", diag.text);
	return KEEPER_WORKER_FAILED;
}

static int keeper_start_worker(struct keeper *keeper, struct diag *diag)
{
	int status = takeover_end_worker(&keeper->takeover, diag);
	pid_t child;

	if (status < 0)
		return status;
	child = fork();
	if (child < 0)
		return diag_error(diag, -errno, "cannot fork: %s", strerror(errno));
	if (child == 0) {
		/* Not exit(): what the keeper registered for its end is not the child's. */
		_exit(keeper_be_worker(keeper));
	}
	keeper->worker = child;
	keeper->birth_ns = clock_now_mono(keeper->clock).ns;
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

/* Whether somebody may have the trees open: then nothing but a signal makes us give them up. */
static bool keeper_is_needed(const struct keeper *keeper)
{
	return keeper->inherited || keeper->told_ready;
}

/* The worker is gone: 0, there has to be another one; else it would fare no better. */
static int keeper_lose_worker(struct keeper *keeper, int how, struct diag *diag)
{
	keeper->worker = 0;
	if (WIFEXITED(how) && WEXITSTATUS(how) == 0)
		return diag_error(diag, -ENODEV,
				  "somebody unmounted %s; restart wattport-fs to serve again",
				  keeper->mount_path);
	if (WIFEXITED(how) && !keeper_is_needed(keeper))
		return diag_error(diag, -ECHILD, "the worker could not start");
	if (WIFSIGNALED(how))
		log_warning("the worker was ended by signal %d; starting another", WTERMSIG(how));
	else
		log_warning("the worker ended with status %d; starting another", WEXITSTATUS(how));
	keeper_back_off(keeper);
	return 0;
}

/* Takes the signals that came; *ret_stop: the one of them that asks for the end. */
static int keeper_handle_signals(struct keeper *keeper, int *ret_stop, struct diag *diag)
{
	struct signalfd_siginfo info;
	int how;

	while (read(keeper->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
		if (info.ssi_signo != SIGCHLD)
			*ret_stop = (int)info.ssi_signo;
	if (*ret_stop != 0 || keeper->worker == 0 ||
	    waitpid(keeper->worker, &how, WNOHANG) != keeper->worker)
		return 0;
	return keeper_lose_worker(keeper, how, diag);
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

/* Makes sure that there is a worker; where that cannot be now, readers had better wait than fail.
 */
static int keeper_ensure_worker(struct keeper *keeper, struct diag *diag)
{
	int status = keeper->worker != 0 ? 0 : keeper_start_worker(keeper, diag);

	if (status < 0 && !keeper_is_needed(keeper))
		return status;
	if (status < 0 && !keeper->told_failed)
		log_error("%s; trying again", diag->text);
	keeper->told_failed = status < 0;
	return 0;
}

static int keeper_loop(struct keeper *keeper, int *ret_stop, struct diag *diag)
{
	for (;;) {
		struct pollfd polled[] = {
		    {.fd = keeper->signal_fd, .events = POLLIN},
		    {.fd = keeper->ready_fds[0], .events = POLLIN},
		};
		int status = keeper_ensure_worker(keeper, diag);

		if (status < 0)
			return status;
		if (poll(polled, 2, keeper->worker != 0 ? -1 : KEEPER_BACKOFF_MS) < 0 &&
		    errno != EINTR)
			return diag_error(diag, -errno, "cannot wait: %s", strerror(errno));
		if (polled[1].revents != 0)
			keeper_handle_ready(keeper);
		if (polled[0].revents != 0)
			status = keeper_handle_signals(keeper, ret_stop, diag);
		if (status < 0 || *ret_stop != 0)
			return status;
	}
}

/* What is mounted, taken over from whoever served it, or a mount of our own. */
static int keeper_connect(struct keeper *keeper, struct diag *diag)
{
	struct takeover_request request = {.runtime_fd = keeper->runtime_fd,
					   .runtime_dir = keeper->options->runtime_dir,
					   .mount_path = keeper->mount_path,
					   .replace = keeper->options->replace};
	int status = takeover_begin(&request, &keeper->takeover, diag);

	if (status < 0)
		return status;
	keeper->inherited = keeper->takeover.fuse_fd >= 0;
	if (keeper->inherited)
		return connection_inherit(&keeper->takeover, keeper->options->copy_memory,
					  &keeper->connection, diag);
	return connection_open(keeper->mount_path, &keeper->takeover.store, &keeper->connection,
			       diag);
}

/*
 * Once all is open and mounted. What is left: to unmount (CAP_SYS_ADMIN, where it is there), to end
 * workers, which are another user's, and to make those.
 */
static int keeper_confine(struct diag *diag)
{
	int status = privilege_drop_capabilities(
	    PRIVILEGE_BIT(CAP_SYS_ADMIN) | PRIVILEGE_BIT(CAP_KILL) | PRIVILEGE_BIT(CAP_SETUID) |
		PRIVILEGE_BIT(CAP_SETGID) | PRIVILEGE_BIT(CAP_SETPCAP),
	    diag);

	return status < 0 ? status : privilege_filter(&privilege_table_wattport_fs_keeper, diag);
}

static int keeper_prepare(struct keeper *keeper, struct diag *diag)
{
	int status = keeper_open_runtime(keeper, diag);

	if (status == 0)
		status = sysroot_open(keeper->options->sysroot, &keeper->root, diag);
	if (status == 0)
		status = process_view_open(keeper->root, &keeper->proc_fd, diag);
	if (status == 0)
		status = privilege_find(&keeper->user, diag);
	if (status == 0)
		status = keeper_catch_signals(keeper, diag);
	if (status == 0)
		status = keeper_connect(keeper, diag);
	return status < 0 ? status : keeper_confine(diag);
}

/* The mount first: then nobody asks the worker any more, and it ends by itself or is ended. */
static int keeper_end_serving(struct keeper *keeper, struct diag *diag)
{
	int status = 0;

	if (keeper->connection.fuse_fd >= 0) {
		status = mountpoint_detach(keeper->mount_path, diag);
		fd_store_clear(&keeper->takeover.store);
	}
	if (keeper->worker > 0) {
		(void)kill(keeper->worker, SIGKILL);
		(void)waitpid(keeper->worker, NULL, 0);
	}
	return status;
}

/* `leave`: to a worker that goes on without us, or to the service manager, until there is another.
 */
static int keeper_finish(struct keeper *keeper, bool leave, struct diag *diag)
{
	int status = leave ? 0 : keeper_end_serving(keeper, diag);

	takeover_finish(&keeper->takeover, keeper->runtime_fd, leave);
	connection_close(&keeper->connection);
	for (size_t i = 0; i < 2; i++)
		if (keeper->ready_fds[i] >= 0)
			(void)close(keeper->ready_fds[i]);
	if (keeper->signal_fd >= 0)
		(void)close(keeper->signal_fd);
	if (keeper->runtime_fd >= 0)
		(void)close(keeper->runtime_fd);
	if (keeper->proc_fd >= 0)
		(void)close(keeper->proc_fd);
	sysroot_close(keeper->root);
	return status;
}

static const struct keeper keeper_nothing = {
    .runtime_fd = -1,
    .signal_fd = -1,
    .proc_fd = -1,
    .connection = {.fuse_fd = -1},
    .ready_fds = {-1, -1},
    .takeover = {.lock_fd = -1, .worker_fd = -1, .fuse_fd = -1, .memory_fd = -1},
};

int keeper_run(const struct keeper_options *options, struct diag *diag)
{
	struct keeper keeper = keeper_nothing;
	struct diag finish_diag = DIAG_INIT;
	int stop = 0;
	bool leave;
	int status;
	int finished;

	keeper.options = options;
	keeper.clock = clock_real();
	status = keeper_prepare(&keeper, diag);
	if (status == 0)
		status = keeper_loop(&keeper, &stop, diag);
	(void)sd_notify(0, "STOPPING=1");
	if (status < 0)
		leave = status != -ENODEV && keeper_is_needed(&keeper);
	else
		leave = stop == SIGTERM && options->keep_mounted;
	finished = keeper_finish(&keeper, leave, &finish_diag);
	if (status == 0 && finished < 0)
		status = diag_error(diag, finished, "%s", finish_diag.text);
	return status;
}

int keeper_unmount(const struct keeper_options *options, struct diag *diag)
{
	struct keeper keeper = keeper_nothing;
	struct takeover_request request = {
	    .runtime_dir = options->runtime_dir, .mount_path = keeper.mount_path, .give_up = true};
	uint64_t device;
	int status;

	keeper.options = options;
	status = keeper_open_runtime(&keeper, diag);
	request.runtime_fd = keeper.runtime_fd;
	if (status == 0)
		status = takeover_begin(&request, &keeper.takeover, diag);
	if (status == 0)
		status = mountpoint_device(keeper.mount_path, &device, diag);
	/* Plain files have nobody who serves them. */
	if (status == -ENOENT && plain_mount_is(keeper.mount_path))
		status = 0;
	if (status == 0)
		status = mountpoint_detach(keeper.mount_path, diag);
	(void)keeper_finish(&keeper, status < 0 && status != -ENOENT, diag);
	return status == -ENOENT ? 0 : status;
}

int keeper_mount(const struct keeper_options *options, struct diag *diag)
{
	struct keeper keeper = keeper_nothing;
	uint64_t device;
	int status;

	keeper.options = options;
	status = keeper_open_runtime(&keeper, diag);
	/* Both its descriptors are there: somebody serves, or soon will again. */
	if (status == 0 && options->stored >= FD_STORE_PAIR &&
	    mountpoint_device(keeper.mount_path, &device, diag) == 0)
		return keeper_finish(&keeper, true, diag);
	if (status == 0)
		status = keeper_connect(&keeper, diag);
	if (status == 0)
		status = fd_store_settle(diag);
	(void)keeper_finish(&keeper, status == 0 || keeper.inherited, diag);
	return status;
}
