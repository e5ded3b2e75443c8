/*
 * What a former wattport-fs leaves, of another version or damaged: whatever it says, the next one
 * takes it or refuses it, and whoever has a file open is answered.
 *
 * The input is a list of changes to well-formed memory: how the memory is taken over, then where (a
 * column and a place in it, or the beginning), how long, and the bytes that stand there.
 */
#include "tests/fuzz/fuzz.h"
#include "tests/unit/fake_kernel.h"

#include <fcntl.h>
#include <unistd.h>

#define CHANGE_SIZE 6

static struct fake_kernel kernel;

/* Names, open files and reads that wait: something of everything. */
static void use(struct fake_host *host)
{
	static const char *const path[] = {FAKE_VM, "wattport", "snapshot"};
	const struct fuse_open_in open = {0};
	const struct fuse_read_in read = {.size = 4096};
	uint64_t node = FUSE_ROOT_ID;

	fake_kernel_open(&kernel, host);
	fake_kernel_start(&kernel);
	(void)fake_kernel_hear(&kernel);
	for (size_t i = 0; i < 3; i++) {
		(void)fake_kernel_ask(&kernel, FUSE_LOOKUP, node, path[i], strlen(path[i]) + 1);
		FUZZ_CHECK(fake_kernel_hear(&kernel) != NULL);
		memcpy(&node, kernel.answer + sizeof(struct fuse_out_header), sizeof(node));
	}
	for (size_t i = 0; i < 3; i++) {
		(void)fake_kernel_ask(&kernel, FUSE_OPEN, node, &open, sizeof(open));
		FUZZ_CHECK(fake_kernel_hear(&kernel) != NULL);
	}
	(void)fake_kernel_ask(&kernel, FUSE_READ, node, &read, sizeof(read));
	fake_kernel_stop(&kernel);
}

static void change(struct fs_memory *memory, const uint8_t *data, size_t size)
{
	while (size > CHANGE_SIZE) {
		uint64_t place =
		    (uint64_t)data[1] | (uint64_t)data[2] << 8 | (uint64_t)data[3] << 16;
		size_t length = data[4] < size - CHANGE_SIZE ? data[4] : size - CHANGE_SIZE;

		/* A place within a column is more likely to mean something than one within all. */
		if (data[0] < memory->heritage.column_count && data[0] < HERITAGE_COLUMN_MAX)
			place += memory->heritage.columns[data[0]].offset;
		if (place < sizeof(*memory) && length <= sizeof(*memory) - place)
			memcpy((char *)memory + place, data + CHANGE_SIZE, length);
		data += CHANGE_SIZE + length;
		size -= CHANGE_SIZE + length;
	}
}

/* Every request that can be made of what is there. */
static void go_on(struct fake_host *host, struct fs_memory *memory, int fd)
{
	fake_kernel_open_with(&kernel, host, memory, fd);
	fake_kernel_start(&kernel);
	fake_kernel_wait(&kernel, CLOCK_NS_PER_SECOND);
	for (uint32_t handle = 0; handle < 8; handle++) {
		const struct fuse_read_in read = {.fh = handle, .size = 8192, .offset = handle & 1};
		const struct fuse_release_in release = {.fh = handle};
		uint64_t node = handle_table_node(&memory->handles, handle);

		(void)fake_kernel_ask(&kernel, FUSE_GETATTR, node, &read, sizeof(read));
		(void)fake_kernel_ask(&kernel, FUSE_READ, node, &read, sizeof(read));
		(void)fake_kernel_ask(&kernel, FUSE_READDIR, handle, &read, sizeof(read));
		fake_kernel_wait(&kernel, CLOCK_NS_PER_SECOND);
		(void)fake_kernel_ask(&kernel, FUSE_RELEASE, node, &release, sizeof(release));
		while (fake_kernel_hear(&kernel) != NULL)
			;
	}
	(void)fake_kernel_ask(&kernel, FUSE_LOOKUP, FUSE_ROOT_ID, FAKE_OTHER, sizeof(FAKE_OTHER));
	fake_kernel_close(&kernel);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fake_host host;
	struct heritage_mapping old;
	struct fs_memory *memory;
	struct diag diag = DIAG_INIT;
	int fd, status;

	if (size == 0)
		return 0;
	if (host.map == NULL)
		fake_host_create(&host);
	use(&host);
	change(kernel.memory, data + 1, size - 1);
	fd = fcntl(kernel.memory_fd, F_DUPFD_CLOEXEC, 0);
	FUZZ_CHECK(fd >= 0);
	status = fs_memory_inherit(&fd, (data[0] & 1) != 0, &memory, &old, &diag);
	if (status == 0)
		fs_memory_adopt(memory, &old);
	fake_kernel_close(&kernel);
	if (status == 0)
		go_on(&host, memory, fd);
	else
		(void)close(fd);
	return 0;
}
