#include "common/cleanup.h"
#include "common/ledger_store.h"
#include "tests/unit/check.h"
#include "tests/unit/fault.h"
#include "tests/unit/ledger_fixture.h"
#include "tests/unit/ledger_foreign.h"
#include "tests/unit/tree.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define OLD_NAME   LEDGER_STORE_NAME ".old"
#define HEAD_SIZE  88
#define VERSION_AT 8
#define CRC_AT	   12
#define SOCKETS_AT 80
#define VM_SIZE	   LEDGER_VM_SIZE(1) /* nothing of the fixture's is in a second socket */

/* The ledger of the views, so that its sample_count tells one saving from another. */
static void save(const struct tree *tree, uint64_t sample_count)
{
	cleanup_ledger struct ledger *ledger = ledger_fixture_create();
	struct diag diag = DIAG_INIT;

	ledger_host(ledger)->sample_count = sample_count;
	assert_int_equal(ledger_store_save(tree->fd, ledger, NULL, &diag), 0);
	assert_string_equal(diag.text, "");
}

/* Loads; -ENOENT when there was nothing to load, else the sample_count. */
static int64_t load(const struct tree *tree, struct diag *diag)
{
	cleanup_ledger struct ledger *ledger = NULL;
	int count;

	assert_int_equal(ledger_create(&ledger), 0);
	count = ledger_store_load(tree->fd, ledger, diag);
	if (count <= 0)
		return count < 0 ? count : -ENOENT;
	assert_int_equal(count, 5);
	for (uint32_t zone = 0; zone < ledger_host(ledger)->zone_count; zone++)
		assert_int_equal(ledger_conservation_error_uj(ledger, zone), 0);
	return (int64_t)ledger_host(ledger)->sample_count;
}

static bool exists(const struct tree *tree, const char *name)
{
	return faccessat(tree->fd, name, F_OK, 0) == 0;
}

/* The bytes of a file and a NUL, which the caller frees. */
static char *bytes_of(const struct tree *tree, const char *name, size_t *ret_size)
{
	cleanup_fd int fd = openat(tree->fd, name, O_RDONLY | O_CLOEXEC);
	struct stat status;
	char *data;

	assert_int_equal(fstat(fd, &status), 0);
	data = calloc(1, (size_t)status.st_size + 1);
	CHECK_POINTER(data);
	assert_int_equal(read(fd, data, (size_t)status.st_size), status.st_size);
	*ret_size = (size_t)status.st_size;
	return data;
}

static void put_bytes(const struct tree *tree, const char *name, const char *data, size_t size)
{
	cleanup_fd int fd = openat(tree->fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_int_equal(write(fd, data, size), size);
}

/* CRC-32 (ISO 3309), bit by bit. */
static void put_crc(char *data, size_t size)
{
	uint32_t crc = UINT32_MAX;

	for (size_t i = VERSION_AT; i < size; i++) {
		if (i >= CRC_AT && i < CRC_AT + sizeof(crc))
			continue;
		crc ^= (unsigned char)data[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (UINT32_C(0xedb88320) & -(crc & 1));
	}
	crc = ~crc;
	memcpy(data + CRC_AT, &crc, sizeof(crc));
}

static int decode(const char *data, size_t size)
{
	cleanup_ledger struct ledger *ledger = NULL;

	assert_int_equal(ledger_create(&ledger), 0);
	return ledger_store_decode(data, size, ledger);
}

static void test_what_was_saved_is_loaded(void **state)
{
	const struct tree *tree = *state;
	cleanup_ledger struct ledger *saved = ledger_fixture_create();
	cleanup_ledger struct ledger *loaded = NULL;
	struct diag diag = DIAG_INIT;
	struct stat status;

	assert_int_equal(ledger_create(&loaded), 0);
	assert_int_equal(ledger_store_load(tree->fd, loaded, &diag), 0);
	assert_int_equal(ledger_store_save(tree->fd, saved, NULL, &diag), 0);
	assert_int_equal(ledger_store_load(tree->fd, loaded, &diag), 5);
	assert_string_equal(diag.text, "");
	assert_int_equal(ledger_host(loaded)->orderly, 1);
	ledger_host(loaded)->orderly = 0;
	assert_memory_equal(ledger_host(loaded), ledger_host(saved), sizeof(struct ledger_host));
	for (size_t slot = 0; slot < ledger_slot_count(saved); slot++) {
		const struct ledger_vm *vm = ledger_vm_const(saved, slot);
		int found;

		if (vm == NULL)
			continue;
		found = ledger_find(loaded, &vm->uuid);
		assert_true(found >= 0);
		assert_memory_equal(ledger_vm(loaded, (size_t)found), vm, sizeof(*vm));
	}
	assert_int_equal(fstatat(tree->fd, LEDGER_STORE_NAME, &status, 0), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
}

static void test_a_host_without_machines_is_kept_too(void **state)
{
	const struct tree *tree = *state;
	cleanup_ledger struct ledger *ledger = NULL;
	cleanup_ledger struct ledger *loaded = NULL;

	assert_int_equal(ledger_create(&ledger), 0);
	assert_int_equal(ledger_create(&loaded), 0);
	ledger_host(ledger)->sample_count = 9;
	assert_int_equal(ledger_store_save(tree->fd, ledger, NULL, NULL), 0);
	assert_int_equal(ledger_store_load(tree->fd, loaded, NULL), 0);
	assert_int_equal(ledger_host(loaded)->sample_count, 9);
}

static void test_cut_at_every_kind_of_place(void **state)
{
	const struct tree *tree = *state;
	cleanup_free char *data = NULL;
	const size_t host = HEAD_SIZE + sizeof(struct ledger_host);
	size_t size;

	save(tree, 1);
	data = bytes_of(tree, LEDGER_STORE_NAME, &size);
	assert_int_equal(size, host + 5 * VM_SIZE);
	assert_int_equal(decode(data, size), 5);
	{
		const size_t sizes[] = {
		    0,	  1,	    HEAD_SIZE - 1,  HEAD_SIZE,	    HEAD_SIZE + 1, host - 1,
		    host, host + 1, host + VM_SIZE, size - VM_SIZE, size - 1};

		for (size_t i = 0; i < CHECK_COUNT(sizes); i++) {
			/* Of exactly that size, so that reading past it is seen. */
			cleanup_free char *cut = malloc(sizes[i] + 1);

			CHECK_POINTER(cut);
			memcpy(cut, data, sizes[i]);
			assert_int_equal(decode(cut, sizes[i]), -EBADMSG);
		}
	}
	/* One byte too many: bytes_of() leaves room for it. */
	assert_int_equal(decode(data, size + 1), -EBADMSG);
}

static void test_one_flipped_bit_anywhere_is_noticed(void **state)
{
	const struct tree *tree = *state;
	cleanup_free char *data = NULL;
	uint64_t random = 1;
	size_t size;

	save(tree, 1);
	data = bytes_of(tree, LEDGER_STORE_NAME, &size);
	for (size_t i = 0; i < HEAD_SIZE + 400; i++) {
		/* All of the head, then a sample of what is behind it. */
		size_t at =
		    i < HEAD_SIZE ? i : HEAD_SIZE + check_random_below(&random, size - HEAD_SIZE);
		char flip = (char)(1 << check_random_below(&random, 8));

		data[at] = (char)(data[at] ^ flip);
		assert_int_equal(decode(data, size), -EBADMSG);
		data[at] = (char)(data[at] ^ flip);
	}
	assert_int_equal(decode(data, size), 5);
}

static void test_a_damaged_file_is_set_aside_and_the_one_before_used(void **state)
{
	const struct tree *tree = *state;
	cleanup_free char *kept = NULL;
	size_t size = 0;

	for (int i = 1; i <= 3; i++) {
		struct diag diag = DIAG_INIT;
		char aside[64];

		save(tree, 100);
		save(tree, 200);
		tree_write(tree, LEDGER_STORE_NAME, "damage %d", i);
		assert_int_equal(load(tree, &diag), 100);
		(void)snprintf(aside, sizeof(aside), LEDGER_STORE_NAME ".bad-%d", i);
		check_contains(diag.text, aside);
		assert_true(exists(tree, aside));
		assert_false(exists(tree, LEDGER_STORE_NAME));
		free(kept);
		kept = bytes_of(tree, aside, &size);
		assert_int_equal(size, 8);
		assert_int_equal(kept[7], '0' + i);
	}
}

static void test_both_damaged_starts_anew(void **state)
{
	const struct tree *tree = *state;
	struct diag diag = DIAG_INIT;

	tree_write(tree, LEDGER_STORE_NAME, "damage");
	tree_write(tree, OLD_NAME, "damage too");
	assert_int_equal(load(tree, &diag), -ENOENT);
	check_contains(diag.text, OLD_NAME " is damaged");
	assert_true(exists(tree, LEDGER_STORE_NAME ".bad-1"));
	assert_true(exists(tree, LEDGER_STORE_NAME ".bad-2"));
}

/* Whoever upgrades a host, or goes back to the version before, loses no account. */
static void test_of_another_version_is_read(void **state)
{
	const struct tree *tree = *state;
	cleanup_ledger struct ledger *saved = ledger_fixture_create();

	for (uint32_t version = 5; version <= LEDGER_VERSION + 1; version++) {
		const struct ledger_layout layout = version == 5 ? ledger_layout_five(2)
						    : version == LEDGER_VERSION
							? ledger_layout_own(1)
							: ledger_foreign_next(3);
		cleanup_ledger struct ledger *loaded = NULL;
		cleanup_free char *data = NULL;
		struct diag diag = DIAG_INIT;
		size_t size;

		data = ledger_foreign_store(version, &layout, saved, &size);
		put_bytes(tree, LEDGER_STORE_NAME, data, size);
		assert_int_equal(ledger_create(&loaded), 0);
		assert_int_equal(ledger_store_load(tree->fd, loaded, &diag), 5);
		assert_string_equal(diag.text, "");
		for (size_t slot = 0; slot < ledger_slot_count(saved); slot++) {
			const struct ledger_vm *vm = ledger_vm_const(saved, slot);
			struct ledger_vm expected;

			if (vm == NULL)
				continue;
			ledger_foreign_expect(&layout, vm, &expected);
			assert_memory_equal(
			    ledger_vm(loaded, (size_t)ledger_find(loaded, &vm->uuid)), &expected,
			    sizeof(expected));
		}
		for (size_t cut = 1; cut < 100; cut++) {
			assert_int_equal(decode(data, size - cut), -EBADMSG);
			assert_int_equal(decode(data, cut), -EBADMSG);
		}
	}
}

static void test_of_a_version_that_nobody_knows_is_set_aside(void **state)
{
	const struct tree *tree = *state;
	struct diag diag = DIAG_INIT;
	cleanup_free char *data = NULL;
	size_t size;

	save(tree, 1);
	data = bytes_of(tree, LEDGER_STORE_NAME, &size);
	assert_int_equal(data[VERSION_AT], LEDGER_VERSION);
	data[VERSION_AT] = 4;
	put_crc(data, size);
	put_bytes(tree, LEDGER_STORE_NAME, data, size);
	assert_int_equal(load(tree, &diag), -ENOENT);
	check_contains(diag.text, "of another version");
	assert_true(exists(tree, LEDGER_STORE_NAME ".bad-1"));
}

/* With a right checksum, but one account more than a ledger holds. */
static void test_too_many_accounts_are_damage(void **state)
{
	const struct tree *tree = *state;
	cleanup_ledger struct ledger *ledger = NULL;
	cleanup_ledger struct ledger *loaded = NULL;
	cleanup_free char *data = NULL;
	struct diag diag = DIAG_INIT;
	size_t size;

	assert_int_equal(ledger_create(&ledger), 0);
	assert_int_equal(ledger_create(&loaded), 0);
	for (uint32_t number = 0; number < LEDGER_VM_MAX; number++) {
		struct uuid uuid = {.bytes = {0}};

		memcpy(uuid.bytes, &number, sizeof(number));
		assert_int_equal(ledger_admit(ledger, &uuid), number);
	}
	assert_int_equal(ledger_store_save(tree->fd, ledger, NULL, &diag), 0);
	assert_int_equal(ledger_store_load(tree->fd, loaded, &diag), LEDGER_VM_MAX);
	/* The account of the departed becomes one more machine. */
	data = bytes_of(tree, LEDGER_STORE_NAME, &size);
	data[HEAD_SIZE + sizeof(struct ledger_host)] = '\x77';
	data[HEAD_SIZE + sizeof(struct ledger_host) + 15] = '\x77';
	put_crc(data, size);
	assert_int_equal(decode(data, size), -EBADMSG);
}

/* As long as the account with the most sockets needs; sizes that are no whole number of sockets are
 * damage. */
static void test_accounts_are_cut_behind_the_last_socket(void **state)
{
	const struct tree *tree = *state;
	static const uint64_t bad[] = {0, 2, 4, 65, UINT64_MAX};
	cleanup_ledger struct ledger *ledger = ledger_fixture_create();
	cleanup_ledger struct ledger *loaded = NULL;
	cleanup_free char *data = NULL;
	struct ledger_vm *vm = ledger_vm(ledger, 1);
	struct diag diag = DIAG_INIT;
	size_t size;

	assert_int_equal(ledger_create(&loaded), 0);
	CHECK_POINTER(vm);
	vm->guest[2].floor_uj[ZONE_UNCORE] = 7;
	assert_int_equal(ledger_store_save(tree->fd, ledger, NULL, &diag), 0);
	data = bytes_of(tree, LEDGER_STORE_NAME, &size);
	assert_int_equal(size, HEAD_SIZE + sizeof(struct ledger_host) + 5 * LEDGER_VM_SIZE(3));
	assert_int_equal(ledger_store_load(tree->fd, loaded, &diag), 5);
	assert_memory_equal(ledger_vm_const(loaded, (size_t)ledger_find(loaded, &vm->uuid)), vm,
			    sizeof(*vm));
	for (size_t i = 0; i < CHECK_COUNT(bad); i++) {
		memcpy(data + SOCKETS_AT, &bad[i], sizeof(bad[i]));
		put_crc(data, size);
		assert_int_equal(decode(data, size), -EBADMSG);
	}
	/* The largest there is. */
	vm->guest[LEDGER_SOCKET_MAX - 1].zone_uj[ZONE_PACKAGE] = 7;
	assert_int_equal(ledger_store_save(tree->fd, ledger, NULL, &diag), 0);
	free(data);
	data = bytes_of(tree, LEDGER_STORE_NAME, &size);
	assert_int_equal(size,
			 HEAD_SIZE + sizeof(struct ledger_host) + 5 * sizeof(struct ledger_vm));
	assert_int_equal(decode(data, size), 5);
}

/* A checkpoint holds ceilings and says that it is none of an orderly end. */
static void test_checkpoint_holds_ceilings(void **state)
{
	const struct tree *tree = *state;
	const struct ledger_instant now = {.time_ms = 1000, .wall_ns = 5};
	cleanup_ledger struct ledger *ledger = ledger_fixture_create();
	cleanup_ledger_floors struct ledger_floors *floors = NULL;
	cleanup_ledger struct ledger *loaded = NULL;
	struct diag diag = DIAG_INIT;
	const struct ledger_vm *kept, *vm = ledger_vm(ledger, 1);

	assert_int_equal(ledger_create(&loaded), 0);
	assert_int_equal(ledger_floors_create(ledger, &floors), 0);
	assert_int_equal(ledger_floors_advance(floors, &now), LEDGER_FLOORS_NONE);
	ledger_floors_promise(floors, UINT64_C(5000000000));
	assert_int_equal(ledger_store_save(tree->fd, ledger, floors, &diag), 0);
	assert_int_equal(ledger_store_load(tree->fd, loaded, &diag), 5);
	assert_int_equal(ledger_host(loaded)->orderly, 0);
	assert_int_equal(ledger_host(loaded)->told.time_ms, 1000);
	kept = ledger_vm_const(loaded, (size_t)ledger_find(loaded, &vm->uuid));
	CHECK_POINTER(kept);
	assert_int_equal(vm->guest_psys_floor_uj, 1);
	assert_int_equal(kept->guest_psys_floor_uj, 1 + 2 * 5000 + LEDGER_FLOORS_ROOM_UJ);
	assert_int_equal(kept->guest[0].floor_uj[ZONE_DRAM], kept->guest_psys_floor_uj);
	assert_int_equal(kept->guest[1].floor_uj[ZONE_DRAM], 0);
	assert_int_equal(kept->floor_ms, 1000);
	assert_int_equal(kept->guest_psys_uj, vm->guest_psys_uj);
}

static void test_what_is_no_file_is_set_aside(void **state)
{
	const struct tree *tree = *state;
	struct diag diag = DIAG_INIT;

	assert_int_equal(mkdirat(tree->fd, LEDGER_STORE_NAME, 0700), 0);
	assert_int_equal(load(tree, &diag), -ENOENT);
	check_contains(diag.text, "set aside");
}

/* The one good file has only its second name, as after damage: a failed saving must not cost it. */
static void test_a_failed_saving_keeps_the_only_good_file(void **state)
{
	const struct tree *tree = *state;
	cleanup_ledger struct ledger *ledger = ledger_fixture_create();
	struct diag diag = DIAG_INIT;

	save(tree, 100);
	save(tree, 200);
	tree_write(tree, LEDGER_STORE_NAME, "damage");
	assert_int_equal(load(tree, &diag), 100);
	fault_arm(FAULT_FSYNC, 1, ENOSPC);
	assert_int_equal(ledger_store_save(tree->fd, ledger, NULL, &diag), -ENOSPC);
	assert_true(fault_disarm());
	check_contains(diag.text, "--state-dir");
	assert_int_equal(load(tree, &diag), 100);
}

/* Nor does one on a full disk make both names the same file, which one damage would cost. */
static void test_a_failed_saving_keeps_two_files(void **state)
{
	const struct tree *tree = *state;
	cleanup_ledger struct ledger *ledger = ledger_fixture_create();
	struct diag diag = DIAG_INIT;

	save(tree, 100);
	save(tree, 200);
	fault_arm(FAULT_WRITE, 1, ENOSPC);
	assert_int_equal(ledger_store_save(tree->fd, ledger, NULL, &diag), -ENOSPC);
	assert_true(fault_disarm());
	assert_int_equal(load(tree, &diag), 200);
	tree_write(tree, LEDGER_STORE_NAME, "damage");
	assert_int_equal(load(tree, &diag), 100);
}

static void test_saving_may_fail_at_any_call(void **state)
{
	const struct tree *tree = *state;
	cleanup_ledger struct ledger *ledger = ledger_fixture_create();
	unsigned nth = 0;
	int status;

	save(tree, 1);
	save(tree, 100);
	ledger_host(ledger)->sample_count = 200;
	for (;;) {
		struct diag diag = DIAG_INIT, load_diag = DIAG_INIT;
		int64_t found;

		fault_arm(FAULT_ANY, ++nth, EIO);
		status = ledger_store_save(tree->fd, ledger, NULL, &diag);
		if (!fault_disarm())
			break;
		found = load(tree, &load_diag);
		assert_string_equal(load_diag.text, "");
		assert_int_equal(status < 0, diag.text[0] != '\0');
		/* After the rename only the directory's fsync is left, and either is right. */
		assert_true(found == 200 || (found == 100 && status < 0));
		assert_false(exists(tree, "." LEDGER_STORE_NAME ".new"));
	}
	assert_int_equal(status, 0);
	assert_in_range(nth, 6, 20);
	assert_int_equal(load(tree, NULL), 200);
}

static void test_loading_may_fail_at_any_call(void **state)
{
	const struct tree *tree = *state;
	unsigned nth = 0;
	int64_t found;

	save(tree, 100);
	save(tree, 200);
	do {
		cleanup_ledger struct ledger *ledger = NULL;
		struct diag diag = DIAG_INIT;

		assert_int_equal(ledger_create(&ledger), 0);
		fault_arm(FAULT_ANY, ++nth, EIO);
		found = ledger_store_load(tree->fd, ledger, &diag);
		if (!fault_disarm())
			break;
		assert_true(found == -EIO || found == -ENOMEM);
		assert_true(diag.text[0] != '\0');
		/* A failure is no damage. */
		assert_false(exists(tree, LEDGER_STORE_NAME ".bad-1"));
	} while (nth < 100);
	assert_int_equal(found, 5);
	assert_in_range(nth, 5, 50);
	assert_int_equal(load(tree, NULL), 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TREE_TEST(test_what_was_saved_is_loaded),
	    TREE_TEST(test_a_host_without_machines_is_kept_too),
	    TREE_TEST(test_cut_at_every_kind_of_place),
	    TREE_TEST(test_one_flipped_bit_anywhere_is_noticed),
	    TREE_TEST(test_a_damaged_file_is_set_aside_and_the_one_before_used),
	    TREE_TEST(test_both_damaged_starts_anew),
	    TREE_TEST(test_of_another_version_is_read),
	    TREE_TEST(test_of_a_version_that_nobody_knows_is_set_aside),
	    TREE_TEST(test_too_many_accounts_are_damage),
	    TREE_TEST(test_accounts_are_cut_behind_the_last_socket),
	    TREE_TEST(test_checkpoint_holds_ceilings),
	    TREE_TEST(test_what_is_no_file_is_set_aside),
	    TREE_TEST(test_a_failed_saving_keeps_the_only_good_file),
	    TREE_TEST(test_a_failed_saving_keeps_two_files),
	    TREE_TEST(test_saving_may_fail_at_any_call),
	    TREE_TEST(test_loading_may_fail_at_any_call),
	};

	return cmocka_run_group_tests_name("ledger_store", tests, NULL, NULL);
}
