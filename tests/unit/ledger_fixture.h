/*
 * ledger_fixture.h: a ledger with something of everything, for the tests of the views.
 *
 * Four zones, of which one cannot be read; machines that run, rest, are gone and have departed,
 * with names that hurt; all sums hold. Its last sample was taken at LEDGER_FIXTURE_TIME_NS.
 */
#ifndef WATTPORT_TESTS_UNIT_LEDGER_FIXTURE_H
#define WATTPORT_TESTS_UNIT_LEDGER_FIXTURE_H

#include "common/ledger.h"

#define LEDGER_FIXTURE_TIME_NS UINT64_C(1000000000000)

/* Uuids that differ in their last byte. */
struct uuid ledger_fixture_uuid(uint8_t last);

/* The caller destroys it; a failure fails the running cmocka test. */
struct ledger *ledger_fixture_create(void);

#endif
