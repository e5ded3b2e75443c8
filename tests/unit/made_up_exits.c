#include "tests/unit/made_up_exits.h"
#include "guest/process_exits.h"
#include "tests/unit/check.h"

#include <linux/acct.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <linux/taskstats.h>
#include <string.h>

/* How long the structure was in which version; a later one's is longer than what is known here. */
static size_t stats_size(unsigned int version)
{
	switch (version) {
	case 8:
		return offsetof(struct taskstats, thrashing_count);
	case 9:
		return offsetof(struct taskstats, ac_btime64);
	case 10:
		return offsetof(struct taskstats, compact_count);
	case 11:
		return offsetof(struct taskstats, ac_tgid);
	case 12:
		return offsetof(struct taskstats, wpcopy_count);
	case 13:
		return sizeof(struct taskstats);
	default:
		return sizeof(struct taskstats) + 64;
	}
}

static size_t put(unsigned char *message, size_t at, const void *data, size_t size)
{
	assert_true(at + size <= MADE_UP_EXIT_SIZE);
	memcpy(message + at, data, size);
	return at + size;
}

/* As mk_reply() of kernel/taskstats.c: an aggregate with a number and a structure. */
static size_t put_aggregate(unsigned char *message, size_t at, const uint16_t types[2],
			    const uint32_t *id, const struct taskstats *stats, size_t size)
{
	static const unsigned char more[64] = {0xff};
	const size_t known = size < sizeof(*stats) ? size : sizeof(*stats);
	const struct nlattr aggregate = {
	    .nla_type = types[0],
	    .nla_len = (uint16_t)(3 * sizeof(struct nlattr) + sizeof(*id) + size)};
	const struct nlattr number = {.nla_type = types[1],
				      .nla_len = sizeof(struct nlattr) + sizeof(*id)};
	const struct nlattr body = {.nla_type = TASKSTATS_TYPE_STATS,
				    .nla_len = (uint16_t)(sizeof(struct nlattr) + size)};

	at = put(message, at, &aggregate, sizeof(aggregate));
	at = put(message, at, &number, sizeof(number));
	at = put(message, at, id, sizeof(*id));
	at = put(message, at, &body, sizeof(body));
	at = put(message, at, stats, known);
	return put(message, at, more, size - known);
}

size_t made_up_exit_write(const struct made_up_exit *exit, unsigned char message[MADE_UP_EXIT_SIZE])
{
	static const uint16_t task_types[] = {TASKSTATS_TYPE_AGGR_PID, TASKSTATS_TYPE_PID};
	static const uint16_t group_types[] = {TASKSTATS_TYPE_AGGR_TGID, TASKSTATS_TYPE_TGID};
	const bool tells = exit->version >= 12;
	const struct taskstats stats = {
	    .version = (uint16_t)exit->version,
	    .ac_pid = exit->task,
	    .ac_ppid = exit->parent,
	    .ac_tgid = exit->group,
	    .ac_uid = exit->uid,
	    .ac_comm = "task",
	    .ac_flag = (uint8_t)((exit->last && tells ? AGROUP : 0) |
				 (exit->forked && exit->task == exit->group ? AFORK : 0)),
	    .ac_etime = exit->elapsed_ns / 1000,
	    .ac_tgetime = exit->group_elapsed_ns / 1000,
	    .cpu_run_virtual_total = exit->cpu_ns,
	};
	/* Nothing else of it is filled in, not even its version. */
	const struct taskstats group = {.cpu_run_virtual_total = exit->group_ns};
	const struct genlmsghdr generic = {.cmd = TASKSTATS_CMD_NEW};
	struct nlmsghdr header = {.nlmsg_type = 31};
	size_t at = sizeof(header);

	at = put(message, at, &generic, sizeof(generic));
	at = put_aggregate(message, at, task_types, &exit->task, &stats, stats_size(exit->version));
	if (exit->group_ns > 0)
		at = put_aggregate(message, at, group_types, &exit->group, &group,
				   stats_size(exit->version));
	header.nlmsg_len = (uint32_t)at;
	memcpy(message, &header, sizeof(header));
	return at;
}

/* The one listener that a test has. */
static struct {
	size_t count;
	struct made_up_exit exits[MADE_UP_EXIT_MAX];
} waiting;

void made_up_exits_tell(const struct made_up_exit *exit)
{
	assert_true(waiting.count < MADE_UP_EXIT_MAX);
	waiting.exits[waiting.count++] = *exit;
}

int __wrap_process_exits_open(const struct sysroot *root, struct process_exits **ret_exits,
			      struct diag *diag);
void __wrap_process_exits_close(struct process_exits *exits);
bool __wrap_process_exits_drain(struct process_exits *exits,
				void (*take)(void *context, const struct process_exit *exit),
				void *context);
uint64_t __wrap_process_exits_ended(const struct process_exits *exits);
uint64_t __wrap_process_exits_lost(const struct process_exits *exits);

int __wrap_process_exits_open(const struct sysroot *root, struct process_exits **ret_exits,
			      struct diag *diag)
{
	(void)root;
	(void)diag;
	waiting.count = 0;
	/* Nobody looks into it. */
	*ret_exits = (struct process_exits *)&waiting;
	return 0;
}

void __wrap_process_exits_close(struct process_exits *exits)
{
	(void)exits;
}

bool __wrap_process_exits_drain(struct process_exits *exits,
				void (*take)(void *context, const struct process_exit *exit),
				void *context)
{
	(void)exits;
	for (size_t i = 0; i < waiting.count; i++) {
		unsigned char message[MADE_UP_EXIT_SIZE];
		size_t size = made_up_exit_write(&waiting.exits[i], message);
		struct process_exit exit;

		assert_int_equal(process_exits_parse(message, size, &exit), 0);
		take(context, &exit);
	}
	waiting.count = 0;
	return true;
}

uint64_t __wrap_process_exits_ended(const struct process_exits *exits)
{
	(void)exits;
	return 0;
}

uint64_t __wrap_process_exits_lost(const struct process_exits *exits)
{
	(void)exits;
	return 0;
}
