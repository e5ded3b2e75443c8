#include "guest/process_exits.h"
#include "common/cleanup.h"
#include "common/features.h"
#include "common/file.h"

#include <assert.h>
#include <errno.h>
#include <linux/acct.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <linux/taskstats.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A message is some 600 bytes and takes about twice as much of the socket's room: so much holds
 * some 6,000 processes that end between two ticks. */
#define PROCESS_EXITS_ROOM	   (8 << 20)

#define PROCESS_EXITS_MESSAGE_SIZE 8192

/* ac_tgid and AGROUP came with it: Linux 5.20 was called 6.0. */
#define PROCESS_EXITS_GROUP_VERSION 12

/* At most so many in one go: whoever ends processes faster than they can be read gets no tick. */
#define PROCESS_EXITS_DRAIN_MAX 100000

struct process_exits {
	int fd;
	uint16_t family;
	uint64_t ended;
	uint64_t lost;
};

/* Netlink pads everything to 4 bytes; its heads are multiples of that. */
#define ATTRIBUTE_HEAD		sizeof(struct nlattr)
#define ATTRIBUTE_ALIGN(length) (((length) + 3) & ~(size_t)3)
#define MESSAGE_HEAD		sizeof(struct nlmsghdr)
#define GENERIC_HEAD		(MESSAGE_HEAD + sizeof(struct genlmsghdr))
static_assert(ATTRIBUTE_HEAD % 4 == 0 && MESSAGE_HEAD % 4 == 0 && GENERIC_HEAD % 4 == 0,
	      "nothing is padded");

/* What one aggregate of a message tells: of which task or group, and what. */
struct process_exits_stats {
	uint32_t id;
	struct taskstats stats;
};

/* A request with one attribute. */
struct process_exits_request {
	struct nlmsghdr header;
	struct genlmsghdr generic;
	struct nlattr attribute;
	char value[512];
};

/* The value of the first attribute of that type, of at least `size` bytes, or NULL. */
static const char *process_exits_find(const char *attributes, size_t length, uint16_t type,
				      size_t size, size_t *ret_size)
{
	while (length >= sizeof(struct nlattr)) {
		struct nlattr attribute;
		size_t aligned;

		memcpy(&attribute, attributes, sizeof(attribute));
		if (attribute.nla_len < ATTRIBUTE_HEAD || attribute.nla_len > length)
			return NULL;
		if ((attribute.nla_type & NLA_TYPE_MASK) == type) {
			*ret_size = (size_t)attribute.nla_len - ATTRIBUTE_HEAD;
			return *ret_size >= size ? attributes + ATTRIBUTE_HEAD : NULL;
		}
		aligned = ATTRIBUTE_ALIGN((size_t)attribute.nla_len);
		if (aligned >= length)
			return NULL;
		attributes += aligned;
		length -= aligned;
	}
	return NULL;
}

/* The attributes of a generic netlink message, or NULL. */
static const char *process_exits_attributes(const void *message, size_t size, size_t *ret_size)
{
	const size_t head = GENERIC_HEAD;
	struct nlmsghdr header;

	if (size < head)
		return NULL;
	memcpy(&header, message, sizeof(header));
	if (header.nlmsg_len < head || header.nlmsg_len > size)
		return NULL;
	*ret_size = header.nlmsg_len - head;
	return (const char *)message + head;
}

/* A structure of whatever version, out of one of the two aggregates: 0, -ENOMSG where that is not
 * there, or -EBADMSG. Older kernels tell less, newer ones more. */
static int process_exits_stats(const char *attributes, size_t length, uint16_t type, uint16_t id,
			       struct process_exits_stats *ret_stats)
{
	struct process_exits_stats stats = {.id = 0};
	size_t size, found_size;
	const char *found = process_exits_find(attributes, length, type, 0, &size);
	const char *aggregate = found;

	if (aggregate == NULL)
		return -ENOMSG;
	found = process_exits_find(aggregate, size, id, sizeof(stats.id), &found_size);
	if (found == NULL)
		return -EBADMSG;
	memcpy(&stats.id, found, sizeof(stats.id));
	found = process_exits_find(aggregate, size, TASKSTATS_TYPE_STATS,
				   offsetof(struct taskstats, ac_minflt), &found_size);
	if (found == NULL)
		return -EBADMSG;
	memcpy(&stats.stats, found,
	       found_size < sizeof(stats.stats) ? found_size : sizeof(stats.stats));
	*ret_stats = stats;
	return 0;
}

/* Nanoseconds; kernels that do not account for delays have ticks alone, in microseconds. */
static uint64_t process_exits_cpu_ns(const struct taskstats *stats)
{
	if (stats->cpu_run_virtual_total != 0)
		return stats->cpu_run_virtual_total;
	return features_scale(features_sum(stats->ac_utime, stats->ac_stime), 1000, 1);
}

/*
 * Whose task it was, and what has ended with it. Since Linux 6.0 the message says so. Before, there
 * are these signs (taskstats_exit() of kernel/taskstats.c, bacct_add_tsk() of kernel/tsacct.c):
 *   - The last task of a process that ever had several has a second aggregate, of its group.
 *   - AFORK is told of a group's first task alone, where it has not executed another program.
 */
static void process_exits_tell(const struct taskstats *task,
			       const struct process_exits_stats *group, struct process_exit *exit)
{
	exit->elapsed_ns = features_scale(task->ac_etime, 1000, 1);
	if (task->version >= PROCESS_EXITS_GROUP_VERSION && task->ac_tgid != 0) {
		exit->pid = (int32_t)task->ac_tgid;
		exit->kind =
		    (task->ac_flag & AGROUP) != 0 ? PROCESS_EXIT_PROCESS : PROCESS_EXIT_THREAD;
		exit->elapsed_ns = features_scale(task->ac_tgetime, 1000, 1);
	} else if (group != NULL) {
		exit->pid = (int32_t)group->id;
		exit->kind = PROCESS_EXIT_PROCESS;
		exit->older = group->id != task->ac_pid;
	}
	exit->leads = (uint32_t)exit->pid == task->ac_pid &&
		      (exit->kind != PROCESS_EXIT_UNKNOWN || (task->ac_flag & AFORK) != 0);
	if (group != NULL)
		exit->group_ns = group->stats.cpu_run_virtual_total;
}

int process_exits_parse(const void *message, size_t size, struct process_exit *ret_exit)
{
	struct process_exits_stats task, group;
	const char *attributes;
	size_t length;
	int status, group_status;

	attributes = process_exits_attributes(message, size, &length);
	if (attributes == NULL)
		return -EBADMSG;
	status = process_exits_stats(attributes, length, TASKSTATS_TYPE_AGGR_PID,
				     TASKSTATS_TYPE_PID, &task);
	if (status < 0)
		return status;
	group_status = process_exits_stats(attributes, length, TASKSTATS_TYPE_AGGR_TGID,
					   TASKSTATS_TYPE_TGID, &group);
	if (group_status == -EBADMSG)
		return group_status;
	if (task.stats.ac_pid == 0 || task.stats.ac_pid > INT32_MAX ||
	    task.stats.ac_ppid > INT32_MAX || task.stats.ac_tgid > INT32_MAX ||
	    (group_status == 0 && (group.id == 0 || group.id > INT32_MAX)))
		return -EBADMSG;
	*ret_exit = (struct process_exit){
	    .kind = PROCESS_EXIT_UNKNOWN,
	    .pid = (int32_t)task.stats.ac_pid,
	    .parent = (int32_t)task.stats.ac_ppid,
	    .uid = task.stats.ac_uid,
	    .cpu_ns = process_exits_cpu_ns(&task.stats),
	};
	memcpy(ret_exit->comm, task.stats.ac_comm, sizeof(ret_exit->comm) - 1);
	static_assert(sizeof(task.stats.ac_comm) == sizeof(ret_exit->comm),
		      "both are the kernel's");
	process_exits_tell(&task.stats, group_status == 0 ? &group : NULL, ret_exit);
	return 0;
}

static int process_exits_send(int fd, uint16_t type, uint8_t command, uint16_t attribute,
			      const char *value)
{
	struct process_exits_request request = {
	    .header = {.nlmsg_type = type, .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK},
	    .generic = {.cmd = command, .version = 1},
	};
	size_t size = strlen(value) + 1;
	ssize_t sent;

	static_assert(offsetof(struct process_exits_request, value) ==
			  GENERIC_HEAD + ATTRIBUTE_HEAD,
		      "there is no padding in between");
	if (size > sizeof(request.value))
		return -E2BIG;
	request.attribute.nla_type = attribute;
	request.attribute.nla_len = (uint16_t)(ATTRIBUTE_HEAD + size);
	memcpy(request.value, value, size);
	request.header.nlmsg_len =
	    (uint32_t)(offsetof(struct process_exits_request, value) + ATTRIBUTE_ALIGN(size));
	sent = send(fd, &request, request.header.nlmsg_len, 0);
	return sent < 0 ? -errno : 0;
}

/* What the kernel answers: 0, or its error; *ret_family is set where it names one. */
static int process_exits_answer(int fd, uint16_t *ret_family)
{
	char message[PROCESS_EXITS_MESSAGE_SIZE];

	for (;;) {
		ssize_t got = recv(fd, message, sizeof(message), 0);
		struct nlmsghdr header;
		const char *attributes, *value;
		size_t length;

		if (got < 0)
			return -errno;
		if ((size_t)got < sizeof(header))
			return -EBADMSG;
		memcpy(&header, message, sizeof(header));
		if (header.nlmsg_type == NLMSG_ERROR) {
			struct nlmsgerr error;

			if ((size_t)got < MESSAGE_HEAD + sizeof(error))
				return -EBADMSG;
			memcpy(&error, message + MESSAGE_HEAD, sizeof(error));
			return error.error;
		}
		attributes = process_exits_attributes(message, (size_t)got, &length);
		if (attributes == NULL)
			return -EBADMSG;
		value = process_exits_find(attributes, length, CTRL_ATTR_FAMILY_ID,
					   sizeof(*ret_family), &length);
		if (value != NULL)
			memcpy(ret_family, value, sizeof(*ret_family));
	}
}

static int process_exits_register(struct process_exits *exits, const char *cpus)
{
	int status = process_exits_send(exits->fd, GENL_ID_CTRL, CTRL_CMD_GETFAMILY,
					CTRL_ATTR_FAMILY_NAME, TASKSTATS_GENL_NAME);

	if (status == 0)
		status = process_exits_answer(exits->fd, &exits->family);
	if (status == 0 && exits->family == 0)
		status = -ENOENT;
	if (status == 0)
		status = process_exits_send(exits->fd, exits->family, TASKSTATS_CMD_GET,
					    TASKSTATS_CMD_ATTR_REGISTER_CPUMASK, cpus);
	return status == 0 ? process_exits_answer(exits->fd, &exits->family) : status;
}

static int process_exits_listen(struct process_exits *exits)
{
	const struct sockaddr_nl address = {.nl_family = AF_NETLINK};
	const struct timeval patience = {.tv_sec = 2};
	const int room = PROCESS_EXITS_ROOM;

	exits->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
	if (exits->fd < 0)
		return -errno;
	if (bind(exits->fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	/* The kernel answers at once, or never. */
	(void)setsockopt(exits->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (setsockopt(exits->fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) < 0)
		(void)setsockopt(exits->fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	return 0;
}

int process_exits_open(const struct sysroot *root, struct process_exits **ret_exits,
		       struct diag *diag)
{
	cleanup_process_exits struct process_exits *exits = calloc(1, sizeof(*exits));
	char cpus[256];
	int status;

	if (exits == NULL)
		return diag_error(diag, -ENOMEM, "out of memory");
	exits->fd = -1;
	status = file_read_line_at(sysroot_sys_fd(root), "devices/system/cpu/possible", cpus,
				   sizeof(cpus));
	if (status == 0)
		status = process_exits_listen(exits);
	if (status == 0)
		status = process_exits_register(exits, cpus);
	if (status == -EPERM)
		return diag_error(diag, status,
				  "the kernel tells of ended processes to root alone: start it as "
				  "root, with CAP_NET_ADMIN");
	if (status == -ENOENT || status == -EPROTONOSUPPORT)
		return diag_error(diag, status,
				  "this kernel does not tell of ended processes: it has no "
				  "CONFIG_TASKSTATS");
	if (status < 0)
		return diag_error(diag, status,
				  "the kernel does not tell of ended processes here, as in a "
				  "container: %s",
				  strerror(-status));
	*ret_exits = TAKE_PTR(exits);
	return 0;
}

void process_exits_close(struct process_exits *exits)
{
	if (exits == NULL)
		return;
	/* The kernel forgets a listener that is not there when it has something to tell. */
	if (exits->fd >= 0)
		(void)close(exits->fd);
	free(exits);
}

bool process_exits_drain(struct process_exits *exits,
			 void (*take)(void *context, const struct process_exit *exit),
			 void *context)
{
	char message[PROCESS_EXITS_MESSAGE_SIZE];

	for (int i = 0; i < PROCESS_EXITS_DRAIN_MAX; i++) {
		ssize_t got = recv(exits->fd, message, sizeof(message), MSG_DONTWAIT);
		struct process_exit exit;

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && errno == ENOBUFS) {
			exits->lost++;
			continue;
		}
		if (got < 0)
			return true;
		if (process_exits_parse(message, (size_t)got, &exit) < 0)
			continue;
		exits->ended++;
		take(context, &exit);
	}
	return false;
}

uint64_t process_exits_ended(const struct process_exits *exits)
{
	return exits->ended;
}

uint64_t process_exits_lost(const struct process_exits *exits)
{
	return exits->lost;
}
