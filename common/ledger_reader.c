/* The readers' side of ledger_map.h: nothing here writes to the file or waits for its writer. */
#include "common/cleanup.h"
#include "common/ledger_map.h"
#include "common/ledger_map_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>

#define MAP_RETRY_MAX 100000

struct ledger_reader {
	int runtime_fd;
	dev_t device;
	ino_t inode;
	struct map_view view;
};

static int map_reader_attach(struct ledger_reader *reader, struct diag *diag)
{
	cleanup_fd int fd =
	    openat(reader->runtime_fd, LEDGER_MAP_NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct map_view view;
	struct stat stat;
	int status;

	if (fd < 0)
		return diag_error(diag, -errno,
				  errno == ENOENT ? "there is no ledger: start wattportd"
						  : "cannot open the ledger");
	if (fstat(fd, &stat) < 0)
		return diag_error(diag, -errno, "cannot look at the ledger: %s", strerror(errno));
	status = map_view_open(fd, &view);
	if (status == -EPROTO)
		return diag_error(diag, -EPROTO,
				  "the ledger is of another version: restart wattportd");
	if (status < 0)
		return diag_error(diag, status, "cannot map the ledger: %s", strerror(-status));
	map_view_close(&reader->view);
	reader->view = view;
	reader->device = stat.st_dev;
	reader->inode = stat.st_ino;
	return 0;
}

int ledger_reader_open(int runtime_fd, struct ledger_reader **ret_reader, struct diag *diag)
{
	cleanup_ledger_reader struct ledger_reader *reader = malloc(sizeof(*reader));
	int status;

	if (reader == NULL)
		return diag_error(diag, -ENOMEM, "out of memory");
	*reader = (struct ledger_reader){.runtime_fd = -1};
	reader->runtime_fd = fcntl(runtime_fd, F_DUPFD_CLOEXEC, 0);
	if (reader->runtime_fd < 0)
		return diag_error(diag, -errno, "no descriptor left: %s", strerror(errno));
	status = map_reader_attach(reader, diag);
	if (status < 0)
		return status;
	*ret_reader = TAKE_PTR(reader);
	return 0;
}

void ledger_reader_close(struct ledger_reader *reader)
{
	if (reader == NULL)
		return;
	map_view_close(&reader->view);
	if (reader->runtime_fd >= 0)
		(void)close(reader->runtime_fd);
	free(reader);
}

int ledger_reader_follow(struct ledger_reader *reader, struct diag *diag)
{
	struct stat stat;

	if (fstatat(reader->runtime_fd, LEDGER_MAP_NAME, &stat, AT_SYMLINK_NOFOLLOW) < 0)
		return diag_error(diag, -errno, "the ledger is gone: start wattportd");
	if (stat.st_dev != reader->device || stat.st_ino != reader->inode)
		return map_reader_attach(reader, diag);
	/* What is cut off is no memory any more: to read it is SIGBUS. */
	if (stat.st_size < (off_t)reader->view.size)
		return diag_error(diag, -EPROTO, "the ledger was cut short: restart wattportd");
	return 0;
}

/* Whether others may go by its numbers: the writer's memory is not ours, nor is its file. */
static bool map_vm_is_sane(const struct ledger_vm *vm)
{
	return vm->state <= LEDGER_VM_GONE && vm->socket_count <= LEDGER_SOCKET_MAX &&
	       memchr(vm->name, '\0', sizeof(vm->name)) != NULL;
}

/* Copies the valid copy of an account's record; tries again when a publication overtook it. */
static int map_read_vm(const struct map_view *view, size_t slot, struct ledger_vm *ret_vm)
{
	const map_word *sequence = map_view_vm(view, slot);

	for (size_t retry = 0; retry < MAP_RETRY_MAX; retry++) {
		uint64_t before = atomic_load_explicit(sequence, memory_order_acquire);

		map_view_load_vm(view, slot, before, ret_vm);
		atomic_thread_fence(memory_order_acquire);
		if (atomic_load_explicit(sequence, memory_order_relaxed) == before)
			return map_vm_is_sane(ret_vm) ? 0 : -EAGAIN;
	}
	return -EAGAIN;
}

/* Some words of an account's record, from the valid copy. */
static void map_read_words(const struct map_view *view, size_t slot, size_t index, size_t count,
			   uint64_t ret_words[])
{
	const map_word *sequence = map_view_vm(view, slot);
	uint64_t before;

	do {
		before = atomic_load_explicit(sequence, memory_order_acquire);
		map_load(sequence + 1 + (before & 1) * view->vm_words + index, count, ret_words);
		atomic_thread_fence(memory_order_acquire);
	} while (atomic_load_explicit(sequence, memory_order_relaxed) != before);
}

static_assert(offsetof(struct ledger_vm, uuid) == 0, "the uuid is the first two words");
static_assert(offsetof(struct ledger_vm, state) % sizeof(uint64_t) == 0, "a word starts there");
static_assert(offsetof(struct ledger_vm, updated_ns) % sizeof(uint64_t) == 0, "it is a word");

static bool map_slot_is(const struct map_view *view, size_t slot, const struct uuid *uuid)
{
	uint64_t words[2];
	uint64_t state;

	map_read_words(view, slot, 0, 2, words);
	if (memcmp(words, uuid->bytes, sizeof(words)) != 0)
		return false;
	/* The nil uuid of a free slot is nobody's. */
	map_read_words(view, slot, offsetof(struct ledger_vm, state) / sizeof(state), 1, &state);
	return (uint32_t)state != 0;
}

static int map_find(const struct ledger_reader *reader, const struct uuid *uuid, size_t *slot)
{
	int slots = map_view_slots(&reader->view);

	if (slots < 0)
		return slots;
	if (*slot < (size_t)slots && map_slot_is(&reader->view, *slot, uuid))
		return 0;
	for (size_t i = 0; i < (size_t)slots; i++) {
		if (map_slot_is(&reader->view, i, uuid)) {
			*slot = i;
			return 0;
		}
	}
	return -ENOENT;
}

int ledger_reader_vm(struct ledger_reader *reader, const struct uuid *uuid, size_t *slot,
		     struct ledger_vm *ret_vm)
{
	int status = map_find(reader, uuid, slot);

	if (status < 0)
		return status;
	status = map_read_vm(&reader->view, *slot, ret_vm);
	if (status < 0)
		return status;
	/* The slot may have changed hands in between. */
	return uuid_equal(&ret_vm->uuid, uuid) && ret_vm->state != 0 ? 0 : -ENOENT;
}

int ledger_reader_vm_updated(struct ledger_reader *reader, const struct uuid *uuid, size_t *slot,
			     uint64_t *ret_updated_ns)
{
	int status = map_find(reader, uuid, slot);

	if (status < 0)
		return status;
	map_read_words(&reader->view, *slot,
		       offsetof(struct ledger_vm, updated_ns) / sizeof(uint64_t), 1,
		       ret_updated_ns);
	return 0;
}

static_assert(offsetof(struct ledger_vm, pid) ==
		  offsetof(struct ledger_vm, state) + sizeof(uint64_t),
	      "state and process are in neighbouring words");

/* False: the slot is free, or its machine does not run. */
static bool map_process(const struct map_view *view, size_t slot,
			struct ledger_process *ret_process)
{
	const map_word *sequence = map_view_vm(view, slot);
	struct ledger_process process = {.pid = 0};
	uint64_t before, words[2];
	uint32_t state;

	do {
		const map_word *copy;

		before = atomic_load_explicit(sequence, memory_order_acquire);
		copy = sequence + 1 + (before & 1) * view->vm_words;
		map_load(copy, sizeof(process.uuid) / sizeof(*words), &process.uuid);
		map_load(copy + offsetof(struct ledger_vm, state) / sizeof(*words), 2, words);
		map_load(copy + offsetof(struct ledger_vm, updated_ns) / sizeof(*words), 1,
			 &process.updated_ns);
		atomic_thread_fence(memory_order_acquire);
	} while (atomic_load_explicit(sequence, memory_order_relaxed) != before);
	memcpy(&state, &words[0], sizeof(state));
	memcpy(&process.pid, &words[1], sizeof(process.pid));
	if (state != LEDGER_VM_RUNNING || process.pid <= 0)
		return false;
	*ret_process = process;
	return true;
}

bool ledger_reader_next_process(const struct ledger_reader *reader, size_t *slot,
				struct ledger_process *ret_process)
{
	int slots = map_view_slots(&reader->view);

	while (slots > 0 && *slot < (size_t)slots)
		if (map_process(&reader->view, (*slot)++, ret_process))
			return true;
	return false;
}

int ledger_reader_host(struct ledger_reader *reader, struct ledger_host *ret_host)
{
	const map_word *sequence = reader->view.host;

	for (size_t retry = 0; retry < MAP_RETRY_MAX; retry++) {
		uint64_t before = atomic_load_explicit(sequence, memory_order_acquire);

		map_view_load_host(&reader->view, before, ret_host);
		atomic_thread_fence(memory_order_acquire);
		if (atomic_load_explicit(sequence, memory_order_relaxed) == before)
			return ret_host->zone_count <= ZONE_MAX ? 0 : -EAGAIN;
	}
	return -EAGAIN;
}

/* Room for every slot that is in use; more may come before they are copied, then for those too. */
static int map_copy_reserve(const struct ledger_reader *reader, struct ledger_copy *copy,
			    size_t *capacity)
{
	int slots = map_view_slots(&reader->view);
	struct ledger_vm *vms;

	if (slots < 0)
		return slots;
	if (copy->vms != NULL && (size_t)slots <= *capacity)
		return 0;
	/* One more than none, so that NULL means that there was no memory. */
	vms = calloc((size_t)slots + 1, sizeof(vms[0]));
	if (vms == NULL)
		return -ENOMEM;
	free(copy->vms);
	copy->vms = vms;
	*capacity = (size_t)slots + 1;
	return 0;
}

/* Host and accounts one after the other; *ret_whole tells whether no publication came between. */
static int map_copy_once(struct ledger_reader *reader, struct ledger_copy *copy, size_t capacity,
			 bool *ret_whole)
{
	const struct map_image *image = reader->view.image;
	uint64_t before = atomic_load_explicit(&image->publication, memory_order_acquire);
	int slots = map_view_slots(&reader->view);
	int status = ledger_reader_host(reader, &copy->host);

	if (slots < 0 || status < 0)
		return slots < 0 ? slots : status;
	copy->vm_count = 0;
	for (size_t i = 0; i < (size_t)slots && i < capacity; i++) {
		struct ledger_vm *vm = &copy->vms[copy->vm_count];

		status = map_read_vm(&reader->view, i, vm);
		if (status < 0)
			return status;
		if (vm->state != 0)
			copy->vm_count++;
	}
	atomic_thread_fence(memory_order_acquire);
	*ret_whole = (before & 1) == 0 && (size_t)slots <= capacity &&
		     atomic_load_explicit(&image->publication, memory_order_relaxed) == before;
	return 0;
}

int ledger_reader_copy(struct ledger_reader *reader, struct ledger_copy *ret_copy)
{
	struct ledger_copy copy = {.vm_count = 0};
	size_t capacity = 0;
	bool whole = false;
	int status = 0;

	for (size_t retry = 0; retry < 100 && !whole; retry++) {
		status = map_copy_reserve(reader, &copy, &capacity);
		if (status == 0)
			status = map_copy_once(reader, &copy, capacity, &whole);
		if (status < 0)
			goto fail;
		if (!whole)
			(void)sched_yield();
	}
	/* The writer died, or was stopped, in the middle: each record is whole, their sum is
	 * mended. */
	for (uint32_t zone = 0; !whole && zone < copy.host.zone_count; zone++)
		map_reconcile(
		    &copy.host, zone,
		    ledger_copy_conservation_error_uj(&copy.host, copy.vms, copy.vm_count, zone));
	*ret_copy = copy;
	return 0;
fail:
	ledger_copy_free(&copy);
	return status;
}

void ledger_copy_free(struct ledger_copy *copy)
{
	free(copy->vms);
	*copy = (struct ledger_copy){.vm_count = 0};
}

int ledger_copy_of(const struct ledger *ledger, struct ledger_copy *ret_copy)
{
	size_t slots = ledger_slot_count(ledger);
	struct ledger_copy copy = {.host = *ledger_host_const(ledger)};

	copy.vms = calloc(slots > 0 ? slots : 1, sizeof(copy.vms[0]));
	if (copy.vms == NULL)
		return -ENOMEM;
	for (size_t slot = 0; slot < slots; slot++) {
		const struct ledger_vm *vm = ledger_vm_const(ledger, slot);

		if (vm != NULL)
			copy.vms[copy.vm_count++] = *vm;
	}
	*ret_copy = copy;
	return 0;
}
