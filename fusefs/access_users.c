#include "fusefs/access_users.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

#define ACCESS_USER_NAME_SIZE 64

/* Debian's and its kin's; Red Hat's, SUSE's and their kin's. */
static const char *const access_users_auto[] = {"libvirt-qemu", "qemu"};

static int access_users_add(struct access_users *users, const char *name)
{
	/* No thread runs yet that could share the C library's buffer. */
	const struct passwd *user = getpwnam(name);

	if (user == NULL)
		return -ENOENT;
	if (users->count == ACCESS_USER_MAX)
		return -E2BIG;
	users->users[users->count++] = user->pw_uid;
	return 0;
}

static int access_users_list(const char *names, struct access_users *users, struct diag *diag)
{
	for (;;) {
		char name[ACCESS_USER_NAME_SIZE];
		size_t length;
		int status;

		names += strspn(names, " ");
		length = strcspn(names, " ");
		if (length == 0)
			return 0;
		(void)snprintf(name, sizeof(name), "%.*s", (int)length, names);
		status = length < sizeof(name) ? access_users_add(users, name) : -ENOENT;
		if (status == -E2BIG)
			return diag_error(diag, status, "vms.users: more than %d users",
					  ACCESS_USER_MAX);
		if (status < 0)
			return diag_error(diag, status,
					  "vms.users: there is no user %s; name those under which "
					  "QEMU runs, or say %s",
					  name, ACCESS_USER_AUTO);
		names += length;
	}
}

int access_users_resolve(const char *names, struct access_users *ret_users, struct diag *diag)
{
	struct access_users users = {.count = 0};
	int status = 0;

	if (strcmp(names, ACCESS_USER_AUTO) == 0)
		for (size_t i = 0; i < sizeof(access_users_auto) / sizeof(access_users_auto[0]);
		     i++)
			(void)access_users_add(&users, access_users_auto[i]);
	else
		status = access_users_list(names, &users, diag);
	if (status == 0)
		*ret_users = users;
	return status;
}

bool access_users_have(const struct access_users *users, uid_t user)
{
	if (user == 0)
		return true;
	for (size_t i = 0; i < users->count; i++)
		if (users->users[i] == user)
			return true;
	return false;
}
