/*
 * user_names.h: what a user's number is called.
 *
 * From /etc/passwd alone: services that tell of users of a network may be asked by nobody who gave
 * up what it does not need. Users that are not in it go by their number. One thread.
 */
#ifndef WATTPORT_GUEST_USER_NAMES_H
#define WATTPORT_GUEST_USER_NAMES_H

#include <stddef.h>
#include <stdint.h>

/* The name, or the number as text. Reads the file: ask once for each user. */
void user_name(const char *passwd_path, uint32_t uid, char *ret_name, size_t size);

#define USER_NAMES_PATH "/etc/passwd"

#endif
