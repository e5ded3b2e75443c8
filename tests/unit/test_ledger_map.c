#include "common/cleanup.h"
#include "common/ledger_map.h"
#include "common/ledger_map_internal.h"
#include "tests/unit/check.h"
#include "tests/unit/ledger_fixture.h"
#include "tests/unit/ledger_foreign.h"
#include "tests/unit/tree.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define VM_COUNT    3
#define ROUND_COUNT 2000
#define COPY_COUNT  20
#define KILL_COUNT  50

static int setup(void **state)
{
	static struct tree tree;

	tree_create(&tree);
	*state = &tree;
	return 0;
}

static int teardown(void **state)
{
	const struct tree *tree = *state;
	char small[sizeof(tree->path) + sizeof("/small")];

	/* Only there when a test about a full file system failed. */
	(void)snprintf(small, sizeof(small), "%s/small", tree->path);
	(void)umount2(small, MNT_DETACH);
	tree_remove(*state);
	return 0;
}

static struct ledger_map *open_map(int fd)
{
	struct ledger_map *map = NULL;
	struct diag diag = DIAG_INIT;

	if (ledger_map_open(fd, &map, &diag) < 0)
		fail_msg("%s", diag.text);
	CHECK_POINTER(map);
	return map;
}

static struct ledger_reader *open_reader(int fd)
{
	struct ledger_reader *reader = NULL;
	struct diag diag = DIAG_INIT;

	if (ledger_reader_open(fd, &reader, &diag) < 0)
		fail_msg("%s", diag.text);
	CHECK_POINTER(reader);
	return reader;
}

static void publish(struct ledger_map *map, struct ledger *ledger, uint64_t samples)
{
	ledger_host(ledger)->sample_count = samples;
	assert_int_equal(ledger_map_publish(map, ledger), 0);
}

static void test_shows_what_was_published(void **state)
{
	const struct tree *tree = *state;
	cleanup_ledger struct ledger *ledger = ledger_fixture_create();
	cleanup_ledger_map struct ledger_map *map = open_map(tree->fd);
	cleanup_ledger_reader struct ledger_reader *reader = open_reader(tree->fd);
	const struct uuid uuid = ledger_fixture_uuid(3), stranger = ledger_fixture_uuid(99);
	const struct uuid nil = {.bytes = {0}};
	struct ledger_copy copy, own;
	struct ledger_host host;
	struct ledger_vm vm;
	size_t slot = 0;
	uint64_t updated_ns = 0;

	assert_int_equal(ledger_reader_vm(reader, &uuid, &slot, &vm), -ENOENT);
	assert_int_equal(ledger_reader_vm(reader, &nil, &slot, &vm), -ENOENT);
	assert_int_equal(ledger_reader_copy(reader, &copy), 0);
	assert_int_equal(copy.vm_count, 0);
	ledger_copy_free(&copy);
	publish(map, ledger, 5);
	assert_int_equal(ledger_reader_vm(reader, &uuid, &slot, &vm), 0);
	assert_int_equal(slot, ledger_find(ledger, &uuid));
	assert_memory_equal(&vm, ledger_vm(ledger, slot), sizeof(vm));
	/* A wrong hint is mended. */
	slot = LEDGER_VM_MAX + 5;
	assert_int_equal(ledger_reader_vm_updated(reader, &uuid, &slot, &updated_ns), 0);
	assert_int_equal(slot, ledger_find(ledger, &uuid));
	assert_int_equal(updated_ns, LEDGER_FIXTURE_TIME_NS / 2);
	assert_int_equal(ledger_reader_vm(reader, &stranger, &slot, &vm), -ENOENT);
	assert_int_equal(ledger_reader_vm_updated(reader, &stranger, &slot, &updated_ns), -ENOENT);
	assert_int_equal(ledger_reader_host(reader, &host), 0);
	assert_memory_equal(&host, ledger_host(ledger), sizeof(host));
	assert_int_equal(ledger_reader_copy(reader, &copy), 0);
	assert_int_equal(ledger_copy_of(ledger, &own), 0);
	assert_int_equal(copy.vm_count, own.vm_count);
	assert_memory_equal(&copy.host, &own.host, sizeof(own.host));
	assert_memory_equal(copy.vms, own.vms, own.vm_count * sizeof(own.vms[0]));
	ledger_copy_free(&copy);
	ledger_copy_free(&own);
}

static void test_a_departed_account_is_no_longer_shown(void **state)
{
	const struct tree *tree = *state;
	cleanup_ledger struct ledger *ledger = ledger_fixture_create();
	cleanup_ledger_map struct ledger_map *map = open_map(tree->fd);
	cleanup_ledger_reader struct ledger_reader *reader = open_reader(tree->fd);
	const struct uuid gone = ledger_fixture_uuid(4), comes = ledger_fixture_uuid(9);
	size_t slot = 0;
	struct ledger_vm vm;

	publish(map, ledger, 1);
	assert_int_equal(ledger_reader_vm(reader, &gone, &slot, &vm), 0);
	assert_int_equal(ledger_depart(ledger, slot), 0);
	publish(map, ledger, 2);
	assert_int_equal(ledger_reader_vm(reader, &gone, &slot, &vm), -ENOENT);
	/* Its slot goes to another, and the reader's hint is now wrong. */
	assert_int_equal(ledger_admit(ledger, &comes), slot);
	publish(map, ledger, 3);
	assert_int_equal(ledger_reader_vm(reader, &gone, &slot, &vm), -ENOENT);
	assert_int_equal(ledger_reader_vm(reader, &comes, &slot, &vm), 0);
}

/* --- a reader under a writer --- */

/* One zone and some machines, all of whose figures are `tick` times something. */
static void set_all(struct ledger *ledger, uint64_t tick)
{
	struct ledger_host *host = ledger_host(ledger);

	host->sample_count = tick;
	host->zones[0].other_uj = tick;
	host->zones[0].energy_uj = tick;
	for (uint8_t i = 1; i <= VM_COUNT; i++) {
		const struct uuid uuid = ledger_fixture_uuid(i);
		struct ledger_vm *vm = ledger_vm(ledger, (size_t)ledger_admit(ledger, &uuid));

		vm->state = LEDGER_VM_RUNNING;
		vm->vcpu_ns = tick;
		vm->shares[0].part_uj[LEDGER_ACTIVE] = tick * i;
		vm->guest_psys_uj = tick; /* the last word */
		host->zones[0].energy_uj += tick * i;
	}
}

static struct ledger *ticking_ledger(void)
{
	const struct zone zone = {.id = "package-0", .die = ZONE_ANY_DIE, .range_uj = 1};
	struct ledger *ledger = NULL;
	uint32_t index;

	assert_int_equal(ledger_create(&ledger), 0);
	assert_int_equal(ledger_set_zones(ledger, &zone, 1, &index), 0);
	set_all(ledger, 1);
	return ledger;
}

static bool is_whole(const struct ledger_vm *vm)
{
	return vm->guest_psys_uj == vm->vcpu_ns &&
	       vm->shares[0].part_uj[LEDGER_ACTIVE] == vm->vcpu_ns * vm->uuid.bytes[15];
}

/* Forks a writer that publishes tick after tick until it is killed. */
static pid_t start_writer(struct ledger_map *map, uint64_t from)
{
	pid_t pid = fork();

	if (pid == 0) {
		struct ledger *ledger = ticking_ledger();

		/* Also when an assertion ends the test before it ends its writer. */
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (uint64_t tick = from;; tick++) {
			set_all(ledger, tick);
			if (ledger_map_publish(map, ledger) < 0)
				_exit(1);
		}
	}
	assert_true(pid > 0);
	return pid;
}

static void kill_writer(pid_t pid)
{
	int status;

	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
}

static void test_a_reader_under_a_writer_sees_whole_records(void **state)
{
	const struct tree *tree = *state;
	cleanup_ledger struct ledger *ledger = ticking_ledger();
	cleanup_ledger_map struct ledger_map *map = open_map(tree->fd);
	cleanup_ledger_reader struct ledger_reader *reader = open_reader(tree->fd);
	uint64_t last = 0, changes = 0;
	pid_t writer;

	assert_int_equal(ledger_map_publish(map, ledger), 0);
	writer = start_writer(map, 2);
	for (size_t round = 0; round < ROUND_COUNT || changes < 10; round++) {
		const struct uuid uuid = ledger_fixture_uuid((uint8_t)(1 + round % VM_COUNT));
		size_t slot = 0;
		struct ledger_vm vm;
		struct ledger_host host;

		assert_int_equal(ledger_reader_vm(reader, &uuid, &slot, &vm), 0);
		assert_true(uuid_equal(&vm.uuid, &uuid));
		assert_true(is_whole(&vm));
		assert_int_equal(ledger_reader_host(reader, &host), 0);
		assert_int_equal(host.zones[0].energy_uj,
				 host.sample_count * (1 + VM_COUNT * (VM_COUNT + 1) / 2));
		assert_true(host.sample_count >= last);
		changes += host.sample_count != last;
		last = host.sample_count;
		/* The writer may share this CPU. */
		if (round >= ROUND_COUNT)
			(void)sched_yield();
	}
	kill_writer(writer);
}

static void test_copies_under_a_writer_add_up(void **state)
{
	const struct tree *tree = *state;
	cleanup_ledger struct ledger *ledger = ticking_ledger();
	cleanup_ledger_map struct ledger_map *map = open_map(tree->fd);
	cleanup_ledger_reader struct ledger_reader *reader = open_reader(tree->fd);
	pid_t writer;

	assert_int_equal(ledger_map_publish(map, ledger), 0);
	writer = start_writer(map, 2);
	for (size_t round = 0; round < COPY_COUNT; round++) {
		struct ledger_copy copy;

		assert_int_equal(ledger_reader_copy(reader, &copy), 0);
		assert_int_equal(copy.vm_count, VM_COUNT);
		for (size_t i = 0; i < copy.vm_count; i++)
			assert_true(is_whole(&copy.vms[i]));
		assert_int_equal(
		    ledger_copy_conservation_error_uj(&copy.host, copy.vms, copy.vm_count, 0), 0);
		ledger_copy_free(&copy);
	}
	kill_writer(writer);
}

/* What a reader and the next writer find after a death at any instruction. */
static bool check_after_death(struct ledger_reader *reader, struct ledger_map *map,
			      uint64_t *ret_tick)
{
	cleanup_ledger struct ledger *ledger = NULL;
	struct ledger_copy copy;
	uint64_t lowest = UINT64_MAX, highest = 0;

	assert_int_equal(ledger_reader_copy(reader, &copy), 0);
	assert_int_equal(copy.vm_count, VM_COUNT);
	for (size_t i = 0; i < copy.vm_count; i++)
		assert_true(is_whole(&copy.vms[i]));
	assert_int_equal(ledger_copy_conservation_error_uj(&copy.host, copy.vms, copy.vm_count, 0),
			 0);
	ledger_copy_free(&copy);
	assert_int_equal(ledger_create(&ledger), 0);
	assert_int_equal(ledger_map_recover(map, ledger), VM_COUNT);
	assert_int_equal(ledger_conservation_error_uj(ledger, 0), 0);
	for (size_t slot = 0; slot < ledger_slot_count(ledger); slot++) {
		const struct ledger_vm *vm = ledger_vm_const(ledger, slot);

		if (vm == NULL)
			continue;
		assert_true(is_whole(vm));
		lowest = vm->vcpu_ns < lowest ? vm->vcpu_ns : lowest;
		highest = vm->vcpu_ns > highest ? vm->vcpu_ns : highest;
	}
	assert_true(highest - lowest <= 1);
	*ret_tick = highest;
	return highest != lowest;
}

static void test_a_writer_may_be_killed_at_any_moment(void **state)
{
	const struct tree *tree = *state;
	cleanup_ledger struct ledger *ledger = ticking_ledger();
	cleanup_ledger_map struct ledger_map *map = open_map(tree->fd);
	cleanup_ledger_reader struct ledger_reader *reader = open_reader(tree->fd);
	uint64_t random = 1, tick = 1;

	assert_int_equal(ledger_map_publish(map, ledger), 0);
	for (size_t round = 0; round < KILL_COUNT; round++) {
		pid_t writer = start_writer(map, tick + 1);
		struct ledger_host host = {.sample_count = 0};
		uint64_t turns = check_random_below(&random, 200);

		while (host.sample_count <= tick) {
			assert_int_equal(ledger_reader_host(reader, &host), 0);
			(void)sched_yield();
		}
		for (uint64_t turn = 0; turn < turns; turn++)
			assert_int_equal(ledger_reader_host(reader, &host), 0);
		kill_writer(writer);
		(void)check_after_death(reader, map, &tick);
		/* A second death before one whole publication would leave records two ticks apart.
		 */
		set_all(ledger, tick);
		assert_int_equal(ledger_map_publish(map, ledger), 0);
	}
}

static struct map_image *map_image_of(const struct tree *tree)
{
	cleanup_fd int fd = openat(tree->fd, LEDGER_MAP_NAME, O_RDWR | O_CLOEXEC);
	void *image =
	    mmap(NULL, sizeof(struct map_image), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	assert_true(image != MAP_FAILED);
	return image;
}

/* Every place between two records where a writer can die, one after the other. */
static void test_a_half_published_sample_is_mended(void **state)
{
	const struct tree *tree = *state;
	cleanup_ledger struct ledger *ledger = ticking_ledger();
	cleanup_ledger_map struct ledger_map *map = open_map(tree->fd);
	cleanup_ledger_reader struct ledger_reader *reader = open_reader(tree->fd);
	struct map_image *image = map_image_of(tree);

	for (size_t done = 0; done <= VM_COUNT; done++) {
		uint64_t tick;

		set_all(ledger, 2 * done + 1);
		assert_int_equal(ledger_map_publish(map, ledger), 0);
		set_all(ledger, 2 * done + 2);
		assert_int_equal(ledger_map_publish(map, ledger), 0);
		/* As it was before the publication went past the first `done` accounts. */
		image->publication--;
		for (size_t slot = done + 1; slot <= VM_COUNT; slot++)
			image->vms[slot].sequence--;
		assert_int_equal(check_after_death(reader, map, &tick),
				 done > 0 && done < VM_COUNT);
		/* As it was before it got to the host's record, too. */
		image->host.sequence--;
		(void)check_after_death(reader, map, &tick);
		image->host.sequence++;
		for (size_t slot = done + 1; slot <= VM_COUNT; slot++)
			image->vms[slot].sequence++;
	}
	(void)munmap(image, sizeof(*image));
}

/* --- files --- */

static void test_a_second_writer_is_refused(void **state)
{
	const struct tree *tree = *state;
	cleanup_ledger_map struct ledger_map *map = open_map(tree->fd);
	struct ledger_map *second = NULL;
	struct diag diag = DIAG_INIT;
	struct stat before, after;

	CHECK_POINTER(map);
	assert_int_equal(fstatat(tree->fd, LEDGER_MAP_NAME, &before, 0), 0);
	assert_int_equal(ledger_map_open(tree->fd, &second, &diag), -EBUSY);
	assert_null(second);
	check_contains(diag.text, "--runtime-dir");
	assert_int_equal(fstatat(tree->fd, LEDGER_MAP_NAME, &after, 0), 0);
	assert_int_equal(before.st_ino, after.st_ino);
}

static void test_the_next_writer_goes_on_in_the_same_file(void **state)
{
	const struct tree *tree = *state;
	cleanup_ledger struct ledger *ledger = ledger_fixture_create();
	cleanup_ledger struct ledger *found = NULL;
	struct ledger_map *map = open_map(tree->fd);
	cleanup_ledger_reader struct ledger_reader *reader = open_reader(tree->fd);
	struct ledger_host host;
	struct stat status;

	assert_int_equal(ledger_create(&found), 0);
	assert_int_equal(ledger_map_recover(map, found), 0);
	publish(map, ledger, 5);
	ledger_map_close(map);
	map = open_map(tree->fd);
	assert_int_equal(ledger_map_recover(map, found), 5);
	assert_memory_equal(ledger_host(found), ledger_host(ledger), sizeof(host));
	publish(map, found, 6);
	assert_int_equal(ledger_reader_follow(reader, NULL), 0);
	assert_int_equal(ledger_reader_host(reader, &host), 0);
	assert_int_equal(host.sample_count, 6);
	ledger_map_close(map);
	/* Readable by all whatever the umask; nothing else is left beside it. */
	assert_int_equal(fstatat(tree->fd, LEDGER_MAP_NAME, &status, 0), 0);
	assert_int_equal(status.st_mode & 07777, 0644);
	assert_int_equal(faccessat(tree->fd, "." LEDGER_MAP_NAME ".new", F_OK, 0), -1);
}

/* What spoils a file: each is replaced, and a reader of the old one follows to the new one. */
static void spoil_version(struct map_image *image)
{
	image->version = LEDGER_LAYOUT_VERSION_MIN - 2;
}
static void spoil_magic(struct map_image *image)
{
	image->magic ^= 1;
}
static void spoil_host_size(struct map_image *image)
{
	image->host_size += 8;
}
static void spoil_vm_size(struct map_image *image)
{
	image->vm_size -= 8;
}
static void spoil_layout(struct map_image *image)
{
	image->layout.share_size += 4;
}

static void test_a_file_that_nobody_can_read_is_replaced(void **state)
{
	static void (*const spoil[])(struct map_image *) = {
	    spoil_version, spoil_magic, spoil_host_size, spoil_vm_size, spoil_layout};
	const struct tree *tree = *state;
	cleanup_ledger struct ledger *ledger = ledger_fixture_create();

	for (size_t i = 0; i < CHECK_COUNT(spoil); i++) {
		struct ledger_map *map = open_map(tree->fd);
		cleanup_ledger_reader struct ledger_reader *reader = open_reader(tree->fd);
		struct ledger_reader *late = NULL;
		struct map_image *image;
		struct diag diag = DIAG_INIT;
		struct ledger_host host;

		publish(map, ledger, 100 + i);
		ledger_map_close(map);
		image = map_image_of(tree);
		spoil[i](image);
		(void)munmap(image, sizeof(*image));
		assert_int_equal(ledger_reader_open(tree->fd, &late, &diag), -EPROTO);
		check_contains(diag.text, "restart wattportd");
		map = open_map(tree->fd);
		publish(map, ledger, 200 + i);
		assert_int_equal(ledger_reader_host(reader, &host), 0);
		assert_int_equal(host.sample_count, 100 + i);
		assert_int_equal(ledger_reader_follow(reader, &diag), 0);
		assert_int_equal(ledger_reader_host(reader, &host), 0);
		assert_int_equal(host.sample_count, 200 + i);
		ledger_map_close(map);
	}
}

/* The version before this one, and one to come. */
static struct ledger_layout other_version(size_t i, uint64_t *ret_version)
{
	*ret_version = i == 0 ? 5 : LEDGER_VERSION + 1;
	return i == 0 ? ledger_layout_five(LEDGER_SOCKET_MAX)
		      : ledger_foreign_next(LEDGER_SOCKET_MAX);
}

static void check_accounts(struct ledger_reader *reader, const struct ledger *ledger,
			   const struct ledger_layout *layout)
{
	for (size_t i = 0; i < ledger_slot_count(ledger); i++) {
		const struct ledger_vm *vm = ledger_vm_const(ledger, i);
		struct ledger_vm read, expected;
		size_t slot = 0;

		if (vm == NULL)
			continue;
		assert_int_equal(ledger_reader_vm(reader, &vm->uuid, &slot, &read), 0);
		ledger_foreign_expect(layout, vm, &expected);
		assert_memory_equal(&read, &expected, sizeof(read));
	}
}

/* Servers that were upgraded before wattportd, and those that wait for it after it was. */
static void test_readers_of_a_host_that_is_upgraded_never_see_an_empty_ledger(void **state)
{
	const struct tree *tree = *state;
	cleanup_ledger struct ledger *ledger = ledger_fixture_create();

	for (size_t i = 0; i < 2; i++) {
		uint64_t version;
		const struct ledger_layout layout = other_version(i, &version);
		cleanup_ledger struct ledger *found = NULL;
		cleanup_ledger_reader struct ledger_reader *reader = NULL;
		struct ledger_map *map;
		struct ledger_process process;
		size_t slot = 0, count = 0;
		struct ledger_copy copy;

		ledger_foreign_map(tree->fd, version, &layout, ledger);
		reader = open_reader(tree->fd);
		check_accounts(reader, ledger, &layout);
		assert_int_equal(ledger_reader_copy(reader, &copy), 0);
		assert_int_equal(copy.vm_count, 5);
		ledger_copy_free(&copy);
		while (ledger_reader_next_process(reader, &slot, &process))
			count++;
		assert_true(count > 0);
		/* Its accounts are taken over, and shown until those of the new one are. */
		assert_int_equal(ledger_create(&found), 0);
		map = open_map(tree->fd);
		assert_int_equal(ledger_map_recover(map, found), 5);
		assert_int_equal(ledger_reader_follow(reader, NULL), 0);
		check_accounts(reader, ledger, &layout);
		publish(map, found, 7);
		assert_int_equal(ledger_reader_follow(reader, NULL), 0);
		check_accounts(reader, found, &layout);
		ledger_map_close(map);
		assert_int_equal(unlinkat(tree->fd, LEDGER_MAP_NAME, 0), 0);
	}
}

/* Also where the file of the one that writes is of another version. */
static void test_a_writer_of_another_version_is_not_disturbed(void **state)
{
	const struct tree *tree = *state;
	cleanup_ledger struct ledger *ledger = ledger_fixture_create();
	const struct ledger_layout layout = ledger_layout_five(LEDGER_SOCKET_MAX);
	struct ledger_map *map = NULL;
	struct diag diag = DIAG_INIT;
	cleanup_fd int fd = -1;

	ledger_foreign_map(tree->fd, 5, &layout, ledger);
	fd = openat(tree->fd, LEDGER_MAP_NAME, O_RDWR | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	assert_int_equal(ledger_map_open(tree->fd, &map, &diag), -EBUSY);
	assert_null(map);
}

/* Of the right size, with nothing in it. */
static void make_sparse(const struct tree *tree)
{
	cleanup_fd int fd = openat(tree->fd, LEDGER_MAP_NAME, O_WRONLY | O_CLOEXEC);

	assert_int_equal(ftruncate(fd, (off_t)sizeof(struct map_image)), 0);
}

static void test_whatever_else_has_its_name_is_replaced(void **state)
{
	const struct tree *tree = *state;
	struct diag diag = DIAG_INIT;
	struct ledger_reader *reader = NULL;
	struct stat status;
	char target[8] = "";

	assert_int_equal(ledger_reader_open(tree->fd, &reader, &diag), -ENOENT);
	check_contains(diag.text, "start wattportd");
	/* Empty, garbage, of the right size, a link to what must not be touched. */
	for (size_t i = 0; i < 4; i++) {
		struct ledger_map *map;

		tree_write(tree, "target", "%s", "precious");
		tree_delete(tree, LEDGER_MAP_NAME);
		if (i == 3)
			assert_int_equal(symlinkat("target", tree->fd, LEDGER_MAP_NAME), 0);
		else
			tree_write(tree, LEDGER_MAP_NAME, "%s", i == 0 ? "" : "garbage");
		if (i == 2)
			make_sparse(tree);
		assert_true(ledger_reader_open(tree->fd, &reader, &diag) < 0);
		map = open_map(tree->fd);
		assert_int_equal(fstatat(tree->fd, LEDGER_MAP_NAME, &status, AT_SYMLINK_NOFOLLOW),
				 0);
		assert_true(S_ISREG(status.st_mode));
		assert_int_equal(status.st_size, sizeof(struct map_image));
		ledger_map_close(map);
	}
	{
		cleanup_fd int fd = openat(tree->fd, "target", O_RDONLY | O_CLOEXEC);

		assert_int_equal(read(fd, target, sizeof(target)), sizeof(target));
		assert_memory_equal(target, "precious", sizeof(target));
	}
}

static void test_follow_tells_when_the_file_is_gone(void **state)
{
	const struct tree *tree = *state;
	cleanup_ledger struct ledger *ledger = ledger_fixture_create();
	cleanup_ledger_map struct ledger_map *map = open_map(tree->fd);
	cleanup_ledger_reader struct ledger_reader *reader = open_reader(tree->fd);
	struct diag diag = DIAG_INIT;
	struct ledger_host host;

	publish(map, ledger, 4);
	assert_int_equal(unlinkat(tree->fd, LEDGER_MAP_NAME, 0), 0);
	assert_int_equal(ledger_reader_follow(reader, &diag), -ENOENT);
	check_contains(diag.text, "start wattportd");
	assert_int_equal(ledger_reader_host(reader, &host), 0);
	assert_int_equal(host.sample_count, 4);
}

/* --- no room --- */

/* A tmpfs in the tree, from now on the working directory; skips the test where none can be. */
static int mount_small(const struct tree *tree, const char *options)
{
	assert_int_equal(fchdir(tree->fd), 0);
	assert_int_equal(mkdir("small", 0755), 0);
	if (mount("none", "small", "tmpfs", 0, options) < 0) {
		print_message("skipped: no tmpfs can be mounted here: %s\n", strerror(errno));
		skip();
	}
	return openat(tree->fd, "small", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void unmount_small(int fd)
{
	(void)close(fd);
	assert_int_equal(umount2("small", MNT_DETACH), 0);
	assert_int_equal(chdir("/"), 0);
}

static size_t shown_of(struct ledger_reader *reader, uint64_t *ret_sample_count)
{
	struct ledger_copy copy;
	size_t count;

	assert_int_equal(ledger_reader_copy(reader, &copy), 0);
	count = copy.vm_count;
	*ret_sample_count = copy.host.sample_count;
	ledger_copy_free(&copy);
	return count;
}

static void admit_many(struct ledger *ledger, uint32_t from, uint32_t to)
{
	for (uint32_t number = from; number < to; number++) {
		struct uuid uuid = {.bytes = {[15] = 1}};

		memcpy(uuid.bytes, &number, sizeof(number));
		assert_true(ledger_admit(ledger, &uuid) > 0);
	}
}

static void test_without_room_what_fits_is_shown(void **state)
{
	const struct tree *tree = *state;
	cleanup_ledger struct ledger *ledger = ticking_ledger();
	struct ledger_map *map;
	struct ledger_reader *reader;
	uint64_t samples;
	size_t shown, filled;
	int fd = mount_small(tree, "size=1m,mode=755");

	map = open_map(fd);
	reader = open_reader(fd);
	publish(map, ledger, 1);
	assert_int_equal(shown_of(reader, &samples), VM_COUNT);
	/* Far more at once than there is room for. */
	admit_many(ledger, 1, 400);
	ledger_host(ledger)->sample_count = 2;
	assert_int_equal(ledger_map_publish(map, ledger), -ENOSPC);
	shown = shown_of(reader, &samples);
	assert_int_equal(samples, 2);
	assert_in_range(shown, VM_COUNT + 1, 398);
	/* No writer can lose what another had shown. */
	ledger_map_close(map);
	map = open_map(fd);
	ledger_host(ledger)->sample_count = 3;
	assert_int_equal(ledger_map_publish(map, ledger), -ENOSPC);
	filled = shown_of(reader, &samples);
	assert_int_equal(samples, 3);
	assert_int_equal(filled, shown);
	ledger_map_close(map);
	ledger_reader_close(reader);
	unmount_small(fd);
}

static void test_without_any_room_it_says_so(void **state)
{
	const struct tree *tree = *state;
	struct ledger_map *map = NULL;
	struct diag diag = DIAG_INIT;
	int fd = mount_small(tree, "size=16k,mode=755");

	assert_int_equal(ledger_map_open(fd, &map, &diag), -ENOSPC);
	check_contains(diag.text, "no room");
	assert_int_equal(faccessat(fd, LEDGER_MAP_NAME, F_OK, 0), -1);
	unmount_small(fd);
}

int main(void)
{
#define MAP_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    MAP_TEST(test_shows_what_was_published),
	    MAP_TEST(test_a_departed_account_is_no_longer_shown),
	    MAP_TEST(test_a_reader_under_a_writer_sees_whole_records),
	    MAP_TEST(test_copies_under_a_writer_add_up),
	    MAP_TEST(test_a_writer_may_be_killed_at_any_moment),
	    MAP_TEST(test_a_half_published_sample_is_mended),
	    MAP_TEST(test_a_second_writer_is_refused),
	    MAP_TEST(test_the_next_writer_goes_on_in_the_same_file),
	    MAP_TEST(test_a_file_that_nobody_can_read_is_replaced),
	    MAP_TEST(test_readers_of_a_host_that_is_upgraded_never_see_an_empty_ledger),
	    MAP_TEST(test_a_writer_of_another_version_is_not_disturbed),
	    MAP_TEST(test_whatever_else_has_its_name_is_replaced),
	    MAP_TEST(test_follow_tells_when_the_file_is_gone),
	    MAP_TEST(test_without_room_what_fits_is_shown),
	    MAP_TEST(test_without_any_room_it_says_so),
	};

	return cmocka_run_group_tests_name("ledger_map", tests, NULL, NULL);
}
