#include "fusefs/fd_store.h"
#include "common/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#define FD_STORE_FUSE	   "fuse"
#define FD_STORE_PLAIN	   "plain"
#define FD_STORE_SETTLE_US 5000000
#define FD_STORE_NAME_SIZE 32

struct fd_store_name {
	char text[FD_STORE_NAME_SIZE];
};

static struct fd_store_name fd_store_memory(uint64_t epoch)
{
	struct fd_store_name name;

	(void)snprintf(name.text, sizeof(name.text), "memory-%" PRIu64, epoch);
	return name;
}

void fd_store_take(struct fd_store *ret_store)
{
	char **names = NULL;
	int count = sd_listen_fds_with_names(1, &names);

	*ret_store = (struct fd_store){.first = SD_LISTEN_FDS_START,
				       .count = count > 0 ? count : 0,
				       .names = count > 0 ? names : NULL};
}

static void fd_store_put_one(const char *name, int fd)
{
	char state[64];
	int status;

	(void)snprintf(state, sizeof(state), "FDSTORE=1\nFDNAME=%s", name);
	status = sd_pid_notify_with_fds(0, 0, state, &fd, 1);
	/* It still serves; only a crash of both our processes will be noticed. */
	if (status < 0)
		log_warning("the service manager does not take descriptors: %s", strerror(-status));
}

static void fd_store_drop(const char *name)
{
	/* sd_notify(3): a name has at most 255 characters. */
	char state[320];

	(void)snprintf(state, sizeof(state), "FDSTOREREMOVE=1\nFDNAME=%s", name);
	(void)sd_notify(0, state);
}

void fd_store_put(struct fd_store *store, int fuse_fd, int memory_fd, uint64_t epoch)
{
	struct fd_store_name memory = fd_store_memory(epoch);

	/* What is kept already is not kept twice: the manager compares (kcmp(2)). */
	fd_store_put_one(FD_STORE_FUSE, fuse_fd);
	fd_store_put_one(memory.text, memory_fd);
	store->epoch = epoch;
	for (int i = 0; store->names != NULL && i < store->count; i++)
		if (strcmp(store->names[i], FD_STORE_FUSE) != 0 &&
		    strcmp(store->names[i], memory.text) != 0)
			fd_store_drop(store->names[i]);
}

void fd_store_put_plain(struct fd_store *store, int root_fd)
{
	fd_store_put_one(FD_STORE_PLAIN, root_fd);
	store->plain = true;
}

int fd_store_plain(void)
{
	char **names = NULL;
	int count = sd_listen_fds_with_names(0, &names);
	int fd = -1;

	for (int i = 0; i < count; i++) {
		if (fd < 0 && strcmp(names[i], FD_STORE_PLAIN) == 0)
			fd = fcntl(SD_LISTEN_FDS_START + i, F_DUPFD_CLOEXEC, 0);
		free(names[i]);
	}
	free(names);
	return fd;
}

int fd_store_settle(struct diag *diag)
{
	int status = sd_notify_barrier(0, FD_STORE_SETTLE_US);

	if (status > 0)
		return 0;
	if (status == 0)
		return diag_error(diag, -ENOTCONN,
				  "there is no service manager to keep the mount for the next "
				  "wattport-fs; without one start wattport-fs without --mount");
	return diag_error(diag, status, "the service manager does not answer: %s",
			  strerror(-status));
}

void fd_store_clear(struct fd_store *store)
{
	for (int i = 0; store->names != NULL && i < store->count; i++)
		fd_store_drop(store->names[i]);
	if (store->plain)
		fd_store_drop(FD_STORE_PLAIN);
	store->plain = false;
	if (store->epoch == 0)
		return;
	fd_store_drop(FD_STORE_FUSE);
	fd_store_drop(fd_store_memory(store->epoch).text);
}

void fd_store_finish(struct fd_store *store)
{
	for (int i = 0; store->names != NULL && i < store->count; i++)
		free(store->names[i]);
	free(store->names);
	*store = (struct fd_store){.names = NULL};
}
