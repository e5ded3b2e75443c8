#include "common/ledger_map.h"
#include "common/cleanup.h"
#include "common/ledger_map_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define MAP_MODE 0644

/*
 * A file of another version stays in its place until the first publication: those who read it see
 * accounts all the time, and its lock keeps another writer away.
 */
struct map_former {
	int fd;
	struct map_view view;
};

struct ledger_map {
	int fd;
	int runtime_fd;
	bool unnamed; /* the file gets its name with the first publication */
	struct map_former former;
	struct map_image *image;
	size_t allocated_slots; /* have their pages: writing to them cannot fail */
};

static size_t map_offset(size_t slots)
{
	return offsetof(struct map_image, vms) + slots * sizeof(struct map_vm);
}

static int map_allocate_exactly(struct ledger_map *map, size_t slots)
{
	int error = posix_fallocate(map->fd, 0, (off_t)map_offset(slots));

	if (error == 0)
		map->allocated_slots = slots;
	return -error;
}

/*
 * Memory for the records of `slots` slots, so that a full file system is an error and no SIGBUS.
 * When it is full, for as many as fit: posix_fallocate() gives all or nothing, so one by one.
 */
static int map_allocate(struct ledger_map *map, size_t slots)
{
	int status;

	if (slots <= map->allocated_slots || map_allocate_exactly(map, slots) == 0)
		return 0;
	do {
		status = map_allocate_exactly(map, map->allocated_slots + 1);
	} while (status == 0 && map->allocated_slots < slots);
	return status;
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

static int map_lock(int fd, struct diag *diag)
{
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return diag_error(diag, -EBUSY,
				  "another wattportd writes this ledger; stop it, or give this one "
				  "its own --runtime-dir");
	return 0;
}

static int map_attach(struct ledger_map *map, struct diag *diag)
{
	void *image;
	int status = map_allocate(map, 1);

	if (status < 0)
		return diag_error(diag, status,
				  "no room for the ledger in the runtime directory: %s; make room "
				  "there or name another with --runtime-dir",
				  strerror(-status));
	image =
	    mmap(NULL, sizeof(struct map_image), PROT_READ | PROT_WRITE, MAP_SHARED, map->fd, 0);
	if (image == MAP_FAILED)
		return diag_error(diag, -errno, "cannot map the ledger: %s", strerror(errno));
	map->image = image;
	return 0;
}

/*
 * The file of a former writer: 0 if it is of our version and is gone on with, -EPROTO if it is not:
 * then it is kept as the former one where it can be read, or is no ledger at all.
 */
static int map_take_over(struct ledger_map *map, struct diag *diag)
{
	cleanup_fd int fd =
	    openat(map->runtime_fd, LEDGER_MAP_NAME, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	struct stat stat;
	int status;

	if (fd < 0)
		return diag_error(diag, -errno, "cannot open the ledger: %s", strerror(errno));
	/* That nobody can tell what it is does not make it another's. */
	if (fstat(fd, &stat) < 0)
		return diag_error(diag, -errno, "cannot look at the ledger: %s", strerror(errno));
	if (!S_ISREG(stat.st_mode))
		return -EPROTO;
	status = map_lock(fd, diag);
	if (status < 0)
		return status;
	status = map_view_open(fd, &map->former.view);
	if (status == -EPROTO)
		return status;
	if (status < 0)
		return diag_error(diag, status, "cannot map the ledger: %s", strerror(-status));
	if (stat.st_size != (off_t)sizeof(struct map_image) ||
	    !map_head_is_ours(map->former.view.image)) {
		map->former.fd = TAKE_FD(fd);
		return -EPROTO;
	}
	map_view_close(&map->former.view);
	map->fd = TAKE_FD(fd);
	return map_attach(map, diag);
}

static void map_forget_former(struct ledger_map *map)
{
	map_view_close(&map->former.view);
	if (map->former.fd >= 0)
		(void)close(map->former.fd);
	map->former.fd = -1;
}

static void map_release(struct ledger_map *map)
{
	map_forget_former(map);
	if (map->image != NULL)
		(void)munmap(map->image, sizeof(struct map_image));
	if (map->fd >= 0)
		(void)close(map->fd);
	if (map->runtime_fd >= 0)
		(void)close(map->runtime_fd);
}

static int map_name(struct ledger_map *map)
{
	if (renameat(map->runtime_fd, "." LEDGER_MAP_NAME ".new", map->runtime_fd,
		     LEDGER_MAP_NAME) < 0)
		return -errno;
	map->unnamed = false;
	map_forget_former(map);
	return 0;
}

static int map_start_new(struct ledger_map *map, struct diag *diag)
{
	int status = map_make(map->runtime_fd, &map->fd, diag);

	if (status == 0)
		status = map_lock(map->fd, diag);
	if (status == 0)
		status = map_attach(map, diag);
	if (status < 0)
		return status;
	map->image->magic = MAP_MAGIC;
	map->image->version = LEDGER_VERSION;
	map->image->host_size = sizeof(struct ledger_host);
	map->image->vm_size = sizeof(struct ledger_vm);
	map->image->layout = ledger_layout_own(LEDGER_SOCKET_MAX);
	map->unnamed = map->former.fd >= 0;
	if (map->unnamed)
		return 0;
	status = map_name(map);
	return status < 0
		   ? diag_error(diag, status, "cannot name the ledger: %s", strerror(-status))
		   : 0;
}

int ledger_map_open(int runtime_fd, struct ledger_map **ret_map, struct diag *diag)
{
	cleanup_ledger_map struct ledger_map *map = malloc(sizeof(*map));
	int status;

	if (map == NULL)
		return diag_error(diag, -ENOMEM, "out of memory");
	*map = (struct ledger_map){.fd = -1, .former = {.fd = -1}};
	map->runtime_fd = fcntl(runtime_fd, F_DUPFD_CLOEXEC, 0);
	if (map->runtime_fd < 0)
		return diag_error(diag, -errno, "no descriptor left: %s", strerror(errno));
	status = map_take_over(map, diag);
	if (status == -ENOENT || status == -EPROTO || status == -ELOOP)
		status = map_start_new(map, diag);
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
	if (map->unnamed) {
		int named = map_name(map);

		return status < 0 ? status : named;
	}
	return status;
}

static int map_recover_view(const struct map_view *view, struct ledger *ledger)
{
	uint64_t slots = atomic_load_explicit(&view->image->slot_count, memory_order_relaxed);
	struct ledger_host *host = ledger_host(ledger);
	int count = 0;

	if (slots > view->slots_max)
		slots = view->slots_max;
	map_view_load_host(view, atomic_load_explicit(view->host, memory_order_relaxed), host);
	if (host->zone_count > ZONE_MAX) {
		memset(host, 0, sizeof(*host));
		return 0;
	}
	for (size_t i = 0; i < slots; i++) {
		struct ledger_vm vm;
		int slot;

		map_view_load_vm(
		    view, i, atomic_load_explicit(map_view_vm(view, i), memory_order_relaxed), &vm);
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

int ledger_map_recover(struct ledger_map *map, struct ledger *ledger)
{
	struct map_view view;
	int status;

	if (map->former.fd >= 0)
		return map_recover_view(&map->former.view, ledger);
	status = map_view_open(map->fd, &view);
	if (status < 0)
		return status;
	status = map_recover_view(&view, ledger);
	map_view_close(&view);
	return status;
}
