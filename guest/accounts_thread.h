/*
 * accounts_thread.h: accounts that tick by themselves, in a thread of their own.
 *
 * For the service: measuring goes on at its own pace, whatever HTTP and outputs do. What they get
 * is the view of the last tick, by reference, under a lock that is never held for longer than it
 * takes to copy a pointer. Any thread may ask for it.
 */
#ifndef WATTPORT_GUEST_ACCOUNTS_THREAD_H
#define WATTPORT_GUEST_ACCOUNTS_THREAD_H

#include "common/diag.h"
#include "guest/accounts.h"

#include <stdint.h>

struct accounts_thread;

/* Not ticking yet. The accounts are the thread's from now on, but for their destruction. */
int accounts_thread_create(struct accounts *accounts, uint64_t period_ns,
			   struct accounts_thread **ret_thread);

/* Starts it; it inherits the signal mask. */
int accounts_thread_start(struct accounts_thread *thread, struct diag *diag);

/* Ends it. */
void accounts_thread_destroy(struct accounts_thread *thread);

/* The last tick's view, acquired for the caller; NULL before the first, and for NULL. */
const struct accounts_view *accounts_thread_view(struct accounts_thread *thread);

static inline void cleanup_accounts_thread_value(struct accounts_thread *const *thread)
{
	accounts_thread_destroy(*thread);
}
#define cleanup_accounts_thread __attribute__((cleanup(cleanup_accounts_thread_value)))

#endif
