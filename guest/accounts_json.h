/*
 * accounts_json.h: a view of the accounts as JSON: what the page and other programs read.
 *
 * Last stage in the guest. All numbers are the view's own integers; what is not known is null,
 * never 0. Pure. docs/metrics.md has the format.
 */
#ifndef WATTPORT_GUEST_ACCOUNTS_JSON_H
#define WATTPORT_GUEST_ACCOUNTS_JSON_H

#include "guest/accounts_view.h"

#include <stddef.h>

/* One object and a newline; malloc()ed. 0 or -ENOMEM. */
int accounts_json(const struct accounts_view *view, char **ret_text, size_t *ret_size);

#endif
