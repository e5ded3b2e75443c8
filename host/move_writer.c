#include "host/move_writer.h"
#include "common/cleanup.h"
#include "host/move_xml.h"

#include <assert.h>
#include <errno.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define MOVE_WRITER_JOIN_MS 1000

struct letter {
	struct letter *next;
	struct uuid machine;
	bool kept;
	char *text;
	struct mono_time not_before;
};

struct move_writer {
	/* Fixed from the start. */
	const char *uri;
	pthread_t thread;
	int changed_fd; /* to the thread: a letter came, or it is over */
	int ended_fd;	/* to the owner: the thread is done */

	/* The thread's alone. */
	virConnectPtr connection;
	struct mono_time connect_after;

	/* Behind the lock. */
	pthread_mutex_t lock;
	bool stopping;
	bool finished;
	bool abandoned; /* nobody waits for the thread any more: it frees everything */
	size_t count;
	struct letter *letters; /* in the order in which they came */
	int error;
	struct diag diag;
};

static void writer_lock(struct move_writer *writer)
{
	int status = pthread_mutex_lock(&writer->lock);

	assert(status == 0);
	(void)status;
}

static void writer_unlock(struct move_writer *writer)
{
	int status = pthread_mutex_unlock(&writer->lock);

	assert(status == 0);
	(void)status;
}

static void writer_free_letter(struct letter *letter)
{
	if (letter == NULL)
		return;
	free(letter->text);
	free(letter);
}

static void writer_free(struct move_writer *writer)
{
	while (writer->letters != NULL) {
		struct letter *letter = writer->letters;

		writer->letters = letter->next;
		writer_free_letter(letter);
	}
	if (writer->changed_fd >= 0)
		(void)close(writer->changed_fd);
	if (writer->ended_fd >= 0)
		(void)close(writer->ended_fd);
	(void)pthread_mutex_destroy(&writer->lock);
	free(writer);
}

/* The place of the machine's letter, or the end of the list. */
static struct letter **writer_place(struct move_writer *writer, const struct uuid *machine)
{
	struct letter **place = &writer->letters;

	while (*place != NULL && !uuid_equal(&(*place)->machine, machine))
		place = &(*place)->next;
	return place;
}

/* An eventfd holds a count of 64 bits: writing one cannot fail before it is full. */
static void writer_signal(int fd)
{
	uint64_t one = 1;
	ssize_t written = write(fd, &one, sizeof(one));

	(void)written;
}

static bool writer_await(int fd, int timeout_ms)
{
	struct pollfd polled = {.fd = fd, .events = POLLIN};
	uint64_t count;
	ssize_t got;

	if (poll(&polled, 1, timeout_ms) <= 0)
		return false;
	got = read(fd, &count, sizeof(count));
	(void)got; /* -EAGAIN: it was empty */
	return true;
}

/* Takes the first letter out whose time has come. NULL: none has; then wait so long, -1: for ever.
 */
static struct letter *writer_take(struct move_writer *writer, int *ret_wait_ms)
{
	uint64_t now_ns = clock_now_mono(clock_real()).ns;
	uint64_t first_ns = UINT64_MAX;

	if (writer->letters != NULL && writer->connect_after.ns > now_ns) {
		*ret_wait_ms = (int)((writer->connect_after.ns - now_ns) / CLOCK_NS_PER_MS) + 1;
		return NULL;
	}
	for (struct letter **place = &writer->letters; *place != NULL; place = &(*place)->next) {
		struct letter *letter = *place;

		if (letter->not_before.ns <= now_ns) {
			*place = letter->next;
			writer->count--;
			return letter;
		}
		if (letter->not_before.ns < first_ns)
			first_ns = letter->not_before.ns;
	}
	*ret_wait_ms =
	    first_ns == UINT64_MAX ? -1 : (int)((first_ns - now_ns) / CLOCK_NS_PER_MS) + 1;
	return NULL;
}

/* The next letter, waited for. NULL: it is over. */
static struct letter *writer_next(struct move_writer *writer)
{
	for (;;) {
		struct letter *letter = NULL;
		int wait_ms = -1;
		bool stopping;

		writer_lock(writer);
		stopping = writer->stopping;
		if (!stopping)
			letter = writer_take(writer, &wait_ms);
		writer_unlock(writer);
		if (stopping || letter != NULL)
			return letter;
		(void)writer_await(writer->changed_fd, wait_ms);
	}
}

/* Not done yet, unless a newer one came meanwhile. `later`: it is what keeps it from being done. */
static void writer_put_back(struct move_writer *writer, struct letter *letter, bool later)
{
	struct letter **place;

	if (later)
		letter->not_before =
		    (struct mono_time){clock_now_mono(clock_real()).ns + MOVE_WRITER_RETRY_NS};
	letter->next = NULL;
	writer_lock(writer);
	place = writer_place(writer, &letter->machine);
	if (*place == NULL && writer->count < MOVE_WRITER_LETTER_MAX) {
		*place = TAKE_PTR(letter);
		writer->count++;
	}
	writer_unlock(writer);
	writer_free_letter(letter);
}

static void writer_note(struct move_writer *writer, int error, const struct diag *diag)
{
	writer_lock(writer);
	writer->error = error;
	writer->diag = *diag;
	writer_unlock(writer);
}

static int writer_connect(struct move_writer *writer, struct diag *diag)
{
	if (writer->connection != NULL && virConnectIsAlive(writer->connection) == 1)
		return 0;
	if (writer->connection != NULL)
		(void)virConnectClose(writer->connection);
	writer->connection = virConnectOpen(writer->uri);
	if (writer->connection != NULL)
		return 0;
	writer->connect_after =
	    (struct mono_time){clock_now_mono(clock_real()).ns + MOVE_WRITER_RETRY_NS};
	return diag_error(diag, -ECONNREFUSED,
			  "cannot write to libvirt at %s: %s; machines that move to another host "
			  "begin anew there, until it can, or with vms.metadata = 0s on purpose",
			  writer->uri, virGetLastErrorMessage());
}

/* -EBUSY: later; -ENOENT: there is no such domain in that state. */
static int writer_set(virDomainPtr domain, const struct letter *letter, struct diag *diag)
{
	unsigned int flags = letter->kept ? VIR_DOMAIN_AFFECT_CONFIG : VIR_DOMAIN_AFFECT_LIVE;
	virDomainControlInfo control;
	int code;

	if (!letter->kept && virDomainGetControlInfo(domain, &control, 0) == 0 &&
	    control.state != VIR_DOMAIN_CONTROL_OK)
		return -EBUSY;
	if (virDomainSetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, letter->text, MOVE_XML_PREFIX,
				 MOVE_XML_NAMESPACE, flags) == 0)
		return 0;
	code = virGetLastErrorCode();
	if (code == VIR_ERR_OPERATION_TIMEOUT)
		return -EBUSY;
	/* It has ended, or is not kept, or is not the one any more that it was. */
	if (code == VIR_ERR_OPERATION_INVALID || code == VIR_ERR_NO_DOMAIN)
		return -ENOENT;
	return diag_error(diag, -EIO, "libvirt did not take a record into <metadata>: %s",
			  virGetLastErrorMessage());
}

static int writer_deliver(struct move_writer *writer, const struct letter *letter,
			  struct diag *diag)
{
	virDomainPtr domain;
	int status = writer_connect(writer, diag);

	if (status < 0)
		return status;
	domain = virDomainLookupByUUID(writer->connection, letter->machine.bytes);
	if (domain == NULL && virGetLastErrorCode() == VIR_ERR_NO_DOMAIN)
		return -ENOENT;
	if (domain == NULL)
		return diag_error(diag, -ECONNRESET, "libvirt: cannot look a domain up: %s",
				  virGetLastErrorMessage());
	status = writer_set(domain, letter, diag);
	(void)virDomainFree(domain);
	return status;
}

static void *writer_thread(void *argument)
{
	struct move_writer *writer = argument;
	struct letter *letter;
	bool abandoned;

	while ((letter = writer_next(writer)) != NULL) {
		struct diag diag = DIAG_INIT;
		int status = writer_deliver(writer, letter, &diag);

		if (status != -EBUSY && status != -ENOENT)
			writer_note(writer, status, &diag);
		/*
		 * What libvirt refuses is not offered again: the next record comes in its time. A
		 * connection that was lost is made anew at once; one that goes on to live would
		 * fail at once again.
		 */
		if (status == -EBUSY || status == -ECONNREFUSED || status == -ECONNRESET)
			writer_put_back(writer, letter,
					status != -ECONNREFUSED &&
					    virConnectIsAlive(writer->connection) == 1);
		else
			writer_free_letter(letter);
	}
	if (writer->connection != NULL)
		(void)virConnectClose(writer->connection);
	writer_lock(writer);
	writer->finished = true;
	abandoned = writer->abandoned;
	writer_signal(writer->ended_fd);
	writer_unlock(writer);
	if (abandoned)
		writer_free(writer);
	return NULL;
}

/* Signals are the owner's business: the thread is born with all of them blocked. */
static int writer_start(struct move_writer *writer)
{
	sigset_t all, old;
	int error;

	writer->changed_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	writer->ended_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (writer->changed_fd < 0 || writer->ended_fd < 0)
		return -errno;
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	error = pthread_create(&writer->thread, NULL, writer_thread, writer);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	return -error;
}

int move_writer_create(const char *uri, struct move_writer **ret_writer)
{
	struct move_writer *writer = calloc(1, sizeof(*writer));
	int status;

	if (writer == NULL)
		return -ENOMEM;
	writer->uri = uri;
	writer->changed_fd = writer->ended_fd = -1;
	(void)pthread_mutex_init(&writer->lock, NULL);
	status = writer_start(writer);
	if (status < 0) {
		writer_free(writer);
		return status;
	}
	*ret_writer = writer;
	return 0;
}

void move_writer_destroy(struct move_writer *writer)
{
	pthread_t thread;
	bool finished;

	if (writer == NULL)
		return;
	thread = writer->thread;
	writer_lock(writer);
	writer->stopping = true;
	writer_unlock(writer);
	writer_signal(writer->changed_fd);
	(void)writer_await(writer->ended_fd, MOVE_WRITER_JOIN_MS);
	writer_lock(writer);
	finished = writer->finished;
	writer->abandoned = !finished;
	writer_unlock(writer);
	if (!finished) {
		/* It hangs in a call; from here on all memory is the thread's. */
		(void)pthread_detach(thread);
		return;
	}
	(void)pthread_join(thread, NULL);
	writer_free(writer);
}

int move_writer_put(struct move_writer *writer, const struct uuid *machine, bool kept, char *text)
{
	cleanup_free char *owned = text;
	struct letter **place, *letter;
	int status = 0;

	writer_lock(writer);
	place = writer_place(writer, machine);
	letter = *place;
	if (letter == NULL && writer->count == MOVE_WRITER_LETTER_MAX) {
		status = -ENOSPC;
	} else if (letter == NULL) {
		letter = calloc(1, sizeof(*letter));
		status = letter == NULL ? -ENOMEM : 0;
	}
	if (letter != NULL) {
		if (*place == NULL)
			writer->count++;
		*place = letter;
		free(letter->text);
		letter->machine = *machine;
		letter->kept = kept;
		letter->text = TAKE_PTR(owned);
		letter->not_before = (struct mono_time){0};
	}
	writer_unlock(writer);
	writer_signal(writer->changed_fd);
	return status;
}

int move_writer_status(struct move_writer *writer, struct diag *diag)
{
	int error;

	writer_lock(writer);
	error = writer->error;
	*diag = writer->diag;
	writer_unlock(writer);
	return error;
}
