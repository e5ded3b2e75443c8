#include "fusefs/fs_memory.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

int fs_memory_create(struct fs_memory **ret_memory, struct diag *diag)
{
	/* Untouched pages cost nothing, so the tables may be as large as they can ever be. */
	void *memory = mmap(NULL, sizeof(struct fs_memory), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		return diag_error(diag, -errno, "cannot get shared memory: %s", strerror(errno));
	*ret_memory = memory;
	return 0;
}

void fs_memory_destroy(struct fs_memory *memory)
{
	if (memory != NULL)
		(void)munmap(memory, sizeof(*memory));
}
