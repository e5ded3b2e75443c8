#include "guest/output_credentials.h"
#include "common/cleanup.h"
#include "common/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define OUTPUT_CREDENTIALS_BLANK " \t\r"

struct output_credentials {
	size_t count;
	struct output_credential list[OUTPUT_CREDENTIALS_MAX];
	char text[OUTPUT_CREDENTIALS_SIZE_MAX]; /* what the list points into */
};

static const struct output_credential_word {
	const char *name;
	enum output_credential_kind kind;
} output_credential_words[] = {
    {"basic", OUTPUT_BASIC}, {"token", OUTPUT_TOKEN}, {"bearer", OUTPUT_BEARER}};

/* One line, whose words are cut apart in place. */
static int output_credentials_take(struct output_credentials *credentials, char *line)
{
	struct output_credential *entry = &credentials->list[credentials->count];
	char *rest = NULL;
	const char *server = strtok_r(line, OUTPUT_CREDENTIALS_BLANK, &rest);
	const char *kind = strtok_r(NULL, OUTPUT_CREDENTIALS_BLANK, &rest);
	const char *first = strtok_r(NULL, OUTPUT_CREDENTIALS_BLANK, &rest);
	const char *second = strtok_r(NULL, OUTPUT_CREDENTIALS_BLANK, &rest);
	bool ends = strtok_r(NULL, OUTPUT_CREDENTIALS_BLANK, &rest) == NULL;

	if (server == NULL || *server == '#')
		return 0;
	for (size_t i = 0; i < sizeof(output_credential_words) / sizeof(output_credential_words[0]);
	     i++) {
		const struct output_credential_word *word = &output_credential_words[i];
		bool user = word->kind == OUTPUT_BASIC;
		const char *secret = user ? second : first;

		if (kind == NULL || strcmp(kind, word->name) != 0)
			continue;
		if (secret == NULL || !ends || (!user && second != NULL) ||
		    strlen(secret) >= OUTPUT_SECRET_SIZE)
			return -EINVAL;
		if (credentials->count == OUTPUT_CREDENTIALS_MAX)
			return -E2BIG;
		*entry = (struct output_credential){.server = server,
						    .kind = word->kind,
						    .user = user ? first : NULL,
						    .secret = secret};
		credentials->count++;
		return 0;
	}
	return -EINVAL;
}

static int output_credentials_parse(struct output_credentials *credentials, const char *path,
				    struct diag *diag)
{
	char *next = credentials->text;

	for (unsigned int number = 1; next != NULL; number++) {
		char *line = strsep(&next, "\n");
		int status = output_credentials_take(credentials, line);

		if (status == -E2BIG)
			return diag_error(diag, status, "%s:%u: more than %d servers", path, number,
					  OUTPUT_CREDENTIALS_MAX);
		if (status < 0)
			return diag_error(diag, status,
					  "%s:%u: a line is HOST:PORT basic USER PASSWORD, or "
					  "HOST:PORT token TOKEN, or HOST:PORT bearer TOKEN",
					  path, number);
	}
	return 0;
}

int output_credentials_read(const char *path, struct output_credentials **ret_credentials,
			    bool *ret_exposed, struct diag *diag)
{
	struct output_credentials *credentials = calloc(1, sizeof(*credentials));
	struct stat about = {.st_mode = 0};
	size_t length;
	int status;

	if (credentials == NULL)
		return diag_error(diag, -ENOMEM, "out of memory");
	status =
	    file_read_at(AT_FDCWD, path, credentials->text, sizeof(credentials->text), &length);
	if (status == 0 && stat(path, &about) < 0)
		status = -errno;
	if (status < 0)
		(void)diag_error(diag, status, "cannot read the credentials %s: %s", path,
				 strerror(-status));
	else
		status = output_credentials_parse(credentials, path, diag);
	if (status < 0) {
		output_credentials_destroy(credentials);
		return status;
	}
	*ret_exposed = (about.st_mode & (S_IRWXG | S_IRWXO)) != 0;
	*ret_credentials = credentials;
	return 0;
}

void output_credentials_destroy(struct output_credentials *credentials)
{
	if (credentials == NULL)
		return;
	explicit_bzero(credentials, sizeof(*credentials));
	free(credentials);
}

const struct output_credential *
output_credentials_find(const struct output_credentials *credentials, const char *url)
{
	const char *host = strstr(url, "://");
	size_t length;

	if (credentials == NULL || host == NULL)
		return NULL;
	host += 3;
	length = strcspn(host, "/");
	for (size_t i = 0; i < credentials->count; i++)
		if (strlen(credentials->list[i].server) == length &&
		    strncmp(credentials->list[i].server, host, length) == 0)
			return &credentials->list[i];
	return NULL;
}
