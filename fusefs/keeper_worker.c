/*
 * The workers of a keeper: forked, made ready beside one that still serves, ended. Beside each that
 * serves waits a spare one, which is ready for all but the requests.
 */
#include "common/log.h"
#include "fusefs/keeper_internal.h"
#include "fusefs/worker.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define KEEPER_WORKER_FAILED 1	   /* exit status of a worker that another could not better */
#define KEEPER_READY_MS	     10000 /* for a worker to get ready beside the one that serves */
/* Without a spare readers wait for a few milliseconds more, once a worker is killed. */
#define KEEPER_SPARE_NS (10 * CLOCK_NS_PER_SECOND) /* when one has failed, until the next */

static void keeper_drop(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
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
	    .go_fd = keeper->go_fds[1],
	    .reign = keeper->connection.memory->heritage.reign,
	    .zones = keeper->options->zones,
	    .any_name = keeper->options->any_name,
	    .period_ns = keeper->options->period_ns,
	    .without_resend = keeper->options->without_resend,
	};
	struct diag diag = DIAG_INIT;
	int status;

	keeper_drop(&keeper->takeover.lock_fd);
	keeper_drop(&keeper->takeover.rival.pidfd);
	keeper_drop(&keeper->go_fds[0]);
	keeper_drop(&keeper->spare_fd);
	/* Old memory is to go as soon as it is copied. */
	heritage_unmap(&keeper->takeover.memory);
	if (keeper->connection.old.heritage != NULL)
		(void)close(keeper->connection.old.fd);
	heritage_unmap(&keeper->connection.old);
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
	status = worker_run(&options, &diag);
	if (status == 0)
		return 0;
	if (status != -ECANCELED)
		log_error("worker: %s", diag.text);
	return KEEPER_WORKER_FAILED;
}

static int keeper_fork(struct keeper *keeper, pid_t *ret_child, struct diag *diag)
{
	pid_t child = fork();

	if (child < 0)
		return diag_error(diag, -errno, "cannot fork: %s", strerror(errno));
	if (child == 0) {
		/* Not exit(): what the keeper registered for its end is not the child's. */
		_exit(keeper_be_worker(keeper));
	}
	*ret_child = child;
	return 0;
}

/* One that waits for its reign at the other end of go_fds[0]. */
static int keeper_fork_waiting(struct keeper *keeper, pid_t *ret_child, struct diag *diag)
{
	int status;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, keeper->go_fds) < 0)
		return diag_error(diag, -errno, "no descriptor left: %s", strerror(errno));
	status = keeper_fork(keeper, ret_child, diag);
	/* Only the worker's own counts: when that is closed, it is gone. */
	keeper_drop(&keeper->go_fds[1]);
	if (status < 0)
		keeper_drop(&keeper->go_fds[0]);
	return status;
}

/*
 * The reign: from here on the worker shall serve as soon as nobody else does, if need be without
 * us. Then, by keeper_tell_go(), that nobody does and that the memory is as it should be.
 */
static bool keeper_tell_reign(const struct keeper *keeper, int go_fd)
{
	uint64_t reign = keeper->connection.memory->heritage.reign;

	return send(go_fd, &reign, sizeof(reign), MSG_NOSIGNAL) == (ssize_t)sizeof(reign);
}

static bool keeper_tell_go(int go_fd)
{
	return send(go_fd, "", 1, MSG_NOSIGNAL) == 1;
}

static void keeper_set_worker(struct keeper *keeper, pid_t worker)
{
	keeper->worker = worker;
	keeper->serves = false;
	keeper->birth_ns = clock_now_mono(keeper->clock).ns;
}

int keeper_start_worker(struct keeper *keeper, struct diag *diag)
{
	int status = takeover_end_worker(&keeper->takeover, diag);
	pid_t child = 0;

	if (status == 0)
		status = keeper_fork(keeper, &child, diag);
	if (status < 0)
		return status;
	keeper_set_worker(keeper, child);
	return 0;
}

bool keeper_use_spare(struct keeper *keeper)
{
	if (keeper->spare == 0)
		return false;
	if (!keeper_tell_reign(keeper, keeper->spare_fd) || !keeper_tell_go(keeper->spare_fd)) {
		keeper_end_spare(keeper);
		return false;
	}
	keeper_drop(&keeper->spare_fd);
	keeper_set_worker(keeper, keeper->spare);
	keeper->spare = 0;
	return true;
}

void keeper_ensure_spare(struct keeper *keeper)
{
	uint64_t now_ns = clock_now_mono(keeper->clock).ns;
	struct diag diag = DIAG_INIT;

	/*
	 * Not while another gets to serve: that one shall have the CPUs. Nor while there is none,
	 * for want of processes: a spare must not take the only one that there is.
	 */
	if (keeper->worker == 0 || keeper->spare != 0 || !keeper->serves ||
	    now_ns < keeper->spare_ns)
		return;
	if (keeper_fork_waiting(keeper, &keeper->spare, &diag) < 0) {
		keeper->spare_ns = now_ns + KEEPER_SPARE_NS;
		return;
	}
	keeper->spare_fd = keeper->go_fds[0];
	keeper->go_fds[0] = -1;
}

void keeper_watch_spare(struct keeper *keeper)
{
	if (keeper->spare == 0 || waitpid(keeper->spare, NULL, WNOHANG) != keeper->spare)
		return;
	keeper->spare = 0;
	keeper_drop(&keeper->spare_fd);
	keeper->spare_ns = clock_now_mono(keeper->clock).ns + KEEPER_SPARE_NS;
}

static void keeper_end(pid_t *child)
{
	if (*child == 0)
		return;
	(void)kill(*child, SIGKILL);
	(void)waitpid(*child, NULL, 0);
	*child = 0;
}

void keeper_end_worker(struct keeper *keeper)
{
	keeper_end(&keeper->worker);
}

void keeper_end_spare(struct keeper *keeper)
{
	keeper_end(&keeper->spare);
	keeper_drop(&keeper->spare_fd);
}

/* Waits for the byte with which a worker tells that it is ready. */
static int keeper_hear_ready(int go_fd, struct diag *diag)
{
	struct pollfd polled = {.fd = go_fd, .events = POLLIN};
	int count;
	char byte;

	do
		count = poll(&polled, 1, KEEPER_READY_MS);
	while (count < 0 && errno == EINTR);
	if (count > 0 && recv(go_fd, &byte, 1, 0) == 1)
		return 0;
	if (count == 0)
		return diag_error(diag, -ETIMEDOUT,
				  "nothing is taken over: the new worker does not get ready; who "
				  "served before goes on");
	return diag_error(diag, -ECHILD,
			  "nothing is taken over: the new worker could not start; who served "
			  "before goes on");
}

/* A worker that is ready to serve, beside the one that does. */
static int keeper_make_ready(struct keeper *keeper, struct diag *diag)
{
	pid_t child = 0;
	int status = keeper_fork_waiting(keeper, &child, diag);

	if (status < 0)
		return status;
	keeper_set_worker(keeper, child);
	return keeper_hear_ready(keeper->go_fds[0], diag);
}

int keeper_succeed(struct keeper *keeper, const struct takeover_request *request, bool serve,
		   struct diag *diag)
{
	int status = connection_inherit(&keeper->takeover, keeper->options->copy_memory,
					&keeper->connection, diag);
	bool copies;

	if (status == 0 && serve)
		status = keeper_make_ready(keeper, diag);
	if (status == 0)
		status = takeover_seize(request, &keeper->takeover, diag);
	/* A copy is not made yet: without us there is nothing to serve from. */
	copies = keeper->connection.old.heritage != NULL;
	/* If it is gone by now it is one that has died, and another is started. */
	if (status == 0 && serve && !copies)
		(void)keeper_tell_reign(keeper, keeper->go_fds[0]);
	if (status == 0)
		status = takeover_end_worker(&keeper->takeover, diag);
	if (status < 0) {
		keeper_end_worker(keeper);
		return status;
	}
	connection_adopt(&keeper->takeover, &keeper->connection);
	if (serve && copies)
		(void)keeper_tell_reign(keeper, keeper->go_fds[0]);
	if (serve)
		(void)keeper_tell_go(keeper->go_fds[0]);
	keeper_drop(&keeper->go_fds[0]);
	return 0;
}
