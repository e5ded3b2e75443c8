#include "fusefs/fuse_wire.h"

#include <assert.h>
#include <errno.h>
#include <linux/fuse.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

/* Linux 6.9; the headers of Debian 12 are older. */
#define WIRE_NOTIFY_RESEND 7
#define WIRE_UNIQUE_RESEND (UINT64_C(1) << 63)

static struct fuse_in_header wire_header(const char message[])
{
	struct fuse_in_header header;

	memcpy(&header, message, sizeof(header));
	return header;
}

uint32_t wire_length(const char message[])
{
	return wire_header(message).len;
}

void wire_clear(char message[])
{
	struct fuse_in_header header = {.len = 0};

	memcpy(message, &header, sizeof(header));
	/* It is for another process to see, whatever the compiler sees in it. */
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

size_t wire_end(char message[], uint32_t length, size_t capacity)
{
	size_t end = length;

	assert(capacity >= sizeof(struct fuse_in_header) + WIRE_TAIL_SIZE);
	if (end < sizeof(struct fuse_in_header))
		end = sizeof(struct fuse_in_header);
	if (end > capacity - WIRE_TAIL_SIZE)
		end = capacity - WIRE_TAIL_SIZE;
	memset(message + end, 0, WIRE_TAIL_SIZE);
	return end;
}

bool wire_is_opening(const char message[])
{
	struct fuse_in_header header = wire_header(message);
	uint32_t major;

	/* Before Linux 5.17 it ended there. */
	static_assert(WIRE_OPENING_SIZE == sizeof(header) + offsetof(struct fuse_init_in, flags2),
		      "all of it is there");
	memcpy(&major, message + sizeof(header), sizeof(major));
	return header.opcode == FUSE_INIT && header.len >= WIRE_OPENING_SIZE &&
	       header.len <= FUSE_MIN_READ_BUFFER && major == FUSE_KERNEL_VERSION;
}

uint64_t wire_unique(const char message[])
{
	return wire_header(message).unique & ~WIRE_UNIQUE_RESEND;
}

bool wire_is_again(const char message[])
{
	return (wire_header(message).unique & WIRE_UNIQUE_RESEND) != 0;
}

int wire_read(int fuse_fd, char message[], size_t size)
{
	for (;;) {
		ssize_t got = read(fuse_fd, message, size);

		if (got >= (ssize_t)sizeof(struct fuse_in_header))
			return (int)got;
		if (got >= 0)
			return -EPROTO;
		/* ENOENT: the request was interrupted while it was read (fs/fuse/dev.c). */
		if (errno == EINTR || errno == ENOENT)
			continue;
		return errno == ECONNABORTED ? -ENODEV : -errno;
	}
}

int wire_resend(int fuse_fd)
{
	struct fuse_out_header header = {.len = sizeof(header), .error = WIRE_NOTIFY_RESEND};

	for (;;) {
		if (write(fuse_fd, &header, sizeof(header)) >= 0)
			return 0;
		if (errno != EINTR)
			return -errno;
	}
}
