#include "guest/exec_tree.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "guest/marks.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

/* Handed on to the command. SIGKILL and SIGSTOP cannot be; SIGTSTP stops both, as for a shell. */
static const int tree_signals[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGALRM};

#define TREE_SIGNAL_COUNT (sizeof(tree_signals) / sizeof(tree_signals[0]))

struct exec_tree {
	int signal_fd;
	sigset_t former;
	pid_t pid;
	struct exec_tree_state state;
};

int exec_tree_create(struct exec_tree **ret_tree)
{
	struct exec_tree *tree = calloc(1, sizeof(*tree));
	sigset_t taken;
	int status;

	if (tree == NULL)
		return -ENOMEM;
	(void)sigemptyset(&taken);
	(void)sigaddset(&taken, SIGCHLD);
	for (size_t i = 0; i < TREE_SIGNAL_COUNT; i++)
		(void)sigaddset(&taken, tree_signals[i]);
	status = -pthread_sigmask(SIG_BLOCK, &taken, &tree->former);
	if (status < 0) {
		free(tree);
		return status;
	}
	tree->signal_fd = signalfd(-1, &taken, SFD_CLOEXEC | SFD_NONBLOCK);
	if (tree->signal_fd < 0) {
		status = -errno;
		exec_tree_destroy(tree);
		return status;
	}
	*ret_tree = tree;
	return 0;
}

void exec_tree_destroy(struct exec_tree *tree)
{
	if (tree == NULL)
		return;
	(void)prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0);
	if (tree->signal_fd >= 0)
		(void)close(tree->signal_fd);
	(void)pthread_sigmask(SIG_SETMASK, &tree->former, NULL);
	free(tree);
}

/* This process's environment with the descriptor in it; the strings are not copied. */
static char **tree_environment(char *variable)
{
	static const char name[] = MARKS_VARIABLE "=";
	size_t count = 0, kept = 0;
	char **variables;

	while (environ[count] != NULL)
		count++;
	variables = calloc(count + 2, sizeof(*variables));
	if (variables == NULL)
		return NULL;
	for (size_t i = 0; i < count; i++)
		if (strncmp(environ[i], name, sizeof(name) - 1) != 0)
			variables[kept++] = environ[i];
	if (variable[0] != '\0')
		variables[kept] = variable;
	return variables;
}

static void tree_free_strings(char **const *strings)
{
	free(*strings);
}

/* A descriptor that is put in its own place is no longer closed on exec (posix_spawn(3)). */
static int tree_spawn(struct exec_tree *tree, char *const command[], int mark_fd,
		      posix_spawnattr_t *attributes, posix_spawn_file_actions_t *actions)
{
	char variable[sizeof(MARKS_VARIABLE) + 16] = "";
	char **variables __attribute__((cleanup(tree_free_strings))) = NULL;
	int status = posix_spawnattr_setsigmask(attributes, &tree->former);

	if (status == 0)
		status = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK);
	if (status == 0 && mark_fd >= 0)
		status = posix_spawn_file_actions_adddup2(actions, mark_fd, mark_fd);
	if (status != 0)
		return -status;
	if (mark_fd >= 0)
		(void)snprintf(variable, sizeof(variable), "%s=%d", MARKS_VARIABLE, mark_fd);
	variables = tree_environment(variable);
	if (variables == NULL)
		return -ENOMEM;
	return -posix_spawnp(&tree->pid, command[0], actions, attributes, command, variables);
}

int exec_tree_start(struct exec_tree *tree, char *const command[], int mark_fd)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	int status;

	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		return -errno;
	status = -posix_spawnattr_init(&attributes);
	if (status < 0)
		return status;
	status = -posix_spawn_file_actions_init(&actions);
	if (status == 0) {
		status = tree_spawn(tree, command, mark_fd, &attributes, &actions);
		(void)posix_spawn_file_actions_destroy(&actions);
	}
	(void)posix_spawnattr_destroy(&attributes);
	return status;
}

int exec_tree_fd(const struct exec_tree *tree)
{
	return tree->signal_fd;
}

static uint64_t tree_time_ns(struct timeval time)
{
	return (uint64_t)time.tv_sec * CLOCK_NS_PER_SECOND + (uint64_t)time.tv_usec * 1000;
}

/* Each child's usage has that of its own children which it waited for: nothing counts twice. */
static void tree_reap(struct exec_tree *tree)
{
	struct exec_tree_state *state = &tree->state;
	struct rusage usage;
	int wait_status;
	pid_t pid;

	while ((pid = wait4(-1, &wait_status, WNOHANG, &usage)) > 0) {
		state->ended++;
		state->user_ns += tree_time_ns(usage.ru_utime);
		state->system_ns += tree_time_ns(usage.ru_stime);
		if (pid == tree->pid) {
			state->command_ended = true;
			state->wait_status = wait_status;
		}
	}
	if (pid < 0 && errno == ECHILD)
		state->all_ended = true;
}

/*
 * A key like Ctrl-C goes to the terminal's whole foreground group, the command included: then the
 * kernel is the sender (si_code SI_KERNEL, above 0) and the command must not get it twice.
 */
void exec_tree_handle(struct exec_tree *tree)
{
	struct signalfd_siginfo info;

	while (read(tree->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGCHLD)
			tree_reap(tree);
		else if (tree->state.command_ended)
			tree->state.interrupted = true;
		else if (info.ssi_code <= 0)
			(void)kill(tree->pid, (int)info.ssi_signo);
	}
}

const struct exec_tree_state *exec_tree_state(const struct exec_tree *tree)
{
	return &tree->state;
}
