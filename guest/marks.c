#include "guest/marks.h"
#include "common/cleanup.h"
#include "common/utf8.h"

#include <errno.h>
#include <fcntl.h>

/* Where a command's own descriptors seldom are: scripts like 3, and 9 for locks. */
#define MARKS_FD_FIRST 7
#define MARKS_FD_LEAST 3
#define MARKS_FD_MAX   9

struct marks {
	int read_fd;
	int command_fd;
	char chunk[4096]; /* what was read and not taken yet */
	size_t used, size;
	char line[MARK_SIZE]; /* the beginning of a line of which the end has not come */
	size_t length;
};

/* A number that shells can name. */
static int marks_place(int fd)
{
	static const int lowest[] = {MARKS_FD_FIRST, MARKS_FD_LEAST};

	for (size_t i = 0; i < sizeof(lowest) / sizeof(lowest[0]); i++) {
		int placed = fcntl(fd, F_DUPFD_CLOEXEC, lowest[i]);

		if (placed >= 0 && placed <= MARKS_FD_MAX)
			return placed;
		if (placed >= 0)
			(void)close(placed);
	}
	return -EMFILE;
}

int marks_create(struct marks **ret_marks)
{
	cleanup_marks struct marks *marks = calloc(1, sizeof(*marks));
	cleanup_fd int write_fd = -1;
	int fds[2];

	if (marks == NULL)
		return -ENOMEM;
	marks->read_fd = marks->command_fd = -1;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	/* Out of the numbers that shells can name. */
	marks->read_fd = fcntl(fds[0], F_DUPFD_CLOEXEC, MARKS_FD_MAX + 1);
	write_fd = fcntl(fds[1], F_DUPFD_CLOEXEC, MARKS_FD_MAX + 1);
	(void)close(fds[0]);
	(void)close(fds[1]);
	if (marks->read_fd < 0 || write_fd < 0 || fcntl(marks->read_fd, F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	marks->command_fd = marks_place(write_fd);
	if (marks->command_fd < 0)
		return marks->command_fd;
	*ret_marks = TAKE_PTR(marks);
	return 0;
}

void marks_destroy(struct marks *marks)
{
	if (marks == NULL)
		return;
	if (marks->read_fd >= 0)
		(void)close(marks->read_fd);
	marks_started(marks);
	free(marks);
}

int marks_command_fd(const struct marks *marks)
{
	return marks->command_fd;
}

void marks_started(struct marks *marks)
{
	if (marks->command_fd >= 0)
		(void)close(TAKE_FD(marks->command_fd));
}

int marks_fd(const struct marks *marks)
{
	return marks->read_fd;
}

bool marks_read(struct marks *marks)
{
	ssize_t got;

	if (marks->used < marks->size)
		return true;
	if (marks->read_fd < 0)
		return false;
	got = read(marks->read_fd, marks->chunk, sizeof(marks->chunk));
	if (got == 0)
		(void)close(TAKE_FD(marks->read_fd));
	marks->used = 0;
	marks->size = got > 0 ? (size_t)got : 0;
	return got > 0;
}

static void marks_clean(const struct marks *marks, char label[static MARK_SIZE])
{
	char text[MARK_SIZE];

	memcpy(text, marks->line, marks->length);
	text[marks->length] = '\0';
	/* C1: U+0080 to U+009F are 0xc2 and 0x80 to 0x9f. */
	for (char *c = text; (c = strchr(c, 0xc2)) != NULL; c++)
		if ((unsigned char)c[1] >= 0x80 && (unsigned char)c[1] < 0xa0)
			c[0] = c[1] = '?';
	utf8_copy(label, MARK_SIZE, text);
}

static char marks_printable(char c)
{
	if ((unsigned char)c < 0x20 || c == 0x7f)
		return '?';
	return c;
}

bool marks_next(struct marks *marks, char label[static MARK_SIZE])
{
	while (marks->used < marks->size) {
		char c = marks->chunk[marks->used++];

		if (c == '\n') {
			marks_clean(marks, label);
			marks->length = 0;
			return true;
		}
		if (marks->length < MARK_SIZE - 1)
			marks->line[marks->length++] = marks_printable(c);
	}
	return false;
}
