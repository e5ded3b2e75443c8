/* A ledger's file as records of this version, whichever version wrote it. */
#include "common/ledger_map_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define MAP_HEAD_FIVE offsetof(struct map_image, layout)

/* The layout, and where the records begin; 0: nobody can read it. */
static size_t map_view_head(const struct map_image *image, size_t size,
			    struct ledger_layout *ret_layout)
{
	*ret_layout = ledger_layout_five(LEDGER_SOCKET_MAX);
	if (size < MAP_HEAD_FIVE || image->magic != MAP_MAGIC)
		return 0;
	if (image->version == LEDGER_LAYOUT_VERSION_MIN - 1)
		return MAP_HEAD_FIVE;
	if (image->version < LEDGER_LAYOUT_VERSION_MIN || size < offsetof(struct map_image, host))
		return 0;
	*ret_layout = image->layout;
	return ledger_layout_is_sane(ret_layout) ? offsetof(struct map_image, host) : 0;
}

static int map_view_place(struct map_view *view)
{
	const struct ledger_layout own = ledger_layout_own(LEDGER_SOCKET_MAX);
	size_t head = map_view_head(view->image, view->size, &view->layout);
	size_t host_size = ledger_layout_host_size(&view->layout);
	size_t vm_size = ledger_layout_vm_size(&view->layout);
	size_t host_end = head + sizeof(uint64_t) + 2 * host_size;

	if (head == 0 || view->image->host_size != host_size || view->image->vm_size != vm_size ||
	    view->size < host_end)
		return -EPROTO;
	view->own = ledger_layout_equal(&view->layout, &own);
	view->host_words = host_size / sizeof(uint64_t);
	view->vm_words = vm_size / sizeof(uint64_t);
	view->host = (const map_word *)view->image + head / sizeof(uint64_t);
	view->vms = (const map_word *)view->image + host_end / sizeof(uint64_t);
	view->slots_max = (view->size - host_end) / (sizeof(uint64_t) + 2 * vm_size);
	if (view->slots_max > LEDGER_VM_MAX)
		view->slots_max = LEDGER_VM_MAX;
	view->scratch = malloc(host_size > vm_size ? host_size : vm_size);
	return view->scratch != NULL ? 0 : -ENOMEM;
}

int map_view_open(int fd, struct map_view *ret_view)
{
	struct map_view view = {.own = false};
	struct stat stat;
	void *image;
	int status;

	if (fstat(fd, &stat) < 0)
		return -errno;
	if (!S_ISREG(stat.st_mode) || stat.st_size < (off_t)MAP_HEAD_FIVE)
		return -EPROTO;
	view.size = (size_t)stat.st_size;
	image = mmap(NULL, view.size, PROT_READ, MAP_SHARED, fd, 0);
	if (image == MAP_FAILED)
		return -errno;
	view.image = image;
	status = map_view_place(&view);
	if (status < 0) {
		map_view_close(&view);
		return status;
	}
	*ret_view = view;
	return 0;
}

void map_view_close(struct map_view *view)
{
	void *image;

	memcpy(&image, &view->image, sizeof(image));
	if (image != NULL)
		(void)munmap(image, view->size);
	free(view->scratch);
	*view = (struct map_view){.own = false};
}

int map_view_slots(const struct map_view *view)
{
	uint64_t slots = atomic_load_explicit(&view->image->slot_count, memory_order_relaxed);

	return slots <= view->slots_max ? (int)slots : -EAGAIN;
}

void map_view_load_host(const struct map_view *view, uint64_t sequence,
			struct ledger_host *ret_host)
{
	const map_word *copy = view->host + 1 + (sequence & 1) * view->host_words;

	if (view->own) {
		map_load(copy, view->host_words, ret_host);
		return;
	}
	map_load(copy, view->host_words, view->scratch);
	ledger_layout_take_host(&view->layout, view->scratch, ret_host);
}

void map_view_load_vm(const struct map_view *view, size_t slot, uint64_t sequence,
		      struct ledger_vm *ret_vm)
{
	const map_word *copy = map_view_vm(view, slot) + 1 + (sequence & 1) * view->vm_words;

	if (view->own) {
		map_load(copy, view->vm_words, ret_vm);
		return;
	}
	map_load(copy, view->vm_words, view->scratch);
	ledger_layout_take_vm(&view->layout, view->scratch, ret_vm);
}
