/* The workers of a keeper: forked, made ready beside one that still serves, ended. */
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

static int keeper_fork(struct keeper *keeper, struct diag *diag)
{
	pid_t child = fork();

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

int keeper_start_worker(struct keeper *keeper, struct diag *diag)
{
	int status = takeover_end_worker(&keeper->takeover, diag);

	return status < 0 ? status : keeper_fork(keeper, diag);
}

void keeper_end_worker(struct keeper *keeper)
{
	if (keeper->worker == 0)
		return;
	(void)kill(keeper->worker, SIGKILL);
	(void)waitpid(keeper->worker, NULL, 0);
	keeper->worker = 0;
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
	int status;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, keeper->go_fds) < 0)
		return diag_error(diag, -errno, "no descriptor left: %s", strerror(errno));
	status = keeper_fork(keeper, diag);
	if (status < 0)
		return status;
	/* Only the worker's own counts: when that is closed, it is gone. */
	keeper_drop(&keeper->go_fds[1]);
	return keeper_hear_ready(keeper->go_fds[0], diag);
}

int keeper_succeed(struct keeper *keeper, const struct takeover_request *request, bool serve,
		   struct diag *diag)
{
	int status = connection_inherit(&keeper->takeover, keeper->options->copy_memory,
					&keeper->connection, diag);

	if (status == 0 && serve)
		status = keeper_make_ready(keeper, diag);
	if (status == 0)
		status = takeover_seize(request, &keeper->takeover, diag);
	if (status < 0) {
		keeper_end_worker(keeper);
		return status;
	}
	connection_adopt(&keeper->takeover, &keeper->connection);
	/* If it is gone by now it is one that has died, and another is started. */
	if (serve)
		(void)send(keeper->go_fds[0], &keeper->connection.memory->heritage.reign,
			   sizeof(keeper->connection.memory->heritage.reign), MSG_NOSIGNAL);
	keeper_drop(&keeper->go_fds[0]);
	return 0;
}
