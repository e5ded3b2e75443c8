/* http_seats.h: who sits where, and who has to go, without a single socket. */
#include "common/http_seats.h"

#include <setjmp.h>
#include <stdarg.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

static struct http_network ipv4(uint32_t address)
{
	const struct sockaddr_in name = {.sin_family = AF_INET,
					 .sin_addr = {.s_addr = htonl(address)}};

	return http_network_of((const struct sockaddr *)&name);
}

static struct http_network ipv6(const char *text)
{
	struct sockaddr_in6 name = {.sin6_family = AF_INET6};

	assert_int_equal(inet_pton(AF_INET6, text, &name.sin6_addr), 1);
	return http_network_of((const struct sockaddr *)&name);
}

static struct mono_time at(uint64_t seconds)
{
	return (struct mono_time){.ns = seconds * CLOCK_NS_PER_SECOND};
}

static int setup(void **state)
{
	*state = calloc(1, sizeof(struct http_seats));
	return *state == NULL;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

static void fill(struct http_seats *seats, const struct http_network *network, size_t count,
		 uint64_t seconds)
{
	for (size_t i = 0; i < count; i++) {
		assert_null(http_seats_victim(seats, network));
		assert_non_null(http_seats_take(seats, network, at(seconds + i)));
	}
}

static void test_networks(void **state)
{
	struct http_network a = ipv6("2001:db8:1:2::1"), b = ipv6("2001:db8:1:2:ffff::7");
	struct http_network c = ipv6("2001:db8:1:3::1"), d = ipv6("::ffff:192.0.2.1");
	struct http_network e = ipv4(0xc0000201), f = ipv4(0xc0000202);

	(void)state;
	assert_memory_equal(&a, &b, sizeof(a));
	assert_memory_not_equal(&a, &c, sizeof(a));
	/* One listening socket takes both families: IPv4 then comes as mapped. */
	assert_memory_equal(&d, &e, sizeof(d));
	assert_memory_not_equal(&e, &f, sizeof(e));
}

static void test_network_has_its_share(void **state)
{
	struct http_seats *seats = *state;
	struct http_network one = ipv4(1), other = ipv4(2);
	struct http_seat *victim;

	assert_non_null(http_seats_take(seats, &other, at(0)));
	fill(seats, &one, HTTP_CONNECTION_PER_NETWORK_MAX, 1);
	victim = http_seats_victim(seats, &one);
	assert_non_null(victim);
	assert_memory_equal(&victim->network, &one, sizeof(one));
	assert_int_equal(victim->since.ns, at(1).ns);
	assert_null(http_seats_victim(seats, &other));
}

/* Whatever one network does, a reader in another is not the one who goes. */
static void test_flood_hits_itself(void **state)
{
	struct http_seats *seats = *state;
	struct http_network reader = ipv4(1000);
	struct http_network late = ipv4(1001);
	struct http_seat *victim;

	assert_non_null(http_seats_take(seats, &reader, at(0)));
	for (uint32_t network = 0; http_seats_living(seats) < HTTP_CONNECTION_MAX; network++) {
		struct http_network flood = ipv4(network);

		for (size_t i = 0; i < HTTP_CONNECTION_PER_NETWORK_MAX &&
				   http_seats_living(seats) < HTTP_CONNECTION_MAX;
		     i++)
			assert_non_null(http_seats_take(seats, &flood, at(1 + network)));
	}
	victim = http_seats_victim(seats, &late);
	assert_non_null(victim);
	assert_memory_not_equal(&victim->network, &reader, sizeof(reader));
	assert_int_equal(victim->since.ns, at(1).ns);
}

/* Each of its own network: then the one that has waited longest goes, and nobody is refused. */
static void test_everybody_from_elsewhere(void **state)
{
	struct http_seats *seats = *state;
	struct http_network late = ipv4(5000);

	for (uint32_t i = 0; i < HTTP_CONNECTION_MAX; i++) {
		struct http_network network = ipv4(i);

		assert_null(http_seats_victim(seats, &network));
		assert_non_null(http_seats_take(seats, &network, at(i == 70 ? 1 : 10 + i)));
	}
	for (int round = 0; round < 3; round++) {
		struct http_seat *victim = http_seats_victim(seats, &late);

		assert_non_null(victim);
		assert_int_equal(victim->since.ns, at(1).ns);
		http_seat_enter(victim, HTTP_PHASE_ANSWERING, at(1));
	}
	http_seat_enter(http_seats_victim(seats, &late), HTTP_PHASE_ENDING, at(200));
	/* What is ending counts no more, and there is a seat for the newcomer besides. */
	assert_null(http_seats_victim(seats, &late));
	assert_int_equal(http_seats_living(seats), HTTP_CONNECTION_MAX - 1);
	assert_non_null(http_seats_take(seats, &late, at(200)));
}

static void test_no_seat_left(void **state)
{
	struct http_seats *seats = *state;
	struct http_network network = ipv4(1);

	for (size_t i = 0; i < HTTP_SEAT_MAX; i++) {
		struct http_seat *seat = http_seats_take(seats, &network, at(i));

		assert_non_null(seat);
		http_seat_enter(seat, HTTP_PHASE_ENDING, at(i));
	}
	assert_null(http_seats_take(seats, &network, at(1)));
	assert_int_equal(http_seats_living(seats), 0);
	assert_int_equal(http_seats_count(seats, NULL, HTTP_PHASE_ENDING), HTTP_SEAT_MAX);
	assert_int_equal(http_seats_next(seats).ns, UINT64_MAX);
}

static void test_every_phase_ends(void **state)
{
	static const struct {
		enum http_phase phase;
		uint64_t seconds;
	} cases[] = {
	    {HTTP_PHASE_NEW, HTTP_HEAD_SECONDS_MAX},
	    {HTTP_PHASE_KEPT, HTTP_KEEP_SECONDS_MAX},
	    {HTTP_PHASE_CHECKING, HTTP_ANSWER_SECONDS_MAX},
	    {HTTP_PHASE_ANSWERING, HTTP_ANSWER_SECONDS_MAX},
	};
	struct http_seats *seats = *state;
	struct http_network network = ipv4(1);
	struct http_seat *seat = http_seats_take(seats, &network, at(0));

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct mono_time end = at(100 + cases[i].seconds);

		http_seat_enter(seat, cases[i].phase, at(100));
		assert_int_equal(http_seats_next(seats).ns, end.ns);
		assert_true(http_seat_overdue(seat, end));
		end.ns--;
		assert_false(http_seat_overdue(seat, end));
	}
	http_seat_enter(seat, HTTP_PHASE_ENDING, at(100));
	assert_false(http_seat_overdue(seat, at(100000)));
}

#define SEATED(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_networks), SEATED(test_network_has_its_share),
	    SEATED(test_flood_hits_itself),  SEATED(test_everybody_from_elsewhere),
	    SEATED(test_no_seat_left),	     SEATED(test_every_phase_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
