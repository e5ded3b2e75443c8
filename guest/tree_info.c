#include "guest/tree_info.h"
#include "common/energy_source.h"
#include "common/file.h"
#include "common/parse.h"

#include <errno.h>
#include <string.h>

bool tree_info_is_estimate(const char *source)
{
	const struct energy_source_ops *ops;

	if (strstr(source, "estimate") != NULL)
		return true;
	for (size_t i = 0; (ops = energy_source_list(i)) != NULL; i++)
		if (strcmp(ops->name, source) == 0)
			return ops->estimate;
	return false;
}

/* Text of the host that people get to see: what is not printable becomes '?'. */
static void tree_info_clean(char *text)
{
	for (; *text != '\0'; text++)
		if (*text < 0x20 || *text > 0x7e)
			*text = '?';
}

/* One line. Plain files cannot become shorter: there a short text has spaces behind it. */
static int tree_info_read_line(int tree_fd, const char *path, char *text, size_t size)
{
	int status = file_read_line_at(tree_fd, path, text, size);
	size_t length = status == 0 ? strlen(text) : 0;

	while (length > 0 && text[length - 1] == ' ')
		text[--length] = '\0';
	return status;
}

static int tree_info_read_mode(int tree_fd, bool *ret_exact)
{
	char mode[TREE_INFO_TEXT_SIZE];
	int status = tree_info_read_line(tree_fd, "wattport/mode", mode, sizeof(mode));

	if (status < 0)
		return status;
	if (strcmp(mode, "exact") != 0 && strcmp(mode, "isolated") != 0)
		return -EBADMSG;
	*ret_exact = strcmp(mode, "exact") == 0;
	return 0;
}

int tree_info_read(int tree_fd, struct tree_info *ret_info)
{
	struct tree_info info = {.age_ms = 0};
	char text[TREE_INFO_TEXT_SIZE];
	struct uuid uuid;
	int status = tree_info_read_line(tree_fd, "wattport/age_ms", text, sizeof(text));

	if (status < 0)
		return status;
	if (parse_u64(text, &info.age_ms) < 0)
		return -EBADMSG;
	status = tree_info_read_mode(tree_fd, &info.exact);
	if (status < 0)
		return status;
	status = tree_info_read_line(tree_fd, "wattport/source", info.source, sizeof(info.source));
	if (status < 0)
		return status;
	tree_info_clean(info.source);
	info.estimate = tree_info_is_estimate(info.source);
	/* The uuid is for people: one that is not well-formed is not shown. */
	if (tree_info_read_line(tree_fd, "wattport/uuid", text, sizeof(text)) == 0 &&
	    uuid_parse(text, &uuid) == 0)
		uuid_format(&uuid, info.uuid);
	*ret_info = info;
	return 0;
}
