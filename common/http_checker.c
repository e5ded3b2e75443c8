#include "common/http_checker.h"
#include "common/cleanup.h"
#include "common/clock.h"

#include <assert.h>
#include <crypt.h>
#include <errno.h>
#include <gnutls/crypto.h>
#include <pthread.h>
#include <time.h>

enum http_check_state {
	HTTP_CHECK_FREE,
	HTTP_CHECK_WAITING,
	HTTP_CHECK_WORKING,
	HTTP_CHECK_DONE,
};

struct http_check_place {
	enum http_check_state state;
	bool cancelled;
	uint64_t order; /* of coming */
	struct http_check check;
};

struct http_checker {
	pthread_mutex_t lock; /* of all that follows */
	pthread_cond_t changed;
	bool ending;
	uint64_t order_last;
	struct http_check_place places[HTTP_CHECK_MAX];
	/* not of the lock */
	int wake_fd;
	bool started;
	pthread_t thread;
};

bool http_check_password(const char *password, const char *hash)
{
	/* 32 KiB: not for the stack of a thread. */
	cleanup_free struct crypt_data *data = calloc(1, sizeof(*data));
	const char *made;
	bool right;

	if (data == NULL)
		return false;
	made = crypt_rn(password, hash, data, (int)sizeof(*data));
	right = made != NULL && strlen(made) == strlen(hash) &&
		gnutls_memcmp(made, hash, strlen(hash)) == 0;
	explicit_bzero(data, sizeof(*data));
	return right;
}

static void http_check_forget(struct http_check_place *place)
{
	explicit_bzero(&place->check, sizeof(place->check));
	place->state = HTTP_CHECK_FREE;
	place->cancelled = false;
}

static struct http_check_place *http_checker_first(struct http_checker *checker,
						   enum http_check_state state)
{
	struct http_check_place *first = NULL;

	for (size_t i = 0; i < HTTP_CHECK_MAX; i++) {
		struct http_check_place *place = &checker->places[i];

		if (place->state == state && (first == NULL || place->order < first->order))
			first = place;
	}
	return first;
}

/* Called with the lock, and returns with it; the check itself goes without. */
static void http_checker_do(struct http_checker *checker, struct http_check_place *place)
{
	const uint64_t one = 1;
	bool right;

	place->state = HTTP_CHECK_WORKING;
	(void)pthread_mutex_unlock(&checker->lock);
	/* Nobody else touches what is in a place while it is being worked on. */
	right = http_check_password(place->check.password, place->check.hash);
	(void)pthread_mutex_lock(&checker->lock);
	place->check.right = right && !place->check.decoy;
	explicit_bzero(place->check.password, sizeof(place->check.password));
	if (place->cancelled) {
		http_check_forget(place);
		return;
	}
	place->state = HTTP_CHECK_DONE;
	/* It fails only when it counts to 2^64 - 1: awake already. */
	(void)!write(checker->wake_fd, &one, sizeof(one));
}

bool http_checker_work(struct http_checker *checker)
{
	struct http_check_place *place;

	(void)pthread_mutex_lock(&checker->lock);
	place = http_checker_first(checker, HTTP_CHECK_WAITING);
	if (place != NULL)
		http_checker_do(checker, place);
	(void)pthread_mutex_unlock(&checker->lock);
	return place != NULL;
}

static void http_checker_rest(uint64_t rest_ns)
{
	struct timespec rest = {.tv_sec = (time_t)(rest_ns / CLOCK_NS_PER_SECOND),
				.tv_nsec = (long)(rest_ns % CLOCK_NS_PER_SECOND)};

	if (rest.tv_sec > 0)
		rest = (struct timespec){.tv_sec = 1, .tv_nsec = 0};
	(void)nanosleep(&rest, NULL);
}

static void *http_checker_run(void *context)
{
	struct http_checker *checker = context;

	(void)pthread_mutex_lock(&checker->lock);
	while (!checker->ending) {
		struct http_check_place *place = http_checker_first(checker, HTTP_CHECK_WAITING);
		struct mono_time begun;

		if (place == NULL) {
			(void)pthread_cond_wait(&checker->changed, &checker->lock);
			continue;
		}
		begun = clock_now_mono(clock_real());
		http_checker_do(checker, place);
		if (place->check.right)
			continue;
		(void)pthread_mutex_unlock(&checker->lock);
		http_checker_rest(clock_elapsed_ns(begun, clock_now_mono(clock_real())));
		(void)pthread_mutex_lock(&checker->lock);
	}
	(void)pthread_mutex_unlock(&checker->lock);
	return NULL;
}

int http_checker_create(int wake_fd, struct http_checker **ret_checker)
{
	struct http_checker *checker = calloc(1, sizeof(*checker));
	int status;

	if (checker == NULL)
		return -ENOMEM;
	checker->wake_fd = wake_fd;
	status = pthread_mutex_init(&checker->lock, NULL);
	if (status == 0)
		status = pthread_cond_init(&checker->changed, NULL);
	if (status != 0) {
		free(checker);
		return -status;
	}
	*ret_checker = checker;
	return 0;
}

int http_checker_start(struct http_checker *checker)
{
	int status = pthread_create(&checker->thread, NULL, http_checker_run, checker);

	checker->started = status == 0;
	return -status;
}

void http_checker_destroy(struct http_checker *checker)
{
	if (checker == NULL)
		return;
	(void)pthread_mutex_lock(&checker->lock);
	checker->ending = true;
	(void)pthread_cond_signal(&checker->changed);
	(void)pthread_mutex_unlock(&checker->lock);
	if (checker->started)
		(void)pthread_join(checker->thread, NULL);
	for (size_t i = 0; i < HTTP_CHECK_MAX; i++)
		http_check_forget(&checker->places[i]);
	(void)pthread_cond_destroy(&checker->changed);
	(void)pthread_mutex_destroy(&checker->lock);
	free(checker);
}

int http_checker_submit(struct http_checker *checker, const struct http_check *check)
{
	struct http_check_place *place;

	assert(check->ticket != 0);
	(void)pthread_mutex_lock(&checker->lock);
	place = http_checker_first(checker, HTTP_CHECK_FREE);
	if (place != NULL) {
		place->check = *check;
		place->order = ++checker->order_last;
		place->state = HTTP_CHECK_WAITING;
		(void)pthread_cond_signal(&checker->changed);
	}
	(void)pthread_mutex_unlock(&checker->lock);
	return place != NULL ? 0 : -EBUSY;
}

void http_checker_cancel(struct http_checker *checker, uint64_t ticket)
{
	(void)pthread_mutex_lock(&checker->lock);
	for (size_t i = 0; i < HTTP_CHECK_MAX; i++) {
		struct http_check_place *place = &checker->places[i];

		if (place->state == HTTP_CHECK_FREE || place->check.ticket != ticket)
			continue;
		if (place->state == HTTP_CHECK_WORKING)
			place->cancelled = true;
		else
			http_check_forget(place);
	}
	(void)pthread_mutex_unlock(&checker->lock);
}

bool http_checker_take(struct http_checker *checker, struct http_check *ret_check)
{
	struct http_check_place *place;

	(void)pthread_mutex_lock(&checker->lock);
	place = http_checker_first(checker, HTTP_CHECK_DONE);
	if (place != NULL) {
		*ret_check = place->check;
		http_check_forget(place);
	}
	(void)pthread_mutex_unlock(&checker->lock);
	return place != NULL;
}
