/*
 * ledger_writer: a ledger for tests that is written by hand, in the place of wattportd.
 *
 * Reads commands from stdin, one a line, and answers each with "ok" or "error TEXT" on stdout:
 *     host VIEW SOURCE ZONE...           VIEW: isolated, exact; ZONE: package, core, uncore, dram,
 *                                        psys
 *     vm UUID SOCKETS STATE PID          STATE: running, off, gone
 *     energy UUID SOCKET PACKAGE DRAM [CORE UNCORE]   in microjoules, absolute
 *     power UUID POWER LOAD              of the guest, in microwatts and millionths
 *     psys UUID ENERGY
 *     name UUID NAME                     %XX stands for the byte
 *     cpu UUID VCPUS NANOSECONDS
 *     zone INDEX POWER IDLE OTHER        of the host: in microwatts and microjoules, absolute
 *     share UUID INDEX POWER ACTIVE IDLE OVERHEAD  of its zone INDEX, likewise; the zone's energy
 *                                        is what idle, other and all shares are together
 *     flags ESTIMATE LEARNING            0 or 1; of the host, and of all its zones
 *     depart UUID
 *     publish                            shows it all, with the running machines' time now
 *     publish-old [AGE_MS]               likewise, without a new time, or with one of that age
 */
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/ledger_floors.h"
#include "common/ledger_map.h"
#include "common/parse.h"
#include "common/served.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_SIZE 4096
#define WORD_MAX  16

struct writer {
	struct ledger *ledger;
	struct ledger_floors *floors;
	struct ledger_map *map;
};

static int writer_account(struct writer *writer, const char *text, struct ledger_vm **ret_vm)
{
	struct uuid uuid;
	int slot = uuid_parse(text, &uuid);

	if (slot == 0)
		slot = ledger_admit(writer->ledger, &uuid);
	if (slot < 0)
		return slot;
	*ret_vm = ledger_vm(writer->ledger, (size_t)slot);
	return 0;
}

static int writer_host(struct writer *writer, char **words, size_t count)
{
	struct ledger_host *host = ledger_host(writer->ledger);
	struct zone zones[WORD_MAX];
	uint32_t index[WORD_MAX];

	if (count < 3)
		return -EINVAL;
	host->guest_view_exact = strcmp(words[1], "exact") == 0;
	(void)snprintf(host->source, sizeof(host->source), "%s", words[2]);
	for (size_t i = 3; i < count; i++) {
		struct zone *zone = &zones[i - 3];

		*zone = (struct zone){.die = ZONE_ANY_DIE, .range_uj = 262143328850};
		(void)snprintf(zone->id, sizeof(zone->id), "%s", words[i]);
		if (zone_kind_parse(words[i], &zone->kind) < 0)
			return -EINVAL;
	}
	return ledger_set_zones(writer->ledger, zones, count - 3, index);
}

static int writer_vm(struct writer *writer, char **words, size_t count)
{
	struct ledger_vm *vm;
	uint32_t pid;

	if (count != 5 || writer_account(writer, words[1], &vm) < 0 ||
	    parse_u32(words[2], &vm->socket_count) < 0 || parse_u32(words[4], &pid) < 0)
		return -EINVAL;
	vm->state = LEDGER_VM_RUNNING;
	if (strcmp(words[3], "off") == 0)
		vm->state = LEDGER_VM_OFF;
	if (strcmp(words[3], "gone") == 0)
		vm->state = LEDGER_VM_GONE;
	vm->pid = (int32_t)pid;
	vm->generation++;
	return 0;
}

static int writer_energy(struct writer *writer, char **words, size_t count)
{
	static const enum zone_kind kinds[] = {ZONE_PACKAGE, ZONE_DRAM, ZONE_CORE, ZONE_UNCORE};
	struct ledger_vm *vm;
	uint32_t socket;

	if ((count != 5 && count != 7) || writer_account(writer, words[1], &vm) < 0 ||
	    parse_u32(words[2], &socket) < 0 || socket >= LEDGER_SOCKET_MAX)
		return -EINVAL;
	for (size_t i = 0; i + 3 < count; i++)
		if (parse_u64(words[i + 3], &vm->guest[socket].zone_uj[kinds[i]]) < 0)
			return -EINVAL;
	return 0;
}

static int writer_power(struct writer *writer, char **words, size_t count)
{
	struct ledger_vm *vm;

	if (count != 4 || writer_account(writer, words[1], &vm) < 0 ||
	    parse_u64(words[2], &vm->guest_power_uw) < 0)
		return -EINVAL;
	return parse_u64(words[3], &vm->guest_load_ppm);
}

static int writer_name(struct writer *writer, char **words, size_t count)
{
	struct ledger_vm *vm;
	char name[SAMPLE_NAME_SIZE];
	size_t size = 0;

	if (count != 3 || writer_account(writer, words[1], &vm) < 0)
		return -EINVAL;
	for (const char *text = words[2]; *text != '\0' && size + 1 < sizeof(name); text++) {
		uint32_t byte = (unsigned char)*text;

		if (*text == '%' && text[1] != '\0' && text[2] != '\0') {
			if (parse_hex_u32((const char[]){text[1], text[2], '\0'}, &byte) < 0)
				return -EINVAL;
			text += 2;
		}
		name[size++] = (char)byte;
	}
	name[size] = '\0';
	memcpy(vm->name, name, size + 1);
	return 0;
}

static int writer_cpu(struct writer *writer, char **words, size_t count)
{
	struct ledger_vm *vm;

	if (count != 4 || writer_account(writer, words[1], &vm) < 0 ||
	    parse_u32(words[2], &vm->vcpu_count) < 0)
		return -EINVAL;
	return parse_u64(words[3], &vm->vcpu_ns);
}

static int writer_index(const struct writer *writer, const char *text, uint32_t *ret_index)
{
	if (parse_u32(text, ret_index) < 0 || *ret_index >= ledger_host(writer->ledger)->zone_count)
		return -EINVAL;
	return 0;
}

static int writer_zone(struct writer *writer, char **words, size_t count)
{
	struct ledger_zone *zone;
	uint32_t index;

	if (count != 5 || writer_index(writer, words[1], &index) < 0)
		return -EINVAL;
	zone = &ledger_host(writer->ledger)->zones[index];
	zone->available = 1;
	if (parse_u64(words[2], &zone->power_uw) < 0 || parse_u64(words[3], &zone->idle_uj) < 0)
		return -EINVAL;
	return parse_u64(words[4], &zone->other_uj);
}

static int writer_share(struct writer *writer, char **words, size_t count)
{
	struct ledger_vm *vm;
	uint32_t index;

	if (count != 7 || writer_account(writer, words[1], &vm) < 0 ||
	    writer_index(writer, words[2], &index) < 0 ||
	    parse_u64(words[3], &vm->shares[index].power_uw) < 0)
		return -EINVAL;
	for (size_t part = 0; part < LEDGER_PART_COUNT; part++)
		if (parse_u64(words[4 + part], &vm->shares[index].part_uj[part]) < 0)
			return -EINVAL;
	return 0;
}

/* What was measured is what there is: the sums hold in every ledger that is shown. */
static void writer_balance(struct writer *writer)
{
	struct ledger_host *host = ledger_host(writer->ledger);

	for (uint32_t i = 0; i < host->zone_count; i++) {
		struct ledger_zone *zone = &host->zones[i];

		zone->energy_uj = zone->idle_uj + zone->other_uj + zone->away_uj;
		for (size_t slot = 0; slot < ledger_slot_count(writer->ledger); slot++) {
			const struct ledger_vm *vm = ledger_vm(writer->ledger, slot);

			if (vm != NULL)
				zone->energy_uj += ledger_share_total_uj(&vm->shares[i]);
		}
	}
}

static int writer_flags(struct writer *writer, char **words, size_t count)
{
	struct ledger_host *host = ledger_host(writer->ledger);
	uint64_t learning;

	if (count != 3 || parse_u32(words[1], &host->estimate) < 0 ||
	    parse_u64(words[2], &learning) < 0)
		return -EINVAL;
	for (uint32_t i = 0; i < host->zone_count; i++)
		host->zones[i].calibration_learning = learning;
	return 0;
}

static int writer_publish(struct writer *writer, uint64_t now_ns)
{
	const struct ledger_instant told = {.time_ms = served_ms(clock_now_mono(clock_real()))};

	for (size_t slot = 0; now_ns > 0 && slot < ledger_slot_count(writer->ledger); slot++) {
		struct ledger_vm *vm = ledger_vm(writer->ledger, slot);

		if (vm != NULL && vm->state == LEDGER_VM_RUNNING)
			vm->updated_ns = now_ns;
	}
	if (now_ns > 0) {
		ledger_host(writer->ledger)->updated_ns = now_ns;
		ledger_host(writer->ledger)->sample_count++;
	}
	writer_balance(writer);
	(void)ledger_floors_advance(writer->floors, &told);
	return ledger_map_publish(writer->map, writer->ledger);
}

static int writer_publish_old(struct writer *writer, char **words, size_t count)
{
	uint64_t age_ms = 0;

	if (count == 1)
		return writer_publish(writer, 0);
	if (parse_u64(words[1], &age_ms) < 0)
		return -EINVAL;
	return writer_publish(writer, clock_now_mono(clock_real()).ns - age_ms * CLOCK_NS_PER_MS);
}

static int writer_obey(struct writer *writer, char **words, size_t count)
{
	static const struct {
		const char *word;
		int (*obey)(struct writer *writer, char **words, size_t count);
	} orders[] = {
	    {"publish-old", writer_publish_old},
	    {"host", writer_host},
	    {"vm", writer_vm},
	    {"energy", writer_energy},
	    {"power", writer_power},
	    {"name", writer_name},
	    {"cpu", writer_cpu},
	    {"share", writer_share},
	    {"zone", writer_zone},
	    {"flags", writer_flags},
	};
	struct ledger_vm *vm;
	struct uuid uuid;

	if (strcmp(words[0], "publish") == 0)
		return writer_publish(writer, clock_now_mono(clock_real()).ns);
	for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++)
		if (strcmp(words[0], orders[i].word) == 0)
			return orders[i].obey(writer, words, count);
	if (strcmp(words[0], "psys") == 0 && count == 3 &&
	    writer_account(writer, words[1], &vm) == 0)
		return parse_u64(words[2], &vm->guest_psys_uj);
	if (strcmp(words[0], "depart") == 0 && count == 2 && uuid_parse(words[1], &uuid) == 0) {
		int slot = ledger_find(writer->ledger, &uuid);

		return slot < 0 ? slot : ledger_depart(writer->ledger, (size_t)slot);
	}
	return -EINVAL;
}

int main(int argc, char **argv)
{
	cleanup_ledger struct ledger *ledger = NULL;
	cleanup_ledger_floors struct ledger_floors *floors = NULL;
	cleanup_ledger_map struct ledger_map *map = NULL;
	cleanup_fd int runtime_fd = -1;
	struct diag diag = DIAG_INIT;
	char line[LINE_SIZE];

	if (argc != 2) {
		(void)fprintf(stderr, "usage: ledger_writer RUNTIME_DIR\n");
		return 2;
	}
	runtime_fd = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (runtime_fd < 0 || ledger_create(&ledger) < 0 ||
	    ledger_floors_create(ledger, &floors) < 0 ||
	    ledger_map_open(runtime_fd, &map, &diag) < 0) {
		(void)fprintf(stderr, "ledger_writer: %s: %s\n", argv[1], diag.text);
		return 1;
	}
	while (fgets(line, sizeof(line), stdin) != NULL) {
		char *words[WORD_MAX], *rest = line;
		struct writer writer = {.ledger = ledger, .floors = floors, .map = map};
		size_t count = 0;
		int status = -EINVAL;

		while (count < WORD_MAX && (words[count] = strtok_r(rest, " \n", &rest)) != NULL)
			count++;
		if (count > 0)
			status = writer_obey(&writer, words, count);
		if (status < 0)
			(void)printf("error %s\n", strerror(-status));
		else
			(void)printf("ok\n");
		(void)fflush(stdout);
	}
	return 0;
}
