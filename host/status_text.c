#include "host/status_text.h"
#include "common/quantity.h"
#include "common/uuid.h"
#include "host/table.h"
#include "host/thread_events.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#define NAME_WIDTH_MAX	40
#define UNKNOWN		"-"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static void text_add_energy(struct table *table, uint64_t energy_uj)
{
	char text[QUANTITY_SIZE];

	quantity_energy(energy_uj, text);
	table_add(table, text);
}

static void text_add_power(struct table *table, bool known, uint64_t power_uw)
{
	char text[QUANTITY_SIZE] = UNKNOWN;

	if (known)
		quantity_power(power_uw, text);
	table_add(table, text);
}

static void text_add_duration(struct table *table, uint64_t duration_ns)
{
	char text[QUANTITY_SIZE];

	quantity_duration(duration_ns, text);
	table_add(table, text);
}

static void text_add_count(struct table *table, uint32_t count)
{
	char text[QUANTITY_SIZE];

	(void)snprintf(text, sizeof(text), "%" PRIu32, count);
	table_add(table, text);
}

static void text_print_head(const struct ledger_host *host, const struct summary *summary,
			    FILE *stream)
{
	char age[QUANTITY_SIZE];

	quantity_duration(summary->age_ns, age);
	if (!summary->sampled)
		(void)fprintf(stream, "No sample was taken yet.\n");
	else
		(void)fprintf(stream, "Source %s, sampled %s ago. Guests see the %s view.\n",
			      host->source, age, summary_guest_view_name(host));
	if (host->estimate)
		(void)fprintf(stream,
			      "These figures are an ESTIMATE: source %s computes them, "
			      "nothing is measured.\n",
			      host->source);
	if (host->vm_missed > 0)
		(void)fprintf(stream,
			      "Some virtual machines found no room in the ledger "
			      "(at most %d are kept).\n",
			      LEDGER_VM_MAX);
}

/* Energy, and of it what other processes and nobody used; machines used the rest. */
struct text_balance {
	uint64_t energy_uj;
	uint64_t other_uj;
	uint64_t idle_uj;
	uint64_t away_uj;
};

static void text_add_balance(struct table *table, const struct text_balance *balance)
{
	text_add_energy(table, balance->energy_uj);
	text_add_energy(table, balance->energy_uj - balance->other_uj - balance->idle_uj -
				   balance->away_uj);
	text_add_energy(table, balance->other_uj);
	text_add_energy(table, balance->idle_uj);
}

/* What is in no column: who used it had ended before anybody asked. */
static void text_print_away(const struct summary *summary, FILE *stream)
{
	char energy[QUANTITY_SIZE];

	if (summary->away_uj == 0)
		return;
	quantity_energy(summary->away_uj, energy);
	(void)fprintf(stream,
		      "Of the total, %s were used while wattportd was away, by machines that had "
		      "ended when it was back.\n",
		      energy);
}

static int text_print_zones(const struct ledger_host *host, const struct summary *summary,
			    FILE *stream)
{
	static const struct table_column columns[] = {
	    {"HOST ZONE", TABLE_LEFT, 0},
	    {"POWER", TABLE_RIGHT, 0},
	    {"ENERGY", TABLE_RIGHT, 0},
	    {"VIRTUAL MACHINES", TABLE_RIGHT, 0},
	    {"OTHER PROCESSES", TABLE_RIGHT, 0},
	    {"IDLE, NOT ASSIGNED", TABLE_RIGHT, 0},
	    {"STATE", TABLE_LEFT, 0},
	};
	cleanup_table struct table *table = NULL;
	int status = table_create(columns, COUNT_OF(columns), &table);

	if (status < 0)
		return status;
	for (uint32_t i = 0; i < host->zone_count; i++) {
		const struct ledger_zone *zone = &host->zones[i];

		table_add(table, zone->zone.id);
		text_add_power(table, summary->fresh && zone->available, zone->power_uw);
		text_add_balance(table, &(struct text_balance){zone->energy_uj, zone->other_uj,
							       zone->idle_uj, zone->away_uj});
		if (!zone->available)
			table_add(table, zone->error < 0 ? strerror(-zone->error) : "not listed");
		else
			table_add(table,
				  summary_counts_zone(host, i) ? "read" : "read, not summed");
	}
	table_add(table, "total");
	text_add_power(table, summary->fresh, summary->power_uw);
	text_add_balance(table, &(struct text_balance){summary->energy_uj, summary->other_uj,
						       summary->idle_uj, summary->away_uj});
	table_add(table, "sum");
	status = table_print(table, stream);
	text_print_away(summary, stream);
	return status;
}

/* "1.5 %", or that it is too early to tell. */
static void text_add_error(struct table *table, const struct ledger_zone *zone)
{
	char text[QUANTITY_SIZE];

	(void)snprintf(text, sizeof(text), "%" PRIu64 ".%" PRIu64 " %%",
		       zone->calibration_error_ppm / 10000,
		       zone->calibration_error_ppm / 1000 % 10);
	table_add(table, zone->calibration_learning ? "learning" : text);
}

/* What attribution has found out about the host. */
static int text_print_calibration(const struct ledger_host *host, FILE *stream)
{
	static const struct table_column columns[] = {
	    {"CALIBRATION", TABLE_LEFT, 0},
	    {"STATIC POWER", TABLE_RIGHT, 0},
	    {"A BUSY CPU", TABLE_RIGHT, 0},
	    {"ERROR", TABLE_RIGHT, 0},
	};
	cleanup_table struct table *table = NULL;
	int status = table_create(columns, COUNT_OF(columns), &table);

	if (status < 0)
		return status;
	for (uint32_t i = 0; i < host->zone_count; i++) {
		const struct ledger_zone *zone = &host->zones[i];

		table_add(table, zone->zone.id);
		text_add_power(table, true, zone->idle_power_uw);
		text_add_power(table, true, zone->thread_power_uw);
		text_add_error(table, zone);
	}
	return table_print(table, stream);
}

/* By what else than CPU time machines are told apart, and why not. */
static void text_print_events(const struct ledger_events *events, FILE *stream)
{
	if (!events->wanted) {
		(void)fprintf(stream,
			      "Events of vCPUs are not counted: attribution.events = none.\n");
		return;
	}
	(void)fprintf(stream, "Events of %" PRIu32 " vCPU%s are counted", events->counted,
		      events->counted == 1 ? "" : "s");
	if (events->refused > 0)
		(void)fprintf(stream, ", of %" PRIu32 " not: %s; %s", events->refused,
			      thread_events_reason(events->error),
			      thread_events_remedy(events->error));
	(void)fprintf(stream, ".\n");
}

/* Which machines there are too few descriptors for: reading them costs more, and tells less. */
static int text_print_short(const struct summary *summary, FILE *stream)
{
	static const struct table_column columns[] = {
	    {"SHORT OF DESCRIPTORS", TABLE_LEFT, NAME_WIDTH_MAX}, {"THREADS", TABLE_RIGHT, 0}};
	cleanup_table struct table *table = NULL;
	bool any = false;
	int status = table_create(columns, COUNT_OF(columns), &table);

	if (status < 0)
		return status;
	for (size_t i = 0; i < summary->vm_count; i++) {
		const struct ledger_vm *vm = summary->vms[i].vm;

		if (vm->state != LEDGER_VM_RUNNING || vm->short_threads == 0)
			continue;
		table_add(table, vm->name);
		text_add_count(table, vm->short_threads);
		any = true;
	}
	if (!any)
		return 0;
	(void)fprintf(stream,
		      "\nSome threads of these machines are read in a slower way, or their "
		      "events are not\ncounted: raise LimitNOFILE= of wattportd.service.\n");
	return table_print(table, stream);
}

/* The machine's energy of one part, over the zones that are summed. */
static uint64_t text_part_uj(const struct ledger_host *host, const struct ledger_vm *vm,
			     enum ledger_part part)
{
	uint64_t sum_uj = 0;

	for (uint32_t i = 0; i < host->zone_count; i++)
		if (summary_counts_zone(host, i))
			sum_uj += vm->shares[i].part_uj[part];
	return sum_uj;
}

static int text_print_machines(const struct ledger_host *host, const struct summary *summary,
			       FILE *stream)
{
	static const struct table_column columns[] = {
	    {"VIRTUAL MACHINE", TABLE_LEFT, NAME_WIDTH_MAX},
	    {"STATE", TABLE_LEFT, 0},
	    {"VCPUS", TABLE_RIGHT, 0},
	    {"POWER", TABLE_RIGHT, 0},
	    {"ENERGY", TABLE_RIGHT, 0},
	    {"ACTIVE", TABLE_RIGHT, 0},
	    {"IDLE SHARE", TABLE_RIGHT, 0},
	    {"OVERHEAD", TABLE_RIGHT, 0},
	    {"CPU TIME", TABLE_RIGHT, 0},
	};
	cleanup_table struct table *table = NULL;
	int status = table_create(columns, COUNT_OF(columns), &table);

	if (status < 0)
		return status;
	for (size_t i = 0; i < summary->vm_count; i++) {
		const struct ledger_vm *vm = summary->vms[i].vm;

		table_add(table, vm->name);
		table_add(table, summary_state_name(vm->state));
		text_add_count(table, vm->vcpu_count);
		text_add_power(table, summary->fresh, summary->vms[i].power_uw);
		text_add_energy(table, summary->vms[i].energy_uj);
		for (int part = 0; part < LEDGER_PART_COUNT; part++)
			text_add_energy(table, text_part_uj(host, vm, (enum ledger_part)part));
		text_add_duration(table, vm->vcpu_ns + vm->overhead_ns);
	}
	return table_print(table, stream);
}

int status_text_print(const struct ledger_copy *copy, const struct summary *summary, FILE *stream)
{
	int status;

	text_print_head(&copy->host, summary, stream);
	(void)fputc('\n', stream);
	status = text_print_zones(&copy->host, summary, stream);
	if (status < 0)
		return status;
	(void)fputc('\n', stream);
	status = text_print_calibration(&copy->host, stream);
	if (status < 0)
		return status;
	if (summary->sampled)
		text_print_events(&copy->host.events, stream);
	status = text_print_short(summary, stream);
	if (status < 0)
		return status;
	(void)fputc('\n', stream);
	if (summary->vm_count > 0)
		return text_print_machines(&copy->host, summary, stream);
	(void)fprintf(stream, "No virtual machine is known.\n");
	return ferror(stream) ? -EIO : 0;
}

int status_text_print_vms(const struct ledger_copy *copy, const struct summary *summary,
			  FILE *stream)
{
	static const struct table_column columns[] = {
	    {"UUID", TABLE_LEFT, 0},   {"NAME", TABLE_LEFT, NAME_WIDTH_MAX},
	    {"STATE", TABLE_LEFT, 0},  {"SOCKETS", TABLE_RIGHT, 0},
	    {"VCPUS", TABLE_RIGHT, 0}, {"CPU TIME IN", TABLE_LEFT, 0},
	    {"POWER", TABLE_RIGHT, 0}, {"ENERGY", TABLE_RIGHT, 0},
	};
	cleanup_table struct table *table = NULL;
	int status = table_create(columns, COUNT_OF(columns), &table);

	(void)copy;
	if (status < 0)
		return status;
	for (size_t i = 0; i < summary->vm_count; i++) {
		const struct ledger_vm *vm = summary->vms[i].vm;
		char uuid[UUID_TEXT_SIZE];

		uuid_format(&vm->uuid, uuid);
		table_add(table, uuid);
		table_add(table, vm->name);
		table_add(table, summary_state_name(vm->state));
		text_add_count(table, vm->socket_count);
		text_add_count(table, vm->vcpu_count);
		table_add(table, summary_precision_name(vm->precision));
		text_add_power(table, summary->fresh, summary->vms[i].power_uw);
		text_add_energy(table, summary->vms[i].energy_uj);
	}
	return table_print(table, stream);
}

/* What is known of a machine as names and values. */
/* What its counters went on from when it came here. psys overlaps the others. */
static void text_add_brought(struct table *table, const struct ledger_vm *vm)
{
	uint64_t brought_uj = 0;

	for (size_t i = LEDGER_COUNTER_PSYS + 1; i < LEDGER_COUNTER_COUNT(vm->socket_count); i++)
		if (ledger_counter_kind(i) == ZONE_PACKAGE || ledger_counter_kind(i) == ZONE_DRAM)
			brought_uj += ledger_counter_brought_uj(vm, i);
	if (brought_uj == 0)
		return;
	table_add(table, "brought from elsewhere");
	text_add_energy(table, brought_uj);
}

static int text_print_facts(const struct summary *summary, const struct summary_vm *sum,
			    FILE *stream)
{
	static const struct table_column columns[] = {{"PROPERTY", TABLE_LEFT, 0},
						      {"VALUE", TABLE_LEFT, 0}};
	const struct ledger_vm *vm = sum->vm;
	cleanup_table struct table *table = NULL;
	int status = table_create(columns, COUNT_OF(columns), &table);
	char text[UUID_TEXT_SIZE > QUANTITY_SIZE ? UUID_TEXT_SIZE : QUANTITY_SIZE];

	if (status < 0)
		return status;
	table_add(table, "name");
	table_add(table, vm->name);
	uuid_format(&vm->uuid, text);
	table_add(table, "uuid");
	table_add(table, text);
	table_add(table, "state");
	table_add(table, summary_state_name(vm->state));
	table_add(table, "virtual sockets");
	text_add_count(table, vm->socket_count);
	table_add(table, "vCPUs");
	text_add_count(table, vm->vcpu_count);
	quantity_bytes(vm->memory_bytes, text);
	table_add(table, "memory held");
	table_add(table, text);
	table_add(table, "CPU time, vCPUs");
	text_add_duration(table, vm->vcpu_ns);
	if (vm->has_halt_poll) {
		table_add(table, "of it, halt polling");
		text_add_duration(table, vm->halt_poll_ns);
	}
	table_add(table, "CPU time, overhead");
	text_add_duration(table, vm->overhead_ns);
	table_add(table, "CPU time known in");
	table_add(table, summary_precision_name(vm->precision));
	if (vm->short_threads > 0) {
		table_add(table, "threads short of descriptors");
		text_add_count(table, vm->short_threads);
	}
	table_add(table, "started");
	(void)snprintf(text, sizeof(text), "%" PRIu32 " times", vm->generation);
	table_add(table, text);
	table_add(table, "power");
	text_add_power(table, summary->fresh, sum->power_uw);
	table_add(table, "energy");
	text_add_energy(table, sum->energy_uj);
	text_add_brought(table, vm);
	return table_print(table, stream);
}

static int text_print_shares(const struct ledger_host *host, const struct summary *summary,
			     const struct ledger_vm *vm, FILE *stream)
{
	static const struct table_column columns[] = {
	    {"HOST ZONE", TABLE_LEFT, 0},	 {"POWER", TABLE_RIGHT, 0},
	    {"ENERGY", TABLE_RIGHT, 0},		 {"ACTIVE", TABLE_RIGHT, 0},
	    {"IDLE SHARE", TABLE_RIGHT, 0},	 {"OVERHEAD", TABLE_RIGHT, 0},
	    {"ACTIVE, POLLING", TABLE_RIGHT, 0}, {"GUEST VIEW", TABLE_RIGHT, 0},
	};
	cleanup_table struct table *table = NULL;
	int status = table_create(columns, COUNT_OF(columns), &table);

	if (status < 0)
		return status;
	for (uint32_t i = 0; i < host->zone_count; i++) {
		const struct ledger_share *share = &vm->shares[i];

		table_add(table, host->zones[i].zone.id);
		text_add_power(table, summary->fresh && host->zones[i].available, share->power_uw);
		text_add_energy(table, ledger_share_total_uj(share));
		for (int part = 0; part < LEDGER_PART_COUNT; part++)
			text_add_energy(table, share->part_uj[part]);
		if (vm->has_halt_poll)
			text_add_energy(table, share->halt_poll_uj);
		else
			table_add(table, UNKNOWN);
		text_add_energy(table, share->guest_view_uj);
	}
	return table_print(table, stream);
}

int status_text_print_vm(const struct ledger_copy *copy, const struct summary *summary,
			 const struct summary_vm *vm, FILE *stream)
{
	int status = text_print_facts(summary, vm, stream);

	if (status < 0)
		return status;
	(void)fputc('\n', stream);
	return text_print_shares(&copy->host, summary, vm->vm, stream);
}
