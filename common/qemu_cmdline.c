#include "common/qemu_cmdline.h"
#include "common/parse.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define QEMU_CMDLINE_VALUE_SIZE	  SAMPLE_NAME_SIZE
#define QEMU_CMDLINE_MEMORY_BYTES (UINT64_C(128) << 20) /* QEMU's default */

/* One `key=value` of a QEMU option string; a doubled comma stands for one. */
struct qemu_option {
	char key[32];
	char value[QEMU_CMDLINE_VALUE_SIZE];
};

/* -smp as it was written: 0 where it says nothing. */
struct qemu_smp {
	uint32_t cpus, maxcpus, sockets, dies, clusters, modules, cores, threads;
};

struct qemu_cmdline_state {
	struct qemu_cmdline result;
	struct qemu_smp smp;
	bool uuid_given; /* by -uuid, which beats -smbios */
	bool prefer_sockets;
};

/* Copies up to the next single comma; what does not fit is cut. */
static const char *qemu_option_copy_value(const char *cursor, char *value, size_t size)
{
	size_t used = 0;

	for (; *cursor != '\0'; cursor++) {
		if (*cursor == ',' && *++cursor != ',')
			break;
		if (used + 1 < size)
			value[used++] = *cursor;
	}
	value[used] = '\0';
	return cursor;
}

/*
 * The next part of an option string. A first part without `=` is the value of `implied_key`, a
 * later one a key that is switched on, as in QEMU's opts_do_parse(). False at the end.
 */
static bool qemu_option_next(const char **cursor, const char *implied_key,
			     struct qemu_option *option)
{
	const char *text = *cursor;
	size_t length = strcspn(text, "=,");

	if (*text == '\0')
		return false;
	option->key[0] = '\0';
	option->value[0] = '\0';
	if (text[length] != '=' && implied_key != NULL) {
		(void)snprintf(option->key, sizeof(option->key), "%s", implied_key);
		*cursor = qemu_option_copy_value(text, option->value, sizeof(option->value));
		return true;
	}
	if (length < sizeof(option->key)) {
		memcpy(option->key, text, length);
		option->key[length] = '\0';
	}
	text += length;
	if (*text == '=')
		*cursor = qemu_option_copy_value(text + 1, option->value, sizeof(option->value));
	else
		*cursor = *text == ',' ? text + 1 : text;
	return true;
}

static int qemu_cmdline_name(const char *text, struct qemu_cmdline_state *state)
{
	struct qemu_option option;
	const char *implied = "guest";

	for (; qemu_option_next(&text, implied, &option); implied = NULL)
		if (strcmp(option.key, "guest") == 0)
			memcpy(state->result.name, option.value, sizeof(state->result.name));
	return 0;
}

static int qemu_cmdline_uuid(const char *text, struct qemu_cmdline_state *state)
{
	int status = uuid_parse(text, &state->result.uuid);

	if (status < 0)
		return status;
	state->uuid_given = true;
	state->result.has_uuid = true;
	return 0;
}

static int qemu_cmdline_smbios(const char *text, struct qemu_cmdline_state *state)
{
	struct qemu_option option;
	struct uuid uuid = {.bytes = {0}};
	bool system = false, found = false;

	while (qemu_option_next(&text, NULL, &option)) {
		if (strcmp(option.key, "type") == 0)
			system = strcmp(option.value, "1") == 0;
		else if (strcmp(option.key, "uuid") == 0)
			found = uuid_parse(option.value, &uuid) == 0;
	}
	if (!system || !found || state->uuid_given)
		return 0;
	state->result.uuid = uuid;
	state->result.has_uuid = true;
	return 0;
}

static int qemu_cmdline_id(const char *text, struct qemu_cmdline_state *state)
{
	/* On other QEMUs than Proxmox's there is no -id; what is no number is not one. */
	state->result.has_vmid = parse_u32(text, &state->result.vmid) == 0;
	return 0;
}

static int qemu_cmdline_smp(const char *text, struct qemu_cmdline_state *state)
{
	struct qemu_smp smp = {.cpus = 0};
	const struct {
		const char *key;
		uint32_t *value;
	} keys[] = {
	    {"cpus", &smp.cpus},	 {"maxcpus", &smp.maxcpus}, {"sockets", &smp.sockets},
	    {"dies", &smp.dies},	 {"modules", &smp.modules}, {"cores", &smp.cores},
	    {"clusters", &smp.clusters}, {"threads", &smp.threads},
	};
	struct qemu_option option;
	const char *implied = "cpus";

	for (; qemu_option_next(&text, implied, &option); implied = NULL)
		for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
			if (strcmp(option.key, keys[i].key) == 0 &&
			    (parse_u32(option.value, keys[i].value) < 0 ||
			     *keys[i].value > SAMPLE_VCPU_MAX))
				return -EINVAL;
	state->smp = smp;
	return 0;
}

/* A number with QEMU's suffixes (qemu_strtosz()); without one it counts MiB. */
static int qemu_cmdline_size(const char *text, uint64_t *ret_bytes)
{
	static const char suffixes[] = "BKMGTPE";
	char digits[24];
	size_t length = strspn(text, "0123456789");
	unsigned int shift = 20;
	uint64_t value;
	int status;

	if (length >= sizeof(digits))
		return -ERANGE;
	memcpy(digits, text, length);
	digits[length] = '\0';
	status = parse_u64(digits, &value);
	if (status < 0)
		return status;
	if (text[length] != '\0') {
		const char *suffix = strchr(suffixes, toupper((unsigned char)text[length]));

		if (suffix == NULL)
			return -EINVAL;
		shift = (unsigned int)(suffix - suffixes) * 10;
	}
	return __builtin_mul_overflow(value, UINT64_C(1) << shift, ret_bytes) ? -ERANGE : 0;
}

static int qemu_cmdline_memory(const char *text, struct qemu_cmdline_state *state)
{
	struct qemu_option option;
	const char *implied = "size";
	int status;

	for (; qemu_option_next(&text, implied, &option); implied = NULL) {
		if (strcmp(option.key, "size") != 0)
			continue;
		status = qemu_cmdline_size(option.value, &state->result.memory_bytes);
		if (status < 0)
			return status;
	}
	return 0;
}

/* Machine types end in the version that they behave like: pc-q35-6.1, pc-i440fx-9.0+pve0. */
static bool qemu_cmdline_before_6_2(const char *machine)
{
	const char *version = strrchr(machine, '-');
	unsigned int major = 0, minor = 0;

	if (version == NULL || !isdigit((unsigned char)version[1]))
		return false; /* an alias such as "q35": the newest that this QEMU has */
	for (version++; isdigit((unsigned char)*version) && major < 1000; version++)
		major = major * 10 + (unsigned int)(*version - '0');
	if (*version != '.')
		return false;
	for (version++; isdigit((unsigned char)*version) && minor < 1000; version++)
		minor = minor * 10 + (unsigned int)(*version - '0');
	return major < 6 || (major == 6 && minor < 2);
}

static int qemu_cmdline_machine(const char *text, struct qemu_cmdline_state *state)
{
	struct qemu_option option;
	const char *implied = "type";

	for (; qemu_option_next(&text, implied, &option); implied = NULL) {
		if (strcmp(option.key, "type") != 0)
			continue;
		state->result.probe = strcmp(option.value, "none") == 0;
		state->prefer_sockets = qemu_cmdline_before_6_2(option.value);
	}
	return 0;
}

/* libvirt gives every domain `-object secret,...,file=/var/lib/libvirt/qemu/domain-3-NAME/...`. */
static int qemu_cmdline_object(const char *text, struct qemu_cmdline_state *state)
{
	static const char marker[] = "/domain-";
	const char *start = strstr(text, marker);
	uint64_t id = 0;
	size_t length;

	if (start == NULL)
		return 0;
	start += strlen(marker);
	length = strspn(start, "0123456789");
	if (length == 0 || length > 9 || start[length] != '-')
		return 0;
	for (size_t i = 0; i < length; i++)
		id = id * 10 + (uint64_t)(start[i] - '0');
	state->result.has_libvirt_id = true;
	state->result.libvirt_id = (uint32_t)id;
	return 0;
}

static const struct {
	const char *name;
	int (*parse)(const char *text, struct qemu_cmdline_state *state);
	bool identifies;
} qemu_cmdline_options[] = {
    {"name", qemu_cmdline_name, true},	     {"uuid", qemu_cmdline_uuid, true},
    {"smbios", qemu_cmdline_smbios, true},   {"id", qemu_cmdline_id, true},
    {"machine", qemu_cmdline_machine, true}, {"M", qemu_cmdline_machine, true},
    {"smp", qemu_cmdline_smp, false},	     {"m", qemu_cmdline_memory, false},
    {"object", qemu_cmdline_object, false},
};

static uint32_t qemu_cmdline_or_one(uint32_t value)
{
	return value > 0 ? value : 1;
}

static int qemu_cmdline_sockets(const struct qemu_smp *given, bool prefer_sockets,
				struct qemu_cmdline *result)
{
	uint64_t middle = (uint64_t)qemu_cmdline_or_one(given->dies) *
			  qemu_cmdline_or_one(given->clusters) *
			  qemu_cmdline_or_one(given->modules);
	uint64_t sockets = given->sockets, cores = given->cores, threads = given->threads;
	uint64_t maximum = given->maxcpus > 0 ? given->maxcpus : given->cpus;

	if (maximum > 0 && sockets > 0 && cores > 0 && threads == 0)
		threads = maximum / (sockets * middle * cores);
	threads = threads > 0 ? threads : 1;
	if (sockets == 0 && (cores > 0 || prefer_sockets || maximum == 0)) {
		cores = cores > 0 ? cores : 1;
		sockets = maximum > 0 ? maximum / (middle * cores * threads) : 1;
	} else if (cores == 0) {
		sockets = sockets > 0 ? sockets : 1;
		cores = maximum > 0 ? maximum / (sockets * middle * threads) : 1;
	}
	if (sockets == 0 || cores == 0)
		return -EINVAL;
	/* Each factor is at most SAMPLE_VCPU_MAX, so five of them fit; more may not. */
	if (middle * cores * threads > SAMPLE_VCPU_MAX)
		return -EINVAL;
	if (maximum == 0)
		maximum = sockets * middle * cores * threads;
	if (maximum > SAMPLE_VCPU_MAX)
		return -EINVAL;
	result->vcpu_count = given->cpus > 0 ? given->cpus : (uint32_t)maximum;
	result->vcpus_per_socket = (uint32_t)(middle * cores * threads);
	return 0;
}

static int qemu_cmdline_option(const char *option, const char *argument, bool identity,
			       struct qemu_cmdline_state *state)
{
	for (size_t i = 0; i < sizeof(qemu_cmdline_options) / sizeof(qemu_cmdline_options[0]); i++)
		if (strcmp(option, qemu_cmdline_options[i].name) == 0)
			return identity && !qemu_cmdline_options[i].identifies
				   ? 0
				   : qemu_cmdline_options[i].parse(argument, state);
	return 0;
}

/* All options that are known here, or those that tell which machine it is. */
static int qemu_cmdline_walk(const char *text, size_t size, bool identity,
			     struct qemu_cmdline_state *state)
{
	const char *argument, *end = text + size;
	int status;

	if (size == 0 || text[size - 1] != '\0')
		return -EINVAL;
	for (argument = text; argument < end;) {
		const char *next = argument + strlen(argument) + 1;

		if (argument[0] == '-' && argument[1] != '\0' && next < end) {
			status = qemu_cmdline_option(argument + (argument[1] == '-' ? 2 : 1), next,
						     identity, state);
			if (status < 0)
				return status;
		}
		argument = next;
	}
	return 0;
}

int qemu_cmdline_parse(const char *text, size_t size, struct qemu_cmdline *ret_cmdline)
{
	struct qemu_cmdline_state state = {.result = {.memory_bytes = QEMU_CMDLINE_MEMORY_BYTES}};
	int status = qemu_cmdline_walk(text, size, false, &state);

	if (status == 0)
		status = qemu_cmdline_sockets(&state.smp, state.prefer_sockets, &state.result);
	if (status < 0)
		return status;
	*ret_cmdline = state.result;
	return 0;
}

static uint64_t qemu_cmdline_fnv1a(const char *text)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (; *text != '\0'; text++)
		hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
	return hash;
}

int qemu_cmdline_derive_uuid(const struct qemu_cmdline *cmdline, struct uuid *ret_uuid)
{
	/* The first character is there to make the second hash another one. */
	char text[SAMPLE_NAME_SIZE + 32] = "+";
	struct uuid uuid;
	uint64_t high, low;

	if (cmdline->has_vmid)
		(void)snprintf(text + 1, sizeof(text) - 1, "wattport:vmid:%" PRIu32, cmdline->vmid);
	else if (cmdline->name[0] != '\0')
		(void)snprintf(text + 1, sizeof(text) - 1, "wattport:name:%s", cmdline->name);
	else
		return -ENODATA;
	high = qemu_cmdline_fnv1a(text + 1);
	low = qemu_cmdline_fnv1a(text);
	for (size_t i = 0; i < 8; i++) {
		uuid.bytes[i] = (uint8_t)(high >> (56 - 8 * i));
		uuid.bytes[8 + i] = (uint8_t)(low >> (56 - 8 * i));
	}
	uuid.bytes[6] = (uint8_t)((uuid.bytes[6] & 0x0f) | 0x80); /* version 8 */
	uuid.bytes[8] = (uint8_t)((uuid.bytes[8] & 0x3f) | 0x80); /* RFC 4122's variant */
	*ret_uuid = uuid;
	return 0;
}

int qemu_cmdline_identify(const char *text, size_t size, struct uuid *ret_uuid)
{
	struct qemu_cmdline_state state = {.uuid_given = false};
	int status = qemu_cmdline_walk(text, size, true, &state);

	if (status < 0)
		return status;
	if (state.result.probe)
		return -ENODATA;
	if (!state.result.has_uuid)
		return qemu_cmdline_derive_uuid(&state.result, ret_uuid);
	*ret_uuid = state.result.uuid;
	return 0;
}

bool qemu_cmdline_is_qemu(const char *comm)
{
	static const char prefix[] = "qemu-system-";

	return strncmp(comm, prefix, strlen(prefix)) == 0 || strcmp(comm, "qemu-kvm") == 0 ||
	       strcmp(comm, "kvm") == 0;
}
