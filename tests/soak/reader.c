/*
 * reader: reads counters without end, in every way that a guest may, and tells what it must never
 * see: an error, a counter that goes back, or one that stands still for a millisecond.
 *
 * Orders come by stdin, one a line, and each is answered by one line:
 *     add KIND PATH   another reader; KIND: kept, fresh, parts
 *     drop PATH       those of that file end
 *     pause           all close what they have open and wait: "paused"
 *     resume          they go on, and remember what they were told
 *     forget          what they were told binds nobody any more
 *     report          "READS READERS", or a line that begins with "violation"
 * Each reader is a thread; what it shares with the main thread stands behind the one lock.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define READER_MAX  64
#define PATH_SIZE   256
#define TEXT_SIZE   4096
#define MS_NS	    UINT64_C(1000000)
#define REST_NS_MAX 30000000

enum kind { KEPT, FRESH, PARTS };

struct reader {
	char path[PATH_SIZE];
	enum kind kind;
	int fd;
	uint64_t told_uj, told_ns;
	unsigned random;
	bool idle;
	bool dropped;
	bool ended; /* its place is free */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct reader readers[READER_MAX];
static size_t reader_count;
static bool paused;
static uint64_t reads;
static unsigned forgotten; /* how often */
static char violation[TEXT_SIZE];

static uint64_t now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_BOOTTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Those that have not been dropped; the lock is held. */
static size_t living(void)
{
	size_t count = 0;

	for (size_t i = 0; i < reader_count; i++)
		count += !readers[i].dropped && !readers[i].ended;
	return count;
}

static void report(const struct reader *reader, const char *what, const char *text)
{
	(void)pthread_mutex_lock(&lock);
	if (violation[0] == '\0')
		(void)snprintf(violation, sizeof(violation),
			       "violation %s: %s %s (was %" PRIu64 ")", reader->path, what, text,
			       reader->told_uj);
	(void)pthread_mutex_unlock(&lock);
}

/* The text, or -errno; of a long file in small pieces. */
static int read_text(struct reader *reader, char text[static TEXT_SIZE])
{
	size_t piece = reader->kind == PARTS ? 40 : TEXT_SIZE - 1, used = 0;
	ssize_t got;
	int error;

	if (reader->fd < 0)
		reader->fd = open(reader->path, O_RDONLY | O_CLOEXEC);
	if (reader->fd < 0)
		return -errno;
	do {
		if (piece > TEXT_SIZE - 1 - used)
			piece = TEXT_SIZE - 1 - used;
		got = pread(reader->fd, text + used, piece, (off_t)used);
		used += got > 0 ? (size_t)got : 0;
	} while (got > 0 && reader->kind == PARTS);
	error = got < 0 ? -errno : 0;
	text[used] = '\0';
	if (reader->kind != KEPT || error < 0) {
		(void)close(reader->fd);
		reader->fd = -1;
	}
	return error;
}

/* The number in a counter, or the first package's in a snapshot, whose zones are of one moment. */
static bool parse(const struct reader *reader, const char *text, uint64_t *ret_uj)
{
	const char *line = reader->kind == PARTS ? strstr(text, "package-0 ") : text;
	char *end;

	if (line == NULL)
		return false;
	if (reader->kind == PARTS)
		line += strlen("package-0 ");
	errno = 0;
	*ret_uj = strtoull(line, &end, 10);
	return errno == 0 && end != line && *end == '\n' && *line >= '0' && *line <= '9';
}

static void read_once(struct reader *reader)
{
	char text[TEXT_SIZE];
	uint64_t begun_ns = now_ns(), uj = 0;
	int status = read_text(reader, text);

	if (status < 0) {
		report(reader, "error", strerror(-status));
		return;
	}
	if (!parse(reader, text, &uj))
		report(reader, "is no number", text);
	else if (uj < reader->told_uj)
		report(reader, "went back to", text);
	else if (uj == reader->told_uj && begun_ns - reader->told_ns >= MS_NS)
		report(reader, "stands still at", text);
	reader->told_uj = uj;
	reader->told_ns = now_ns();
}

static void *run(void *argument)
{
	struct reader *reader = argument;
	unsigned known = 0;

	for (;;) {
		struct timespec rest = {.tv_nsec = rand_r(&reader->random) % REST_NS_MAX};

		(void)pthread_mutex_lock(&lock);
		while (paused && !reader->dropped) {
			if (reader->fd >= 0)
				(void)close(reader->fd);
			reader->fd = -1;
			/* Once: the others would wake up and say it, too, for ever. */
			if (!reader->idle)
				(void)pthread_cond_broadcast(&changed);
			reader->idle = true;
			(void)pthread_cond_wait(&changed, &lock);
		}
		reader->idle = false;
		reader->ended = reader->dropped;
		if (reader->ended) {
			if (reader->fd >= 0)
				(void)close(reader->fd);
			(void)pthread_cond_broadcast(&changed);
			(void)pthread_mutex_unlock(&lock);
			return NULL;
		}
		if (known != forgotten)
			reader->told_uj = 0;
		known = forgotten;
		reads++;
		(void)pthread_mutex_unlock(&lock);
		read_once(reader);
		/* Now and then one after the other without a rest. */
		if (rand_r(&reader->random) % 8 != 0)
			(void)nanosleep(&rest, NULL);
	}
	return NULL;
}

static bool add(const char *kind, const char *path)
{
	static const char *const names[] = {"kept", "fresh", "parts"};
	struct reader *reader = NULL;
	pthread_t thread;

	(void)pthread_mutex_lock(&lock);
	for (size_t i = 0; i < reader_count && reader == NULL; i++)
		if (readers[i].ended)
			reader = &readers[i];
	if (reader == NULL && reader_count < READER_MAX)
		reader = &readers[reader_count++];
	if (reader != NULL)
		*reader = (struct reader){.fd = -1, .random = (unsigned)reads};
	(void)pthread_mutex_unlock(&lock);
	if (reader == NULL)
		return false;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(kind, names[i]) == 0)
			reader->kind = (enum kind)i;
	(void)snprintf(reader->path, sizeof(reader->path), "%s", path);
	return pthread_create(&thread, NULL, run, reader) == 0 && pthread_detach(thread) == 0;
}

static void drop(const char *path)
{
	(void)pthread_mutex_lock(&lock);
	for (size_t i = 0; i < reader_count; i++)
		if (strcmp(readers[i].path, path) == 0)
			readers[i].dropped = true;
	(void)pthread_cond_broadcast(&changed);
	for (size_t i = 0; i < reader_count;)
		if (!readers[i].dropped || readers[i].ended)
			i++;
		else
			(void)pthread_cond_wait(&changed, &lock);
	(void)pthread_mutex_unlock(&lock);
}

static void set_paused(bool pause)
{
	(void)pthread_mutex_lock(&lock);
	paused = pause;
	(void)pthread_cond_broadcast(&changed);
	for (size_t i = 0; pause && i < reader_count;)
		if (readers[i].idle || readers[i].ended)
			i++;
		else
			(void)pthread_cond_wait(&changed, &lock);
	(void)pthread_mutex_unlock(&lock);
}

int main(void)
{
	char line[PATH_SIZE + 32];

	while (fgets(line, sizeof(line), stdin) != NULL) {
		char *rest = line;
		const char *verb = strtok_r(rest, " \n", &rest);
		const char *kind = strtok_r(rest, " \n", &rest);
		const char *path = strtok_r(rest, " \n", &rest);

		if (strcmp(verb, "add") == 0) {
			(void)printf("%s\n", add(kind, path) ? "added" : "full");
		} else if (strcmp(verb, "drop") == 0) {
			drop(kind);
			(void)printf("dropped\n");
		} else if (strcmp(verb, "pause") == 0 || strcmp(verb, "resume") == 0) {
			set_paused(verb[0] == 'p');
			(void)printf("%sd\n", verb);
		} else if (strcmp(verb, "forget") == 0) {
			(void)pthread_mutex_lock(&lock);
			forgotten++;
			(void)pthread_mutex_unlock(&lock);
			(void)printf("forgotten\n");
		} else {
			(void)pthread_mutex_lock(&lock);
			if (violation[0] != '\0')
				(void)printf("%s\n", violation);
			else
				(void)printf("%" PRIu64 " %zu\n", reads, living());
			(void)pthread_mutex_unlock(&lock);
		}
		(void)fflush(stdout);
	}
	return 0;
}
