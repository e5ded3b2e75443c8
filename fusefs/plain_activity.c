#include "fusefs/plain_activity.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

/* A watch has to have a mask: this one matches when the file is gone, and so is the watch. */
#define PLAIN_ACTIVITY_MUTE	 IN_DELETE_SELF
#define PLAIN_ACTIVITY_PATH_SIZE 32

struct plain_activity_watch {
	int descriptor;
	int fd; /* of the file: the caller's */
	bool listens;
	struct plain_activity_key key;
};

struct plain_activity {
	int fd;
	size_t count, capacity;
	struct plain_activity_watch *watches; /* by descriptor, which the kernel counts up */
	size_t used, at;		      /* of the events that were read */
	_Alignas(struct inotify_event) char events[4096];
};

int plain_activity_create(struct plain_activity **ret_activity, struct diag *diag)
{
	struct plain_activity *activity = calloc(1, sizeof(*activity));

	if (activity == NULL)
		return diag_error(diag, -ENOMEM, "out of memory");
	activity->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (activity->fd < 0) {
		int status = -errno;

		free(activity);
		return diag_error(diag, status,
				  "cannot watch files: %s; raise fs.inotify.max_user_instances",
				  strerror(-status));
	}
	*ret_activity = activity;
	return 0;
}

void plain_activity_destroy(struct plain_activity *activity)
{
	if (activity == NULL)
		return;
	(void)close(activity->fd);
	free(activity->watches);
	free(activity);
}

int plain_activity_fd(const struct plain_activity *activity)
{
	return activity->fd;
}

/* The place of the watch, or where it would have to be. */
static size_t plain_activity_place(const struct plain_activity *activity, int descriptor)
{
	size_t low = 0, high = activity->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (activity->watches[middle].descriptor < descriptor)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct plain_activity_watch *plain_activity_find(struct plain_activity *activity,
							int descriptor)
{
	size_t place = plain_activity_place(activity, descriptor);

	if (place == activity->count || activity->watches[place].descriptor != descriptor)
		return NULL;
	return &activity->watches[place];
}

static int plain_activity_set(const struct plain_activity *activity, int fd, uint32_t mask)
{
	char path[PLAIN_ACTIVITY_PATH_SIZE];
	int descriptor;

	(void)snprintf(path, sizeof(path), "/dev/fd/%d", fd);
	descriptor = inotify_add_watch(activity->fd, path, mask);
	return descriptor < 0 ? -errno : descriptor;
}

static int plain_activity_grow(struct plain_activity *activity)
{
	size_t capacity = activity->capacity > 0 ? 2 * activity->capacity : 64;
	struct plain_activity_watch *watches =
	    reallocarray(activity->watches, capacity, sizeof(*watches));

	if (watches == NULL)
		return -ENOMEM;
	activity->watches = watches;
	activity->capacity = capacity;
	return 0;
}

int plain_activity_listen(struct plain_activity *activity, int fd, struct plain_activity_key key)
{
	struct plain_activity_watch *watch;
	size_t place;
	int descriptor;

	if (activity->count == activity->capacity && plain_activity_grow(activity) < 0)
		return -ENOMEM;
	/* The same inode has the same watch: the new mask takes the place of the old one. */
	descriptor = plain_activity_set(activity, fd, IN_ACCESS);
	if (descriptor < 0)
		return descriptor;
	place = plain_activity_place(activity, descriptor);
	watch = &activity->watches[place];
	if (place == activity->count || watch->descriptor != descriptor) {
		memmove(watch + 1, watch, (activity->count - place) * sizeof(*watch));
		activity->count++;
	}
	*watch = (struct plain_activity_watch){
	    .descriptor = descriptor, .fd = fd, .listens = true, .key = key};
	return 0;
}

/* The next event, whole: inotify(7) hands out no parts. */
static const struct inotify_event *plain_activity_event(struct plain_activity *activity)
{
	const struct inotify_event *event;
	ssize_t got;

	if (activity->at == activity->used) {
		got = read(activity->fd, activity->events, sizeof(activity->events));
		if (got <= 0)
			return NULL;
		activity->used = (size_t)got;
		activity->at = 0;
	}
	event = (const void *)(activity->events + activity->at);
	activity->at += sizeof(*event) + event->len;
	assert(activity->at <= activity->used);
	return event;
}

int plain_activity_next(struct plain_activity *activity, struct plain_activity_key *ret_key)
{
	const struct inotify_event *event;

	while ((event = plain_activity_event(activity)) != NULL) {
		struct plain_activity_watch *watch = plain_activity_find(activity, event->wd);

		/* Reads between the first and its muting, and files that are gone. */
		if (watch == NULL || !watch->listens || (event->mask & IN_ACCESS) == 0)
			continue;
		watch->listens = false;
		(void)plain_activity_set(activity, watch->fd, PLAIN_ACTIVITY_MUTE);
		*ret_key = watch->key;
		return 0;
	}
	return -EAGAIN;
}

void plain_activity_forget(struct plain_activity *activity, uint32_t tree)
{
	size_t kept = 0;

	for (size_t i = 0; i < activity->count; i++) {
		struct plain_activity_watch watch = activity->watches[i];

		if (watch.key.tree != tree)
			activity->watches[kept++] = watch;
		else
			(void)inotify_rm_watch(activity->fd, watch.descriptor);
	}
	activity->count = kept;
}
