#include "common/thread_stat.h"
#include "common/clock.h"
#include "common/parse.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

/* Fields of proc_pid_stat(5), which counts from 1; the third follows the name. */
#define THREAD_STAT_STATE     3
#define THREAD_STAT_PARENT    4
#define THREAD_STAT_UTIME     14
#define THREAD_STAT_STIME     15
#define THREAD_STAT_CUTIME    16
#define THREAD_STAT_CSTIME    17
#define THREAD_STAT_THREADS   20
#define THREAD_STAT_STARTTIME 22
#define THREAD_STAT_RSS	      24
#define THREAD_STAT_PROCESSOR 39

/* Moves behind one field, which may be negative or a letter. */
static const char *thread_stat_skip(const char *cursor)
{
	cursor += strspn(cursor, " ");
	return cursor + strcspn(cursor, " \n");
}

int thread_stat_parse(const char *text, struct thread_stat *ret_stat)
{
	/* The name may hold ") R 1", so what counts is the last parenthesis. */
	const char *cursor = strrchr(text, ')');
	uint64_t parent = 0, utime = 0, stime = 0, cutime = 0, cstime = 0;
	uint64_t threads = 0, start = 0, resident = 0, processor = 0;
	const struct {
		int field;
		uint64_t *value;
	} wanted[] = {
	    {THREAD_STAT_PARENT, &parent},	 {THREAD_STAT_UTIME, &utime},
	    {THREAD_STAT_STIME, &stime},	 {THREAD_STAT_CUTIME, &cutime},
	    {THREAD_STAT_CSTIME, &cstime},	 {THREAD_STAT_THREADS, &threads},
	    {THREAD_STAT_STARTTIME, &start},	 {THREAD_STAT_RSS, &resident},
	    {THREAD_STAT_PROCESSOR, &processor},
	};
	int field = THREAD_STAT_STATE;
	char state;

	if (cursor == NULL)
		return -EINVAL;
	cursor++;
	state = cursor[strspn(cursor, " ")];
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		for (; field < wanted[i].field; field++)
			cursor = thread_stat_skip(cursor);
		if (parse_next_u64(&cursor, wanted[i].value) < 0)
			return -EINVAL;
		field++;
	}
	if (processor >= UINT32_MAX || threads > UINT32_MAX || parent > UINT32_MAX)
		return -EINVAL;
	*ret_stat = (struct thread_stat){.state = state,
					 .parent = (uint32_t)parent,
					 .start_ticks = start,
					 .resident_pages = resident,
					 .cpu = (uint32_t)processor,
					 .threads = (uint32_t)threads};
	if (__builtin_add_overflow(utime, stime, &ret_stat->time_ticks))
		ret_stat->time_ticks = UINT64_MAX;
	if (__builtin_add_overflow(cutime, cstime, &ret_stat->waited_ticks))
		ret_stat->waited_ticks = UINT64_MAX;
	return 0;
}

uint64_t thread_ticks_to_ns(uint64_t ticks)
{
	long per_second = sysconf(_SC_CLK_TCK);
	uint64_t tick_ns = CLOCK_NS_PER_SECOND / (uint64_t)(per_second > 0 ? per_second : 100);
	uint64_t time_ns;

	return __builtin_mul_overflow(ticks, tick_ns, &time_ns) ? UINT64_MAX : time_ns;
}
