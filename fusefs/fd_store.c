#include "fusefs/fd_store.h"
#include "common/log.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#define FD_STORE_FUSE	      "fuse"
#define FD_STORE_MEMORY_COUNT 2

/* By turns, so that one memory can be dropped when the one that succeeds it is kept. */
static const char *const fd_store_memory[FD_STORE_MEMORY_COUNT] = {"memory-even", "memory-odd"};

int fd_store_take(int *ret_first)
{
	int count = sd_listen_fds(1);

	*ret_first = SD_LISTEN_FDS_START;
	return count > 0 ? count : 0;
}

static void fd_store_put_one(const char *name, int fd)
{
	char state[64];
	int status;

	(void)snprintf(state, sizeof(state), "FDSTORE=1\nFDNAME=%s", name);
	status = sd_pid_notify_with_fds(0, 0, state, &fd, 1);
	/* It still serves; only a restart will be noticed. */
	if (status < 0)
		log_warning("the service manager does not take descriptors: %s", strerror(-status));
}

static void fd_store_drop(const char *name)
{
	char state[64];

	(void)snprintf(state, sizeof(state), "FDSTOREREMOVE=1\nFDNAME=%s", name);
	(void)sd_notify(0, state);
}

void fd_store_put(int fuse_fd, int memory_fd, uint64_t epoch)
{
	/* What is kept already is not kept twice: the manager compares (kcmp(2)). */
	fd_store_put_one(FD_STORE_FUSE, fuse_fd);
	fd_store_put_one(fd_store_memory[epoch % FD_STORE_MEMORY_COUNT], memory_fd);
	fd_store_drop(fd_store_memory[(epoch + 1) % FD_STORE_MEMORY_COUNT]);
}

void fd_store_clear(void)
{
	fd_store_drop(FD_STORE_FUSE);
	for (size_t i = 0; i < FD_STORE_MEMORY_COUNT; i++)
		fd_store_drop(fd_store_memory[i]);
}
