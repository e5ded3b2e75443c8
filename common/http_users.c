#include "common/http_users.h"
#include "common/cleanup.h"

#include <assert.h>
#include <errno.h>
#include <gnutls/crypto.h>
#include <strings.h>

#define HTTP_SALT_SIZE 32

struct http_users {
	const struct web_config *config;
	char decoy[WEB_HASH_SIZE];
	uint8_t salt[HTTP_SALT_SIZE]; /* of this process: a digest is worth nothing elsewhere */
	size_t granted_count;
	struct http_digest *granted; /* by user, where known */
	bool *known;
	size_t refused_count;
	size_t refused_next;
	struct http_digest refused[HTTP_REFUSED_MAX];
};

int http_users_create(const struct web_config *config, struct http_users **ret_users)
{
	cleanup_http_users struct http_users *users = calloc(1, sizeof(*users));
	const char *costliest = "$2y$04$";

	if (users == NULL)
		return -ENOMEM;
	users->config = config;
	users->granted = calloc(config->user_count + 1, sizeof(*users->granted));
	users->known = calloc(config->user_count + 1, sizeof(*users->known));
	if (users->granted == NULL || users->known == NULL)
		return -ENOMEM;
	if (gnutls_rnd(GNUTLS_RND_KEY, users->salt, sizeof(users->salt)) < 0)
		return -EIO;
	/* The decoy costs what the costliest user does. */
	for (size_t i = 0; i < config->user_count; i++)
		if (strncmp(config->users[i].hash + 4, costliest + 4, 2) > 0)
			costliest = config->users[i].hash;
	(void)snprintf(users->decoy, sizeof(users->decoy), "$2y$%.2s$%s", costliest + 4,
		       "abcdefghijklmnopqrstuuabcdefghijklmnopqrstuvwxyz01234");
	assert(strlen(users->decoy) == WEB_HASH_SIZE - 1);
	*ret_users = TAKE_PTR(users);
	return 0;
}

void http_users_destroy(struct http_users *users)
{
	if (users == NULL)
		return;
	free(users->granted);
	free(users->known);
	free(users);
}

/* RFC 4648, 4; -1 for what is no digit of it. */
static int http_base64_digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+')
		return 62;
	return c == '/' ? 63 : -1;
}

/* Whole groups of four, the last one padded; returns the length, which is less than `size`. */
static ssize_t http_base64_decode(const char *text, char *buffer, size_t size)
{
	size_t length = 0;

	for (; *text != '\0'; text += 4) {
		uint32_t group = 0;
		int digits = 0;

		while (digits < 4 && http_base64_digit(text[digits]) >= 0)
			group = group << 6 | (uint32_t)http_base64_digit(text[digits++]);
		if (digits < 2)
			return -EINVAL;
		/* After padding nothing follows. */
		for (int i = digits; i < 4; i++)
			if (text[i] != '=')
				return -EINVAL;
		if (digits < 4 && text[4] != '\0')
			return -EINVAL;
		group <<= 6 * (4 - digits);
		for (int i = 0; i < digits - 1; i++) {
			if (length + 1 >= size)
				return -EINVAL;
			buffer[length++] = (char)(group >> (16 - 8 * i) & 0xff);
		}
	}
	buffer[length] = '\0';
	return (ssize_t)length;
}

int http_credentials_parse(const char *authorization, struct http_credentials *ret_credentials)
{
	struct http_credentials credentials = {.user = ""};
	char text[WEB_USER_SIZE + HTTP_PASSWORD_SIZE];
	ssize_t length;
	char *colon;

	if (authorization == NULL || strncasecmp(authorization, "Basic ", 6) != 0)
		return -EINVAL;
	authorization += 6;
	authorization += strspn(authorization, " ");
	length = http_base64_decode(authorization, text, sizeof(text));
	/* A NUL would cut the password that is compared. */
	if (length < 0 || strlen(text) != (size_t)length)
		return -EINVAL;
	colon = strchr(text, ':');
	if (colon == NULL || colon - text >= WEB_USER_SIZE ||
	    strlen(colon + 1) >= HTTP_PASSWORD_SIZE)
		return -EINVAL;
	memcpy(credentials.user, text, (size_t)(colon - text));
	memcpy(credentials.password, colon + 1, strlen(colon + 1));
	explicit_bzero(text, sizeof(text));
	*ret_credentials = credentials;
	return 0;
}

/* Every user is looked at, so that the time does not tell which one it was. */
static size_t http_users_find(const struct http_users *users, const char *name)
{
	size_t found = users->config->user_count;

	for (size_t i = 0; i < users->config->user_count; i++)
		if (strcmp(users->config->users[i].name, name) == 0)
			found = i;
	return found;
}

const char *http_users_hash(const struct http_users *users, const char *name, bool *ret_decoy)
{
	size_t user = http_users_find(users, name);

	*ret_decoy = user == users->config->user_count;
	return *ret_decoy ? users->decoy : users->config->users[user].hash;
}

struct http_digest http_users_digest(const struct http_users *users,
				     const struct http_credentials *credentials)
{
	struct {
		char hash[WEB_HASH_SIZE];
		struct http_credentials credentials;
	} text;
	struct http_digest digest;
	bool decoy;
	int status;

	memset(&text, 0, sizeof(text));
	(void)snprintf(text.hash, sizeof(text.hash), "%s",
		       http_users_hash(users, credentials->user, &decoy));
	text.credentials = *credentials;
	status = gnutls_hmac_fast(GNUTLS_MAC_SHA256, users->salt, sizeof(users->salt), &text,
				  sizeof(text), digest.bytes);
	assert(status >= 0); /* the arguments are constants */
	(void)status;
	explicit_bzero(&text, sizeof(text));
	return digest;
}

static bool http_digest_is(const struct http_digest *a, const struct http_digest *b)
{
	return gnutls_memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

enum http_verdict http_users_ask(const struct http_users *users, const char *authorization,
				 struct http_credentials *ret_credentials)
{
	struct http_digest digest;

	if (users->config->user_count == 0)
		return HTTP_VERDICT_GRANTED;
	if (http_credentials_parse(authorization, ret_credentials) < 0)
		return HTTP_VERDICT_DENIED;
	digest = http_users_digest(users, ret_credentials);
	for (size_t i = 0; i < users->config->user_count; i++)
		if (users->known[i] && http_digest_is(&users->granted[i], &digest))
			return HTTP_VERDICT_GRANTED;
	for (size_t i = 0; i < users->refused_count; i++)
		if (http_digest_is(&users->refused[i], &digest))
			return HTTP_VERDICT_DENIED;
	return HTTP_VERDICT_UNKNOWN;
}

void http_users_learn(struct http_users *users, const struct http_digest *digest, bool right)
{
	if (users->config->user_count == 0)
		return;
	if (right) {
		/* Two requests of one user may have been checked at the same time. */
		for (size_t i = 0; i < users->config->user_count; i++)
			if (users->known[i] && http_digest_is(&users->granted[i], digest))
				return;
		/* Which user it was does not matter: there are as many places as users. */
		size_t place = users->granted_count++ % users->config->user_count;

		users->granted[place] = *digest;
		users->known[place] = true;
		return;
	}
	users->refused[users->refused_next] = *digest;
	users->refused_next = (users->refused_next + 1) % HTTP_REFUSED_MAX;
	if (users->refused_count < HTTP_REFUSED_MAX)
		users->refused_count++;
}
