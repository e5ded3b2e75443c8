#include "common/memory.h"
#include "common/file.h"
#include "common/parse.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define MEMORY_INFO_SIZE_MAX 8192

enum memory_row {
	MEMORY_TOTAL,
	MEMORY_AVAILABLE,
	MEMORY_FREE,
	MEMORY_BUFFERS,
	MEMORY_CACHED,
	MEMORY_ROW_COUNT,
};

static const char *const memory_row_names[MEMORY_ROW_COUNT] = {
    [MEMORY_TOTAL] = "MemTotal:",  [MEMORY_AVAILABLE] = "MemAvailable:", [MEMORY_FREE] = "MemFree:",
    [MEMORY_BUFFERS] = "Buffers:", [MEMORY_CACHED] = "Cached:",
};

int memory_open(const struct sysroot *root, int *ret_fd, struct diag *diag)
{
	int fd = openat(sysroot_proc_fd(root), "meminfo", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return diag_error(diag, -errno, "cannot open proc/meminfo under %s: %s",
				  sysroot_path(root), strerror(errno));
	*ret_fd = fd;
	return 0;
}

/* "MemTotal:       16283952 kB": 0, or an error where the line is none of ours or garbage. */
static int memory_parse_line(const char *line, enum memory_row row, uint64_t *ret_bytes)
{
	size_t length = strlen(memory_row_names[row]);
	uint64_t bytes;
	int status;

	if (strncmp(line, memory_row_names[row], length) != 0)
		return -ENOENT;
	line += length;
	status = parse_next_u64(&line, &bytes);
	if (status < 0)
		return status;
	if (strncmp(line, " kB", 3) != 0 || __builtin_mul_overflow(bytes, 1024, &bytes))
		return -EINVAL;
	*ret_bytes = bytes;
	return 0;
}

int memory_parse(const char *text, struct memory *ret_memory)
{
	uint64_t rows[MEMORY_ROW_COUNT] = {0};
	bool found[MEMORY_ROW_COUNT] = {false};
	uint64_t available;

	for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
		line += *line == '\n';
		for (size_t i = 0; i < MEMORY_ROW_COUNT; i++)
			if (memory_parse_line(line, (enum memory_row)i, &rows[i]) == 0)
				found[i] = true;
	}
	if (!found[MEMORY_TOTAL] || rows[MEMORY_TOTAL] == 0)
		return -EBADMSG;
	available = rows[MEMORY_AVAILABLE];
	if (!found[MEMORY_AVAILABLE] &&
	    (__builtin_add_overflow(rows[MEMORY_FREE], rows[MEMORY_BUFFERS], &available) ||
	     __builtin_add_overflow(available, rows[MEMORY_CACHED], &available)))
		return -EBADMSG;
	if (available > rows[MEMORY_TOTAL])
		return -EBADMSG;
	*ret_memory = (struct memory){
	    .total_bytes = rows[MEMORY_TOTAL],
	    .used_bytes = rows[MEMORY_TOTAL] - available,
	};
	return 0;
}

int memory_read(int fd, struct memory *ret_memory)
{
	char text[MEMORY_INFO_SIZE_MAX];
	size_t length;
	int status = file_pread_all(fd, text, sizeof(text), &length);

	return status < 0 ? status : memory_parse(text, ret_memory);
}
