/*
 * access_users.h: the users under which virtual machines run: whose QEMU and virtiofsd are
 * believed.
 *
 * A part of access.c, made by the keeper: the worker is nobody and filters its system calls, so it
 * cannot ask for users itself. Root is always one of them.
 */
#ifndef WATTPORT_FUSEFS_ACCESS_USERS_H
#define WATTPORT_FUSEFS_ACCESS_USERS_H

#include "common/diag.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define ACCESS_USER_MAX	 16
#define ACCESS_USER_AUTO "auto"

struct access_users {
	size_t count;
	uid_t users[ACCESS_USER_MAX];
};

/*
 * "auto": those of libvirt-qemu and qemu that there are; else names with spaces between them, each
 * of which must be a user: -ENOENT, or -E2BIG, with *diag. Before the first thread.
 */
int access_users_resolve(const char *names, struct access_users *ret_users, struct diag *diag);

bool access_users_have(const struct access_users *users, uid_t user);

#endif
