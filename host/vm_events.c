#include "host/vm_events.h"

#include <errno.h>

static void vm_events_mark(struct vm_events *shared, struct thread_events *events, bool refused)
{
	if (refused && !events->refused)
		shared->refused++;
	if (!refused && events->refused)
		shared->refused--;
	events->refused = refused;
}

void vm_events_close(struct vm_events *shared, struct thread_events *events)
{
	vm_events_mark(shared, events, false);
	if (!thread_events_opened(events))
		return;
	thread_events_close(events);
	*shared->fd_budget += THREAD_EVENT_COUNT;
	shared->fd_share += THREAD_EVENT_COUNT;
	shared->threads--;
}

static void vm_events_open(struct vm_events *shared, struct thread_events *events, int32_t tid,
			   struct mono_time now)
{
	bool room =
	    shared->fd_share >= THREAD_EVENT_COUNT && *shared->fd_budget >= THREAD_EVENT_COUNT;
	int status;

	if (shared->error != 0 && clock_elapsed_ns(shared->tried, now) < VM_EVENTS_RETRY_NS) {
		vm_events_mark(shared, events, true);
		return;
	}
	vm_events_mark(shared, events, false);
	status = room ? thread_events_open(events, shared->source, tid) : -EMFILE;
	/* That it has ended is said of this thread alone, and by its times. */
	if (status == -ESRCH)
		return;
	shared->error = status;
	shared->tried = now;
	vm_events_mark(shared, events, status < 0);
	if (status < 0)
		return;
	*shared->fd_budget -= THREAD_EVENT_COUNT;
	shared->fd_share -= THREAD_EVENT_COUNT;
	shared->threads++;
}

bool vm_events_read(struct vm_events *shared, struct thread_events *events, int32_t tid,
		    uint64_t spent_ns, struct mono_time now,
		    struct thread_events_growth *ret_growth)
{
	*ret_growth = (struct thread_events_growth){.count = {0}};
	if (shared->source == NULL)
		return false;
	/* A thread that did not run has done nothing, which need not be read. */
	if (spent_ns == 0)
		return events->counted;
	/* What it did before is not counted: so its first reading is the next one. */
	if (!thread_events_opened(events)) {
		vm_events_open(shared, events, tid, now);
		return false;
	}
	if (thread_events_read(events, ret_growth) < 0)
		vm_events_close(shared, events);
	return events->counted;
}
