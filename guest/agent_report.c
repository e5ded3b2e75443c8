#include "guest/agent_report.h"
#include "common/cleanup.h"
#include "guest/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static const char *const agent_report_names[] = {
    [AGENT_REPORT_TEXT] = "text", [AGENT_REPORT_JSON] = "json", [AGENT_REPORT_CSV] = "csv"};

int agent_report_format_parse(const char *name, enum agent_report_format *ret_format)
{
	for (size_t i = 0; i < sizeof(agent_report_names) / sizeof(agent_report_names[0]); i++) {
		if (strcmp(name, agent_report_names[i]) == 0) {
			*ret_format = (enum agent_report_format)i;
			return 0;
		}
	}
	return -EINVAL;
}

/* Rows are added behind a header that is ours, or where there is nothing: a pipe, a new file. */
static int agent_report_look(struct agent_report *report, int fd)
{
	size_t size = strlen(report_exec_csv_header);
	char head[512];
	struct stat stat;

	report->header = true;
	if (fstat(fd, &stat) < 0)
		return -errno;
	if (!S_ISREG(stat.st_mode) || stat.st_size == 0)
		return 0;
	if (size > sizeof(head) || pread(fd, head, size, 0) != (ssize_t)size ||
	    memcmp(head, report_exec_csv_header, size) != 0)
		return -EEXIST;
	report->header = false;
	return 0;
}

int agent_report_open(struct agent_report *report, enum agent_report_format format,
		      const char *path, FILE *stream)
{
	bool append = format == AGENT_REPORT_CSV;
	cleanup_fd int fd = -1;
	int status = 0;

	*report = (struct agent_report){.format = format, .stream = stream, .header = true};
	if (path == NULL)
		return 0;
	fd = open(path, (append ? O_RDWR | O_APPEND : O_WRONLY | O_TRUNC) | O_CREAT | O_CLOEXEC,
		  0666);
	if (fd < 0 && append)
		fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	if (fd < 0) {
		status = -errno;
		(void)agent_fail("cannot write %s: %s", path, strerror(-status));
		return status;
	}
	if (append)
		status = agent_report_look(report, fd);
	if (status < 0) {
		(void)agent_fail("%s holds something else than such reports: name another file",
				 path);
		return status;
	}
	report->stream = fdopen(fd, append ? "a" : "w");
	if (report->stream == NULL)
		return -errno;
	report->path = path;
	fd = -1;
	return 0;
}

int agent_report_write(struct agent_report *report, const struct report_exec *told)
{
	int status = -EINVAL;

	switch (report->format) {
	case AGENT_REPORT_TEXT:
		status = report_exec_text(report->stream, told);
		break;
	case AGENT_REPORT_JSON:
		status = report_exec_json(report->stream, told);
		break;
	case AGENT_REPORT_CSV:
		status = report_exec_csv(report->stream, told, report->header);
		break;
	}
	if (status < 0)
		(void)agent_fail("cannot write the report");
	return status;
}

void agent_report_close(struct agent_report *report)
{
	if (report->path != NULL && report->stream != NULL)
		(void)fclose(report->stream);
	report->stream = NULL;
}
