/* access.h: decisions, against a /proc and a ledger of the test's own making. */
#include "tests/unit/check.h"
#include "tests/unit/tree.h"

#include "common/cleanup.h"
#include "common/thread_stat.h"
#include "fusefs/access.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define VM	 "11111111-2222-3333-4444-555555555555"
#define OTHER	 "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"
#define STOPPED	 "99999999-0000-4000-8000-000000000001"
#define QEMU	 "/usr/bin/qemu-system-x86_64 -name guest=x,debug-threads=on -S -machine pc-q35-7.2 "
#define SHARE	 "/usr/lib/qemu/virtiofsd --fd=31 -o source=/run/wattport/vm/"
#define SCOPE(n) "0::/machine.slice/machine-qemu\\x2d" n "\\x2dx.scope/libvirt/emulator\n"
#define LIBVIRT	 64055
#define START	 500 /* ticks */

struct fixture {
	const struct tree *tree; /* one for all tests */
	int proc_fd;
	struct access *access;
	struct ledger_process processes[4];
	size_t process_count;
	struct mono_time now;
};

/* A process of one thread beside its first: TID = PID + 1. */
struct process {
	pid_t pid;
	const char *comm;
	const char *cmdline; /* words with spaces between them */
	uid_t user;
	const char *cgroup; /* NULL: the root's */
};

static const struct process processes[] = {
    /* As libvirt starts them, and known to the ledger. */
    {100, "qemu-system-x86", QEMU "-uuid " VM " -smp 2", LIBVIRT, SCOPE("1")},
    {200, "qemu-system-x86", QEMU "-uuid " OTHER " -m lots", 0, SCOPE("2")},
    {300, "virtiofsd", SHARE VM ",cache=none", 0, SCOPE("1")},
    {310, "virtiofsd", SHARE OTHER ",cache=none", 0, SCOPE("2")},
    /* An operator's mistake, and a clone of a machine that is off. */
    {320, "virtiofsd", SHARE VM ",cache=none", 0, SCOPE("2")},
    {330, "virtiofsd", SHARE STOPPED, 0, SCOPE("2")},
    /* Beside no QEMU that is known. */
    {340, "virtiofsd", SHARE STOPPED, 0, SCOPE("3")},
    {350, "virtiofsd", "/usr/libexec/virtiofsd --fd=3 --shared-dir /run/wattport/vm/" VM, 0, NULL},
    {360, "virtiofsd", "virtiofsd --shared-dir /run/wattport/vm", 0, NULL},
    {370, "virtiofsd", "virtiofsd --shared-dir /", 0, SCOPE("1")},
    /* Just starting: not in the ledger. */
    {400, "qemu-system-x86", QEMU "-uuid " STOPPED, LIBVIRT, NULL},
    {410, "kvm", "/usr/bin/kvm -id 7 -smbios type=1,uuid=" STOPPED, 0, NULL},
    {420, "qemu-system-x86", QEMU "-machine none", LIBVIRT, NULL},
    {430, "guest-x", QEMU "-uuid " STOPPED " -name process=guest-x", 0, NULL},
    {440, "qemu-system-x86", "", 0, NULL}, /* its first thread has ended */
    /* The ledger's, but its command line says something else by now. */
    {500, "qemu-system-x86", QEMU "-uuid " VM, LIBVIRT, NULL},
    /* What anybody may write. */
    {600, "qemu-system-x86", QEMU "-uuid " VM, 1000, NULL},
    {610, "virtiofsd", SHARE VM, 1000, NULL},
    /* Of no machine. */
    {700, "cat", "cat /run/wattport/vm/x", 0, NULL},
    {710, "cat", "cat", 1000, NULL},
    {720, "libvirtd", "/usr/sbin/libvirtd", 0, NULL},
    {730, "nfsd", "", 0, NULL},
    {740, "cat", "cat", LIBVIRT, NULL},
};

static void write_words(const struct tree *tree, const char *path, const char *words)
{
	int fd;

	tree_write(tree, path, "%s", "");
	fd = openat(tree->fd, path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	for (const char *word = words; *word != '\0';) {
		size_t length = strcspn(word, " ");

		assert_int_equal(write(fd, word, length), length);
		assert_int_equal(write(fd, "", 1), 1);
		word += length;
		word += *word == ' ';
	}
	assert_int_equal(close(fd), 0);
}

static void write_process(const struct tree *tree, const struct process *process)
{
	char path[64];

	for (int i = 0; i < 2; i++) {
		(void)snprintf(path, sizeof(path), "proc/%d/status", process->pid + i);
		tree_write(tree, path,
			   "Name:\tworker\nTgid:\t%d\nPid:\t%d\nUid:\t%u\t998\t0\t998\n",
			   process->pid, process->pid + i, process->user);
		(void)snprintf(path, sizeof(path), "proc/%d/task/%d/comm", process->pid,
			       process->pid + i);
		tree_write(tree, path, "worker\n");
	}
	(void)snprintf(path, sizeof(path), "proc/%d/comm", process->pid);
	tree_write(tree, path, "%s\n", process->comm);
	(void)snprintf(path, sizeof(path), "proc/%d/cgroup", process->pid);
	tree_write(tree, path, "%s", process->cgroup != NULL ? process->cgroup : "0::/\n");
	(void)snprintf(path, sizeof(path), "proc/%d/stat", process->pid);
	tree_write(
	    tree, path,
	    "%d (x) S 1 1 1 0 -1 0 0 0 0 0 1 1 0 0 20 0 13 0 %d 5 4 3 1 1 0 0 0 0 0 4096 1 0 "
	    "0 0 17 5 0 0 0 0 0 0\n",
	    process->pid, START);
	(void)snprintf(path, sizeof(path), "proc/%d/cmdline", process->pid);
	write_words(tree, path, process->cmdline);
}

static struct uuid uuid_of(const char *text)
{
	struct uuid uuid;

	assert_int_equal(uuid_parse(text, &uuid), 0);
	return uuid;
}

static bool each(void *context, struct mono_time now, size_t *cursor,
		 struct ledger_process *ret_process)
{
	struct fixture *fixture = context;

	assert_int_equal(now.ns, fixture->now.ns);
	if (*cursor == fixture->process_count)
		return false;
	*ret_process = fixture->processes[(*cursor)++];
	return true;
}

static void in_ledger(struct fixture *fixture, const char *uuid, int32_t pid, uint64_t updated_ns)
{
	fixture->processes[fixture->process_count++] =
	    (struct ledger_process){.uuid = uuid_of(uuid), .pid = pid, .updated_ns = updated_ns};
}

static int make_tree(void **state)
{
	static struct tree tree;

	tree_create(&tree);
	for (size_t i = 0; i < CHECK_COUNT(processes); i++)
		write_process(&tree, &processes[i]);
	*state = &tree;
	return 0;
}

static int remove_tree(void **state)
{
	tree_remove(*state);
	return 0;
}

static int setup(void **state)
{
	static const struct access_users users = {.count = 1, .users = {LIBVIRT}};
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	assert_non_null(fixture);
	fixture->tree = *state;
	fixture->proc_fd = openat(fixture->tree->fd, "proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fixture->now.ns = thread_ticks_to_ns(START) + 10 * CLOCK_NS_PER_SECOND;
	in_ledger(fixture, VM, 100, fixture->now.ns);
	in_ledger(fixture, OTHER, 200, fixture->now.ns);
	assert_int_equal(access_create(fixture->proc_fd, &users, each, fixture, &fixture->access),
			 0);
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	access_destroy(fixture->access);
	(void)close(fixture->proc_fd);
	free(fixture);
	return 0;
}

static enum access_verdict ask(struct fixture *fixture, uid_t user, pid_t thread,
			       const char *machine)
{
	struct uuid uuid;

	if (machine != NULL)
		uuid = uuid_of(machine);
	return access_ask(fixture->access, (struct access_caller){.user = user, .thread = thread},
			  machine != NULL ? &uuid : NULL, fixture->now);
}

static void test_table(void **state)
{
	static const struct {
		pid_t thread;
		uid_t user; /* as FUSE says it */
		const char *own;
		enum access_verdict others;
	} cases[] = {
	    {100, LIBVIRT, VM, ACCESS_FOREIGN},
	    {101, LIBVIRT, VM, ACCESS_FOREIGN},
	    {101, 0, VM, ACCESS_FOREIGN},
	    {200, 0, OTHER, ACCESS_FOREIGN},
	    {201, 0, OTHER, ACCESS_FOREIGN},
	    {300, 0, VM, ACCESS_FOREIGN},
	    /* For whom virtiofsd asks is of no account. */
	    {301, 998, VM, ACCESS_FOREIGN},
	    {311, 998, OTHER, ACCESS_FOREIGN},
	    {321, 0, NULL, ACCESS_FOREIGN},
	    {331, 0, NULL, ACCESS_FOREIGN},
	    {341, 0, STOPPED, ACCESS_FOREIGN},
	    {351, 998, VM, ACCESS_FOREIGN},
	    {361, 0, NULL, ACCESS_FOREIGN},
	    {371, 0, NULL, ACCESS_FOREIGN},
	    {401, LIBVIRT, STOPPED, ACCESS_FOREIGN},
	    {411, 0, STOPPED, ACCESS_FOREIGN},
	    {421, LIBVIRT, NULL, ACCESS_FOREIGN},
	    {431, 0, STOPPED, ACCESS_FOREIGN},
	    {441, 0, NULL, ACCESS_FOREIGN},
	    /* Nobody believes these; they are users like others, and root if they have become it.
	     */
	    {601, 1000, NULL, ACCESS_DENIED},
	    {611, 1000, NULL, ACCESS_DENIED},
	    {601, 0, NULL, ACCESS_ROOT},
	    {701, 0, NULL, ACCESS_ROOT},
	    {701, 1, NULL, ACCESS_DENIED},
	    {711, 1000, NULL, ACCESS_DENIED},
	    {721, 0, NULL, ACCESS_ROOT},
	    {731, 0, NULL, ACCESS_ROOT},
	    {731, 998, NULL, ACCESS_DENIED},
	    {741, LIBVIRT, NULL, ACCESS_DENIED},
	    /* Outside our namespace; not to be seen. */
	    {0, 0, NULL, ACCESS_ROOT},
	    {0, LIBVIRT, NULL, ACCESS_DENIED},
	    {4711, 0, NULL, ACCESS_FOREIGN},
	    {4711, LIBVIRT, NULL, ACCESS_FOREIGN},
	};
	static const char *const machines[] = {VM, OTHER, STOPPED, NULL};
	struct fixture *fixture = *state;

	/* Twice: what was found out a moment ago changes nothing. */
	for (size_t i = 0; i < 2 * CHECK_COUNT(cases); i++) {
		size_t k = i % CHECK_COUNT(cases);

		for (size_t j = 0; j < CHECK_COUNT(machines); j++) {
			const char *own = cases[k].own;
			bool is_own =
			    machines[j] != NULL && own != NULL && strcmp(machines[j], own) == 0;
			enum access_verdict verdict =
			    ask(fixture, cases[k].user, cases[k].thread, machines[j]);

			if (verdict != (is_own ? ACCESS_OWN : cases[k].others))
				fail_msg("thread %d, user %u, %s: %d", cases[k].thread,
					 cases[k].user, machines[j] != NULL ? machines[j] : "all",
					 (int)verdict);
		}
	}
}

/* A QEMU that was taken over may write what it likes where its command line stands. */
static void test_ledger_comes_first(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(ask(fixture, LIBVIRT, 501, VM), ACCESS_OWN);
	in_ledger(fixture, STOPPED, 500, fixture->now.ns);
	fixture->now.ns += ACCESS_KNOWN_NS;
	assert_int_equal(ask(fixture, LIBVIRT, 501, VM), ACCESS_FOREIGN);
	assert_int_equal(ask(fixture, LIBVIRT, 501, STOPPED), ACCESS_OWN);
}

/* The number of a process that has ended, and went to another before the next sample. */
static void test_numbers_are_used_again(void **state)
{
	struct fixture *fixture = *state;
	uint64_t start_ns = thread_ticks_to_ns(START);

	in_ledger(fixture, OTHER, 400, start_ns - 1);
	assert_int_equal(ask(fixture, LIBVIRT, 401, OTHER), ACCESS_FOREIGN);
	assert_int_equal(ask(fixture, LIBVIRT, 401, STOPPED), ACCESS_OWN);
	/* Within the tick in which it started nobody can tell. */
	fixture->processes[2].updated_ns = start_ns;
	assert_int_equal(ask(fixture, LIBVIRT, 401, OTHER), ACCESS_FOREIGN);
	fixture->processes[2].updated_ns = thread_ticks_to_ns(START + 1);
	assert_int_equal(ask(fixture, LIBVIRT, 401, OTHER), ACCESS_OWN);
	/* What stands in the ledger of one that has ended says nothing about cgroups either. */
	fixture->processes[0].updated_ns = start_ns - 1;
	assert_int_equal(ask(fixture, 0, 321, OTHER), ACCESS_FOREIGN);
	fixture->processes[1].updated_ns = start_ns - 1;
	assert_int_equal(ask(fixture, 0, 321, VM), ACCESS_OWN);
}

/* What was found out is the process's, not its number's, and only for a moment. */
static void test_what_is_remembered(void **state)
{
	const struct process *former = &processes[2];
	static const struct process heir = {300, "virtiofsd", SHARE OTHER, 0, NULL};
	struct fixture *fixture = *state;

	assert_int_equal(ask(fixture, 0, 301, VM), ACCESS_OWN);
	/* It is not read again: what it is called now changes nothing for a second. */
	tree_write(fixture->tree, "proc/300/cgroup", "%s", SCOPE("2"));
	assert_int_equal(ask(fixture, 0, 301, VM), ACCESS_OWN);
	fixture->now.ns += ACCESS_KNOWN_NS;
	assert_int_equal(ask(fixture, 0, 301, VM), ACCESS_FOREIGN);
	tree_write(fixture->tree, "proc/300/cgroup", "%s", SCOPE("1"));
	assert_int_equal(ask(fixture, 0, 301, VM), ACCESS_OWN);
	/* Another process under the same number, at the same instant. */
	tree_delete(fixture->tree, "proc/300");
	write_process(fixture->tree, &heir);
	assert_int_equal(ask(fixture, 0, 301, VM), ACCESS_FOREIGN);
	assert_int_equal(ask(fixture, 0, 301, OTHER), ACCESS_OWN);
	tree_delete(fixture->tree, "proc/300");
	write_process(fixture->tree, former);
}

/* More than is remembered: what is given away for it is asked for again, and told right. */
static void test_more_than_is_remembered(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(ask(fixture, 0, 351, VM), ACCESS_OWN);
	for (int i = 0; i < ACCESS_KNOWN_MAX; i++) {
		fixture->now.ns += ACCESS_KNOWN_NS;
		assert_int_equal(ask(fixture, 0, 311, OTHER), ACCESS_OWN);
	}
	assert_int_equal(ask(fixture, 0, 351, VM), ACCESS_OWN);
	assert_int_equal(ask(fixture, 0, 350, VM), ACCESS_OWN);
	assert_int_equal(ask(fixture, 0, 311, VM), ACCESS_FOREIGN);
}

static void test_sight(void **state)
{
	struct fixture *fixture = *state;

	assert_true(access_sees(fixture->proc_fd, 100));
	assert_false(access_sees(fixture->proc_fd, 4711));
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    CASE(test_table),
	    CASE(test_ledger_comes_first),
	    CASE(test_numbers_are_used_again),
	    CASE(test_what_is_remembered),
	    CASE(test_more_than_is_remembered),
	    CASE(test_sight),
	};

	return cmocka_run_group_tests(tests, make_tree, remove_tree);
}
