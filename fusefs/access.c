#include "fusefs/access.h"
#include "common/cleanup.h"
#include "common/file.h"
#include "common/log.h"
#include "common/qemu_cmdline.h"
#include "common/thread_stat.h"
#include "fusefs/process_text.h"
#include "fusefs/virtiofsd_cmdline.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define ACCESS_PATH_SIZE   32
#define ACCESS_STATUS_SIZE 8192
#define ACCESS_CGROUP_SIZE 16384
#define ACCESS_NAME_SIZE   64
#define ACCESS_TOLD_NS	   (60 * CLOCK_NS_PER_SECOND)

/*
 * A process of a machine. Its directory in /proc is kept open: that stands for the process itself,
 * and shows nothing any more once it has ended, whoever gets its number then.
 */
struct access_known {
	int process_fd; /* -1: free */
	struct uuid machine;
	uint64_t until_ns;
};

struct access {
	int proc_fd;
	struct access_users users;
	access_each *each;
	void *context;
	uint64_t told_ns; /* when it was logged that a QEMU of another user is not believed */
	size_t next;	  /* the entry of `known` to give away */
	struct access_known known[ACCESS_KNOWN_MAX];
	char text[QEMU_CMDLINE_SIZE_MAX]; /* scratch */
};

int access_create(int proc_fd, const struct access_users *users, access_each *each, void *context,
		  struct access **ret_access)
{
	struct access *access = calloc(1, sizeof(*access));

	if (access == NULL)
		return -ENOMEM;
	access->proc_fd = proc_fd;
	access->users = *users;
	access->each = each;
	access->context = context;
	for (size_t i = 0; i < ACCESS_KNOWN_MAX; i++)
		access->known[i].process_fd = -1;
	*ret_access = access;
	return 0;
}

void access_destroy(struct access *access)
{
	if (access == NULL)
		return;
	for (size_t i = 0; i < ACCESS_KNOWN_MAX; i++)
		if (access->known[i].process_fd >= 0)
			(void)close(access->known[i].process_fd);
	free(access);
}

/* --- what /proc says of one process --- */

static int access_read(const struct access *access, int32_t id, const char *name, char *text,
		       size_t size, size_t *ret_length)
{
	char path[ACCESS_PATH_SIZE];
	int status;

	(void)snprintf(path, sizeof(path), "%" PRId32 "/%s", id, name);
	status = file_read_at(access->proc_fd, path, text, size, ret_length);
	/* Who cannot be told is refused: not for a want of memory or descriptors that may pass. */
	if (status < 0 && status != -ENOENT && status != -ESRCH && status != -EACCES)
		status = file_read_at(access->proc_fd, path, text, size, ret_length);
	return status;
}

static int access_status(const struct access *access, int32_t thread,
			 struct process_status *ret_status)
{
	char text[ACCESS_STATUS_SIZE];
	size_t length;
	int status = access_read(access, thread, "status", text, sizeof(text), &length);

	return status < 0 ? status : process_status_parse(text, ret_status);
}

bool access_sees(int proc_fd, pid_t other)
{
	struct access access = {.proc_fd = proc_fd};
	struct process_status status;

	return access_status(&access, other, &status) == 0;
}

/* The machine's cgroup that the process lies in; false: in none. */
static bool access_cgroup(const struct access *access, int32_t process,
			  char ret_machine[static PROCESS_MACHINE_SIZE])
{
	char text[ACCESS_CGROUP_SIZE];
	size_t length;

	return access_read(access, process, "cgroup", text, sizeof(text), &length) == 0 &&
	       process_machine_parse(text, ret_machine);
}

/*
 * Whether the ledger's process is still that one. At `updated_ns` the number was that of the
 * machine's QEMU, and a number is one process's at a time: what had started by then, and has it
 * now, is it. The start is told in whole ticks, so it counts as one later.
 */
static bool access_is_alive(const struct access *access, const struct ledger_process *process)
{
	char text[THREAD_STAT_SIZE];
	struct thread_stat stat;
	size_t length;

	if (access_read(access, process->pid, "stat", text, sizeof(text), &length) < 0 ||
	    thread_stat_parse(text, &stat) < 0)
		return false;
	return thread_ticks_to_ns(stat.start_ticks + 1) <= process->updated_ns;
}

/* --- whose it is --- */

enum access_program {
	ACCESS_OTHER_PROGRAM,
	ACCESS_QEMU,
	ACCESS_VIRTIOFSD,
};

static enum access_program access_program_of(const char *name)
{
	if (qemu_cmdline_is_qemu(name))
		return ACCESS_QEMU;
	if (virtiofsd_cmdline_is_virtiofsd(name))
		return ACCESS_VIRTIOFSD;
	return ACCESS_OTHER_PROGRAM;
}

/*
 * What program it is, by its name or by what it was called when it started: QEMU may give itself
 * another name (-name process=). The command line is in access->text then; *ret_length is 0 where
 * there is none.
 */
static enum access_program access_program(struct access *access, int32_t process,
					  size_t *ret_length)
{
	char comm[ACCESS_NAME_SIZE] = "";
	enum access_program program;
	const char *slash;
	size_t length;

	if (access_read(access, process, "comm", comm, sizeof(comm), &length) == 0)
		comm[strcspn(comm, "\n")] = '\0';
	if (access_read(access, process, "cmdline", access->text, sizeof(access->text),
			ret_length) < 0)
		*ret_length = 0;
	access->text[*ret_length] = '\0';
	program = access_program_of(comm);
	if (program != ACCESS_OTHER_PROGRAM)
		return program;
	slash = strrchr(access->text, '/');
	return access_program_of(slash != NULL ? slash + 1 : access->text);
}

static bool access_of_ledger(const struct access *access, int32_t process, struct mono_time now,
			     struct uuid *ret_uuid)
{
	struct ledger_process each;

	for (size_t cursor = 0; access->each(access->context, now, &cursor, &each);) {
		if (each.pid != process || !access_is_alive(access, &each))
			continue;
		*ret_uuid = each.uuid;
		return true;
	}
	return false;
}

/* The cgroup that the machine's QEMU lies in; false: it is in none, or not known to run. */
static bool access_machine_cgroup(const struct access *access, const struct ledger_process *machine,
				  char ret_machine[static PROCESS_MACHINE_SIZE])
{
	return access_is_alive(access, machine) && access_cgroup(access, machine->pid, ret_machine);
}

/*
 * Whether a virtiofsd that shares this machine's tree lies in the cgroup of another. libvirt puts
 * it beside the QEMU that it serves soon after its start; before that, and where somebody else has
 * started it, there is nothing to compare.
 */
static bool access_is_misplaced(const struct access *access, int32_t process,
				const struct uuid *machine, struct mono_time now)
{
	char own[PROCESS_MACHINE_SIZE], other[PROCESS_MACHINE_SIZE];
	struct ledger_process each;

	if (!access_cgroup(access, process, own))
		return false;
	for (size_t cursor = 0; access->each(access->context, now, &cursor, &each);)
		if (uuid_equal(&each.uuid, machine) && access_machine_cgroup(access, &each, other))
			return strcmp(own, other) != 0;
	/* That machine is off, so far as is known: is it one of those that run? */
	for (size_t cursor = 0; access->each(access->context, now, &cursor, &each);)
		if (access_machine_cgroup(access, &each, other) && strcmp(own, other) == 0)
			return true;
	return false;
}

/* A process that is no machine's. */
static enum access_verdict access_outsider(struct access_caller caller)
{
	return caller.user == 0 ? ACCESS_ROOT : ACCESS_DENIED;
}

/* Most likely a machine that runs under a user of its own, whose readers are refused now. */
static void access_tell_disbelief(struct access *access, int32_t process, uid_t user,
				  struct mono_time now)
{
	if (access->told_ns != 0 && now.ns - access->told_ns < ACCESS_TOLD_NS)
		return;
	access->told_ns = now.ns;
	log_warning("process %" PRId32 " is called QEMU or virtiofsd, but machines do not run "
		    "under user %ju: it is not believed (vms.users)",
		    process, (uintmax_t)user);
}

/* ACCESS_OWN: it is of *ret_machine, which is written then alone. */
static enum access_verdict access_identify(struct access *access, struct access_caller caller,
					   struct mono_time now, int32_t *ret_process,
					   struct uuid *ret_machine)
{
	struct process_status status;
	enum access_program program;
	size_t length;
	int found;

	if (caller.thread <= 0)
		return access_outsider(caller);
	if (access_status(access, caller.thread, &status) < 0)
		return ACCESS_FOREIGN;
	program = access_program(access, status.process, &length);
	if (program == ACCESS_OTHER_PROGRAM)
		return access_outsider(caller);
	if (!access_users_have(&access->users, status.user)) {
		access_tell_disbelief(access, status.process, status.user, now);
		return access_outsider(caller);
	}
	if (program == ACCESS_VIRTIOFSD) {
		found = virtiofsd_cmdline_identify(access->text, length, ret_machine);
		if (found == 0 && access_is_misplaced(access, status.process, ret_machine, now))
			found = -ENODATA;
	} else if (access_of_ledger(access, status.process, now, ret_machine)) {
		found = 0;
	} else {
		found = qemu_cmdline_identify(access->text, length, ret_machine);
	}
	*ret_process = status.process;
	return found == 0 ? ACCESS_OWN : ACCESS_FOREIGN;
}

/* --- what was found out a moment ago --- */

static bool access_remembers(const struct access *access, pid_t thread, const struct uuid *machine,
			     struct mono_time now)
{
	char path[ACCESS_PATH_SIZE];
	struct stat stat;

	(void)snprintf(path, sizeof(path), "task/%" PRIdMAX, (intmax_t)thread);
	for (size_t i = 0; i < ACCESS_KNOWN_MAX; i++) {
		const struct access_known *known = &access->known[i];

		if (known->process_fd >= 0 && uuid_equal(&known->machine, machine) &&
		    now.ns < known->until_ns && fstatat(known->process_fd, path, &stat, 0) == 0)
			return true;
	}
	return false;
}

/* A machine has its QEMU and mostly one virtiofsd: what is given away is another's, or old. */
static void access_remember(struct access *access, int32_t process, const struct uuid *machine,
			    struct mono_time now)
{
	struct access_known *known = &access->known[access->next];
	char path[ACCESS_PATH_SIZE];
	int fd;

	(void)snprintf(path, sizeof(path), "%" PRId32, process);
	fd = openat(access->proc_fd, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return;
	access->next = (access->next + 1) % ACCESS_KNOWN_MAX;
	if (known->process_fd >= 0)
		(void)close(known->process_fd);
	*known = (struct access_known){
	    .process_fd = fd, .machine = *machine, .until_ns = now.ns + ACCESS_KNOWN_NS};
}

enum access_verdict access_ask(struct access *access, struct access_caller caller,
			       const struct uuid *machine, struct mono_time now)
{
	enum access_verdict verdict;
	struct uuid own;
	int32_t process;

	if (machine != NULL && caller.thread > 0 &&
	    access_remembers(access, caller.thread, machine, now))
		return ACCESS_OWN;
	verdict = access_identify(access, caller, now, &process, &own);
	if (verdict != ACCESS_OWN)
		return verdict;
	if (machine == NULL || !uuid_equal(&own, machine))
		return ACCESS_FOREIGN;
	access_remember(access, process, machine, now);
	return ACCESS_OWN;
}
