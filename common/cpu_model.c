#include "common/cpu_model.h"
#include "common/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>

/* The first CPU's paragraph is less; the rest is of no interest. */
#define CPU_MODEL_INFO_SIZE 8192

/* "KEY\t: VALUE\n": copies the value if the line has that key. */
static void cpu_model_take(const char *line, const char *key, char ret_value[CPU_MODEL_SIZE])
{
	size_t length = strlen(key);

	if (strncmp(line, key, length) != 0)
		return;
	line += length;
	line += strspn(line, " \t");
	if (*line != ':')
		return;
	line++;
	line += strspn(line, " \t");
	length = strcspn(line, "\n");
	if (length >= CPU_MODEL_SIZE)
		length = CPU_MODEL_SIZE - 1;
	memcpy(ret_value, line, length);
	ret_value[length] = '\0';
}

void cpu_model_parse(const char *text, struct cpu_model *ret_model)
{
	*ret_model = (struct cpu_model){.vendor = ""};
	for (const char *line = text; *line != '\0' && *line != '\n';) {
		const char *end = strchr(line, '\n');

		cpu_model_take(line, "vendor_id", ret_model->vendor);
		cpu_model_take(line, "model name", ret_model->name);
		if (end == NULL)
			break;
		line = end + 1;
	}
}

int cpu_model_read(const struct sysroot *root, struct cpu_model *ret_model)
{
	cleanup_fd int fd = openat(sysroot_proc_fd(root), "cpuinfo", O_RDONLY | O_CLOEXEC);
	char text[CPU_MODEL_INFO_SIZE];
	ssize_t got = -1;

	*ret_model = (struct cpu_model){.vendor = ""};
	if (fd >= 0)
		got = pread(fd, text, sizeof(text) - 1, 0);
	if (got < 0)
		return -errno;
	text[got] = '\0';
	cpu_model_parse(text, ret_model);
	return 0;
}

bool cpu_model_is_amd(const struct cpu_model *model)
{
	return strcmp(model->vendor, "AuthenticAMD") == 0 ||
	       strcmp(model->vendor, "HygonGenuine") == 0;
}
