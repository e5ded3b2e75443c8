/*
 * uuid.h: the identity of an account (on the host: the VM's uuid), RFC 4122.
 *
 * A foundation. Pure: safe in any thread.
 */
#ifndef WATTPORT_COMMON_UUID_H
#define WATTPORT_COMMON_UUID_H

#include <stdbool.h>
#include <stdint.h>

#define UUID_TEXT_SIZE 37 /* 36 characters and the NUL */

struct uuid {
	uint8_t bytes[16];
};

/* The 36-character form, either case; anything else is -EINVAL. */
int uuid_parse(const char *text, struct uuid *ret_uuid);

/* Lower case, as libvirt prints it. */
void uuid_format(const struct uuid *uuid, char ret_text[static UUID_TEXT_SIZE]);

bool uuid_equal(const struct uuid *a, const struct uuid *b);

/* memcmp() order, for sorting. */
int uuid_compare(const struct uuid *a, const struct uuid *b);

/* All zero: no VM has it. */
bool uuid_is_nil(const struct uuid *uuid);

#endif
