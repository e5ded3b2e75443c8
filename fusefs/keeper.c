#include "fusefs/keeper.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/privilege.h"
#include "common/sysroot.h"
#include "fusefs/connection.h"
#include "fusefs/fd_store.h"
#include "fusefs/keeper_internal.h"
#include "fusefs/mountpoint.h"
#include "fusefs/plain_mount.h"
#include "fusefs/process_view.h"
#include "fusefs/runtime_directory.h"

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

#define KEEPER_QUICK_NS	  CLOCK_NS_PER_SECOND
#define KEEPER_QUICK_MAX  16 /* so many workers may die within a second of their birth */
#define KEEPER_BACKOFF_MS 100
#define KEEPER_LOOK_MS	  1000 /* how often to look for a worker whose end went unheard */

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

/*
 * The worker is gone: 0, there has to be another one, and the spare is it if there is one; else it
 * would fare no better.
 */
static int keeper_lose_worker(struct keeper *keeper, int how, struct diag *diag)
{
	keeper->worker = 0;
	if (WIFEXITED(how) && WEXITSTATUS(how) == 0)
		return diag_error(diag, -ENODEV,
				  "somebody unmounted %s; restart wattport-fs to serve again",
				  keeper->mount_path);
	if (WIFEXITED(how) && !keeper_is_needed(keeper))
		return diag_error(diag, -ECHILD, "the worker could not start");
	keeper_back_off(keeper);
	/* Before anything is written: readers wait. */
	(void)keeper_use_spare(keeper);
	if (WIFSIGNALED(how))
		log_warning("the worker was ended by signal %d; starting another", WTERMSIG(how));
	else
		log_warning("the worker ended with status %d; starting another", WEXITSTATUS(how));
	return 0;
}

/* Takes the signals that came; *ret_stop: the one of them that asks for the end. */
static void keeper_handle_signals(const struct keeper *keeper, int *ret_stop)
{
	struct signalfd_siginfo info;

	while (read(keeper->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
		if (info.ssi_signo != SIGCHLD)
			*ret_stop = (int)info.ssi_signo;
}

/* Whether the worker has ended, asked whether or not a signal said so: one may be lost. */
static int keeper_watch_worker(struct keeper *keeper, struct diag *diag)
{
	int how;

	if (keeper->worker == 0 || waitpid(keeper->worker, &how, WNOHANG) != keeper->worker)
		return 0;
	return keeper_lose_worker(keeper, how, diag);
}

static void keeper_handle_ready(struct keeper *keeper)
{
	char bytes[16];

	if (read(keeper->ready_fds[0], bytes, sizeof(bytes)) <= 0)
		return;
	keeper->serves = true;
	if (keeper->told_ready)
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
		keeper_ensure_spare(keeper);
		if (poll(polled, 2, keeper->worker != 0 ? KEEPER_LOOK_MS : KEEPER_BACKOFF_MS) < 0 &&
		    errno != EINTR)
			return diag_error(diag, -errno, "cannot wait: %s", strerror(errno));
		if (polled[1].revents != 0)
			keeper_handle_ready(keeper);
		if (polled[0].revents != 0)
			keeper_handle_signals(keeper, ret_stop);
		if (*ret_stop != 0)
			return 0;
		keeper_watch_spare(keeper);
		status = keeper_watch_worker(keeper, diag);
		if (status < 0)
			return status;
	}
}

/* What is mounted, taken over from whoever served it, or a mount of our own. `serve`: to serve it.
 */
static int keeper_connect(struct keeper *keeper, bool serve, struct diag *diag)
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
		return keeper_succeed(keeper, &request, serve, diag);
	status = takeover_seize(&request, &keeper->takeover, diag);
	if (status == 0)
		status = takeover_end_worker(&keeper->takeover, diag);
	if (status < 0)
		return status;
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
		status = keeper_connect(keeper, true, diag);
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
	keeper_end_worker(keeper);
	return status;
}

/* `leave`: to a worker that goes on without us, or to the service manager, until there is another.
 */
static int keeper_finish(struct keeper *keeper, bool leave, struct diag *diag)
{
	int status;

	/* It would end by itself, but none that this keeper could serve with shall be left. */
	keeper_end_spare(keeper);
	status = leave ? 0 : keeper_end_serving(keeper, diag);
	takeover_finish(&keeper->takeover, keeper->runtime_fd, leave);
	connection_close(&keeper->connection);
	for (size_t i = 0; i < 2; i++) {
		if (keeper->ready_fds[i] >= 0)
			(void)close(keeper->ready_fds[i]);
		if (keeper->go_fds[i] >= 0)
			(void)close(keeper->go_fds[i]);
	}
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
    .spare_fd = -1,
    .proc_fd = -1,
    .connection = {.fuse_fd = -1, .memory_fd = -1},
    .ready_fds = {-1, -1},
    .go_fds = {-1, -1},
    .takeover = TAKEOVER_NOTHING,
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
		status = takeover_seize(&request, &keeper.takeover, diag);
	if (status == 0)
		status = takeover_end_worker(&keeper.takeover, diag);
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
		status = keeper_connect(&keeper, false, diag);
	if (status == 0)
		status = fd_store_settle(diag);
	(void)keeper_finish(&keeper, status == 0 || keeper.inherited, diag);
	return status;
}
