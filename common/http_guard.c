#include "common/http_guard.h"
#include "common/cleanup.h"

#include <errno.h>
#include <sys/stat.h>

int http_guard_create(struct web_config *config, struct http_guard **ret_guard, struct diag *diag)
{
	cleanup_http_guard struct http_guard *guard = malloc(sizeof(*guard));
	int status = 0;

	if (guard == NULL) {
		web_config_finish(config);
		return diag_error(diag, -ENOMEM, "out of memory");
	}
	*guard = (struct http_guard){.config = *config, .tls = NULL, .users = NULL, .holders = 1};
	*config = (struct web_config){.path = NULL};
	if (guard->config.tls.given)
		status = http_tls_create(&guard->config.tls, guard->config.path, &guard->tls, diag);
	if (status < 0)
		return status;
	status = http_users_create(&guard->config, &guard->users);
	if (status < 0)
		return diag_error(diag, status, "cannot keep users: %s", strerror(-status));
	*ret_guard = TAKE_PTR(guard);
	return 0;
}

int http_guard_open(const char *path, struct http_guard **ret_guard, struct diag *diag)
{
	struct web_config config;
	int status = web_config_read(path, &config, diag);

	return status < 0 ? status : http_guard_create(&config, ret_guard, diag);
}

struct http_guard *http_guard_hold(struct http_guard *guard)
{
	if (guard != NULL)
		atomic_fetch_add(&guard->holders, 1);
	return guard;
}

void http_guard_drop(struct http_guard *guard)
{
	if (guard == NULL || atomic_fetch_sub(&guard->holders, 1) > 1)
		return;
	http_users_destroy(guard->users);
	http_tls_destroy(guard->tls);
	web_config_finish(&guard->config);
	free(guard);
}

struct timespec http_guard_changed(const struct http_guard *guard)
{
	const char *const paths[] = {guard->config.path, guard->config.tls.certificate.path,
				     guard->config.tls.key.path, guard->config.tls.client_ca.path};
	struct timespec newest = {.tv_sec = 0, .tv_nsec = 0};

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		struct stat status;

		if (paths[i] == NULL || stat(paths[i], &status) < 0)
			continue;
		/* The time of change also tells of a file that was renamed into its place. */
		if (status.st_ctim.tv_sec > newest.tv_sec ||
		    (status.st_ctim.tv_sec == newest.tv_sec &&
		     status.st_ctim.tv_nsec > newest.tv_nsec))
			newest = status.st_ctim;
	}
	return newest;
}

const char *http_guard_exposed(const struct http_guard *guard)
{
	const struct web_config *config = &guard->config;
	/* A bcrypt hash is no password, but it can be guessed at wherever it can be read. */
	const char *const paths[] = {
	    config->tls.key.path,
	    config->user_count > 0 || config->tls.key.text != NULL ? config->path : NULL};

	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		struct stat status;

		if (paths[i] != NULL && stat(paths[i], &status) == 0 &&
		    (status.st_mode & S_IROTH) != 0)
			return paths[i];
	}
	return NULL;
}
