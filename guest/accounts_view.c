#include "guest/accounts_view.h"

#include <assert.h>

static const char *const account_kind_names[ACCOUNT_KIND_COUNT] = {
    [ACCOUNT_UNIT] = "unit",   [ACCOUNT_USER] = "user",		  [ACCOUNT_PROCESS] = "process",
    [ACCOUNT_SLICE] = "slice", [ACCOUNT_CONTAINER] = "container", [ACCOUNT_POD] = "pod",
    [ACCOUNT_JOB] = "job",
};

const char *account_kind_name(enum account_kind kind)
{
	assert(kind < ACCOUNT_KIND_COUNT);
	return account_kind_names[kind];
}
