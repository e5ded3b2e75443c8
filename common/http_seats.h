/*
 * http_seats.h: who is connected to the HTTP server, for how long, and who has to go.
 *
 * Pure: no socket is touched and no clock is read, so that floods can be played in a test. One
 * thread.
 *
 * There are HTTP_CONNECTION_MAX seats. A connection that comes when all are taken is not refused:
 * whoever holds idle connections open could then keep everybody else out. One that is there goes
 * instead, the one for which nothing has begun for the longest time: of the newcomer's own network
 * where that has its share already, else of the network that has the most. A flood therefore ends
 * its own connections, and a single reader in another network never meets it. A network is an IPv4
 * address, or the 64 leading bits of an IPv6 address: whoever has one of these has them all.
 */
#ifndef WATTPORT_COMMON_HTTP_SEATS_H
#define WATTPORT_COMMON_HTTP_SEATS_H

#include "common/clock.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define HTTP_CONNECTION_MAX		128
#define HTTP_CONNECTION_PER_NETWORK_MAX 32
#define HTTP_CHECK_PER_NETWORK_MAX	2 /* passwords of one network that are looked at at a time */

/*
 * How long a connection may stay, whatever it sends meanwhile: until its first request is there,
 * until the next one is (the usual period of a scrape is a minute), and until it has taken its
 * answer.
 */
#define HTTP_HEAD_SECONDS_MAX	15
#define HTTP_KEEP_SECONDS_MAX	75
#define HTTP_ANSWER_SECONDS_MAX 60

/* With the seats of connections that are ending, beyond those that may live. */
#define HTTP_SEAT_MAX 256

enum http_phase {
	HTTP_PHASE_FREE,
	HTTP_PHASE_NEW,	      /* its first request is not there yet */
	HTTP_PHASE_KEPT,      /* its next request is not there yet */
	HTTP_PHASE_CHECKING,  /* suspended: its password is being looked at */
	HTTP_PHASE_ANSWERING, /* its request is there, its answer not out yet */
	HTTP_PHASE_ENDING,    /* shut down; it counts for nothing any more */
};

struct http_network {
	uint8_t bytes[16];
};

struct http_seat {
	enum http_phase phase;
	struct http_network network;
	struct mono_time since; /* when its phase began */
	int fd;			/* the connection's, not owned */
	bool greeted;		/* its first byte has been seen */
	bool granted;		/* what came of looking at its password */
	uint64_t ticket;	/* of its password check: never used twice; 0 without */
	void *connection;	/* of the library; NULL until it has one */
	void *guard;		/* what its connection holds on to; http_loop.c's */
};

struct http_seats {
	struct http_seat seats[HTTP_SEAT_MAX];
	uint64_t ticket_last;
};

/* IPv4 as it is mapped into IPv6; every other family is one network. */
struct http_network http_network_of(const struct sockaddr *name);

/* Who has to go before a connection from `network` may come, or NULL. */
struct http_seat *http_seats_victim(struct http_seats *seats, const struct http_network *network);

/* A free seat, taken; NULL where HTTP_SEAT_MAX are. */
struct http_seat *http_seats_take(struct http_seats *seats, const struct http_network *network,
				  struct mono_time now);

void http_seat_enter(struct http_seat *seat, enum http_phase phase, struct mono_time now);

/* Whether its time is over. */
bool http_seat_overdue(const struct http_seat *seat, struct mono_time now);

/* Until when nobody is overdue; UINT64_MAX where nobody sits. */
struct mono_time http_seats_next(const struct http_seats *seats);

/* How many of `network`, or of all where it is NULL, are in `phase`. */
size_t http_seats_count(const struct http_seats *seats, const struct http_network *network,
			enum http_phase phase);

/* How many live. */
size_t http_seats_living(const struct http_seats *seats);

#endif
