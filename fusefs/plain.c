#include "fusefs/plain.h"
#include "common/cleanup.h"
#include "common/log.h"
#include "common/privilege.h"
#include "fusefs/mountpoint.h"
#include "fusefs/plain_mount.h"
#include "fusefs/plain_request.h"
#include "fusefs/plain_trees.h"
#include "fusefs/refresh.h"
#include "fusefs/runtime_directory.h"
#include "fusefs/takeover.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

/* Signals, reads, wattportd, and those who ask for a tree. */
#define PLAIN_POLL_MAX (3 + 1 + PLAIN_REQUEST_CLIENT_MAX)

struct plain {
	const struct plain_options *options;
	const struct clock *clock;
	char path[PATH_MAX]; /* of the runtime directory */
	char mount_path[PATH_MAX];
	int runtime_fd;
	int root_fd;
	int signal_fd;
	struct takeover takeover; /* the lock alone */
	struct plain_activity *activity;
	struct plain_trees *trees;
	struct refresh *refresh;
	struct plain_request *request;
	bool told_away;
	/* When the next of each is due (struct mono_time). */
	uint64_t refresh_ns, step_ns, ask_ns;
};

/* --- the beginning, as root --- */

/* Every file that is rewritten stays open. */
static void plain_raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
}

static int plain_catch_signals(struct plain *plain, struct diag *diag)
{
	sigset_t signals;

	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGTERM);
	(void)sigaddset(&signals, SIGINT);
	if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0)
		return diag_error(diag, -errno, "cannot block signals: %s", strerror(errno));
	plain->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (plain->signal_fd < 0)
		return diag_error(diag, -errno, "no descriptor left: %s", strerror(errno));
	return 0;
}

static int plain_make(void *context, const struct uuid *uuid, uint32_t socket_count,
		      struct diag *diag)
{
	struct plain *plain = context;

	return plain_trees_make(plain->trees, uuid, socket_count, clock_now_mono(plain->clock),
				diag);
}

/* One wattport-fs a runtime directory, of either mode. */
static int plain_lock(struct plain *plain, struct diag *diag)
{
	const struct takeover_request request = {.runtime_fd = plain->runtime_fd,
						 .runtime_dir = plain->options->runtime_dir,
						 .mount_path = plain->mount_path,
						 .replace = plain->options->replace,
						 .give_up = true};
	int status = takeover_begin(&request, &plain->takeover, diag);

	if (status == 0)
		status = takeover_seize(&request, &plain->takeover, diag);
	if (status == 0)
		status = takeover_end_worker(&plain->takeover, diag);
	if (status < 0)
		return status;
	fd_store_clear(&plain->takeover.store);
	return mountpoint_clear(plain->mount_path, diag);
}

/* Where the service manager has it from plain_keep(), nothing is left to mount. */
static bool plain_is_kept(const struct plain *plain)
{
	struct stat kept, shown;

	return plain->root_fd >= 0 && plain_mount_is(plain->mount_path) &&
	       fstat(plain->root_fd, &kept) == 0 && stat(plain->mount_path, &shown) == 0 &&
	       kept.st_dev == shown.st_dev;
}

static int plain_mount(struct plain *plain, struct diag *diag)
{
	struct privilege_user user = {.user = 0, .group = 0};
	char stage[PATH_MAX];
	bool taken = false;
	int status;

	if (plain_is_kept(plain)) {
		fd_store_put_plain(&plain->takeover.store, plain->root_fd);
		return 0;
	}
	if (plain->root_fd >= 0)
		(void)close(TAKE_FD(plain->root_fd));
	status = runtime_directory_join(plain->path, PLAIN_MOUNT_STAGE_NAME, stage, diag);
	if (status == 0)
		status = privilege_find(&user, diag);
	if (status == 0)
		status = plain_mount_attach(
		    plain->mount_path, stage,
		    (struct plain_mount_owner){.user = user.user, .group = user.group},
		    &plain->root_fd, &taken, diag);
	if (status == 0 && taken)
		log_info("took over the files at %s", plain->mount_path);
	return status;
}

/* Until the files are there to be written. */
static int plain_open(struct plain *plain, struct diag *diag)
{
	int status = runtime_directory_open(plain->options->runtime_dir, &plain->runtime_fd,
					    plain->path, diag);

	if (status == 0)
		status =
		    runtime_directory_join(plain->path, MOUNTPOINT_NAME, plain->mount_path, diag);
	plain->root_fd = fd_store_plain();
	if (status == 0)
		status = plain_lock(plain, diag);
	return status == 0 ? plain_mount(plain, diag) : status;
}

static int plain_prepare(struct plain *plain, struct diag *diag)
{
	int status = plain_open(plain, diag);

	if (status == 0)
		status = plain_catch_signals(plain, diag);
	if (status == 0)
		status =
		    plain_request_open(plain->runtime_fd, plain_make, plain, &plain->request, diag);
	plain_raise_limit();
	/* The modes that are asked for are those that are meant. */
	(void)umask(022);
	return status;
}

/* --- the rest, as nobody --- */

static void plain_answered(void *context, uint32_t slot, enum refresh_end end)
{
	/* What came of it is in the ledger: the next step finds it. */
	(void)context;
	(void)slot;
	(void)end;
}

static int plain_start(struct plain *plain, struct diag *diag)
{
	struct mono_time now = clock_now_mono(plain->clock);
	struct plain_trees_context context = {.runtime_fd = plain->runtime_fd,
					      .root_fd = plain->root_fd,
					      .clock = plain->clock,
					      .period_ns = plain->options->period_ns,
					      .zones = plain->options->zones};
	int status = privilege_drop(diag);

	/* After the change of user, whose watches are counted. */
	if (status == 0)
		status = plain_activity_create(&plain->activity, diag);
	if (status < 0)
		return status;
	context.activity = plain->activity;
	/* Its memory takes calls that nothing needs later. */
	status = plain_trees_create(&context, now, &plain->trees, diag);
	if (status == 0)
		status = privilege_filter(&privilege_table_wattport_fs_plain, diag);
	if (status == 0 && refresh_create(plain->runtime_fd, plain_answered, plain,
					  &plain->told_away, &plain->refresh) < 0)
		status = diag_error(diag, -ENOMEM, "out of memory");
	return status;
}

/* When the next round may begin after one that took as long as from `begin` until now. */
static uint64_t plain_due(const struct plain *plain, struct mono_time begin, uint64_t interval_ns)
{
	uint64_t took_ns = clock_elapsed_ns(begin, clock_now_mono(plain->clock));
	uint64_t least_ns = took_ns * PLAIN_DUTY;

	return begin.ns + (least_ns > interval_ns ? least_ns : interval_ns);
}

static void plain_work_active(struct plain *plain, struct mono_time now)
{
	bool all = now.ns >= plain->ask_ns;

	if (!plain_trees_are_active(plain->trees) || now.ns < plain->step_ns)
		return;
	if (all) {
		plain_trees_ask(plain->trees, plain->refresh, now);
		plain_trees_listen(plain->trees, now);
	}
	plain_trees_step(plain->trees, all, now);
	plain->step_ns = plain_due(plain, now, PLAIN_STEP_NS);
	if (all)
		plain->ask_ns = now.ns + PLAIN_ASK_NS;
}

static void plain_work(struct plain *plain)
{
	struct plain_activity_key key;
	struct mono_time now = clock_now_mono(plain->clock);

	refresh_process(plain->refresh, now);
	plain_request_process(plain->request);
	while (plain_activity_next(plain->activity, &key) == 0)
		plain_trees_note(plain->trees, key, now);
	plain_work_active(plain, now);
	if (now.ns >= plain->refresh_ns) {
		plain_trees_refresh(plain->trees, now);
		plain->refresh_ns = plain_due(plain, now, plain->options->period_ns);
	}
}

static uint64_t plain_deadline_ns(const struct plain *plain, struct mono_time now)
{
	uint64_t deadline_ns = plain->refresh_ns;
	uint64_t active_ns = plain->ask_ns;

	if (refresh_deadline_ns(plain->refresh) < deadline_ns)
		deadline_ns = refresh_deadline_ns(plain->refresh);
	if (!plain_trees_are_active(plain->trees))
		return deadline_ns;
	if (plain_trees_are_hot(plain->trees, now) || plain->step_ns > active_ns)
		active_ns = plain->step_ns;
	return active_ns < deadline_ns ? active_ns : deadline_ns;
}

/* Waits until something is due or to be read. */
static int plain_wait(const struct plain *plain)
{
	struct mono_time now = clock_now_mono(plain->clock);
	uint64_t left_ns = clock_elapsed_ns(now, (struct mono_time){plain_deadline_ns(plain, now)});
	struct timespec timeout = {.tv_sec = (time_t)(left_ns / CLOCK_NS_PER_SECOND),
				   .tv_nsec = (long)(left_ns % CLOCK_NS_PER_SECOND)};
	struct pollfd polled[PLAIN_POLL_MAX] = {
	    {.fd = plain->signal_fd, .events = POLLIN},
	    {.fd = plain_activity_fd(plain->activity), .events = POLLIN},
	    {.fd = refresh_fd(plain->refresh), .events = POLLIN},
	};
	int fds[1 + PLAIN_REQUEST_CLIENT_MAX];
	size_t count = plain_request_fds(plain->request, fds);

	for (size_t i = 0; i < count; i++)
		polled[3 + i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
	if (ppoll(polled, 3 + count, &timeout, NULL) < 0 && errno != EINTR)
		return -errno;
	return polled[0].revents != 0 ? 1 : 0;
}

static int plain_loop(struct plain *plain, struct diag *diag)
{
	int status;

	/* Every tree is there before others are told that it is. */
	plain_work(plain);
	(void)sd_notify(0, "READY=1");
	log_info("ready: plain files in %s", plain->mount_path);
	while ((status = plain_wait(plain)) == 0)
		plain_work(plain);
	if (status < 0)
		return diag_error(diag, status, "cannot wait: %s", strerror(-status));
	return 0;
}

static const struct plain plain_nothing = {
    .takeover = TAKEOVER_NOTHING,
    .runtime_fd = -1,
    .root_fd = -1,
    .signal_fd = -1,
};

static void plain_finish(struct plain *plain)
{
	if (plain->signal_fd >= 0)
		(void)close(plain->signal_fd);
	if (plain->root_fd >= 0)
		(void)close(plain->root_fd);
	takeover_finish(&plain->takeover, plain->runtime_fd, false);
	if (plain->runtime_fd >= 0)
		(void)close(plain->runtime_fd);
}

int plain_run(const struct plain_options *options, struct diag *diag)
{
	struct plain plain = plain_nothing;
	int status;

	plain.options = options;
	plain.clock = clock_real();
	status = plain_prepare(&plain, diag);
	if (status == 0)
		status = plain_start(&plain, diag);
	if (status == 0)
		status = plain_loop(&plain, diag);
	(void)sd_notify(0, "STOPPING=1");
	refresh_destroy(plain.refresh);
	plain_trees_destroy(plain.trees);
	plain_request_close(plain.request);
	plain_activity_destroy(plain.activity);
	plain_finish(&plain);
	return status;
}

int plain_keep(const struct plain_options *options, struct diag *diag)
{
	struct plain plain = plain_nothing;
	int status;

	plain.options = options;
	status = plain_open(&plain, diag);
	if (status == 0) {
		fd_store_put_plain(&plain.takeover.store, plain.root_fd);
		status = fd_store_settle(diag);
	}
	plain_finish(&plain);
	return status;
}
