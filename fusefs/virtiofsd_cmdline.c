#include "fusefs/virtiofsd_cmdline.h"

#include <errno.h>
#include <string.h>

/* A part of the command line: `length` bytes, no NUL behind them. NULL: not given. */
struct virtiofsd_path {
	const char *start;
	size_t length;
};

/* Options with the directory behind them: the Rust version's, and virtfs-proxy-helper's two. */
static const char *const virtiofsd_directory_options[] = {"--shared-dir", "--path", "-p"};

/* What `argument` says behind that option and a '=', or NULL. */
static const char *virtiofsd_value(const char *argument, const char *option)
{
	size_t length = strlen(option);

	if (strncmp(argument, option, length) != 0 || argument[length] != '=')
		return NULL;
	return argument + length + 1;
}

/* The last `source=` of "-o A,B=C,...", as both versions take it; a comma in a path ends it. */
static void virtiofsd_options(const char *text, struct virtiofsd_path *path)
{
	for (;;) {
		size_t length = strcspn(text, ",");
		const char *value = virtiofsd_value(text, "source");

		if (value != NULL && value <= text + length)
			*path = (struct virtiofsd_path){value, (size_t)(text + length - value)};
		if (text[length] == '\0')
			return;
		text += length + 1;
	}
}

/* The directory that an argument names, or the one after it (NULL: there is none); or NULL. */
static const char *virtiofsd_directory(const char *argument, const char *next)
{
	for (size_t i = 0;
	     i < sizeof(virtiofsd_directory_options) / sizeof(virtiofsd_directory_options[0]);
	     i++) {
		const char *option = virtiofsd_directory_options[i];

		if (strcmp(argument, option) == 0)
			return next;
		if (virtiofsd_value(argument, option) != NULL)
			return virtiofsd_value(argument, option);
	}
	return NULL;
}

/* .../vm/UUID in libvirt's spelling, slashes behind it aside. */
static int virtiofsd_tree(struct virtiofsd_path path, struct uuid *ret_uuid)
{
	static const char parent[] = "/vm/";
	char name[UUID_TEXT_SIZE], text[UUID_TEXT_SIZE];
	struct uuid uuid;

	while (path.length > 0 && path.start[path.length - 1] == '/')
		path.length--;
	if (path.length < strlen(parent) + UUID_TEXT_SIZE - 1)
		return -ENODATA;
	path.start += path.length - (UUID_TEXT_SIZE - 1);
	if (memcmp(path.start - strlen(parent), parent, strlen(parent)) != 0)
		return -ENODATA;
	memcpy(name, path.start, UUID_TEXT_SIZE - 1);
	name[UUID_TEXT_SIZE - 1] = '\0';
	if (uuid_parse(name, &uuid) < 0)
		return -ENODATA;
	uuid_format(&uuid, text);
	if (strcmp(name, text) != 0)
		return -ENODATA;
	*ret_uuid = uuid;
	return 0;
}

int virtiofsd_cmdline_identify(const char *text, size_t size, struct uuid *ret_uuid)
{
	struct virtiofsd_path directory = {.start = NULL}, source = {.start = NULL};
	const char *end = text + size;

	if (size == 0 || text[size - 1] != '\0')
		return -EINVAL;
	for (const char *argument = text; argument < end;) {
		const char *next = argument + strlen(argument) + 1;
		const char *value = virtiofsd_directory(argument, next < end ? next : NULL);

		if (value != NULL)
			directory = (struct virtiofsd_path){value, strlen(value)};
		else if (strcmp(argument, "-o") == 0 && next < end)
			virtiofsd_options(next, &source);
		else if (strncmp(argument, "-o", 2) == 0)
			virtiofsd_options(argument + 2 + (argument[2] == '='), &source);
		argument = next;
	}
	/* The Rust version lets -o overrule the other (parse_compat() of its main.rs). */
	return virtiofsd_tree(source.start != NULL ? source : directory, ret_uuid);
}

bool virtiofsd_cmdline_is_virtiofsd(const char *name)
{
	static const char helper[] = "virtfs-proxy-he";

	return strcmp(name, "virtiofsd") == 0 || strncmp(name, helper, strlen(helper)) == 0;
}
