/*
 * http_checker.h: compares passwords with their bcrypt hashes, beside the thread that answers.
 *
 * One thread, one check at a time, in the order of their coming. After a wrong password it rests
 * for as long as the check took: whoever guesses gets half a CPU and no more. The loop submits,
 * polls the descriptor that was given to it, and takes what came out; it bounds how much is
 * submitted by its seats. Safe between these two threads.
 */
#ifndef WATTPORT_COMMON_HTTP_CHECKER_H
#define WATTPORT_COMMON_HTTP_CHECKER_H

#include "common/http_seats.h"
#include "common/http_users.h"

#include <stdbool.h>
#include <stdint.h>

#define HTTP_CHECK_MAX HTTP_CONNECTION_MAX

struct http_check {
	uint64_t ticket; /* of the seat that waits; never 0 */
	struct http_digest digest;
	char hash[WEB_HASH_SIZE];
	bool decoy; /* wrong, whatever comes out */
	char password[HTTP_PASSWORD_SIZE];
	bool right; /* the outcome */
};

struct http_checker;

/* `wake_fd` is an eventfd(2) of the caller's, written to when something came out. */
int http_checker_create(int wake_fd, struct http_checker **ret_checker);
void http_checker_destroy(struct http_checker *checker);

/* Starts its thread. Without one, http_checker_work() has to be called. */
int http_checker_start(struct http_checker *checker);

/* -EBUSY when HTTP_CHECK_MAX wait. */
int http_checker_submit(struct http_checker *checker, const struct http_check *check);

/* Nobody waits for it any more: it is not begun, and its outcome not told. */
void http_checker_cancel(struct http_checker *checker, uint64_t ticket);

/* The next outcome; false when there is none. */
bool http_checker_take(struct http_checker *checker, struct http_check *ret_check);

/* Does the next check here and now; false when there is none. */
bool http_checker_work(struct http_checker *checker);

/* Whether the password is the one of the hash: bcrypt, in the caller's thread. */
bool http_check_password(const char *password, const char *hash);

static inline void cleanup_http_checker_value(struct http_checker *const *checker)
{
	http_checker_destroy(*checker);
}
#define cleanup_http_checker __attribute__((cleanup(cleanup_http_checker_value)))

#endif
