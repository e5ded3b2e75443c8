#include "guest/session_state.h"
#include "common/cleanup.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <zlib.h>

#define SESSION_VERSION 1

static void session_free_json(json_t *const *json)
{
	json_decref(*json);
}
#define cleanup_json __attribute__((cleanup(session_free_json)))

int session_name_check(const char *name, struct diag *diag)
{
	static const char allowed[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-@";
	size_t length = strlen(name);

	if (length == 0 || length >= SESSION_NAME_SIZE || name[0] == '.' ||
	    strspn(name, allowed) != length)
		return diag_error(diag, -EINVAL,
				  "a session's name has 1 to %d letters, digits, '.', '_', '-' or "
				  "'@', and does not begin with a point",
				  SESSION_NAME_SIZE - 1);
	return 0;
}

/* Of the text that the same numbers always give. */
static int session_checksum(const json_t *body, uint32_t *ret_checksum)
{
	cleanup_free char *text = json_dumps(body, JSON_COMPACT | JSON_SORT_KEYS);

	if (text == NULL)
		return -ENOMEM;
	*ret_checksum = (uint32_t)crc32(0, (const Bytef *)text, (uInt)strlen(text));
	return 0;
}

static json_t *session_number(uint64_t value)
{
	return json_integer((json_int_t)value);
}

static json_t *session_body(const struct session_state *state)
{
	json_t *body = json_object(), *zones = json_array();

	/* What could not be allocated is seen when the whole is written. */
	for (size_t i = 0; i < state->zone_count; i++) {
		json_t *zone = json_object();

		(void)json_object_set_new(zone, "zone", json_string(state->zones[i].id));
		(void)json_object_set_new(zone, "raw_uj", session_number(state->zones[i].raw_uj));
		(void)json_object_set_new(zone, "range_uj",
					  session_number(state->zones[i].range_uj));
		(void)json_array_append_new(zones, zone);
	}
	(void)json_object_set_new(body, "name", json_string(state->name));
	(void)json_object_set_new(body, "user", session_number(state->user));
	(void)json_object_set_new(body, "began_ns", session_number(state->began.ns));
	(void)json_object_set_new(body, "time_ns", session_number(state->time.ns));
	(void)json_object_set_new(body, "boot", json_string(state->boot));
	(void)json_object_set_new(body, "from_tree", json_boolean(state->from_tree));
	(void)json_object_set_new(body, "uuid", json_string(state->uuid));
	(void)json_object_set_new(body, "zones", zones);
	return body;
}

int session_state_format(const struct session_state *state, char **ret_text)
{
	cleanup_json json_t *whole = json_object();
	json_t *body = session_body(state);
	uint32_t checksum;
	char *text;

	if (json_object_set_new(whole, "session", body) < 0 ||
	    session_checksum(body, &checksum) < 0)
		return -ENOMEM;
	(void)json_object_set_new(whole, "wattport_session", json_integer(SESSION_VERSION));
	(void)json_object_set_new(whole, "crc32", json_integer((json_int_t)checksum));
	text = json_dumps(whole, JSON_COMPACT | JSON_SORT_KEYS);
	if (text == NULL)
		return -ENOMEM;
	*ret_text = text;
	return 0;
}

static int session_take_number(const json_t *object, const char *name, uint64_t *ret_value)
{
	const json_t *member = json_object_get(object, name);

	if (!json_is_integer(member) || json_integer_value(member) < 0)
		return -EBADMSG;
	*ret_value = (uint64_t)json_integer_value(member);
	return 0;
}

static int session_take_text(const json_t *object, const char *name, char *text, size_t size)
{
	const char *value = json_string_value(json_object_get(object, name));

	if (value == NULL || strlen(value) >= size)
		return -EBADMSG;
	memcpy(text, value, strlen(value) + 1);
	return 0;
}

static int session_take_zones(const json_t *zones, struct session_state *state)
{
	if (!json_is_array(zones) || json_array_size(zones) > ZONE_MAX)
		return -EBADMSG;
	for (size_t i = 0; i < json_array_size(zones); i++) {
		const json_t *zone = json_array_get(zones, i);
		struct session_zone *taken = &state->zones[state->zone_count++];

		if (session_take_text(zone, "zone", taken->id, sizeof(taken->id)) < 0 ||
		    session_take_number(zone, "raw_uj", &taken->raw_uj) < 0 ||
		    session_take_number(zone, "range_uj", &taken->range_uj) < 0 ||
		    taken->raw_uj > taken->range_uj)
			return -EBADMSG;
	}
	return 0;
}

static int session_take(const json_t *body, struct session_state *state)
{
	const json_t *from_tree = json_object_get(body, "from_tree");
	uint64_t user;

	if (session_take_text(body, "name", state->name, sizeof(state->name)) < 0 ||
	    session_name_check(state->name, NULL) < 0 ||
	    session_take_number(body, "user", &user) < 0 || user > UINT32_MAX ||
	    session_take_number(body, "began_ns", &state->began.ns) < 0 ||
	    session_take_number(body, "time_ns", &state->time.ns) < 0 ||
	    session_take_text(body, "boot", state->boot, sizeof(state->boot)) < 0 ||
	    session_take_text(body, "uuid", state->uuid, sizeof(state->uuid)) < 0 ||
	    !json_is_boolean(from_tree) ||
	    session_take_zones(json_object_get(body, "zones"), state) < 0)
		return -EBADMSG;
	state->user = (uint32_t)user;
	state->from_tree = json_is_true(from_tree);
	return 0;
}

int session_state_parse(const char *text, size_t length, struct session_state *ret_state,
			struct diag *diag)
{
	struct session_state state = {.zone_count = 0};
	json_error_t error;
	cleanup_json json_t *whole = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
	const json_t *body = json_object_get(whole, "session");
	uint64_t version, checksum;
	uint32_t expected;

	if (body == NULL || session_take_number(whole, "wattport_session", &version) < 0 ||
	    session_take_number(whole, "crc32", &checksum) < 0)
		return diag_error(diag, -EBADMSG, "this is no session of Wattport's");
	if (version != SESSION_VERSION)
		return diag_error(diag, -EBADMSG,
				  "another version of wattport-agent has written it (%" PRIu64
				  ", this one knows %d)",
				  version, SESSION_VERSION);
	if (session_checksum(body, &expected) < 0 || checksum != expected ||
	    session_take(body, &state) < 0)
		return diag_error(diag, -EBADMSG, "it is damaged: its checksum is wrong");
	*ret_state = state;
	return 0;
}
