#include "guest/accounts_thread.h"
#include "common/cleanup.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

struct accounts_thread {
	struct accounts *accounts;
	uint64_t period_ns;
	pthread_mutex_t lock; /* for what follows */
	pthread_cond_t wake;
	const struct accounts_view *view;
	bool ending;
	bool running; /* the thread is to be joined */
	pthread_t thread;
};

int accounts_thread_create(struct accounts *accounts, uint64_t period_ns,
			   struct accounts_thread **ret_thread)
{
	cleanup_free struct accounts_thread *thread = calloc(1, sizeof(*thread));
	pthread_condattr_t attributes;

	if (thread == NULL)
		return -ENOMEM;
	thread->accounts = accounts;
	thread->period_ns = period_ns;
	if (pthread_condattr_init(&attributes) != 0)
		return -ENOMEM;
	(void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	if (pthread_mutex_init(&thread->lock, NULL) != 0 ||
	    pthread_cond_init(&thread->wake, &attributes) != 0)
		return -ENOMEM;
	(void)pthread_condattr_destroy(&attributes);
	/* Of a tick that was made before. */
	thread->view = accounts_latest(accounts);
	*ret_thread = TAKE_PTR(thread);
	return 0;
}

static void accounts_thread_lock(struct accounts_thread *thread)
{
	int status = pthread_mutex_lock(&thread->lock);

	assert(status == 0);
	(void)status;
}

static void accounts_thread_tick(struct accounts_thread *thread)
{
	const struct accounts_view *before;
	const struct accounts_view *now;

	/* Without memory the last view stays, and the next tick makes up for it. */
	(void)accounts_tick(thread->accounts);
	now = accounts_latest(thread->accounts);
	accounts_thread_lock(thread);
	before = thread->view;
	thread->view = now;
	(void)pthread_mutex_unlock(&thread->lock);
	accounts_view_release(before);
}

/* Ticks keep their rhythm; those that came too late are left out. */
static void accounts_thread_advance(const struct accounts_thread *thread, struct timespec *due)
{
	uint64_t now_ns = clock_now_mono(clock_real()).ns;
	uint64_t due_ns = (uint64_t)due->tv_sec * CLOCK_NS_PER_SECOND + (uint64_t)due->tv_nsec;

	due_ns += thread->period_ns;
	if (due_ns < now_ns)
		due_ns = now_ns + thread->period_ns;
	due->tv_sec = (time_t)(due_ns / CLOCK_NS_PER_SECOND);
	due->tv_nsec = (long)(due_ns % CLOCK_NS_PER_SECOND);
}

static void *accounts_thread_run(void *argument)
{
	struct accounts_thread *thread = argument;
	uint64_t now_ns = clock_now_mono(clock_real()).ns;
	struct timespec due = {.tv_sec = (time_t)(now_ns / CLOCK_NS_PER_SECOND),
			       .tv_nsec = (long)(now_ns % CLOCK_NS_PER_SECOND)};
	bool ending = false;

	while (!ending) {
		int status = 0;

		accounts_thread_tick(thread);
		accounts_thread_advance(thread, &due);
		accounts_thread_lock(thread);
		while (!thread->ending && status != ETIMEDOUT)
			status = pthread_cond_timedwait(&thread->wake, &thread->lock, &due);
		ending = thread->ending;
		(void)pthread_mutex_unlock(&thread->lock);
	}
	return NULL;
}

int accounts_thread_start(struct accounts_thread *thread, struct diag *diag)
{
	int status = pthread_create(&thread->thread, NULL, accounts_thread_run, thread);

	if (status != 0)
		return diag_error(diag, -status, "cannot start the accounts' thread: %s",
				  strerror(status));
	thread->running = true;
	return 0;
}

void accounts_thread_destroy(struct accounts_thread *thread)
{
	if (thread == NULL)
		return;
	accounts_thread_lock(thread);
	thread->ending = true;
	(void)pthread_cond_signal(&thread->wake);
	(void)pthread_mutex_unlock(&thread->lock);
	if (thread->running)
		(void)pthread_join(thread->thread, NULL);
	accounts_view_release(thread->view);
	(void)pthread_cond_destroy(&thread->wake);
	(void)pthread_mutex_destroy(&thread->lock);
	free(thread);
}

const struct accounts_view *accounts_thread_view(struct accounts_thread *thread)
{
	const struct accounts_view *view;

	if (thread == NULL)
		return NULL;
	accounts_thread_lock(thread);
	view = accounts_view_acquire(thread->view);
	(void)pthread_mutex_unlock(&thread->lock);
	return view;
}
