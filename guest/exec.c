#include "guest/exec.h"
#include "common/cleanup.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* Handed on to the command. SIGKILL and SIGSTOP cannot be; SIGTSTP stops both, as for a shell. */
static const int exec_signals[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGALRM};

#define EXEC_SIGNAL_COUNT (sizeof(exec_signals) / sizeof(exec_signals[0]))

struct exec_task {
	struct meter *meter;
	pid_t pid;
	int signal_fd;
	bool exited;
	int wait_status;
	struct rusage usage;
};

int exec_status_of_error(int error)
{
	return error == -ENOENT ? EXEC_STATUS_NOT_FOUND : EXEC_STATUS_CANNOT;
}

/* The command gets the signals as its parent found them, not blocked as we keep them. */
static int exec_spawn(char *const command[], const sigset_t *mask, pid_t *ret_pid)
{
	posix_spawnattr_t attributes;
	int status = posix_spawnattr_init(&attributes);

	if (status != 0)
		return -status;
	status = posix_spawnattr_setsigmask(&attributes, mask);
	if (status == 0)
		status = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
	if (status == 0)
		status = posix_spawnp(ret_pid, command[0], NULL, &attributes, command, environ);
	(void)posix_spawnattr_destroy(&attributes);
	return -status;
}

static void exec_reap(struct exec_task *task)
{
	pid_t reaped = wait4(task->pid, &task->wait_status, WNOHANG, &task->usage);

	if (reaped == task->pid)
		task->exited = true;
}

/*
 * A key like Ctrl-C goes to the terminal's whole foreground group, the command included: then the
 * kernel is the sender (si_code SI_KERNEL, above 0) and the command must not get it twice.
 */
static void exec_take_signal(struct exec_task *task)
{
	struct signalfd_siginfo info;

	while (read(task->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGCHLD)
			exec_reap(task);
		else if (info.ssi_code <= 0 && !task->exited)
			(void)kill(task->pid, (int)info.ssi_signo);
	}
}

static void exec_wait(struct exec_task *task)
{
	const int period_ms = (int)(METER_PERIOD_NS_MAX / CLOCK_NS_PER_MS / 3);

	while (!task->exited) {
		struct pollfd poll_fd = {.fd = task->signal_fd, .events = POLLIN};
		int ready = poll(&poll_fd, 1, period_ms);

		if (ready > 0)
			exec_take_signal(task);
		if (ready == 0) {
			struct meter_reading between;

			meter_read(task->meter, &between);
		}
	}
}

static uint64_t exec_time_ns(struct timeval time)
{
	return (uint64_t)time.tv_sec * CLOCK_NS_PER_SECOND + (uint64_t)time.tv_usec * 1000;
}

static void exec_conclude(const struct exec_task *task, struct exec_result *result)
{
	result->exit_status = WIFSIGNALED(task->wait_status)
				  ? EXEC_STATUS_SIGNAL + WTERMSIG(task->wait_status)
				  : WEXITSTATUS(task->wait_status);
	result->elapsed_ns = clock_elapsed_ns(result->before.time, result->after.time);
	result->user_ns = exec_time_ns(task->usage.ru_utime);
	result->system_ns = exec_time_ns(task->usage.ru_stime);
}

/* Between the two readings lies nothing but the command. */
static int exec_measure(struct exec_task *task, char *const command[], const sigset_t *mask,
			struct exec_result *result)
{
	int status;

	/* The first one opens the source and asks the host about it: that is not the command's. */
	meter_read(task->meter, &result->before);
	meter_read(task->meter, &result->before);
	status = exec_spawn(command, mask, &task->pid);
	if (status < 0)
		return status;
	exec_wait(task);
	meter_read(task->meter, &result->after);
	exec_conclude(task, result);
	return 0;
}

int exec_run(struct meter *meter, char *const command[], struct exec_result *ret_result,
	     struct diag *diag)
{
	struct exec_task task = {.meter = meter, .signal_fd = -1};
	cleanup_free struct exec_result *result = NULL;
	sigset_t taken, former;
	int status;

	assert(command[0] != NULL);
	result = calloc(1, sizeof(*result));
	if (result == NULL)
		return diag_error(diag, -ENOMEM, "out of memory");
	(void)sigemptyset(&taken);
	(void)sigaddset(&taken, SIGCHLD);
	for (size_t i = 0; i < EXEC_SIGNAL_COUNT; i++)
		(void)sigaddset(&taken, exec_signals[i]);
	status = pthread_sigmask(SIG_BLOCK, &taken, &former);
	if (status != 0)
		return diag_error(diag, -status, "cannot block signals");
	task.signal_fd = signalfd(-1, &taken, SFD_CLOEXEC | SFD_NONBLOCK);
	if (task.signal_fd < 0)
		status = diag_error(diag, -errno, "cannot wait for signals: %s", strerror(errno));
	else
		status = exec_measure(&task, command, &former, result);
	if (task.signal_fd >= 0)
		(void)close(task.signal_fd);
	(void)pthread_sigmask(SIG_SETMASK, &former, NULL);
	if (status < 0 && task.signal_fd >= 0)
		return diag_error(diag, status, "cannot run %s: %s", command[0], strerror(-status));
	if (status < 0)
		return status;
	*ret_result = *result;
	return 0;
}
