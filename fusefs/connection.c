#include "fusefs/connection.h"
#include "common/cleanup.h"
#include "common/log.h"
#include "fusefs/fd_store.h"
#include "fusefs/fuse_wire.h"
#include "fusefs/mountpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>

#define CONNECTION_OPENING_MS 5000 /* for the kernel's opening message */

/* The kernel says hello once for a mount; every worker has to hear it. */
static int connection_take_opening(struct connection *connection, struct diag *diag)
{
	struct pollfd polled = {.fd = connection->fuse_fd, .events = POLLIN};
	int status;

	if (poll(&polled, 1, CONNECTION_OPENING_MS) <= 0)
		return diag_error(diag, -ETIMEDOUT, "the kernel does not open the connection");
	status = wire_read(connection->fuse_fd, connection->memory->init.bytes, FS_MESSAGE_SIZE);
	if (status < 0)
		return diag_error(diag, status, "cannot read from the kernel: %s",
				  strerror(-status));
	return 0;
}

static int connection_move(int *fd, int number, struct diag *diag)
{
	if (dup3(*fd, number, O_CLOEXEC) < 0)
		return diag_error(diag, -errno, "cannot use descriptor %d: %s", number,
				  strerror(errno));
	(void)close(*fd);
	*fd = number;
	return 0;
}

/* To where a successor looks. The memory last: who finds it finds both. */
static int connection_place(struct connection *connection, struct diag *diag)
{
	int status = connection_move(&connection->fuse_fd, HERITAGE_FUSE_FD, diag);

	if (status == 0)
		status = connection_move(&connection->memory_fd, HERITAGE_MEMORY_FD, diag);
	return status;
}

static void connection_store(const struct connection *connection, struct fd_store *store)
{
	fd_store_put(store, connection->fuse_fd, connection->memory_fd,
		     connection->memory->heritage.epoch);
}

int connection_open(const char *mount_path, struct fd_store *store, struct connection *connection,
		    struct diag *diag)
{
	int status = fs_memory_create(&connection->memory, &connection->memory_fd, diag);

	if (status < 0)
		return status;
	status = mountpoint_attach(mount_path, &connection->fuse_fd, diag);
	if (status < 0)
		return status;
	status = mountpoint_device(mount_path, &connection->memory->heritage.mount_device, diag);
	if (status < 0)
		return diag_error(diag, status, "cannot find the mount at %s among the mounts: %s",
				  mount_path, strerror(-status));
	status = connection_take_opening(connection, diag);
	if (status < 0)
		return status;
	/* What the service manager has of an earlier mount is of no use any more. */
	fd_store_clear(store);
	status = connection_place(connection, diag);
	if (status == 0)
		connection_store(connection, store);
	return status;
}

int connection_inherit(struct takeover *takeover, bool copy, struct connection *connection,
		       struct diag *diag)
{
	int status;

	connection->fuse_fd = TAKE_FD(takeover->fuse_fd);
	connection->memory_fd = TAKE_FD(takeover->memory_fd);
	status = fs_memory_inherit(&connection->memory_fd, copy, &connection->memory,
				   &connection->old, diag);
	return status < 0 ? status : connection_place(connection, diag);
}

void connection_adopt(struct takeover *takeover, struct connection *connection)
{
	fs_memory_adopt(connection->memory, &connection->old);
	heritage_unmap(&takeover->memory);
	connection_store(connection, &takeover->store);
	log_info("going on with the mount that the last wattport-fs left");
}

void connection_close(struct connection *connection)
{
	if (connection->fuse_fd >= 0)
		(void)close(connection->fuse_fd);
	if (connection->memory_fd >= 0)
		(void)close(connection->memory_fd);
	if (connection->old.heritage != NULL)
		(void)close(connection->old.fd);
	heritage_unmap(&connection->old);
	fs_memory_destroy(connection->memory);
	*connection = (struct connection){.fuse_fd = -1, .memory_fd = -1};
}
