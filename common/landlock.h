/*
 * landlock.h: a process that may write below some directories and nowhere else.
 *
 * A foundation, for a process that stays root and could else write whatever root owns. Holds for
 * the calling thread and those that it makes from then on: to be called before the first of them.
 */
#ifndef WATTPORT_COMMON_LANDLOCK_H
#define WATTPORT_COMMON_LANDLOCK_H

#include "common/diag.h"

#include <stddef.h>

/*
 * From here on files are written, made, renamed and removed below these directories alone, and no
 * file is executed. Reading stays as it is, and so do descriptors that are open. The process must
 * have no_new_privs (privilege.h). 1: it holds; 0: the kernel has no Landlock (Linux 5.13 or
 * later has, where it is among the security modules); or a negative errno with *diag.
 */
int landlock_confine(const int directory_fds[], size_t count, struct diag *diag);

#endif
