#include "tests/unit/ledger_fixture.h"
#include "common/uuid.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>

enum fixture_zone {
	FIXTURE_PACKAGE_0,
	FIXTURE_DRAM_0,
	FIXTURE_PACKAGE_1,
	FIXTURE_PSYS,
	FIXTURE_ZONE_COUNT,
};

struct fixture_vm {
	uint8_t uuid;
	const char *name;
	enum ledger_vm_state state;
	enum sample_precision precision;
	uint32_t sockets, vcpus;
	uint64_t scale; /* of all its figures */
};

static const struct fixture_vm fixture_vms[] = {
    {1, "web", LEDGER_VM_RUNNING, SAMPLE_NANOSECONDS, 1, 2, 2},
    {2, "quote \" back \\ slash / new\nline <b>&amp;", LEDGER_VM_RUNNING, SAMPLE_JIFFIES, 2, 4, 7},
    {3, "J\xc3\xbcrgen \xf0\x9f\x94\x8b \xe6\x97\xa5\xe6\x9c\xac", LEDGER_VM_OFF,
     SAMPLE_NANOSECONDS, 1, 1, 1},
    {4, "old", LEDGER_VM_GONE, SAMPLE_NANOSECONDS, 1, 1, 3},
    {5, "departs", LEDGER_VM_GONE, SAMPLE_NANOSECONDS, 1, 1, 5},
};

struct uuid ledger_fixture_uuid(uint8_t last)
{
	return (struct uuid){.bytes = {0xa0, 0xb1, 0xc2, 0xd3, 0xe4, 0xf5, 0x46, 0x07, 0x98, 0x29,
				       0x3a, 0x4b, 0x5c, 0x6d, 0x7e, last}};
}

/* Books to the account what the zone is said to have measured, too. */
static void fixture_book(struct ledger *ledger, size_t slot, enum ledger_part part,
			 uint64_t energy_uj)
{
	for (uint32_t zone = 0; zone < FIXTURE_ZONE_COUNT; zone++) {
		ledger_book(ledger, slot, zone, part, energy_uj + zone);
		ledger_host(ledger)->zones[zone].energy_uj += energy_uj + zone;
	}
}

static void fixture_add_vm(struct ledger *ledger, const struct fixture_vm *fixture)
{
	const struct uuid uuid = ledger_fixture_uuid(fixture->uuid);
	int slot = ledger_admit(ledger, &uuid);
	bool running = fixture->state == LEDGER_VM_RUNNING;
	struct ledger_vm *vm;

	assert_true(slot >= 0);
	vm = ledger_vm(ledger, (size_t)slot);
	(void)snprintf(vm->name, sizeof(vm->name), "%s", fixture->name);
	vm->state = fixture->state;
	vm->precision = (uint16_t)fixture->precision;
	/* Short of descriptors: the second machine. */
	vm->short_threads = fixture->precision == SAMPLE_JIFFIES ? 3 : 0;
	vm->pid = running ? 4000 + fixture->uuid : 0;
	vm->generation = 1;
	vm->socket_count = fixture->sockets;
	vm->vcpu_count = fixture->vcpus;
	vm->memory_bytes = fixture->scale << 30;
	vm->vcpu_ns = fixture->scale * 1234567891;
	vm->overhead_ns = fixture->scale * 98765432;
	/* Under KVM, where debugfs is to be seen; not so of those whose times libvirt tells. */
	vm->has_halt_poll = fixture->precision == SAMPLE_NANOSECONDS ? 1 : 0;
	vm->halt_poll_ns = vm->has_halt_poll ? fixture->scale * 1234567 : 0;
	vm->updated_ns = running ? LEDGER_FIXTURE_TIME_NS : LEDGER_FIXTURE_TIME_NS / 2;
	fixture_book(ledger, (size_t)slot, LEDGER_ACTIVE, fixture->scale * 10000001);
	fixture_book(ledger, (size_t)slot, LEDGER_IDLE, fixture->scale * 3000003);
	fixture_book(ledger, (size_t)slot, LEDGER_OVERHEAD, fixture->scale * 500005);
	vm->guest[0].zone_uj[ZONE_PACKAGE] = fixture->scale * 13400000;
	/* One of them came from another host. */
	if (fixture->uuid == 1)
		vm->guest[0].brought_uj[ZONE_PACKAGE] = 71000000;
	for (uint32_t zone = 0; zone < FIXTURE_ZONE_COUNT; zone++) {
		vm->shares[zone].halt_poll_uj = vm->has_halt_poll ? fixture->scale * 10000 : 0;
		vm->shares[zone].guest_view_uj = fixture->scale * 13400000;
		vm->shares[zone].power_uw = running ? fixture->scale * 1500000 + zone : 0;
	}
}

static void fixture_set_host(struct ledger_host *host)
{
	(void)snprintf(host->source, sizeof(host->source), "powercap");
	host->cpu_count = 16;
	host->updated_ns = LEDGER_FIXTURE_TIME_NS;
	host->sample_count = 321;
	host->vm_missed = 2;
	host->events =
	    (struct ledger_events){.wanted = 1, .error = -EMFILE, .counted = 5, .refused = 1};
	for (size_t i = 0; i < LEDGER_DURATION_COUNT; i++)
		host->durations.count[i] = i % 3 * 10;
	host->durations.sum_ns = 12345678;
	host->returned = (struct ledger_return){
	    .count = 2, .time_ns = 900000000000, .away_ns = 12300000000, .missing = 1};
	for (uint32_t zone = 0; zone < FIXTURE_ZONE_COUNT; zone++) {
		struct ledger_zone *row = &host->zones[zone];

		row->available = zone != FIXTURE_PACKAGE_1;
		row->error = zone == FIXTURE_PACKAGE_1 ? -EACCES : 0;
		row->idle_uj = 40000000 + zone;
		row->other_uj = 5000000 + zone;
		row->away_uj = zone == FIXTURE_PACKAGE_1 ? 0 : 700000;
		row->returned_uj = zone == FIXTURE_PACKAGE_1 ? 0 : 9000000;
		row->returned_unsure = zone == FIXTURE_PSYS ? 1 : 0;
		row->energy_uj = row->idle_uj + row->other_uj + row->away_uj;
		row->power_uw = row->available ? 45678901 + zone : 0;
		row->idle_power_uw = 15000000;
		row->thread_power_uw = 4321000;
		row->calibration_error_ppm = 23456;
		row->calibration_learning = zone == FIXTURE_PSYS ? 1 : 0;
		row->faults[LEDGER_FAULT_UNREADABLE] = zone == FIXTURE_PACKAGE_1 ? 17 : 0;
	}
}

struct ledger *ledger_fixture_create(void)
{
	static const struct zone zones[FIXTURE_ZONE_COUNT] = {
	    [FIXTURE_PACKAGE_0] = {"package-0", ZONE_PACKAGE, 0, ZONE_ANY_DIE, 262143328850},
	    [FIXTURE_DRAM_0] = {"dram-0", ZONE_DRAM, 0, ZONE_ANY_DIE, 65712999613},
	    [FIXTURE_PACKAGE_1] = {"package-1-die-0", ZONE_PACKAGE, 1, 0, 262143328850},
	    [FIXTURE_PSYS] = {"psys", ZONE_PSYS, 0, ZONE_ANY_DIE, 262143328850},
	};
	const struct uuid departing = ledger_fixture_uuid(5);
	uint32_t index[FIXTURE_ZONE_COUNT];
	struct ledger *ledger = NULL;

	assert_int_equal(ledger_create(&ledger), 0);
	assert_int_equal(ledger_set_zones(ledger, zones, FIXTURE_ZONE_COUNT, index), 0);
	fixture_set_host(ledger_host(ledger));
	for (size_t i = 0; i < sizeof(fixture_vms) / sizeof(fixture_vms[0]); i++)
		fixture_add_vm(ledger, &fixture_vms[i]);
	assert_int_equal(ledger_depart(ledger, (size_t)ledger_find(ledger, &departing)), 0);
	return ledger;
}
