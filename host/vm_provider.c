#include "host/vm_provider.h"
#include "common/cleanup.h"
#include "host/vm_provider_internal.h"
#include "host/vm_query.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

#define VM_PROVIDER_JOIN_MS 1000

struct vm_provider {
	/* Fixed from the start. */
	const struct vm_provider_ops *ops;
	struct vm_provider_context context;
	void *private;
	int roster_fd; /* to the owner: there is a roster */
	int answer_fd; /* to the owner: a question was answered, or the thread is done */
	int wake_fd;   /* to the thread */
	pthread_t thread;

	/* The owner's alone. */
	struct vm_roster *taken;

	/* Behind the lock. */
	pthread_mutex_t lock;
	bool stopping;
	bool finished;	/* the thread has nothing left to do */
	bool abandoned; /* nobody waits for the thread any more: it frees everything */
	struct vm_roster *fresh;
	struct vm_provider_status status;
	struct vm_query_table queries;
	const char *call; /* NULL: in none */
	struct mono_time call_begun;
};

static const struct vm_provider_ops *const vm_providers[] = {
    &vm_provider_libvirt,
    &vm_provider_procfs,
};

const struct vm_provider_ops *vm_provider_list(size_t index)
{
	return index < sizeof(vm_providers) / sizeof(vm_providers[0]) ? vm_providers[index] : NULL;
}

const char *vm_provider_state_name(enum vm_provider_state state)
{
	switch (state) {
	case VM_PROVIDER_STARTING:
		return "starting";
	case VM_PROVIDER_OK:
		return "ok";
	case VM_PROVIDER_AWAY:
		return "away";
	}
	return "unknown";
}

static const struct vm_provider_ops *vm_provider_find(const char *name)
{
	for (size_t i = 0; vm_provider_list(i) != NULL; i++)
		if (strcmp(vm_provider_list(i)->name, name) == 0)
			return vm_provider_list(i);
	return NULL;
}

static void vm_provider_lock(struct vm_provider *provider)
{
	int status = pthread_mutex_lock(&provider->lock);

	assert(status == 0);
	(void)status;
}

static void vm_provider_unlock(struct vm_provider *provider)
{
	int status = pthread_mutex_unlock(&provider->lock);

	assert(status == 0);
	(void)status;
}

/* An eventfd holds a count of 64 bits: writing one cannot fail before it is full. */
static void vm_provider_signal(int fd)
{
	uint64_t one = 1;
	ssize_t written = write(fd, &one, sizeof(one));

	(void)written;
}

static void vm_provider_drain(int fd)
{
	uint64_t count;
	ssize_t got = read(fd, &count, sizeof(count));

	(void)got; /* -EAGAIN: it was empty */
}

static void vm_provider_free(struct vm_provider *provider)
{
	if (provider->roster_fd >= 0)
		(void)close(provider->roster_fd);
	if (provider->answer_fd >= 0)
		(void)close(provider->answer_fd);
	if (provider->wake_fd >= 0)
		(void)close(provider->wake_fd);
	vm_roster_destroy(provider->taken);
	vm_roster_destroy(provider->fresh);
	(void)pthread_mutex_destroy(&provider->lock);
	free(provider);
}

/* NULL: errno tells. */
static struct vm_provider *vm_provider_create(const struct vm_provider_ops *ops,
					      const struct vm_provider_context *context)
{
	struct vm_provider *provider = calloc(1, sizeof(*provider));

	if (provider == NULL)
		return NULL;
	provider->ops = ops;
	provider->context = *context;
	provider->status.since = clock_now_mono(context->clock);
	(void)pthread_mutex_init(&provider->lock, NULL);
	provider->roster_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	provider->answer_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	provider->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (provider->roster_fd < 0 || provider->answer_fd < 0 || provider->wake_fd < 0) {
		int error = errno;

		vm_provider_free(provider);
		errno = error;
		return NULL;
	}
	return provider;
}

static void *vm_provider_thread(void *argument)
{
	struct vm_provider *provider = argument;
	bool abandoned;

	provider->ops->run(provider, provider->private);
	vm_provider_lock(provider);
	provider->finished = true;
	abandoned = provider->abandoned;
	/* Within the lock: behind it the owner may free everything at once. */
	vm_provider_signal(provider->answer_fd);
	vm_provider_unlock(provider);
	if (abandoned)
		vm_provider_free(provider);
	return NULL;
}

/* Signals are the owner's business: the thread is born with all of them blocked. */
static int vm_provider_start(struct vm_provider *provider)
{
	sigset_t all, old;
	int error;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	error = pthread_create(&provider->thread, NULL, vm_provider_thread, provider);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	return -error;
}

int vm_provider_open(const char *name, const struct vm_provider_context *context,
		     struct vm_provider **ret_provider, struct diag *diag)
{
	const struct vm_provider_ops *ops = vm_provider_find(name);
	struct vm_provider *provider;
	int status;

	if (ops == NULL)
		return diag_error(diag, -EINVAL, "no VM provider is called \"%s\"", name);
	provider = vm_provider_create(ops, context);
	if (provider == NULL)
		return diag_error(diag, -errno, "cannot set up the VM provider: %s",
				  strerror(errno));
	status = ops->open(provider, &provider->private, diag);
	if (status < 0) {
		vm_provider_free(provider);
		return status;
	}
	status = vm_provider_start(provider);
	if (status < 0) {
		/* Without a thread run() only cleans up. */
		provider->stopping = true;
		ops->run(provider, provider->private);
		vm_provider_free(provider);
		return diag_error(diag, status, "cannot start the VM provider's thread: %s",
				  strerror(-status));
	}
	*ret_provider = provider;
	return 0;
}

/* Waits for an answer or the end of the thread; false: neither came. */
static bool vm_provider_await(const struct vm_provider *provider, int timeout_ms)
{
	struct pollfd poll_fd = {.fd = provider->answer_fd, .events = POLLIN};

	if (poll(&poll_fd, 1, timeout_ms) <= 0)
		return false;
	vm_provider_drain(provider->answer_fd);
	return true;
}

static bool vm_provider_finished(struct vm_provider *provider)
{
	bool finished;

	vm_provider_lock(provider);
	finished = provider->finished;
	vm_provider_unlock(provider);
	return finished;
}

void vm_provider_close(struct vm_provider *provider)
{
	pthread_t thread;
	bool abandoned;

	if (provider == NULL)
		return;
	vm_provider_lock(provider);
	provider->stopping = true;
	vm_provider_unlock(provider);
	vm_provider_signal(provider->wake_fd);
	while (!vm_provider_finished(provider))
		if (!vm_provider_await(provider, VM_PROVIDER_JOIN_MS))
			break;
	thread = provider->thread;
	vm_provider_lock(provider);
	abandoned = !provider->finished;
	provider->abandoned = abandoned;
	vm_provider_unlock(provider);
	if (abandoned) {
		/* It hangs in a call; from here on all memory is the thread's. */
		(void)pthread_detach(thread);
		return;
	}
	(void)pthread_join(thread, NULL);
	vm_provider_free(provider);
}

int vm_provider_fd(const struct vm_provider *provider)
{
	return provider->roster_fd;
}

bool vm_provider_waiting(struct vm_provider *provider)
{
	bool waiting;

	vm_provider_lock(provider);
	waiting = provider->fresh != NULL;
	vm_provider_unlock(provider);
	return waiting;
}

int vm_provider_take(struct vm_provider *provider, const struct vm_roster **ret_roster)
{
	struct vm_roster *fresh;

	vm_provider_lock(provider);
	fresh = TAKE_PTR(provider->fresh);
	if (fresh != NULL)
		vm_provider_drain(provider->roster_fd);
	vm_provider_unlock(provider);
	if (fresh != NULL) {
		vm_roster_destroy(provider->taken);
		provider->taken = fresh;
	}
	*ret_roster = provider->taken;
	return fresh != NULL ? 1 : 0;
}

const struct vm_roster *vm_provider_roster(const struct vm_provider *provider)
{
	return provider->taken;
}

/* Asks, or looks at the answer. */
static int vm_provider_ask(struct vm_provider *provider, const struct uuid *uuid)
{
	struct mono_time now = clock_now_mono(provider->context.clock);
	bool asked;
	int status;

	vm_provider_lock(provider);
	status = vm_query_ask(&provider->queries, uuid, now, &asked);
	vm_provider_unlock(provider);
	if (asked)
		vm_provider_signal(provider->wake_fd);
	return status;
}

int vm_provider_lookup(struct vm_provider *provider, const struct uuid *uuid, uint64_t wait_ns)
{
	int wait_ms = (int)((wait_ns + CLOCK_NS_PER_MS - 1) / CLOCK_NS_PER_MS);
	struct mono_time begun = clock_now_mono(provider->context.clock);
	int status;

	if (provider->taken != NULL && vm_roster_find(provider->taken, uuid) != NULL)
		return 1;
	status = vm_provider_ask(provider, uuid);
	while (status == -EINPROGRESS && wait_ms > 0) {
		uint64_t spent_ns;

		/* An answer to another question wakes as well, so look how long it took. */
		if (!vm_provider_await(provider, wait_ms))
			return -EINPROGRESS;
		status = vm_provider_ask(provider, uuid);
		spent_ns = clock_elapsed_ns(begun, clock_now_mono(provider->context.clock));
		if (spent_ns >= wait_ns)
			break;
		wait_ms = (int)((wait_ns - spent_ns + CLOCK_NS_PER_MS - 1) / CLOCK_NS_PER_MS);
	}
	return status;
}

void vm_provider_status(struct vm_provider *provider, struct vm_provider_status *ret_status)
{
	struct mono_time now = clock_now_mono(provider->context.clock);
	uint64_t stalled_ns = 0;

	vm_provider_lock(provider);
	*ret_status = provider->status;
	if (provider->call != NULL)
		stalled_ns = clock_elapsed_ns(provider->call_begun, now);
	if (stalled_ns >= VM_PROVIDER_STALLED_NS) {
		ret_status->state = VM_PROVIDER_AWAY;
		ret_status->since = provider->call_begun;
		(void)diag_error(&ret_status->diag, -ETIMEDOUT,
				 "no answer for %llu s while %s; see whether the daemon hangs",
				 (unsigned long long)(stalled_ns / CLOCK_NS_PER_SECOND),
				 provider->call);
	}
	vm_provider_unlock(provider);
}

/* From here on: the thread's side. */

const struct vm_provider_context *vm_provider_context(const struct vm_provider *provider)
{
	return &provider->context;
}

int vm_provider_wake_fd(const struct vm_provider *provider)
{
	return provider->wake_fd;
}

void vm_provider_woken(struct vm_provider *provider)
{
	vm_provider_drain(provider->wake_fd);
}

bool vm_provider_stopping(struct vm_provider *provider)
{
	bool stopping;

	vm_provider_lock(provider);
	stopping = provider->stopping;
	vm_provider_unlock(provider);
	return stopping;
}

int vm_provider_publish(struct vm_provider *provider, const struct vm_roster *roster)
{
	struct vm_roster *copy, *unseen;
	int status = vm_roster_copy(roster, &copy);

	if (status < 0)
		return status;
	vm_provider_lock(provider);
	unseen = provider->fresh;
	provider->fresh = copy;
	provider->status.roster_count++;
	vm_provider_signal(provider->roster_fd);
	vm_provider_unlock(provider);
	vm_roster_destroy(unseen);
	return 0;
}

void vm_provider_set_state(struct vm_provider *provider, enum vm_provider_state state,
			   const struct diag *diag)
{
	struct vm_provider_status *status = &provider->status;

	vm_provider_lock(provider);
	/* Once it stops, the clock may be gone. */
	if (!provider->stopping) {
		if (status->state != state)
			status->since = clock_now_mono(provider->context.clock);
		status->state = state;
		status->diag = diag != NULL ? *diag : (struct diag)DIAG_INIT;
	}
	vm_provider_unlock(provider);
}

void vm_provider_connected(struct vm_provider *provider)
{
	vm_provider_lock(provider);
	provider->status.connect_count++;
	vm_provider_unlock(provider);
}

void vm_provider_call_begin(struct vm_provider *provider, const char *what)
{
	vm_provider_lock(provider);
	if (!provider->stopping) {
		provider->call = what;
		provider->call_begun = clock_now_mono(provider->context.clock);
	}
	vm_provider_unlock(provider);
}

void vm_provider_call_end(struct vm_provider *provider)
{
	vm_provider_lock(provider);
	provider->call = NULL;
	vm_provider_unlock(provider);
}

bool vm_provider_next_query(struct vm_provider *provider, struct uuid *ret_uuid)
{
	bool found;

	vm_provider_lock(provider);
	found = vm_query_take(&provider->queries, ret_uuid);
	vm_provider_unlock(provider);
	return found;
}

void vm_provider_answer(struct vm_provider *provider, const struct uuid *uuid, bool known)
{
	vm_provider_lock(provider);
	if (!provider->stopping)
		vm_query_answer(&provider->queries, uuid, known,
				clock_now_mono(provider->context.clock));
	vm_provider_signal(provider->answer_fd);
	vm_provider_unlock(provider);
}
