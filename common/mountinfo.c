#include "common/mountinfo.h"
#include "common/cleanup.h"
#include "common/file.h"
#include "common/parse.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define MOUNTINFO_SIZE_FIRST (64U << 10)

static bool mountinfo_is_octal(char c)
{
	return c >= '0' && c <= '7';
}

/* "\040" -> ' ' in place: mangle() in fs/seq_file.c escapes space, tab, newline, '\\' and '#'. */
static void mountinfo_unescape(char *text)
{
	char *to = text;

	for (const char *from = text; *from != '\0';) {
		if (from[0] == '\\' && mountinfo_is_octal(from[1]) && mountinfo_is_octal(from[2]) &&
		    mountinfo_is_octal(from[3])) {
			unsigned int value = (unsigned int)(from[1] - '0') * 64 +
					     (unsigned int)(from[2] - '0') * 8 +
					     (unsigned int)(from[3] - '0');

			*to++ = (char)(unsigned char)(value & 0xff);
			from += 4;
		} else {
			*to++ = *from++;
		}
	}
	*to = '\0';
}

/* The next field of the line, or NULL at its end. */
static char *mountinfo_field(char **cursor)
{
	char *field = strsep(cursor, " ");

	return field != NULL && *field != '\0' ? field : NULL;
}

static int mountinfo_number(char **cursor, const char *delimiter, uint32_t *ret_value)
{
	const char *field = strsep(cursor, delimiter);

	if (field == NULL || parse_u32(field, ret_value) < 0)
		return -EBADMSG;
	return 0;
}

static int mountinfo_text(char **cursor, const char **ret_text)
{
	char *field = mountinfo_field(cursor);

	if (field == NULL)
		return -EBADMSG;
	mountinfo_unescape(field);
	*ret_text = field;
	return 0;
}

/* 36 35 98:0 /root /point rw,noatime shared:1 - ext3 /dev/root rw,errors=continue */
static int mountinfo_parse_line(char *line, struct mountinfo_entry *ret_entry)
{
	struct mountinfo_entry entry = {.id = 0};
	char *cursor = line;
	char *field;

	if (mountinfo_number(&cursor, " ", &entry.id) < 0 ||
	    mountinfo_number(&cursor, " ", &entry.parent) < 0 ||
	    mountinfo_number(&cursor, ":", &entry.major) < 0 ||
	    mountinfo_number(&cursor, " ", &entry.minor) < 0 ||
	    mountinfo_text(&cursor, &entry.root) < 0 || mountinfo_text(&cursor, &entry.point) < 0 ||
	    mountinfo_text(&cursor, &entry.options) < 0)
		return -EBADMSG;
	do {
		field = mountinfo_field(&cursor);
		if (field == NULL)
			return -EBADMSG;
	} while (strcmp(field, "-") != 0);
	if (mountinfo_text(&cursor, &entry.type) < 0)
		return -EBADMSG;
	/* An empty source is legal: mount("", ...), and leaves two spaces in a row. */
	field = strsep(&cursor, " ");
	if (field == NULL)
		return -EBADMSG;
	mountinfo_unescape(field);
	entry.source = field;
	entry.super_options = cursor != NULL ? cursor : "";
	*ret_entry = entry;
	return 0;
}

static size_t mountinfo_line_count(const char *text)
{
	size_t count = 0;

	for (const char *c = text; *c != '\0'; c++)
		if (*c == '\n')
			count++;
	return count + 1;
}

int mountinfo_parse(char *text, struct mountinfo *ret_mountinfo)
{
	cleanup_mountinfo struct mountinfo mountinfo = {.text = text};
	size_t line_count = mountinfo_line_count(text);
	char *cursor = text;

	if (line_count > MOUNTINFO_ENTRY_MAX + 1)
		return -E2BIG;
	mountinfo.entries = calloc(line_count, sizeof(*mountinfo.entries));
	if (mountinfo.entries == NULL)
		return -ENOMEM;
	for (;;) {
		char *line = strsep(&cursor, "\n");

		if (line == NULL)
			break;
		if (*line == '\0' && cursor == NULL)
			break;
		if (mountinfo.count == MOUNTINFO_ENTRY_MAX)
			return -E2BIG;
		if (mountinfo_parse_line(line, &mountinfo.entries[mountinfo.count]) < 0)
			return -EBADMSG;
		mountinfo.count++;
	}
	*ret_mountinfo = mountinfo;
	/* Handed over: the clean-up is to find nothing. */
	mountinfo.entries = NULL;
	mountinfo.text = NULL;
	return 0;
}

int mountinfo_read(const struct sysroot *root, struct mountinfo *ret_mountinfo)
{
	for (size_t size = MOUNTINFO_SIZE_FIRST; size <= MOUNTINFO_SIZE_MAX; size *= 2) {
		cleanup_free char *text = malloc(size);
		size_t length;
		int status;

		if (text == NULL)
			return -ENOMEM;
		status = file_read_at(sysroot_proc_fd(root), "self/mountinfo", text, size, &length);
		if (status == -EFBIG)
			continue;
		if (status < 0)
			return status;
		return mountinfo_parse(TAKE_PTR(text), ret_mountinfo);
	}
	return -EFBIG;
}

void mountinfo_finish(struct mountinfo *mountinfo)
{
	free(mountinfo->entries);
	free(mountinfo->text);
	*mountinfo = (struct mountinfo){.text = NULL};
}

/* Whether `path` is `prefix` or lies below it. */
static bool mountinfo_below(const char *path, const char *prefix)
{
	size_t length = strlen(prefix);

	if (strcmp(prefix, "/") == 0)
		return path[0] == '/';
	return strncmp(path, prefix, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

/* The root of the list: mounted on "/" and on nothing else that is listed. */
static const struct mountinfo_entry *mountinfo_root(const struct mountinfo *mountinfo)
{
	for (size_t i = 0; i < mountinfo->count; i++) {
		const struct mountinfo_entry *entry = &mountinfo->entries[i];
		bool listed = false;

		if (strcmp(entry->point, "/") != 0)
			continue;
		for (size_t j = 0; j < mountinfo->count && !listed; j++)
			listed = mountinfo->entries[j].id == entry->parent && j != i;
		if (!listed)
			return entry;
	}
	return NULL;
}

/*
 * A path walk crosses from a mount into that of its children whose point comes first on the way,
 * and on into whatever is mounted on top of that at the same place. Mounts below a place that was
 * covered later hang on the covered mount, so that they are never met.
 */
const struct mountinfo_entry *mountinfo_at(const struct mountinfo *mountinfo, const char *path)
{
	const struct mountinfo_entry *at = mountinfo_root(mountinfo);

	assert(path[0] == '/');
	/* Each step goes to a child; a list that is not a tree ends after as many steps as mounts.
	 */
	for (size_t step = 0; at != NULL && step < mountinfo->count; step++) {
		const struct mountinfo_entry *next = NULL;

		for (size_t i = 0; i < mountinfo->count; i++) {
			const struct mountinfo_entry *entry = &mountinfo->entries[i];

			if (entry->parent != at->id || entry == at ||
			    !mountinfo_below(path, entry->point))
				continue;
			if (next == NULL || strlen(entry->point) < strlen(next->point))
				next = entry;
		}
		if (next == NULL)
			break;
		at = next;
	}
	return at;
}

const struct mountinfo_entry *mountinfo_on(const struct mountinfo *mountinfo, const char *path)
{
	const struct mountinfo_entry *at = mountinfo_at(mountinfo, path);

	return at != NULL && strcmp(at->point, path) == 0 ? at : NULL;
}

const struct mountinfo_entry *mountinfo_under(const struct mountinfo *mountinfo,
					      const struct mountinfo_entry *entry)
{
	for (size_t i = 0; entry != NULL && i < mountinfo->count; i++) {
		const struct mountinfo_entry *under = &mountinfo->entries[i];

		if (under->id == entry->parent && under != entry &&
		    strcmp(under->point, entry->point) == 0)
			return under;
	}
	return NULL;
}
