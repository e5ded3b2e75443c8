#include "common/http_seats.h"

#include <netinet/in.h>
#include <string.h>

#define IPV6_NETWORK_SIZE 8

struct http_network http_network_of(const struct sockaddr *name)
{
	struct http_network network = {.bytes = {0}};
	struct sockaddr_in6 in6;
	struct sockaddr_in in;

	if (name->sa_family == AF_INET) {
		memcpy(&in, name, sizeof(in));
		network.bytes[10] = network.bytes[11] = UINT8_MAX;
		memcpy(network.bytes + 12, &in.sin_addr, 4);
	} else if (name->sa_family == AF_INET6) {
		memcpy(&in6, name, sizeof(in6));
		memcpy(network.bytes, &in6.sin6_addr,
		       IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr) ? sizeof(network.bytes)
							    : IPV6_NETWORK_SIZE);
	}
	return network;
}

static bool http_network_is(const struct http_network *a, const struct http_network *b)
{
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

static bool http_seat_lives(const struct http_seat *seat)
{
	return seat->phase != HTTP_PHASE_FREE && seat->phase != HTTP_PHASE_ENDING;
}

static size_t http_seats_of(const struct http_seats *seats, const struct http_network *network)
{
	size_t count = 0;

	for (size_t i = 0; i < HTTP_SEAT_MAX; i++)
		if (http_seat_lives(&seats->seats[i]) &&
		    http_network_is(&seats->seats[i].network, network))
			count++;
	return count;
}

size_t http_seats_living(const struct http_seats *seats)
{
	size_t count = 0;

	for (size_t i = 0; i < HTTP_SEAT_MAX; i++)
		if (http_seat_lives(&seats->seats[i]))
			count++;
	return count;
}

size_t http_seats_count(const struct http_seats *seats, const struct http_network *network,
			enum http_phase phase)
{
	size_t count = 0;

	for (size_t i = 0; i < HTTP_SEAT_MAX; i++)
		if (seats->seats[i].phase == phase &&
		    (network == NULL || http_network_is(&seats->seats[i].network, network)))
			count++;
	return count;
}

static struct http_seat *http_seats_oldest(struct http_seats *seats,
					   const struct http_network *network)
{
	struct http_seat *oldest = NULL;

	for (size_t i = 0; i < HTTP_SEAT_MAX; i++) {
		struct http_seat *seat = &seats->seats[i];

		if (http_seat_lives(seat) && http_network_is(&seat->network, network) &&
		    (oldest == NULL || seat->since.ns < oldest->since.ns))
			oldest = seat;
	}
	return oldest;
}

struct http_seat *http_seats_victim(struct http_seats *seats, const struct http_network *network)
{
	struct http_seat *victim = NULL;
	size_t most = 0;

	if (http_seats_of(seats, network) >= HTTP_CONNECTION_PER_NETWORK_MAX)
		return http_seats_oldest(seats, network);
	if (http_seats_living(seats) < HTTP_CONNECTION_MAX)
		return NULL;
	/* Of the networks that have the most, the one whose oldest is the oldest. */
	for (size_t i = 0; i < HTTP_SEAT_MAX; i++) {
		struct http_seat *seat = &seats->seats[i];
		size_t count;

		if (!http_seat_lives(seat))
			continue;
		count = http_seats_of(seats, &seat->network);
		if (victim == NULL || count > most ||
		    (count == most && seat->since.ns < victim->since.ns)) {
			victim = seat;
			most = count;
		}
	}
	return victim;
}

struct http_seat *http_seats_take(struct http_seats *seats, const struct http_network *network,
				  struct mono_time now)
{
	for (size_t i = 0; i < HTTP_SEAT_MAX; i++) {
		struct http_seat *seat = &seats->seats[i];

		if (seat->phase != HTTP_PHASE_FREE)
			continue;
		*seat = (struct http_seat){.network = *network, .fd = -1};
		http_seat_enter(seat, HTTP_PHASE_NEW, now);
		return seat;
	}
	return NULL;
}

void http_seat_enter(struct http_seat *seat, enum http_phase phase, struct mono_time now)
{
	seat->phase = phase;
	seat->since = now;
}

/* 0 for a phase without an end. */
static uint64_t http_phase_seconds(enum http_phase phase)
{
	switch (phase) {
	case HTTP_PHASE_NEW:
		return HTTP_HEAD_SECONDS_MAX;
	case HTTP_PHASE_KEPT:
		return HTTP_KEEP_SECONDS_MAX;
	case HTTP_PHASE_CHECKING:
	case HTTP_PHASE_ANSWERING:
		return HTTP_ANSWER_SECONDS_MAX;
	case HTTP_PHASE_FREE:
	case HTTP_PHASE_ENDING:
		return 0;
	}
	return 0;
}

bool http_seat_overdue(const struct http_seat *seat, struct mono_time now)
{
	return http_seat_lives(seat) && clock_elapsed_ns(seat->since, now) >=
					    http_phase_seconds(seat->phase) * CLOCK_NS_PER_SECOND;
}

struct mono_time http_seats_next(const struct http_seats *seats)
{
	struct mono_time next = {.ns = UINT64_MAX};

	for (size_t i = 0; i < HTTP_SEAT_MAX; i++) {
		const struct http_seat *seat = &seats->seats[i];
		uint64_t end_ns =
		    seat->since.ns + http_phase_seconds(seat->phase) * CLOCK_NS_PER_SECOND;

		if (http_seat_lives(seat) && end_ns < next.ns)
			next.ns = end_ns;
	}
	return next;
}
