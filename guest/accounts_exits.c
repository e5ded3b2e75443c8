/*
 * Whose end it was that the kernel told of.
 *
 * The rule: what a task has used is its process', up to its end. What stands against it:
 *   - A number may have been given again since: to one that lives, or to one that ended, too.
 *     Messages come in the order of the ends. So of all that had the number it is the first that
 *     began when the message says and whose end was not told yet; and who is found living when it
 *     is asked then has not ended, whatever the numbers say.
 *   - Nobody knew a process that began and ended between two looks. It is taken for one of these
 *     if it began after the look before the last: others were known, or what they have used is
 *     not of this time.
 *   - Kernels before 6.0 do not tell a thread's end from that of a process which nobody knew. A
 *     process counts threads that ended in its own time, which must not be told twice. So it is
 *     taken for a process only if no process of the same parent and user has, or had, threads: a
 *     thread has its process' parent. What is in doubt stays the unit's, and the rest's there.
 */
#include "common/features.h"
#include "common/thread_stat.h"
#include "guest/accounts_internal.h"

#include <assert.h>
#include <string.h>

/*
 * When a process began is known in ticks of 10 ms; when it ended only from the time between two
 * rounds; and a task may have to wait between the reading of its times and its message. All of
 * that is less than this. Far more would be no harm: before a number comes again all others are
 * given, 32,768 at least, which takes a machine more than a second.
 */
#define EXITS_BEGIN_SLACK_NS (CLOCK_NS_PER_SECOND / 4)

/* Families: who has the same parent and user. Where two fall together doubt is greater. */
#define EXITS_FAMILIES 65536

struct exits_families {
	uint64_t bits[EXITS_FAMILIES / 64];
};

/* The messages of one look. */
struct exits_round {
	struct accounts *accounts;
	uint64_t before_ns; /* who lived then and worked is known */
	uint64_t suspended_ns;
	size_t doubts;
	struct exits_families doubted;
	struct exits_families threaded;
};

static uint32_t exits_family(int32_t parent, uint32_t uid)
{
	uint32_t hash = ((uint32_t)parent * UINT32_C(2654435761)) ^ (uid * UINT32_C(2246822519));

	return (hash ^ (hash >> 16)) % EXITS_FAMILIES;
}

static void exits_families_add(struct exits_families *families, int32_t parent, uint32_t uid)
{
	uint32_t family = exits_family(parent, uid);

	families->bits[family / 64] |= UINT64_C(1) << (family % 64);
}

static bool exits_families_have(const struct exits_families *families, int32_t parent, uint32_t uid)
{
	uint32_t family = exits_family(parent, uid);

	return (families->bits[family / 64] >> (family % 64) & 1) != 0;
}

/* When the process began at the latest, since the machine's start. */
static uint64_t exits_latest_ns(const struct exits_round *round, const struct process_exit *exit)
{
	uint64_t now_ns = clock_now_mono(round->accounts->clock).ns;

	return features_sum(features_delta(exit->elapsed_ns, now_ns), EXITS_BEGIN_SLACK_NS);
}

/* And at the earliest: as if it had ended right after the round before, and lived through all
 * suspension. */
static uint64_t exits_earliest_ns(const struct exits_round *round, const struct process_exit *exit)
{
	uint64_t lived_ns = features_sum(exit->elapsed_ns, round->suspended_ns);

	if (exit->older)
		return 0;
	return features_delta(features_sum(lived_ns, EXITS_BEGIN_SLACK_NS),
			      round->accounts->exits_since_ns);
}

static bool exits_fit(const struct exits_round *round, const struct process_exit *exit,
		      const struct process *process)
{
	uint64_t began_ns = thread_ticks_to_ns(process->start_ticks);

	/* Known from the ends of its threads in this round. */
	if (process->fleeting)
		return !process->told ||
		       (process->doubt != PROCESS_DOUBT_NONE && exit->group_ns > 0);
	return !process->told && began_ns >= exits_earliest_ns(round, exit) &&
	       began_ns <= exits_latest_ns(round, exit);
}

/* The process whose task it was, or NULL. */
static struct process *exits_find(const struct exits_round *round, const struct process_exit *exit)
{
	struct process_times *processes = round->accounts->processes;
	struct process *found = NULL;

	/* The newest comes first. */
	for (struct process *process = process_times_find(processes, exit->pid); process != NULL;
	     process = process_times_find_before(processes, process))
		if (exits_fit(round, exit, process))
			found = process;
	return found;
}

/* The parent of one that nobody knew: it had that number when the process began. */
static const struct process *exits_parent(const struct exits_round *round,
					  const struct process_exit *exit)
{
	struct accounts *accounts = round->accounts;
	struct process *parent = process_times_find(accounts->processes, exit->parent);
	uint64_t latest_ns = exits_latest_ns(round, exit);

	if (parent == NULL)
		parent =
		    process_times_adopt(accounts->processes, accounts->cgroups,
					accounts->mounts.version, accounts->roster, exit->parent);
	while (parent != NULL && thread_ticks_to_ns(parent->start_ticks) > latest_ns)
		parent = process_times_find_before(accounts->processes, parent);
	return parent;
}

static struct process *exits_meet(struct exits_round *round, const struct process_exit *exit)
{
	const struct process *parent;
	struct process *process;

	if (exits_latest_ns(round, exit) < round->before_ns)
		return NULL;
	parent = exits_parent(round, exit);
	process = process_times_add_ended(round->accounts->processes, exit->pid);
	if (process == NULL)
		return NULL;
	process->uid = exit->uid;
	process->parent = exit->parent;
	process->unit = parent != NULL ? parent->unit : ACCOUNTS_NO_UNIT;
	static_assert(sizeof(process->comm) >= sizeof(exit->comm), "it fits");
	memcpy(process->comm, exit->comm, sizeof(exit->comm));
	if (exit->kind == PROCESS_EXIT_UNKNOWN) {
		process->doubt = exit->leads ? PROCESS_DOUBT_FIRST : PROCESS_DOUBT_ANY;
		exits_families_add(&round->doubted, exit->parent, exit->uid);
		round->doubts++;
	}
	return process;
}

/* What it has used beyond what was told of it. */
static void exits_end(struct process *process, uint64_t group_ns)
{
	uint64_t total_ns = process->exited_ns > group_ns ? process->exited_ns : group_ns;

	process->ended = true;
	process->told = true;
	if (total_ns <= process->time_ns)
		return;
	process->growth_ns = features_sum(process->growth_ns, total_ns - process->time_ns);
	process->time_ns = total_ns;
}

static void exits_take(void *context, const struct process_exit *exit)
{
	struct exits_round *round = context;
	struct process *process = exits_find(round, exit);
	bool leaderless = false;

	if (exit->group_ns > 0)
		exits_families_add(&round->threaded, exit->parent, exit->uid);
	if (process != NULL && !process->ended && exit->kind != PROCESS_EXIT_THREAD &&
	    process_times_lives(round->accounts->processes, process, &leaderless)) {
		/* It goes on, and counts what its first thread has used. */
		if (leaderless && exit->kind == PROCESS_EXIT_UNKNOWN)
			return;
		process = NULL;
	}
	if (process == NULL)
		process = exits_meet(round, exit);
	if (process == NULL)
		return;
	process->exited_ns = features_sum(process->exited_ns, exit->cpu_ns);
	/* The end of one that had threads is told as such. */
	if (exit->kind == PROCESS_EXIT_THREAD ||
	    (exit->kind == PROCESS_EXIT_UNKNOWN && process->threads))
		return;
	if (exit->kind == PROCESS_EXIT_PROCESS)
		process->doubt = PROCESS_DOUBT_NONE;
	exits_end(process, exit->group_ns);
}

/* Whose threads may those be of which it is not known whether they were processes? */
static void exits_settle(struct exits_round *round)
{
	struct process_times *processes = round->accounts->processes;

	if (round->doubts == 0)
		return;
	for (size_t i = 0; i < process_times_count(processes); i++) {
		struct process *process = process_times_get(processes, i);

		if (process->pid != 0 && !process->fleeting &&
		    exits_families_have(&round->doubted, process->parent, process->uid) &&
		    process_times_threads(processes, process))
			exits_families_add(&round->threaded, process->parent, process->uid);
	}
	for (size_t i = 0; i < process_times_count(processes); i++) {
		struct process *process = process_times_get(processes, i);

		if (process->pid == 0 || process->doubt != PROCESS_DOUBT_ANY ||
		    !exits_families_have(&round->threaded, process->parent, process->uid))
			continue;
		process->growth_ns = 0;
		process->told = false;
		process->unit = UNIT_MORE;
	}
}

void accounts_take_exits(struct accounts *accounts)
{
	struct exits_round round = {.accounts = accounts,
				    .before_ns = process_times_before_ns(accounts->processes),
				    .suspended_ns = clock_suspended_ns(accounts->clock)};
	uint64_t begin_ns = clock_now_mono(accounts->clock).ns;

	if (accounts->exits == NULL)
		return;
	/* What was left behind is of this round's time, too. */
	if (process_exits_drain(accounts->exits, exits_take, &round))
		accounts->exits_since_ns = begin_ns;
	exits_settle(&round);
}
