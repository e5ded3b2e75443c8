#include "common/privilege.h"

#include <cap-ng.h>
#include <errno.h>
#include <pwd.h>
#include <seccomp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

/* The one place that knows about sanitizers: gcc defines macros, clang 14 has __has_feature(). */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define PRIVILEGE_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
    __has_feature(memory_sanitizer)
#define PRIVILEGE_SANITIZED 1
#endif
#endif
#ifndef PRIVILEGE_SANITIZED
#define PRIVILEGE_SANITIZED 0
#endif

/* Null, and the error told, if there is none. */
static const struct passwd *privilege_find_user(struct diag *diag)
{
	static const char *const names[] = {PRIVILEGE_USER, PRIVILEGE_USER_FALLBACK};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		/* No thread runs yet that could share the C library's buffer. */
		const struct passwd *user = getpwnam(names[i]);

		if (user != NULL && user->pw_uid != 0)
			return user;
	}
	(void)diag_error(diag, -ENOENT,
			 "there is neither a user %s nor a user %s to run as; "
			 "make one: useradd --system --shell /usr/sbin/nologin %s",
			 PRIVILEGE_USER, PRIVILEGE_USER_FALLBACK, PRIVILEGE_USER);
	return NULL;
}

int privilege_find(struct privilege_user *ret_user, struct diag *diag)
{
	const struct passwd *user = privilege_find_user(diag);

	if (user == NULL)
		return -ENOENT;
	*ret_user = (struct privilege_user){.user = user->pw_uid, .group = user->pw_gid};
	return 0;
}

bool privilege_reads_all(void)
{
	return geteuid() == 0 || capng_have_capability(CAPNG_EFFECTIVE, CAP_DAC_READ_SEARCH) != 0 ||
	       capng_have_capability(CAPNG_EFFECTIVE, CAP_DAC_OVERRIDE) != 0;
}

/* Root becomes the user; the capabilities, chosen before, go at the same time. */
static int privilege_change_user(const struct privilege_user *user, struct diag *diag)
{
	errno = 0;
	if (capng_change_id((int)user->user, (int)user->group,
			    CAPNG_DROP_SUPP_GRP | CAPNG_CLEAR_BOUNDING | CAPNG_CLEAR_AMBIENT) != 0)
		return diag_error(diag, -EPERM,
				  "cannot become user %u: %s; start as root with CAP_SETUID, "
				  "CAP_SETGID and CAP_SETPCAP, or as that user",
				  user->user, strerror(errno != 0 ? errno : EPERM));
	/* Trust, but verify: a process that is still root must not open its door. */
	if (getuid() == 0 || geteuid() == 0 || setuid(0) == 0)
		return diag_error(diag, -EPERM, "still root after becoming user %u", user->user);
	/*
	 * Changing the user makes the process undumpable, which is right in production, but keeps
	 * the leak checker from looking into its own process.
	 */
	if (PRIVILEGE_SANITIZED)
		(void)prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	return 0;
}

static int privilege_forbid_new(struct diag *diag)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return diag_error(diag, -errno, "cannot set no_new_privs: %s", strerror(errno));
	return 0;
}

int privilege_drop_capabilities(uint64_t keep, struct diag *diag)
{
	uint64_t kept = 0;

	for (unsigned i = 0; i <= CAP_LAST_CAP; i++)
		if ((keep & PRIVILEGE_BIT(i)) != 0 &&
		    capng_have_capability(CAPNG_PERMITTED, i) != 0)
			kept |= PRIVILEGE_BIT(i);
	/* The bounding set as well: else root would get everything back by the next execve(2). */
	capng_clear(CAPNG_SELECT_ALL);
	for (unsigned i = 0; i <= CAP_LAST_CAP; i++)
		if ((kept & PRIVILEGE_BIT(i)) != 0)
			(void)capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, i);
	if (capng_apply(geteuid() == 0 ? CAPNG_SELECT_ALL : CAPNG_SELECT_CAPS) != 0)
		return diag_error(diag, -EPERM, "cannot give up capabilities");
	return privilege_forbid_new(diag);
}

int privilege_drop(struct diag *diag)
{
	struct privilege_user user = {.user = geteuid(), .group = getegid()};
	int status = user.user == 0 ? privilege_find(&user, diag) : 0;

	return status < 0 ? status : privilege_drop_to(&user, diag);
}

int privilege_drop_to(const struct privilege_user *user, struct diag *diag)
{
	int status = 0;

	capng_clear(CAPNG_SELECT_ALL);
	if (geteuid() == 0)
		status = privilege_change_user(user, diag);
	else if (capng_apply(CAPNG_SELECT_CAPS) != 0)
		/* The bounding set is root's to change; no_new_privs makes it moot. */
		status = diag_error(diag, -EPERM, "cannot give up capabilities");
	return status < 0 ? status : privilege_forbid_new(diag);
}

int privilege_filter_works(void)
{
	return !PRIVILEGE_SANITIZED;
}

static int privilege_add_call(scmp_filter_ctx filter, const struct privilege_call *call)
{
	struct scmp_arg_cmp conditions[PRIVILEGE_CONDITION_MAX];

	if (call->deny != 0)
		return seccomp_rule_add(filter, SCMP_ACT_ERRNO((uint32_t)call->deny), call->number,
					0);
	for (unsigned i = 0; i < call->condition_count; i++)
		conditions[i] = (struct scmp_arg_cmp){.arg = call->conditions[i].argument,
						      .op = SCMP_CMP_MASKED_EQ,
						      .datum_a = call->conditions[i].mask,
						      .datum_b = call->conditions[i].value};
	return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, call->number, call->condition_count,
				      conditions);
}

static int privilege_add_table(scmp_filter_ctx filter, const struct privilege_table *table)
{
	for (; table != NULL; table = table->used)
		for (size_t i = 0; i < table->count; i++) {
			int status = privilege_add_call(filter, &table->calls[i]);

			if (status < 0)
				return status;
		}
	return 0;
}

int privilege_filter(const struct privilege_table *table, struct diag *diag)
{
	scmp_filter_ctx filter;
	int status;

	if (PRIVILEGE_SANITIZED)
		return 0;
	filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	if (filter == NULL)
		return diag_error(diag, -ENOMEM, "out of memory");
	/* All threads at once; a kernel that cannot log the refusals still refuses. */
	status = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	(void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_LOG, 1);
	if (status == 0)
		status = privilege_add_table(filter, table);
	if (status == 0)
		status = seccomp_load(filter);
	seccomp_release(filter);
	if (status < 0)
		return diag_error(diag, status,
				  "cannot filter system calls: %s; the kernel needs "
				  "CONFIG_SECCOMP_FILTER (Linux 3.17 or later)",
				  strerror(-status));
	return 0;
}
