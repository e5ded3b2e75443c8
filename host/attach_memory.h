/*
 * attach_memory.h: whether a domain's memory is shared, which virtiofs needs, and who needs it.
 *
 * Looks at the <domain> of attach_xml.c; changes nothing. Safe in any thread.
 */
#ifndef WATTPORT_HOST_ATTACH_MEMORY_H
#define WATTPORT_HOST_ATTACH_MEMORY_H

#include "common/diag.h"

#include <libxml/tree.h>
#include <stdbool.h>
#include <stddef.h>

/* As libvirt sees it: every NUMA cell's, where they tell, else that of <memoryBacking>. */
bool attach_memory_is_shared(const xmlNode *domain);

/* -ENOTSUP with the reason where the domain asks for memory that cannot be shared. */
int attach_memory_check(const xmlNode *domain, struct diag *diag);

/*
 * Whether <memoryBacking> of a domain that passed the check needs a source to be shared, too:
 * memfd, which takes no file system of its own; huge pages are shared as they are.
 */
bool attach_memory_lacks_source(const xmlNode *domain);

/*
 * How many devices do not work without shared memory, file systems tagged `except` apart; in
 * *ret_user what one of them is, as a person names it (a literal), or NULL.
 */
size_t attach_memory_users(const xmlNode *domain, const char *except, const char **ret_user);

#endif
