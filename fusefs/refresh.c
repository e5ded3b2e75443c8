#include "fusefs/refresh.h"
#include "common/cleanup.h"
#include "common/log.h"
#include "common/meter_client.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REFRESH_REPLY_SIZE 256

/* A request without an answer. */
struct refresh_flight {
	struct uuid uuid;
	uint32_t tag;
	bool waited_for; /* false: given up, but its answer may still come */
	uint64_t deadline_ns;
};

struct refresh {
	int runtime_fd;
	int meter_fd; /* -1 while wattportd is away */
	refresh_done *done;
	void *context;
	bool *told_away; /* what was logged last of wattportd */
	uint64_t next_connect_ns;
	uint64_t broken_until_ns;
	uint64_t unknown_until_ns[TREE_MAX];
	size_t flight_count; /* in the order of sending */
	struct refresh_flight flights[REFRESH_FLIGHT_MAX];
};

int refresh_create(int runtime_fd, refresh_done *done, void *context, bool *told_away,
		   struct refresh **ret_refresh)
{
	struct refresh *refresh = calloc(1, sizeof(*refresh));

	if (refresh == NULL)
		return -ENOMEM;
	refresh->runtime_fd = runtime_fd;
	refresh->meter_fd = -1;
	refresh->done = done;
	refresh->context = context;
	refresh->told_away = told_away;
	*ret_refresh = refresh;
	return 0;
}

void refresh_destroy(struct refresh *refresh)
{
	if (refresh == NULL)
		return;
	if (refresh->meter_fd >= 0)
		(void)close(refresh->meter_fd);
	free(refresh);
}

/* Says once that wattportd does not answer, and once that it does again. */
static void refresh_set_present(struct refresh *refresh, bool present, const char *why)
{
	if (*refresh->told_away == !present)
		return;
	*refresh->told_away = !present;
	if (present)
		log_info("wattportd answers");
	else
		log_warning("wattportd %s: trees show the last state of the ledger", why);
}

static void refresh_drop_flight(struct refresh *refresh, size_t index)
{
	refresh->flight_count--;
	memmove(&refresh->flights[index], &refresh->flights[index + 1],
		(refresh->flight_count - index) * sizeof(refresh->flights[0]));
}

/* No answer will come: ends every wait. */
static void refresh_disconnect(struct refresh *refresh, struct mono_time now)
{
	(void)close(refresh->meter_fd);
	refresh->meter_fd = -1;
	refresh->next_connect_ns = now.ns + REFRESH_CONNECT_NS;
	refresh_set_present(refresh, false, "has gone");
	while (refresh->flight_count > 0) {
		struct refresh_flight flight = refresh->flights[refresh->flight_count - 1];

		refresh->flight_count--;
		if (flight.waited_for)
			refresh->done(refresh->context, flight.tag, REFRESH_SILENT);
	}
}

/* A connection, new if need be and if it is time to try. */
static bool refresh_connected(struct refresh *refresh, struct mono_time now)
{
	if (refresh->meter_fd >= 0)
		return true;
	if (now.ns < refresh->next_connect_ns)
		return false;
	refresh->next_connect_ns = now.ns + REFRESH_CONNECT_NS;
	if (meter_connect(refresh->runtime_fd, &refresh->meter_fd, NULL) < 0) {
		refresh_set_present(refresh, false, "is away");
		return false;
	}
	/* What a former wattportd was too slow for says nothing about this one. */
	refresh->broken_until_ns = 0;
	return true;
}

static bool refresh_send(struct refresh *refresh, const struct uuid *uuid, struct mono_time now)
{
	char text[UUID_TEXT_SIZE];
	char request[METER_REQUEST_SIZE_MAX];
	int status;

	uuid_format(uuid, text);
	(void)snprintf(request, sizeof(request), "refresh %s", text);
	status = meter_send(refresh->meter_fd, request);
	if (status == -EPIPE)
		refresh_disconnect(refresh, now);
	else if (status < 0)
		refresh->broken_until_ns = now.ns + REFRESH_BREAK_NS;
	return status == 0;
}

bool refresh_ask(struct refresh *refresh, uint32_t tag, const struct uuid *uuid,
		 struct mono_time now)
{
	assert(tag < REFRESH_TAG_MAX);
	for (size_t i = 0; i < refresh->flight_count; i++)
		if (refresh->flights[i].tag == tag && refresh->flights[i].waited_for)
			return true;
	if (now.ns < refresh->broken_until_ns || refresh->flight_count == REFRESH_FLIGHT_MAX ||
	    (tag < TREE_MAX && now.ns < refresh->unknown_until_ns[tag]))
		return false;
	if (!refresh_connected(refresh, now) || !refresh_send(refresh, uuid, now))
		return false;
	refresh->flights[refresh->flight_count++] =
	    (struct refresh_flight){.uuid = *uuid,
				    .tag = tag,
				    .waited_for = true,
				    .deadline_ns = now.ns + METER_REFRESH_WAIT_NS};
	return true;
}

int refresh_fd(const struct refresh *refresh)
{
	return refresh->meter_fd;
}

uint64_t refresh_deadline_ns(const struct refresh *refresh)
{
	/* In the order of sending, so the first that is waited for is the first to end. */
	for (size_t i = 0; i < refresh->flight_count; i++)
		if (refresh->flights[i].waited_for)
			return refresh->flights[i].deadline_ns;
	return REFRESH_NO_DEADLINE;
}

/* "refreshed UUID" or "unknown UUID"; anything else is not for us. */
static bool refresh_parse(const char *reply, struct uuid *ret_uuid, bool *ret_known)
{
	static const char refreshed[] = "refreshed ";
	static const char unknown[] = "unknown ";

	if (strncmp(reply, refreshed, sizeof(refreshed) - 1) == 0) {
		*ret_known = true;
		return uuid_parse(reply + sizeof(refreshed) - 1, ret_uuid) == 0;
	}
	*ret_known = false;
	return strncmp(reply, unknown, sizeof(unknown) - 1) == 0 &&
	       uuid_parse(reply + sizeof(unknown) - 1, ret_uuid) == 0;
}

static void refresh_answer(struct refresh *refresh, const char *reply, struct mono_time now)
{
	struct uuid uuid;
	bool known;

	refresh->broken_until_ns = 0;
	refresh_set_present(refresh, true, "");
	if (!refresh_parse(reply, &uuid, &known))
		return;
	for (size_t i = 0; i < refresh->flight_count; i++) {
		struct refresh_flight flight = refresh->flights[i];

		if (!uuid_equal(&flight.uuid, &uuid))
			continue;
		refresh_drop_flight(refresh, i);
		if (!known && flight.tag < TREE_MAX)
			refresh->unknown_until_ns[flight.tag] = now.ns + REFRESH_UNKNOWN_NS;
		if (flight.waited_for)
			refresh->done(refresh->context, flight.tag,
				      known ? REFRESH_KNOWN : REFRESH_UNKNOWN);
		return;
	}
}

static void refresh_receive(struct refresh *refresh, struct mono_time now)
{
	char reply[REFRESH_REPLY_SIZE];
	size_t length;

	while (refresh->meter_fd >= 0) {
		int status = meter_receive(refresh->meter_fd, reply, sizeof(reply), &length);

		if (status == -EAGAIN)
			return;
		if (status == 0)
			refresh_answer(refresh, reply, now);
		else
			refresh_disconnect(refresh, now);
	}
}

void refresh_process(struct refresh *refresh, struct mono_time now)
{
	refresh_receive(refresh, now);
	for (size_t i = 0; i < refresh->flight_count; i++) {
		struct refresh_flight *flight = &refresh->flights[i];
		uint32_t tag = flight->tag;

		if (!flight->waited_for)
			continue;
		if (now.ns < flight->deadline_ns)
			break;
		flight->waited_for = false;
		refresh->broken_until_ns = now.ns + REFRESH_BREAK_NS;
		refresh_set_present(refresh, false, "does not answer in time");
		refresh->done(refresh->context, tag, REFRESH_SILENT);
	}
}
