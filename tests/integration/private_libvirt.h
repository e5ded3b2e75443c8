/*
 * private_libvirt.h: a libvirtd of a test's own, which shares nothing with the system's.
 *
 * It runs unprivileged (as `nobody` when the test is root) with all its directories below a
 * temporary one, so it can be killed and started at will.
 */
#ifndef WATTPORT_TESTS_PRIVATE_LIBVIRT_H
#define WATTPORT_TESTS_PRIVATE_LIBVIRT_H

#include <libvirt/libvirt.h>
#include <stdbool.h>
#include <sys/types.h>

struct private_libvirt {
	char path[64];
	pid_t pid; /* 0: not running */
};

/* Whether libvirtd is installed; else the test is to be skipped. */
bool private_libvirt_installed(void);

/* Makes the directories; starts nothing. Whatever fails here fails the test. */
void private_libvirt_create(struct private_libvirt *libvirt);
void private_libvirt_start(struct private_libvirt *libvirt);
void private_libvirt_signal(const struct private_libvirt *libvirt, int signal_number);
void private_libvirt_kill(struct private_libvirt *libvirt);
void private_libvirt_remove(struct private_libvirt *libvirt);

/* The uri of a driver ("test", "/default"; "qemu", "/session") through this libvirtd. */
void private_libvirt_uri(const struct private_libvirt *libvirt, const char *driver,
			 const char *path, char *buffer, size_t size);

/* Its QEMU, as soon as it answers. */
virConnectPtr private_libvirt_connect(const struct private_libvirt *libvirt);

#endif
