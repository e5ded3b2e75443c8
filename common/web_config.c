/*
 * Three tables of keys, one a section. Each key has a function that checks its value and puts it
 * into struct web_config; what the file says twice, or what no table knows, is refused before.
 */
#include "common/web_config.h"
#include "common/cleanup.h"
#include "common/file.h"
#include "common/web_yaml.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#define WEB_IGNORED SIZE_MAX

/* What a value is read into, and its key's name for messages. */
struct web_place {
	struct web_config *config;
	size_t offset; /* of the member in struct web_config, or WEB_IGNORED */
	const struct web_name *names;
};

struct web_key {
	const char *name;
	int (*take)(struct web_yaml *yaml, const struct web_place *place, const char *name,
		    const yaml_node_t *value);
	size_t offset;
	const struct web_name *names; /* what web_take_choice() allows, ends in NULL */
};

struct web_name {
	const char *name;
	int value;
};

static const struct web_name web_client_auths[] = {
    {"NoClientCert", WEB_CLIENT_NONE},
    {"RequestClientCert", WEB_CLIENT_REQUEST},
    {"RequireAnyClientCert", WEB_CLIENT_REQUIRE_ANY},
    {"RequireClientCert", WEB_CLIENT_REQUIRE_ANY}, /* its older name */
    {"VerifyClientCertIfGiven", WEB_CLIENT_VERIFY_IF_GIVEN},
    {"RequireAndVerifyClientCert", WEB_CLIENT_REQUIRE_AND_VERIFY},
    {NULL, 0},
};

static const struct web_name web_versions[] = {
    {"TLS13", 13}, {"TLS12", 12}, {"TLS11", 11}, {"TLS10", 10}, {NULL, 0}};

/* YAML 1.1's booleans (yaml.org/type/bool), which Go's yaml.v2 takes too. */
static const struct web_name web_booleans[] = {
    {"true", 1}, {"false", 0}, {"yes", 1}, {"no", 0}, {"on", 1}, {"off", 0},
    {"True", 1}, {"False", 0}, {"Yes", 1}, {"No", 0}, {"On", 1}, {"Off", 0},
    {"TRUE", 1}, {"FALSE", 0}, {"YES", 1}, {"NO", 0}, {"ON", 1}, {"OFF", 0},
    {"y", 1},	 {"n", 0},     {"Y", 1},   {"N", 0},  {NULL, 0},
};

/* The headers that the toolkit lets an operator set, with the values that it allows. */
static const struct {
	const char *name;
	const char *values[3]; /* none: any */
} web_known_headers[WEB_HEADER_MAX] = {
    {"Strict-Transport-Security", {NULL}},
    {"X-Content-Type-Options", {"nosniff", NULL}},
    {"X-Frame-Options", {"deny", "sameorigin", NULL}},
    {"X-XSS-Protection", {NULL}},
    {"Content-Security-Policy", {NULL}},
};

static void *web_member(const struct web_place *place)
{
	return (char *)place->config + place->offset;
}

static int web_take_word(struct web_yaml *yaml, const yaml_node_t *value, const char *name,
			 const char **ret_text)
{
	int status = web_yaml_text(yaml, value, name, ret_text);

	if (status == 0 && strlen(*ret_text) >= WEB_TEXT_SIZE_MAX)
		return web_yaml_refuse(yaml, value, "%s has more than %d characters", name,
				       WEB_TEXT_SIZE_MAX - 1);
	return status;
}

/* One of place->names, as a number. The lists are short enough to be named in full. */
static int web_take_choice(struct web_yaml *yaml, const struct web_place *place, const char *name,
			   const yaml_node_t *value)
{
	struct diag allowed = DIAG_INIT;
	const char *text;
	int status = web_take_word(yaml, value, name, &text);

	if (status < 0)
		return status;
	if (*text == '\0')
		return 0; /* the default */
	for (const struct web_name *entry = place->names; entry->name != NULL; entry++) {
		if (strcmp(entry->name, text) == 0) {
			memcpy(web_member(place), &entry->value, sizeof(entry->value));
			return 0;
		}
		if (entry < place->names + 6)
			diag_append(&allowed, "%s", entry->name);
	}
	return web_yaml_refuse(yaml, value, "%s: %s is not allowed: it takes %s", name, text,
			       allowed.text);
}

static int web_take_boolean(struct web_yaml *yaml, const struct web_place *place, const char *name,
			    const yaml_node_t *value)
{
	const char *text;
	int status = web_take_word(yaml, value, name, &text);

	if (status < 0 || *text == '\0')
		return status;
	for (const struct web_name *entry = web_booleans; entry->name != NULL; entry++) {
		if (strcmp(entry->name, text) != 0)
			continue;
		if (place->offset != WEB_IGNORED)
			*(bool *)web_member(place) = entry->value != 0;
		return 0;
	}
	return web_yaml_refuse(yaml, value, "%s: %s is not allowed: it takes true or false", name,
			       text);
}

/* A path; a relative one begins where the file is. */
static int web_take_path(struct web_yaml *yaml, const struct web_place *place, const char *name,
			 const yaml_node_t *value)
{
	struct web_source *source = web_member(place);
	const char *base = strrchr(yaml->path, '/');
	const char *text;
	int status = web_take_word(yaml, value, name, &text);

	if (status < 0 || *text == '\0')
		return status;
	source->line = web_yaml_line(value);
	if (*text == '/' || base == NULL)
		source->path = strdup(text);
	else if (asprintf(&source->path, "%.*s/%s", (int)(base - yaml->path), yaml->path, text) < 0)
		source->path = NULL;
	return source->path != NULL ? 0 : diag_error(yaml->diag, -ENOMEM, "out of memory");
}

/* The content of such a file itself. */
static int web_take_inline(struct web_yaml *yaml, const struct web_place *place, const char *name,
			   const yaml_node_t *value)
{
	struct web_source *source = web_member(place);
	const char *text;
	int status = web_yaml_text(yaml, value, name, &text);

	if (status < 0 || *text == '\0')
		return status;
	if (strlen(text) >= WEB_PEM_SIZE_MAX)
		return web_yaml_refuse(yaml, value, "%s has more than %zu bytes", name,
				       WEB_PEM_SIZE_MAX - 1);
	source->line = web_yaml_line(value);
	source->text = strdup(text);
	return source->text != NULL ? 0 : diag_error(yaml->diag, -ENOMEM, "out of memory");
}

static int web_take_entry(struct web_yaml *yaml, void *context, const char *name,
			  const yaml_node_t *value)
{
	struct web_list *list = context;
	const char *text;
	int status = web_take_word(yaml, value, name, &text);

	if (status < 0)
		return status;
	if (list->count == WEB_LIST_MAX)
		return web_yaml_refuse(yaml, value, "%s has more than %d entries", name,
				       WEB_LIST_MAX);
	list->lines[list->count] = web_yaml_line(value);
	list->entries[list->count] = strdup(text);
	if (list->entries[list->count] == NULL)
		return diag_error(yaml->diag, -ENOMEM, "out of memory");
	list->count++;
	return 0;
}

static int web_take_list(struct web_yaml *yaml, const struct web_place *place, const char *name,
			 const yaml_node_t *value)
{
	return web_yaml_list(yaml, value, name, web_take_entry, web_member(place));
}

#define WEB_TLS(member) offsetof(struct web_config, tls.member)

static const struct web_key web_tls_keys[] = {
    {"cert_file", web_take_path, WEB_TLS(certificate), NULL},
    {"key_file", web_take_path, WEB_TLS(key), NULL},
    {"client_ca_file", web_take_path, WEB_TLS(client_ca), NULL},
    {"client_auth_type", web_take_choice, WEB_TLS(client_auth), web_client_auths},
    {"client_allowed_sans", web_take_list, WEB_TLS(client_sans), NULL},
    {"min_version", web_take_choice, WEB_TLS(version_min), web_versions},
    {"max_version", web_take_choice, WEB_TLS(version_max), web_versions},
    {"cipher_suites", web_take_list, WEB_TLS(ciphers), NULL},
    {"curve_preferences", web_take_list, WEB_TLS(curves), NULL},
    {"prefer_server_cipher_suites", web_take_boolean, WEB_TLS(server_precedence), NULL},
    {"cert", web_take_inline, WEB_TLS(certificate), NULL},
    {"key", web_take_inline, WEB_TLS(key), NULL},
    {"client_ca", web_take_inline, WEB_TLS(client_ca), NULL},
    {NULL, NULL, 0, NULL},
};

static int web_visit_header(struct web_yaml *yaml, void *context, const char *name,
			    const yaml_node_t *value)
{
	struct web_headers *headers = &((struct web_config *)context)->headers;
	const char *const *values;
	const char *text;
	size_t i = 0;
	int status = web_take_word(yaml, value, name, &text);

	if (status < 0)
		return status;
	while (i < WEB_HEADER_MAX && strcmp(web_known_headers[i].name, name) != 0)
		i++;
	if (i == WEB_HEADER_MAX)
		return web_yaml_refuse(
		    yaml, value,
		    "the header %s cannot be set; these can: Strict-Transport-Security, "
		    "X-Content-Type-Options, X-Frame-Options, X-XSS-Protection, "
		    "Content-Security-Policy",
		    name);
	for (const char *c = text; *c != '\0'; c++)
		if (iscntrl((unsigned char)*c) && *c != '\t')
			return web_yaml_refuse(yaml, value, "%s: a header has one line", name);
	values = web_known_headers[i].values;
	while (*values != NULL && strcmp(*values, text) != 0)
		values++;
	if (*values == NULL && values != web_known_headers[i].values)
		return web_yaml_refuse(
		    yaml, value, "%s: \"%s\" is not allowed: it takes %s%s%s", name, text,
		    web_known_headers[i].values[0],
		    values - web_known_headers[i].values > 1 ? " or " : "",
		    values - web_known_headers[i].values > 1 ? web_known_headers[i].values[1] : "");
	assert(headers->count < WEB_HEADER_MAX); /* no key stands twice */
	headers->entries[headers->count].name = web_known_headers[i].name;
	headers->entries[headers->count].value = strdup(text);
	if (headers->entries[headers->count].value == NULL)
		return diag_error(yaml->diag, -ENOMEM, "out of memory");
	headers->count++;
	return 0;
}

static int web_take_headers(struct web_yaml *yaml, const struct web_place *place, const char *name,
			    const yaml_node_t *value)
{
	return web_yaml_mapping(yaml, value, name, web_visit_header, place->config);
}

static const struct web_key web_http_keys[] = {
    {"http2", web_take_boolean, WEB_IGNORED, NULL}, /* checked, and without effect */
    {"headers", web_take_headers, WEB_IGNORED, NULL},
    {NULL, NULL, 0, NULL},
};

/* "$2y$10$", 22 characters of salt and 31 of hash: what crypt(5) calls bcrypt. */
static int web_check_hash(struct web_yaml *yaml, const yaml_node_t *value, const char *user,
			  const char *hash)
{
	static const char alphabet[] =
	    "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
	int cost;

	/* The hash is a secret: no message repeats it. */
	if (strlen(hash) != WEB_HASH_SIZE - 1 || hash[0] != '$' || hash[1] != '2' ||
	    strchr("aby", hash[2]) == NULL || hash[3] != '$' || !isdigit((unsigned char)hash[4]) ||
	    !isdigit((unsigned char)hash[5]) || hash[6] != '$' ||
	    strspn(hash + 7, alphabet) != WEB_HASH_SIZE - 8)
		return web_yaml_refuse(yaml, value,
				       "the password of %s is no bcrypt hash ($2y$..., 60 "
				       "characters): make one with htpasswd -nBC 10 %s",
				       user, user);
	cost = (hash[4] - '0') * 10 + hash[5] - '0';
	if (cost < WEB_COST_MIN || cost > WEB_COST_MAX)
		return web_yaml_refuse(yaml, value,
				       "the password of %s has a bcrypt cost of %d: it takes %d to "
				       "%d; make another with htpasswd -nBC 10 %s",
				       user, cost, WEB_COST_MIN, WEB_COST_MAX, user);
	return 0;
}

static int web_visit_user(struct web_yaml *yaml, void *context, const char *name,
			  const yaml_node_t *value)
{
	struct web_config *config = context;
	struct web_user *user;
	const char *hash;
	int status = web_take_word(yaml, value, name, &hash);

	if (status < 0)
		return status;
	if (strlen(name) >= WEB_USER_SIZE || strchr(name, ':') != NULL)
		return web_yaml_refuse(yaml, value,
				       "a user's name has at most %d characters and no colon",
				       WEB_USER_SIZE - 1);
	status = web_check_hash(yaml, value, name, hash);
	if (status < 0)
		return status;
	if (config->user_count == WEB_USER_MAX)
		return web_yaml_refuse(yaml, value, "there are more than %d users", WEB_USER_MAX);
	user = reallocarray(config->users, config->user_count + 1, sizeof(*user));
	if (user == NULL)
		return diag_error(yaml->diag, -ENOMEM, "out of memory");
	config->users = user;
	user += config->user_count++;
	(void)snprintf(user->name, sizeof(user->name), "%s", name);
	(void)snprintf(user->hash, sizeof(user->hash), "%s", hash);
	return 0;
}

/* What a visitor needs beyond the configuration: which table its keys are in. */
struct web_section {
	struct web_config *config;
	const struct web_key *keys;
};

static int web_visit_key(struct web_yaml *yaml, void *context, const char *name,
			 const yaml_node_t *value)
{
	const struct web_section *section = context;
	struct diag known = DIAG_INIT;

	for (const struct web_key *key = section->keys; key->name != NULL; key++) {
		const struct web_place place = {
		    .config = section->config, .offset = key->offset, .names = key->names};

		if (strcmp(key->name, name) == 0)
			return key->take(yaml, &place, name, value);
		diag_append(&known, "%s", key->name);
	}
	return web_yaml_refuse(yaml, value, "unknown key %s; there are: %s", name, known.text);
}

static int web_visit_section(struct web_yaml *yaml, void *context, const char *name,
			     const yaml_node_t *value)
{
	struct web_section section = {.config = context, .keys = web_tls_keys};

	if (strcmp(name, "tls_server_config") == 0)
		return web_yaml_mapping(yaml, value, name, web_visit_key, &section);
	section.keys = web_http_keys;
	if (strcmp(name, "http_server_config") == 0)
		return web_yaml_mapping(yaml, value, name, web_visit_key, &section);
	if (strcmp(name, "basic_auth_users") == 0)
		return web_yaml_mapping(yaml, value, name, web_visit_user, context);
	return web_yaml_refuse(yaml, value,
			       "unknown key %s; there are: tls_server_config, http_server_config, "
			       "basic_auth_users",
			       name);
}

/* What holds between keys. */
static int web_check_tls(const struct web_config *config, struct diag *diag)
{
	const struct web_tls *tls = &config->tls;
	bool client_ca = tls->client_ca.path != NULL || tls->client_ca.text != NULL;

	if (!tls->given)
		return 0;
	if (tls->certificate.path == NULL && tls->certificate.text == NULL)
		return diag_error(diag, -EINVAL, "%s: tls_server_config lacks cert_file",
				  config->path);
	if (tls->key.path == NULL && tls->key.text == NULL)
		return diag_error(diag, -EINVAL, "%s: tls_server_config lacks key_file",
				  config->path);
	if (tls->version_min > tls->version_max)
		return diag_error(diag, -EINVAL, "%s: min_version is above max_version",
				  config->path);
	if (client_ca && tls->client_auth <= WEB_CLIENT_NONE)
		return diag_error(diag, -EINVAL,
				  "%s:%d: client_ca_file is of no use without client_auth_type: "
				  "RequireAndVerifyClientCert",
				  config->path, tls->client_ca.line);
	if (tls->client_sans.count > 0 && tls->client_auth != WEB_CLIENT_REQUIRE_ANY &&
	    tls->client_auth != WEB_CLIENT_REQUIRE_AND_VERIFY)
		return diag_error(diag, -EINVAL,
				  "%s:%d: client_allowed_sans needs client_auth_type: "
				  "RequireAndVerifyClientCert (or RequireAnyClientCert)",
				  config->path, tls->client_sans.lines[0]);
	return 0;
}

int web_config_parse(const char *path, const char *text, size_t size, struct web_config *ret_config,
		     struct diag *diag)
{
	cleanup_web_config struct web_config config = {
	    .tls = {.version_min = 12, .version_max = 13, .server_precedence = true}};
	struct web_tls *tls = &config.tls;
	struct web_yaml yaml;
	const yaml_node_t *root;
	int status;

	config.path = strdup(path);
	if (config.path == NULL)
		return diag_error(diag, -ENOMEM, "out of memory");
	status = web_yaml_init(&yaml, path, text, size, diag);
	if (status < 0)
		return status;
	root = web_yaml_root(&yaml);
	if (root != NULL)
		status = web_yaml_mapping(&yaml, root, "the file", web_visit_section, &config);
	web_yaml_finish(&yaml);
	/* As the toolkit: TLS is on where one of these is named. */
	tls->given = tls->certificate.line > 0 || tls->key.line > 0 || tls->client_ca.line > 0 ||
		     tls->client_auth != WEB_CLIENT_UNSET;
	if (status == 0)
		status = web_check_tls(&config, diag);
	if (status < 0)
		return status;
	*ret_config = config;
	config = (struct web_config){.path = NULL};
	return 0;
}

int web_config_read(const char *path, struct web_config *ret_config, struct diag *diag)
{
	cleanup_free char *text = malloc(WEB_FILE_SIZE_MAX);
	size_t size = 0;
	int status;

	if (text == NULL)
		return diag_error(diag, -ENOMEM, "out of memory");
	status = file_read_at(AT_FDCWD, path, text, WEB_FILE_SIZE_MAX, &size);
	if (status < 0)
		return diag_error(diag, status, "cannot read the web configuration %s: %s", path,
				  strerror(-status));
	status = web_config_parse(path, text, size, ret_config, diag);
	/* It may hold a key. */
	explicit_bzero(text, WEB_FILE_SIZE_MAX);
	return status;
}

static void web_source_finish(struct web_source *source)
{
	free(source->path);
	if (source->text != NULL)
		explicit_bzero(source->text, strlen(source->text));
	free(source->text);
}

static void web_list_finish(struct web_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->entries[i]);
}

void web_config_finish(struct web_config *config)
{
	free(config->path);
	web_source_finish(&config->tls.certificate);
	web_source_finish(&config->tls.key);
	web_source_finish(&config->tls.client_ca);
	web_list_finish(&config->tls.client_sans);
	web_list_finish(&config->tls.ciphers);
	web_list_finish(&config->tls.curves);
	for (size_t i = 0; i < config->headers.count; i++)
		free(config->headers.entries[i].value);
	free(config->users);
	*config = (struct web_config){.path = NULL};
}
