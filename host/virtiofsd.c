#include "host/virtiofsd.h"
#include "common/cleanup.h"
#include "common/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define VIRTIOFSD_DESCRIPTION_SIZE_MAX 65536

static void cleanup_json_value(json_t *const *value)
{
	json_decref(*value);
}
#define cleanup_json __attribute__((cleanup(cleanup_json_value)))

int virtiofsd_parse(const char *json, size_t size, char ret_path[static PATH_MAX])
{
	cleanup_json json_t *root = json_loadb(json, size, JSON_REJECT_DUPLICATES, NULL);
	const char *type, *binary;

	if (root == NULL)
		return -EINVAL;
	type = json_string_value(json_object_get(root, "type"));
	binary = json_string_value(json_object_get(root, "binary"));
	if (type == NULL || strcmp(type, "fs") != 0)
		return -ENOENT;
	if (binary == NULL || binary[0] != '/' || strlen(binary) >= PATH_MAX)
		return -EINVAL;
	(void)snprintf(ret_path, PATH_MAX, "%s", binary);
	return 0;
}

static int virtiofsd_find_in(const char *directory_path, char ret_path[static PATH_MAX])
{
	static const char suffix[] = ".json";
	cleanup_free char *text = malloc(VIRTIOFSD_DESCRIPTION_SIZE_MAX);
	const struct dirent *entry;
	int result = -ENOENT;
	DIR *directory;

	if (text == NULL)
		return -ENOMEM;
	directory = opendir(directory_path);
	if (directory == NULL)
		return -errno;
	while (result < 0 && (entry = readdir(directory)) != NULL) {
		size_t length = strlen(entry->d_name);

		if (length < strlen(suffix) ||
		    strcmp(entry->d_name + length - strlen(suffix), suffix) != 0)
			continue;
		if (file_read_at(dirfd(directory), entry->d_name, text,
				 VIRTIOFSD_DESCRIPTION_SIZE_MAX, &length) == 0 &&
		    virtiofsd_parse(text, length, ret_path) == 0 && access(ret_path, X_OK) == 0)
			result = 0;
	}
	(void)closedir(directory);
	return result;
}

int virtiofsd_find(char ret_path[static PATH_MAX])
{
	static const char *const directories[] = {
	    "/etc/qemu/vhost-user",
	    "/usr/local/share/qemu/vhost-user",
	    "/usr/share/qemu/vhost-user",
	};

	for (size_t i = 0; i < sizeof(directories) / sizeof(directories[0]); i++)
		if (virtiofsd_find_in(directories[i], ret_path) == 0)
			return 0;
	return -ENOENT;
}
