#include "common/cleanup.h"
#include "common/log.h"
#include "common/privilege.h"
#include "fusefs/pid_file.h"
#include "fusefs/worker_internal.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

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

/* Those whose answer could not be sent get it from the next worker. */
static int worker_check_lost(const struct worker *worker, struct diag *diag)
{
	if (worker->lost == 0)
		return 0;
	return diag_error(diag, worker->lost, "cannot answer the kernel: %s",
			  strerror(-worker->lost));
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
		if (polled[0].revents != 0)
			status = worker_receive(worker);
		if (worker->lost != 0)
			return worker_check_lost(worker, diag);
		if (status == -ENODEV)
			return 0;
		if (status < 0)
			return diag_error(diag, status, "cannot read from the kernel: %s",
					  strerror(-status));
	}
}

static int worker_tell_ready(const struct worker *worker, struct diag *diag)
{
	/* A keeper that does not listen any more is about to end us. */
	if (write(worker->options->ready_fd, "", 1) == 1 || errno == EPIPE || errno == EAGAIN)
		return 0;
	/* The service manager must hear of it: another worker may tell it. */
	return diag_error(diag, -errno, "cannot say that it is ready: %s", strerror(errno));
}

/* Where processes are hidden, none can be told from another. */
static void worker_check_sight(struct worker *worker, pid_t other)
{
	if (worker->memory->told_blind || access_sees(worker->options->proc_fd, other))
		return;
	worker->memory->told_blind = true;
	log_warning(
	    "processes are hidden (hidepid): whose they are cannot be told, so every reader is "
	    "refused; use Linux 5.8 or later, or mount /proc without hidepid");
}

/*
 * Tells that nothing is left that may fail, and waits until nobody else serves: keeper_worker.c
 * says it twice, the reign first. Whose keeper dies between the two is an heir: who served before
 * may be gone by then, and nobody else is there.
 */
static int worker_await(const struct worker_options *options, uint64_t *ret_reign, bool *ret_heir,
			struct diag *diag)
{
	uint64_t reign = options->reign;
	bool heir = false;

	if (options->go_fd >= 0) {
		ssize_t got;
		char byte;

		/* Whoever does not listen any more may have told the reign before. */
		(void)send(options->go_fd, "", 1, MSG_NOSIGNAL);
		got = read(options->go_fd, &reign, sizeof(reign));
		heir = got == (ssize_t)sizeof(reign) && read(options->go_fd, &byte, 1) != 1;
		(void)close(options->go_fd);
		/* Eight bytes at once, or none: then whoever serves goes on. */
		if (got != (ssize_t)sizeof(reign))
			return diag_error(diag, -ECANCELED, "not needed: nothing is taken over");
	}
	*ret_reign = reign;
	*ret_heir = heir;
	return 0;
}

/* The order is what keeps two workers from serving at the same time: takeover.h says why. */
static int worker_claim(const struct worker_options *options, uint64_t reign, bool heir,
			struct diag *diag)
{
	struct heritage_mapping nothing = {.heritage = NULL};
	int status = heir ? pid_file_await(options->pid_fd) : pid_file_lock(options->pid_fd);

	if (status < 0)
		return diag_error(diag, status, "cannot lock the file of the workers: %s",
				  strerror(-status));
	if (__atomic_load_n(&options->memory->heritage.reign, __ATOMIC_SEQ_CST) != reign)
		return diag_error(diag, -ESRCH, "another keeper has taken over");
	/* What its keeper did not get to. */
	if (heir)
		fs_memory_adopt(options->memory, &nothing);
	return 0;
}

static int worker_serve(struct worker *worker, struct diag *diag)
{
	pid_t keeper = getppid();
	uint64_t reign = 0;
	bool heir = false;
	int status = privilege_filter(&privilege_table_wattport_fs_worker, diag);

	if (status == 0)
		status = worker_await(worker->options, &reign, &heir, diag);
	if (status == 0)
		status = worker_claim(worker->options, reign, heir, diag);
	if (status < 0)
		return status;
	/* From here on the memory is this worker's to write. */
	worker_check_sight(worker, keeper);
	handle_table_recover(&worker->memory->handles, &worker->memory->trees);
	worker_greet(worker);
	/* Before the kernel has its answer, it would send its opening message again, too. */
	if (worker->lost == 0)
		worker_take_over(worker);
	status = worker_check_lost(worker, diag);
	if (status == 0)
		status = worker_tell_ready(worker, diag);
	return status < 0 ? status : worker_loop(worker, diag);
}

int worker_run(const struct worker_options *options, struct diag *diag)
{
	struct worker *worker = NULL;
	int status = privilege_drop_to(options->user, diag);

	if (status == 0)
		status = worker_create(options, clock_real(), &worker, diag);
	if (status < 0)
		return status;
	assert(worker != NULL);
	status = worker_serve(worker, diag);
	worker_destroy(worker);
	return status;
}
