#include "fusefs/heritage.h"
#include "common/cleanup.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define HERITAGE_NAME	"wattport-fs"
#define HERITAGE_SEALS	(F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)
#define HERITAGE_NOEXEC 8U /* MFD_NOEXEC_SEAL of Linux 6.3; the headers of Debian 12 are older */

static const char heritage_magic[8] = {'W', 'a', 't', 't', 'T', 'r', 'e', 'e'};

static_assert(sizeof(struct heritage_column) == 56, "the contract with other versions");
static_assert(sizeof(struct heritage) == 48 + HERITAGE_COLUMN_MAX * 56, "likewise");

static int heritage_map_size(int fd, size_t size, struct heritage_mapping *ret_mapping)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (memory == MAP_FAILED)
		return -errno;
	*ret_mapping = (struct heritage_mapping){.heritage = memory, .size = size, .fd = fd};
	return 0;
}

int heritage_create(const struct heritage_layout *layout, int *ret_fd,
		    struct heritage_mapping *ret_mapping)
{
	/* A host may insist on memory that nobody executes; before Linux 6.3 there is no such. */
	cleanup_fd int fd = memfd_create(HERITAGE_NAME, MFD_CLOEXEC | HERITAGE_NOEXEC);
	struct heritage *heritage;
	int status;

	assert(layout->column_count <= HERITAGE_COLUMN_MAX);
	assert(layout->size >= sizeof(*heritage));
	if (fd < 0)
		fd = memfd_create(HERITAGE_NAME, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0 || ftruncate(fd, (off_t)layout->size) < 0 ||
	    fcntl(fd, F_ADD_SEALS, HERITAGE_SEALS) < 0)
		return -errno;
	status = heritage_map_size(fd, layout->size, ret_mapping);
	if (status < 0)
		return status;
	heritage = ret_mapping->heritage;
	*heritage = (struct heritage){
	    .version = HERITAGE_VERSION,
	    .column_count = (uint32_t)layout->column_count,
	    .size = layout->size,
	    .epoch = 1,
	};
	memcpy(heritage->magic, heritage_magic, sizeof(heritage_magic));
	memcpy(heritage->columns, layout->columns, layout->column_count * sizeof(*layout->columns));
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int heritage_map(int fd, struct heritage_mapping *ret_mapping)
{
	cleanup_heritage struct heritage_mapping mapping = {.heritage = NULL};
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat stat;
	int status;

	/* Sealed: nobody can take pages away from under us. */
	if (seals < 0 || (seals & HERITAGE_SEALS) != HERITAGE_SEALS || fstat(fd, &stat) < 0 ||
	    (size_t)stat.st_size < sizeof(struct heritage))
		return -EPROTO;
	status = heritage_map_size(fd, (size_t)stat.st_size, &mapping);
	if (status < 0)
		return status;
	assert(mapping.heritage != NULL);
	if (memcmp(mapping.heritage->magic, heritage_magic, sizeof(heritage_magic)) != 0 ||
	    mapping.heritage->version != HERITAGE_VERSION)
		return -EPROTO;
	*ret_mapping = mapping;
	mapping = (struct heritage_mapping){.heritage = NULL};
	return 0;
}

void heritage_unmap(struct heritage_mapping *mapping)
{
	if (mapping->heritage != NULL)
		(void)munmap(mapping->heritage, mapping->size);
	*mapping = (struct heritage_mapping){.heritage = NULL};
}

bool heritage_matches(const struct heritage_mapping *mapping, const struct heritage_layout *layout)
{
	const struct heritage *heritage = mapping->heritage;

	return mapping->size == layout->size && heritage->size == layout->size &&
	       heritage->column_count == layout->column_count &&
	       memcmp(heritage->columns, layout->columns,
		      layout->column_count * sizeof(*layout->columns)) == 0;
}

/* Whether all of the column lies within memory of that size, behind its beginning. */
static bool heritage_column_fits(const struct heritage_column *column, size_t size)
{
	uint64_t outer, inner, end;

	return column->count > 0 && column->inner_count > 0 &&
	       column->offset >= sizeof(struct heritage) &&
	       !__builtin_mul_overflow((uint64_t)column->stride, (uint64_t)column->count - 1,
				       &outer) &&
	       !__builtin_mul_overflow((uint64_t)column->inner_stride,
				       (uint64_t)column->inner_count - 1, &inner) &&
	       !__builtin_add_overflow(column->offset, outer, &end) &&
	       !__builtin_add_overflow(end, inner, &end) &&
	       !__builtin_add_overflow(end, (uint64_t)column->size, &end) && end <= size;
}

static uint32_t heritage_lesser(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* The pages of a memory that were ever written; the others read as zero and need no memory. */
struct heritage_pages {
	size_t size;   /* of one */
	bool *written; /* NULL: any of them may have been */
};

/*
 * Found before anything is read: reading a page that was never written makes one, which would then
 * look as if it had been.
 */
static struct heritage_pages heritage_find_pages(const struct heritage_mapping *mapping)
{
	struct heritage_pages pages = {.size = (size_t)sysconf(_SC_PAGESIZE)};
	size_t count = (mapping->size + pages.size - 1) / pages.size;
	off_t start = 0;

	pages.written = calloc(count, sizeof(*pages.written));
	if (pages.written == NULL)
		return pages;
	while ((start = lseek(mapping->fd, start, SEEK_DATA)) >= 0) {
		off_t end = lseek(mapping->fd, start, SEEK_HOLE);

		if (end < 0)
			break;
		for (size_t i = (size_t)start / pages.size; (off_t)(i * pages.size) < end; i++)
			pages.written[i] = true;
		start = end;
	}
	/* At the end there is nothing behind; any other error leaves unknown what there is. */
	if (errno != ENXIO) {
		free(pages.written);
		pages.written = NULL;
	}
	return pages;
}

static bool heritage_is_written(const struct heritage_pages *pages, size_t start, size_t length)
{
	if (pages->written == NULL)
		return true;
	for (size_t i = start / pages->size; i * pages->size < start + length; i++)
		if (pages->written[i])
			return true;
	return false;
}

static void heritage_copy_column(const struct heritage_mapping *from_mapping,
				 const struct heritage_pages *pages,
				 const struct heritage_column *from,
				 const struct heritage_column *to, char *to_memory)
{
	const char *from_memory = (const char *)from_mapping->heritage;
	uint32_t count = heritage_lesser(from->count, to->count);
	uint32_t inner_count = heritage_lesser(from->inner_count, to->inner_count);
	uint32_t size = heritage_lesser(from->size, to->size);
	size_t length = (size_t)(inner_count - 1) * from->inner_stride + size;

	for (size_t i = 0; i < count; i++) {
		size_t source = from->offset + i * from->stride;
		size_t target = to->offset + i * to->stride;

		if (!heritage_is_written(pages, source, length))
			continue;
		for (size_t j = 0; j < inner_count; j++)
			memcpy(to_memory + target + j * to->inner_stride,
			       from_memory + source + j * from->inner_stride, size);
	}
}

void heritage_copy(const struct heritage_mapping *from, struct heritage_mapping *to)
{
	/* What is checked must be what is used. */
	const struct heritage head = *from->heritage;
	struct heritage *target = to->heritage;
	struct heritage_pages pages = heritage_find_pages(from);

	target->epoch = head.epoch + 1;
	target->reign = head.reign;
	target->mount_device = head.mount_device;
	for (uint32_t i = 0; i < target->column_count; i++)
		for (uint32_t j = 0; j < head.column_count && j < HERITAGE_COLUMN_MAX; j++)
			if (strncmp(target->columns[i].name, head.columns[j].name,
				    HERITAGE_NAME_SIZE) == 0 &&
			    heritage_column_fits(&head.columns[j], from->size))
				heritage_copy_column(from, &pages, &head.columns[j],
						     &target->columns[i], (char *)target);
	free(pages.written);
}
