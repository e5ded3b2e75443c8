/*
 * year_provider.h: whether the simulated provider of machines (year_provider.c) can be reached.
 */
#ifndef WATTPORT_TESTS_SOAK_YEAR_PROVIDER_H
#define WATTPORT_TESTS_SOAK_YEAR_PROVIDER_H

#include <stdbool.h>

void year_provider_set_away(bool away);
bool year_provider_is_away(void);

#endif
