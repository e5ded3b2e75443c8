#include "host/confine.h"
#include "common/landlock.h"
#include "common/log.h"
#include "common/privilege.h"

#include <errno.h>
#include <string.h>

/* Transports of libvirt's URIs (DRIVER+TRANSPORT://) that are programs. */
static const char *const confine_programs[] = {"+ssh:", "+ext:"};

const struct privilege_table *confine_table(const struct settings *settings, struct diag *diag)
{
	const char *uri = settings->vms_uri;
	const char *authority = strstr(uri, "://");

	if (settings->vms_provider != SETTINGS_PROVIDER_LIBVIRT || authority == NULL)
		return &privilege_table_wattportd;
	for (size_t i = 0; i < sizeof(confine_programs) / sizeof(confine_programs[0]); i++) {
		const char *found = strstr(uri, confine_programs[i]);

		if (found == NULL || found > authority)
			continue;
		(void)diag_error(diag, -EINVAL,
				 "vms.uri: wattportd runs no programs, which %s needs; ask the "
				 "libvirt of this host (qemu:///system), or one by +tls",
				 uri);
		return NULL;
	}
	authority += strlen("://");
	return *authority == '/' || *authority == '\0' ? &privilege_table_wattportd
						       : &privilege_table_wattportd_remote;
}

int confine(const struct settings *settings, struct confine_directories directories,
	    struct diag *diag)
{
	const struct privilege_table *table = confine_table(settings, diag);
	const int written_fds[] = {directories.runtime_fd, directories.state_fd};
	int status;

	if (table == NULL)
		return -EINVAL;
	/*
	 * What is left needs none: energy_uj, libvirt's socket, the ledger and the accounts are
	 * root's own files, /proc/PID/task is open to all. Only the kernel's counters ask for
	 * CAP_PERFMON, as vCPU threads are another user's.
	 */
	status = privilege_drop_capabilities(
	    settings->attribution_events == SETTINGS_EVENTS_AUTO ? PRIVILEGE_BIT(CAP_PERFMON) : 0,
	    diag);
	if (status < 0)
		return status;
	/* Root owns the host's files: it is not to write them. */
	status = landlock_confine(written_fds, sizeof(written_fds) / sizeof(written_fds[0]), diag);
	if (status < 0)
		return status;
	if (status == 0)
		log_debug("this kernel has no Landlock: writing is confined by the service alone");
	return privilege_filter(table, diag);
}
