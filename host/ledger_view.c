#include "host/ledger_view.h"
#include "common/cleanup.h"
#include "common/utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>

struct ledger_view {
	char *runtime_dir;
	dev_t device; /* of the directory that the reader was opened in */
	ino_t inode;
	struct ledger_reader *reader; /* NULL: none found yet */
};

int ledger_view_create(const char *runtime_dir, struct ledger_view **ret_view)
{
	cleanup_ledger_view struct ledger_view *view = calloc(1, sizeof(*view));

	if (view == NULL)
		return -ENOMEM;
	view->runtime_dir = strdup(runtime_dir);
	if (view->runtime_dir == NULL)
		return -ENOMEM;
	*ret_view = TAKE_PTR(view);
	return 0;
}

void ledger_view_destroy(struct ledger_view *view)
{
	if (view == NULL)
		return;
	ledger_reader_close(view->reader);
	free(view->runtime_dir);
	free(view);
}

/* Opens the ledger in the present directory, or follows it there. */
static int ledger_view_attach(struct ledger_view *view, struct diag *diag)
{
	cleanup_fd int directory = open(view->runtime_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat stat;
	int status;

	if (directory < 0 && errno == ENOENT)
		return diag_error(diag, -ENOENT, "it does not exist: start wattportd");
	if (directory < 0 || fstat(directory, &stat) < 0)
		return diag_error(diag, -errno, "cannot open it: %s", strerror(errno));
	if (view->reader != NULL && stat.st_dev == view->device && stat.st_ino == view->inode)
		return ledger_reader_follow(view->reader, diag);
	/* The directory was made anew: what the old mapping shows is a dead daemon's. */
	ledger_reader_close(TAKE_PTR(view->reader));
	status = ledger_reader_open(directory, &view->reader, diag);
	if (status < 0)
		return status;
	view->device = stat.st_dev;
	view->inode = stat.st_ino;
	return 0;
}

/* The file is another process's: nothing that is shown may run past its record or be no UTF-8. */
static void ledger_view_clean_texts(struct ledger_copy *copy)
{
	copy->host.source[LEDGER_SOURCE_SIZE - 1] = '\0';
	for (uint32_t i = 0; i < copy->host.zone_count; i++)
		copy->host.zones[i].zone.id[ZONE_ID_SIZE - 1] = '\0';
	for (size_t i = 0; i < copy->vm_count; i++) {
		char name[SAMPLE_NAME_SIZE];

		copy->vms[i].name[SAMPLE_NAME_SIZE - 1] = '\0';
		memcpy(name, copy->vms[i].name, sizeof(name));
		utf8_copy(copy->vms[i].name, sizeof(copy->vms[i].name), name);
	}
}

int ledger_view_copy(struct ledger_view *view, struct ledger_copy *ret_copy, struct diag *diag)
{
	struct ledger_copy copy = {.vms = NULL};
	int status = ledger_view_attach(view, diag);

	if (status == 0) {
		status = ledger_reader_copy(view->reader, &copy);
		if (status < 0)
			(void)diag_error(diag, status,
					 status == -EAGAIN ? "the ledger is half written: is "
							     "wattportd running?"
							   : "cannot copy the ledger: %s",
					 strerror(-status));
	}
	if (status < 0) {
		diag_prefix(diag, "runtime directory %s", view->runtime_dir);
		return status;
	}
	ledger_view_clean_texts(&copy);
	*ret_copy = copy;
	return 0;
}
