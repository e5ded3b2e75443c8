/*
 * fuse_wire.h: the little of the kernel's FUSE protocol that libfuse does not show.
 *
 * A foundation of keeper and worker (Linux include/uapi/linux/fuse.h): how long a request is, which
 * one it is, and how to have those without an answer sent again. No state: safe in any thread.
 */
#ifndef WATTPORT_FUSEFS_FUSE_WIRE_H
#define WATTPORT_FUSEFS_FUSE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The whole length by its own head; 0 marks a place where no request is. */
uint32_t wire_length(const char message[]);
void wire_clear(char message[]);

/*
 * Ends a message of that length, maybe of another version's memory, with zeros: libfuse takes for
 * granted that a request has its whole body and that a name ends. Returns the length, less where
 * `capacity` has no room for a tail behind it, and never less than a head.
 */
#define WIRE_TAIL_SIZE 128 /* the longest body without a name, of FUSE_SETATTR, has 88 bytes */
size_t wire_end(char message[], uint32_t length, size_t capacity);

/* Whether it is the opening message of a kernel with which we can talk; looks at so many bytes. */
#define WIRE_OPENING_SIZE 56
bool wire_is_opening(const char message[]);

/* Its number, without the mark of one that is sent again. */
uint64_t wire_unique(const char message[]);

/* Whether the kernel marked it as sent again. */
bool wire_is_again(const char message[]);

/*
 * Reads one request. Returns its length; -EAGAIN: there is none; -ENODEV: the mount is gone; or
 * another negative errno. A request is either read or not: what a process that is killed had read
 * is whole in `message`.
 */
int wire_read(int fuse_fd, char message[], size_t size);

/* Has the kernel send every request again that has no answer. -EINVAL: it cannot (before 6.9). */
int wire_resend(int fuse_fd);

#endif
