/*
 * by_name.h: RUNTIME/by-name/NAME -> ../vm/UUID, for people.
 *
 * A view of the ledger's roster, kept by wattportd. Names become file names: '/', '%', control
 * characters and a leading '.' are written as %XX; what is longer than a file name may be ends in
 * "~" and the first eight digits of the uuid. Of two machines of the same name the first keeps it.
 * For root alone, as the trees are, because a list of names is a list of neighbours. One thread.
 */
#ifndef WATTPORT_HOST_BY_NAME_H
#define WATTPORT_HOST_BY_NAME_H

#include "common/ledger.h"

#include <limits.h>

#define BY_NAME_DIRECTORY "by-name"

/* The file name of a machine; `ret_name` gets at most NAME_MAX bytes and the NUL. */
void by_name_encode(const char *name, const struct uuid *uuid, char ret_name[static NAME_MAX + 1]);

/*
 * Makes the links agree with the machines that are not gone: adds, moves and removes. Returns the
 * first error, after doing all that could be done.
 */
int by_name_update(int runtime_fd, const struct ledger *ledger);

#endif
