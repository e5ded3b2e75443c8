/*
 * The layout, all in 64-bit words:
 *
 *     head   magic and version, sizes, publication sequence, number of slots
 *     host   sequence, copy 0, copy 1
 *     vm[0]  sequence, copy 0, copy 1
 *     ...
 *
 * A record's valid copy is copy[sequence & 1]. The writer fills the other one and then counts the
 * sequence up. So a writer that is killed at any instruction leaves every record whole, and a
 * reader has to try again only when a whole publication overtook it. The publication sequence is
 * odd while one is under way: a reader that wants all records of one instant compares it before and
 * after.
 */
#include "common/ledger_map.h"
#include "common/cleanup.h"
#include "common/clock.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* "WPLEDGER", with the version of the records in the word after it. */
#define MAP_MAGIC     UINT64_C(0x52454744454c5057)
#define MAP_RETRY_MAX 100000
#define MAP_MODE      0644

static_assert(sizeof(struct ledger_host) % sizeof(uint64_t) == 0, "records travel as words");
static_assert(sizeof(struct ledger_vm) % sizeof(uint64_t) == 0, "records travel as words");
static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "words are shared between processes");

#define MAP_HOST_WORDS (sizeof(struct ledger_host) / sizeof(uint64_t))
#define MAP_VM_WORDS   (sizeof(struct ledger_vm) / sizeof(uint64_t))

typedef _Atomic uint64_t map_word;

struct map_host {
	map_word sequence;
	map_word copy[2][MAP_HOST_WORDS];
};

struct map_vm {
	map_word sequence;
	map_word copy[2][MAP_VM_WORDS];
};

struct map_image {
	uint64_t magic;
	uint64_t version;
	uint64_t host_size;
	uint64_t vm_size;
	map_word publication;
	map_word slot_count;
	struct map_host host;
	struct map_vm vms[LEDGER_VM_MAX];
};

struct ledger_map {
	int fd;
	struct map_image *image;
	size_t allocated_slots; /* have their pages: writing to them cannot fail */
};

struct ledger_reader {
	int runtime_fd;
	dev_t device;
	ino_t inode;
	const struct map_image *image;
};

/* --- the writer --- */

static size_t map_offset(size_t slots)
{
	return offsetof(struct map_image, vms) + slots * sizeof(struct map_vm);
}

static bool map_head_is_ours(const struct map_image *image)
{
	return image->magic == MAP_MAGIC && image->version == LEDGER_VERSION &&
	       image->host_size == sizeof(struct ledger_host) &&
	       image->vm_size == sizeof(struct ledger_vm);
}

/* Memory for the records of `slots` slots, so that a full file system is an error and no SIGBUS. */
static int map_allocate(struct ledger_map *map, size_t slots)
{
	int error;

	if (slots <= map->allocated_slots)
		return 0;
	error = posix_fallocate(map->fd, 0, (off_t)map_offset(slots));
	if (error != 0)
		return -error;
	map->allocated_slots = slots;
	return 0;
}

static int map_make(int runtime_fd, int *ret_fd, struct diag *diag)
{
	cleanup_fd int fd = -1;

	/* Under its own name only when it is whole: a reader never sees a file without a head. */
	(void)unlinkat(runtime_fd, "." LEDGER_MAP_NAME ".new", 0);
	fd = openat(runtime_fd, "." LEDGER_MAP_NAME ".new",
		    O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, MAP_MODE);
	if (fd < 0 || fchmod(fd, MAP_MODE) < 0 ||
	    ftruncate(fd, (off_t)sizeof(struct map_image)) < 0)
		return diag_error(diag, -errno,
				  "cannot make the ledger in the runtime directory: %s",
				  strerror(errno));
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static int map_attach(struct ledger_map *map, struct diag *diag)
{
	void *image;
	int status = map_allocate(map, 1);

	if (status < 0)
		return diag_error(diag, status,
				  "no room for the ledger in the runtime directory: %s",
				  strerror(-status));
	if (flock(map->fd, LOCK_EX | LOCK_NB) < 0)
		return diag_error(diag, -EBUSY,
				  "another wattportd writes this ledger; stop it, or give this one "
				  "its own --runtime-dir");
	image =
	    mmap(NULL, sizeof(struct map_image), PROT_READ | PROT_WRITE, MAP_SHARED, map->fd, 0);
	if (image == MAP_FAILED)
		return diag_error(diag, -errno, "cannot map the ledger: %s", strerror(errno));
	map->image = image;
	return 0;
}

/* The file of a former writer, if it is one of ours; -EPROTO if it is not. */
static int map_take_over(struct ledger_map *map, int runtime_fd, struct diag *diag)
{
	struct stat stat;

	map->fd = openat(runtime_fd, LEDGER_MAP_NAME, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (map->fd < 0)
		return diag_error(diag, -errno, "cannot open the ledger: %s", strerror(errno));
	if (fstat(map->fd, &stat) < 0 || !S_ISREG(stat.st_mode) ||
	    stat.st_size != (off_t)sizeof(struct map_image))
		return -EPROTO;
	int status = map_attach(map, diag);
	if (status < 0)
		return status;
	return map_head_is_ours(map->image) ? 0 : -EPROTO;
}

static void map_release(struct ledger_map *map)
{
	if (map->image != NULL)
		(void)munmap(map->image, sizeof(struct map_image));
	if (map->fd >= 0)
		(void)close(map->fd);
	*map = (struct ledger_map){.fd = -1};
}

static int map_start_new(struct ledger_map *map, int runtime_fd, struct diag *diag)
{
	int status = map_make(runtime_fd, &map->fd, diag);

	if (status < 0)
		return status;
	status = map_attach(map, diag);
	if (status < 0)
		return status;
	map->image->magic = MAP_MAGIC;
	map->image->version = LEDGER_VERSION;
	map->image->host_size = sizeof(struct ledger_host);
	map->image->vm_size = sizeof(struct ledger_vm);
	if (renameat(runtime_fd, "." LEDGER_MAP_NAME ".new", runtime_fd, LEDGER_MAP_NAME) < 0)
		return diag_error(diag, -errno, "cannot name the ledger: %s", strerror(errno));
	return 0;
}

int ledger_map_open(int runtime_fd, struct ledger_map **ret_map, struct diag *diag)
{
	cleanup_ledger_map struct ledger_map *map = malloc(sizeof(*map));
	int status;

	if (map == NULL)
		return diag_error(diag, -ENOMEM, "out of memory");
	*map = (struct ledger_map){.fd = -1};
	status = map_take_over(map, runtime_fd, diag);
	if (status == -ENOENT || status == -EPROTO || status == -ELOOP) {
		map_release(map);
		status = map_start_new(map, runtime_fd, diag);
	}
	if (status < 0)
		return status;
	*ret_map = TAKE_PTR(map);
	return 0;
}

void ledger_map_close(struct ledger_map *map)
{
	if (map == NULL)
		return;
	map_release(map);
	free(map);
}

/* The valid copy of a record that nobody writes at the moment. */
static void map_load(const map_word *words, size_t count, void *ret_record)
{
	uint64_t word;

	for (size_t i = 0; i < count; i++) {
		word = atomic_load_explicit(&words[i], memory_order_relaxed);
		memcpy((char *)ret_record + i * sizeof(word), &word, sizeof(word));
	}
}

static bool map_differs(const map_word *words, size_t count, const void *record)
{
	uint64_t word;

	for (size_t i = 0; i < count; i++) {
		memcpy(&word, (const char *)record + i * sizeof(word), sizeof(word));
		if (atomic_load_explicit(&words[i], memory_order_relaxed) != word)
			return true;
	}
	return false;
}

/* Writes the copy that is not valid, then makes it the valid one. */
static void map_store(map_word *sequence, map_word *copies, size_t count, const void *record)
{
	uint64_t now = atomic_load_explicit(sequence, memory_order_relaxed);
	map_word *words = copies + ((now + 1) & 1) * count;
	uint64_t word;

	if (!map_differs(copies + (now & 1) * count, count, record))
		return;
	/*
	 * Safe because: 1. readers of sequence `now` use the other copy; 2. those that still read
	 * this one loaded `now - 1` and will see that the sequence moved, since its store precedes
	 * these.
	 */
	atomic_thread_fence(memory_order_release);
	for (size_t i = 0; i < count; i++) {
		memcpy(&word, (const char *)record + i * sizeof(word), sizeof(word));
		atomic_store_explicit(&words[i], word, memory_order_relaxed);
	}
	atomic_store_explicit(sequence, now + 1, memory_order_release);
}

int ledger_map_publish(struct ledger_map *map, const struct ledger *ledger)
{
	static const struct ledger_vm nobody = {.state = 0};
	struct map_image *image = map->image;
	uint64_t publication = atomic_load_explicit(&image->publication, memory_order_relaxed);
	size_t slots = ledger_slot_count(ledger);
	size_t shown = atomic_load_explicit(&image->slot_count, memory_order_relaxed);
	int status = map_allocate(map, slots);

	if (status < 0)
		slots = map->allocated_slots < slots ? map->allocated_slots : slots;
	/* Odd while it lasts; a former writer may have died and left it odd. */
	atomic_store_explicit(&image->publication, publication | 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	map_store(&image->host.sequence, image->host.copy[0], MAP_HOST_WORDS,
		  ledger_host_const(ledger));
	for (size_t slot = 0; slot < slots || slot < shown; slot++) {
		const struct ledger_vm *vm = ledger_vm_const(ledger, slot);
		struct map_vm *record = &image->vms[slot];

		map_store(&record->sequence, record->copy[0], MAP_VM_WORDS,
			  vm != NULL ? vm : &nobody);
	}
	atomic_store_explicit(&image->slot_count, slots, memory_order_relaxed);
	atomic_store_explicit(&image->publication, (publication | 1) + 1, memory_order_release);
	return status;
}

/*
 * A writer that died between two records left some of them one sample ahead of the others. What was
 * measured but not yet booked goes to the host; what was booked but not yet measured was measured.
 */
static void map_reconcile(struct ledger_host *host, uint32_t zone, int64_t error_uj)
{
	if (error_uj > 0)
		host->zones[zone].other_uj += (uint64_t)error_uj;
	else
		host->zones[zone].energy_uj += (uint64_t)-error_uj;
}

int ledger_map_recover(struct ledger_map *map, struct ledger *ledger)
{
	const struct map_image *image = map->image;
	size_t slots = atomic_load_explicit(&image->slot_count, memory_order_relaxed);
	struct ledger_host *host = ledger_host(ledger);
	uint64_t sequence = atomic_load_explicit(&image->host.sequence, memory_order_relaxed);
	int count = 0;

	if (slots > LEDGER_VM_MAX)
		slots = LEDGER_VM_MAX;
	map_load(image->host.copy[sequence & 1], MAP_HOST_WORDS, host);
	if (host->zone_count > ZONE_MAX) {
		memset(host, 0, sizeof(*host));
		return 0;
	}
	for (size_t i = 0; i < slots; i++) {
		struct ledger_vm vm;
		int slot;

		sequence = atomic_load_explicit(&image->vms[i].sequence, memory_order_relaxed);
		map_load(image->vms[i].copy[sequence & 1], MAP_VM_WORDS, &vm);
		if (vm.state == 0)
			continue;
		slot = ledger_admit(ledger, &vm.uuid);
		if (slot < 0)
			return slot;
		*ledger_vm(ledger, (size_t)slot) = vm;
		count++;
	}
	for (uint32_t zone = 0; zone < host->zone_count; zone++)
		map_reconcile(host, zone, ledger_conservation_error_uj(ledger, zone));
	return count;
}

/* --- readers --- */

static int map_reader_attach(struct ledger_reader *reader, struct diag *diag)
{
	cleanup_fd int fd = openat(reader->runtime_fd, LEDGER_MAP_NAME, O_RDONLY | O_CLOEXEC);
	struct stat stat;
	void *image;

	if (fd < 0)
		return diag_error(diag, -errno,
				  errno == ENOENT ? "there is no ledger: start wattportd"
						  : "cannot open the ledger");
	if (fstat(fd, &stat) < 0)
		return diag_error(diag, -errno, "cannot look at the ledger: %s", strerror(errno));
	if (stat.st_size != (off_t)sizeof(struct map_image))
		return diag_error(diag, -EPROTO,
				  "the ledger is of another version: restart wattportd");
	image = mmap(NULL, sizeof(struct map_image), PROT_READ, MAP_SHARED, fd, 0);
	if (image == MAP_FAILED)
		return diag_error(diag, -errno, "cannot map the ledger: %s", strerror(errno));
	if (!map_head_is_ours(image)) {
		(void)munmap(image, sizeof(struct map_image));
		return diag_error(diag, -EPROTO,
				  "the ledger is of another version: restart wattportd");
	}
	if (reader->image != NULL) {
		void *old;

		memcpy(&old, &reader->image, sizeof(old));
		(void)munmap(old, sizeof(struct map_image));
	}
	reader->image = image;
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
	void *image;

	if (reader == NULL)
		return;
	memcpy(&image, &reader->image, sizeof(image));
	if (image != NULL)
		(void)munmap(image, sizeof(struct map_image));
	if (reader->runtime_fd >= 0)
		(void)close(reader->runtime_fd);
	free(reader);
}

int ledger_reader_follow(struct ledger_reader *reader, struct diag *diag)
{
	struct stat stat;

	if (fstatat(reader->runtime_fd, LEDGER_MAP_NAME, &stat, AT_SYMLINK_NOFOLLOW) < 0)
		return diag_error(diag, -errno, "the ledger is gone: start wattportd");
	if (stat.st_dev == reader->device && stat.st_ino == reader->inode)
		return 0;
	return map_reader_attach(reader, diag);
}

/* Copies the valid copy of a record; tries again when a publication overtook it. */
static int map_read(const map_word *sequence, const map_word *copies, size_t count,
		    void *ret_record)
{
	for (size_t retry = 0; retry < MAP_RETRY_MAX; retry++) {
		uint64_t before = atomic_load_explicit(sequence, memory_order_acquire);

		map_load(copies + (before & 1) * count, count, ret_record);
		atomic_thread_fence(memory_order_acquire);
		if (atomic_load_explicit(sequence, memory_order_relaxed) == before)
			return 0;
	}
	return -EAGAIN;
}

/* One member of a record, by its place in the words. */
static void map_read_word(const struct map_vm *record, size_t index, size_t count,
			  uint64_t ret_words[])
{
	uint64_t before;

	do {
		before = atomic_load_explicit(&record->sequence, memory_order_acquire);
		map_load(record->copy[before & 1] + index, count, ret_words);
		atomic_thread_fence(memory_order_acquire);
	} while (atomic_load_explicit(&record->sequence, memory_order_relaxed) != before);
}

static_assert(offsetof(struct ledger_vm, uuid) == 0, "the uuid is the first two words");
static_assert(offsetof(struct ledger_vm, state) % sizeof(uint64_t) == 0, "a word starts there");
static_assert(offsetof(struct ledger_vm, updated_ns) % sizeof(uint64_t) == 0, "it is a word");

static bool map_slot_is(const struct map_vm *record, const struct uuid *uuid)
{
	uint64_t words[2];
	uint64_t state;

	map_read_word(record, 0, 2, words);
	if (memcmp(words, uuid->bytes, sizeof(words)) != 0)
		return false;
	/* The nil uuid of a free slot is nobody's. */
	map_read_word(record, offsetof(struct ledger_vm, state) / sizeof(state), 1, &state);
	return (uint32_t)state != 0;
}

static int map_find(const struct ledger_reader *reader, const struct uuid *uuid, size_t *slot)
{
	const struct map_image *image = reader->image;
	size_t slots = atomic_load_explicit(&image->slot_count, memory_order_relaxed);

	if (slots > LEDGER_VM_MAX)
		return -EAGAIN;
	if (*slot < slots && map_slot_is(&image->vms[*slot], uuid))
		return 0;
	for (size_t i = 0; i < slots; i++) {
		if (map_slot_is(&image->vms[i], uuid)) {
			*slot = i;
			return 0;
		}
	}
	return -ENOENT;
}

int ledger_reader_vm(struct ledger_reader *reader, const struct uuid *uuid, size_t *slot,
		     struct ledger_vm *ret_vm)
{
	const struct map_vm *record;
	int status = map_find(reader, uuid, slot);

	if (status < 0)
		return status;
	record = &reader->image->vms[*slot];
	status = map_read(&record->sequence, record->copy[0], MAP_VM_WORDS, ret_vm);
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
	map_read_word(&reader->image->vms[*slot],
		      offsetof(struct ledger_vm, updated_ns) / sizeof(uint64_t), 1, ret_updated_ns);
	return 0;
}

int ledger_reader_host(struct ledger_reader *reader, struct ledger_host *ret_host)
{
	const struct map_host *host = &reader->image->host;
	int status = map_read(&host->sequence, host->copy[0], MAP_HOST_WORDS, ret_host);

	if (status < 0)
		return status;
	return ret_host->zone_count <= ZONE_MAX ? 0 : -EAGAIN;
}

/* Host and accounts one after the other; *ret_whole tells whether no publication came between. */
static int map_copy_once(struct ledger_reader *reader, struct ledger_copy *copy, bool *ret_whole)
{
	const struct map_image *image = reader->image;
	uint64_t before = atomic_load_explicit(&image->publication, memory_order_acquire);
	size_t slots = atomic_load_explicit(&image->slot_count, memory_order_relaxed);
	int status = ledger_reader_host(reader, &copy->host);

	if (status < 0)
		return status;
	copy->vm_count = 0;
	for (size_t i = 0; i < slots && i < LEDGER_VM_MAX; i++) {
		struct ledger_vm *vm = &copy->vms[copy->vm_count];

		status = map_read(&image->vms[i].sequence, image->vms[i].copy[0], MAP_VM_WORDS, vm);
		if (status < 0)
			return status;
		if (vm->state != 0)
			copy->vm_count++;
	}
	atomic_thread_fence(memory_order_acquire);
	*ret_whole = (before & 1) == 0 &&
		     atomic_load_explicit(&image->publication, memory_order_relaxed) == before;
	return 0;
}

int ledger_reader_copy(struct ledger_reader *reader, struct ledger_copy *ret_copy)
{
	struct ledger_copy copy = {.vm_count = 0};
	bool whole = false;
	int status = 0;

	/* Untouched pages of the largest table cost nothing. */
	copy.vms = calloc(LEDGER_VM_MAX, sizeof(copy.vms[0]));
	if (copy.vms == NULL)
		return -ENOMEM;
	for (size_t retry = 0; retry < 100 && !whole; retry++) {
		status = map_copy_once(reader, &copy, &whole);
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
