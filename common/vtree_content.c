/* The text of the tree's files. */
#include "common/vtree_internal.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#define VTREE_MILLION 1000000

static int vtree_number(char *text, uint64_t number)
{
	return snprintf(text, VTREE_CONTENT_SIZE, "%" PRIu64 "\n", number);
}

static uint64_t vtree_zone_energy(const struct vtree_values *values, struct vtree_parts parts)
{
	if (parts.zone == ZONE_OF_PSYS)
		return values->psys_uj;
	return values->socket_uj[parts.socket][vtree_zone_kind(parts.zone)];
}

static int vtree_zone_title(struct vtree_parts parts, char *text)
{
	const char *kind = zone_kind_name(vtree_zone_kind(parts.zone));

	if (parts.zone == ZONE_OF_PACKAGE)
		return snprintf(text, VTREE_CONTENT_SIZE, "%s-%" PRIu32 "\n", kind, parts.socket);
	return snprintf(text, VTREE_CONTENT_SIZE, "%s\n", kind);
}

/* One line more at the end of a text; both together never reach VTREE_CONTENT_SIZE. */
static int vtree_append(char *text, int used, const char *name, uint64_t value)
{
	int length = snprintf(text + used, (size_t)(VTREE_CONTENT_SIZE - used), "%s %" PRIu64 "\n",
			      name, value);

	assert(length > 0 && used + length < VTREE_CONTENT_SIZE);
	return used + length;
}

/* With 20 digits and a newline "package-63 ", "core-63 ", "uncore-63 " and "dram-63 ", and t_ns and
 * psys. */
static_assert(VTREE_SOCKET_MAX * (11 + 8 + 10 + 8 + 4 * 21) + 2 * (5 + 21) < VTREE_CONTENT_SIZE,
	      "a snapshot of the largest tree fits");

static int vtree_snapshot(const struct vtree_values *values, char *text)
{
	int used = vtree_append(text, 0, "t_ns", values->time_ns);
	char name[VTREE_NAME_SIZE];

	for (enum vtree_zone zone = ZONE_OF_PACKAGE; zone < ZONE_OF_PSYS; zone++) {
		enum zone_kind kind = vtree_zone_kind(zone);

		if (!vtree_zone_shown(&values->shape, zone))
			continue;
		for (uint32_t socket = 0; socket < values->shape.socket_count; socket++) {
			(void)snprintf(name, sizeof(name), "%s-%" PRIu32, zone_kind_name(kind),
				       socket);
			used = vtree_append(text, used, name, values->socket_uj[socket][kind]);
		}
	}
	if (values->shape.psys)
		used = vtree_append(text, used, "psys", values->psys_uj);
	return used;
}

/*
 * Digits and one point, nothing else: PowerJoular's reader (src/virtual_machine.adb) takes all
 * other characters away, an exponent and a sign too, and exits where no number is left.
 */
#define VTREE_WATTS "%" PRIu64 ".%06" PRIu64

static int vtree_watts(const struct vtree_values *values, char *text)
{
	return snprintf(text, VTREE_CONTENT_SIZE, VTREE_WATTS "\n",
			values->power_uw / VTREE_MILLION, values->power_uw % VTREE_MILLION);
}

/* What PowerJoular writes with -o for a process on the host: one row without a head, of which it
 * takes the third field. */
static int vtree_powerjoular(const struct vtree_values *values, char *text)
{
	return snprintf(text, VTREE_CONTENT_SIZE,
			"%" PRIu64 ",%" PRIu32 ".%06" PRIu32 "," VTREE_WATTS "\n", values->wall_s,
			values->load_ppm / VTREE_MILLION, values->load_ppm % VTREE_MILLION,
			values->power_uw / VTREE_MILLION, values->power_uw % VTREE_MILLION);
}

static int vtree_uuid(const struct vtree_values *values, char *text)
{
	char uuid[UUID_TEXT_SIZE];

	uuid_format(&values->uuid, uuid);
	return snprintf(text, VTREE_CONTENT_SIZE, "%s\n", uuid);
}

static int vtree_file(const struct vtree_values *values, struct vtree_parts parts, char *text)
{
	switch (parts.attribute) {
	case ATTRIBUTE_ENABLED:
		return vtree_number(text, 1);
	case ATTRIBUTE_UEVENT:
		return snprintf(text, VTREE_CONTENT_SIZE, "\n");
	case ATTRIBUTE_NAME:
		return vtree_zone_title(parts, text);
	case ATTRIBUTE_ENERGY:
		return vtree_number(text, vtree_zone_energy(values, parts));
	case ATTRIBUTE_ENERGY_RANGE:
		return vtree_number(text, VTREE_ENERGY_RANGE_UJ);
	case ATTRIBUTE_CONSTRAINT_NAME:
		return snprintf(text, VTREE_CONTENT_SIZE, "long_term\n");
	case ATTRIBUTE_CONSTRAINT_LIMIT:
		return vtree_number(text, 0);
	case ATTRIBUTE_CONSTRAINT_MAX:
		return vtree_number(text, VTREE_POWER_MAX_UW);
	case ATTRIBUTE_CONSTRAINT_WINDOW:
		/* One hardware time unit (SDM vol. 4, MSR_RAPL_POWER_UNIT): what hosts without a
		 * limit show. */
		return vtree_number(text, 976);
	case ATTRIBUTE_VERSION:
		return snprintf(text, VTREE_CONTENT_SIZE, "%s\n", WATTPORT_VERSION);
	case ATTRIBUTE_UUID:
		return vtree_uuid(values, text);
	case ATTRIBUTE_GENERATION:
		return vtree_number(text, values->generation);
	case ATTRIBUTE_AGE:
		return vtree_number(text, values->age_ms);
	case ATTRIBUTE_MODE:
		return snprintf(text, VTREE_CONTENT_SIZE, "%s\n",
				values->shape.exact ? "exact" : "isolated");
	case ATTRIBUTE_SOURCE:
		return snprintf(text, VTREE_CONTENT_SIZE, "%s\n", values->source);
	case ATTRIBUTE_SNAPSHOT:
		return vtree_snapshot(values, text);
	case ATTRIBUTE_WATTS:
		return vtree_watts(values, text);
	case ATTRIBUTE_POWERJOULAR:
		return vtree_powerjoular(values, text);
	case ATTRIBUTE_NONE:
	case ATTRIBUTE_END:
		break;
	}
	return -ESTALE;
}

int vtree_content(const struct vtree_values *values, struct vtree_node node,
		  char ret_text[static VTREE_CONTENT_SIZE])
{
	struct vtree_parts parts = vtree_unpack(node);

	if (!vtree_exists(&values->shape, node))
		return -ESTALE;
	if (parts.what == WHAT_CLASS_LINK || parts.what == WHAT_SUBSYSTEM)
		return -EINVAL;
	if (parts.what != WHAT_FILE)
		return -EISDIR;
	return vtree_file(values, parts, ret_text);
}

uint64_t *vtree_energy_uj(struct vtree_values *values, struct vtree_node node)
{
	struct vtree_parts parts = vtree_unpack(node);

	if (vtree_counter(node) != VTREE_COUNTER_ONE || !vtree_exists(&values->shape, node))
		return NULL;
	if (parts.zone == ZONE_OF_PSYS)
		return &values->psys_uj;
	return &values->socket_uj[parts.socket][vtree_zone_kind(parts.zone)];
}
