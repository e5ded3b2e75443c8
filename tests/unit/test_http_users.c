/* http_users.h and http_checker.h: names, passwords, and what is known of them. */
#include "common/cleanup.h"
#include "common/http_checker.h"
#include "common/http_users.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>

/* bcrypt of "secret" with costs 4 and 5, the first with each prefix. */
#define HASH_2B "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW"
#define HASH_2Y "$2y$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW"
#define HASH_2A "$2a$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW"
#define HASH_5	"$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a"

static struct web_user people[] = {{"alice", HASH_2B}, {"bob", HASH_5}};
static const struct web_config config = {.user_count = 2, .users = people};

static int setup(void **state)
{
	struct http_users *users = NULL;

	if (http_users_create(&config, &users) < 0)
		return -1;
	*state = users;
	return 0;
}

static int teardown(void **state)
{
	http_users_destroy(*state);
	return 0;
}

static void test_credentials(void **state)
{
	static const struct {
		const char *header, *user, *password;
	} good[] = {
	    {"Basic YWxpY2U6c2VjcmV0", "alice", "secret"},
	    {"basic   YWxpY2U6c2VjcmV0", "alice", "secret"},
	    {"Basic YTo=", "a", ""},
	    {"Basic OmI=", "", "b"},
	    {"Basic YTpiOmM=", "a", "b:c"},
	    {"Basic w6Q6w7bDtg==", "\u00e4", "\u00f6\u00f6"},
	};
	static const char *const bad[] = {
	    "",
	    "Basic",
	    "Basic ",
	    "Basic YWxpY2U=", /* no colon */
	    "Basic YTo",      /* without its padding */
	    "Basic YTo=YTo=", /* something behind the padding */
	    "Basic Y===",     /* no whole byte */
	    "Basic YT*6",     /* no digit */
	    "Basic YToA",     /* a NUL */
	    "Bearer YWxpY2U6c2VjcmV0",
	    "BasicYWxpY2U6c2VjcmV0",
	};
	struct http_credentials credentials;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(http_credentials_parse(good[i].header, &credentials), 0);
		assert_string_equal(credentials.user, good[i].user);
		assert_string_equal(credentials.password, good[i].password);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (http_credentials_parse(bad[i], &credentials) != -EINVAL)
			fail_msg("taken: %s", bad[i]);
	assert_int_equal(http_credentials_parse(NULL, &credentials), -EINVAL);
}

/* "aaa...:" and a password of 255 bytes, then of 256. */
static void test_longest_password(void **state)
{
	char header[6 + 4 * 100 + 1] = "Basic YTo6";
	struct http_credentials credentials;

	(void)state;
	/* "a::" and 84 times "bbb" are a password of 253 bytes; "Og==" and "Ojo=" end it. */
	for (size_t i = 0; i < 84; i++)
		memcpy(header + 10 + 4 * i, "YmJi", 5);
	memcpy(header + 10 + 4 * 84, "Ojo=", 5);
	assert_int_equal(http_credentials_parse(header, &credentials), 0);
	assert_int_equal(strlen(credentials.password), HTTP_PASSWORD_SIZE - 1);
	memcpy(header + 10 + 4 * 84, "Ojo6", 5);
	assert_int_equal(http_credentials_parse(header, &credentials), -EINVAL);
}

static void learn(struct http_users *users, const char *user, const char *password, bool right)
{
	struct http_credentials credentials = {.user = ""};
	struct http_digest digest;

	(void)snprintf(credentials.user, sizeof(credentials.user), "%s", user);
	(void)snprintf(credentials.password, sizeof(credentials.password), "%s", password);
	digest = http_users_digest(users, &credentials);
	http_users_learn(users, &digest, right);
}

#define ALICE "Basic YWxpY2U6c2VjcmV0"
#define BOB   "Basic Ym9iOnNlY3JldA=="

static void test_learning(void **state)
{
	struct http_credentials credentials;
	char text[16];

	assert_int_equal(http_users_ask(*state, NULL, &credentials), HTTP_VERDICT_DENIED);
	assert_int_equal(http_users_ask(*state, ALICE, &credentials), HTTP_VERDICT_UNKNOWN);
	learn(*state, "alice", "secret", true);
	assert_int_equal(http_users_ask(*state, ALICE, &credentials), HTTP_VERDICT_GRANTED);
	/* The same password is another matter with another name. */
	assert_int_equal(http_users_ask(*state, BOB, &credentials), HTTP_VERDICT_UNKNOWN);
	learn(*state, "bob", "secret", false);
	assert_int_equal(http_users_ask(*state, BOB, &credentials), HTTP_VERDICT_DENIED);
	/* Refusals push each other out, and nobody who is known. */
	for (int i = 0; i < HTTP_REFUSED_MAX; i++) {
		assert_int_equal(http_users_ask(*state, BOB, &credentials), HTTP_VERDICT_DENIED);
		(void)snprintf(text, sizeof(text), "guess %d", i);
		learn(*state, "alice", text, false);
	}
	assert_int_equal(http_users_ask(*state, BOB, &credentials), HTTP_VERDICT_UNKNOWN);
	assert_int_equal(http_users_ask(*state, ALICE, &credentials), HTTP_VERDICT_GRANTED);
	/* Learned twice, it takes one place. */
	learn(*state, "alice", "secret", true);
	learn(*state, "bob", "secret", true);
	assert_int_equal(http_users_ask(*state, ALICE, &credentials), HTTP_VERDICT_GRANTED);
	assert_int_equal(http_users_ask(*state, BOB, &credentials), HTTP_VERDICT_GRANTED);
}

static void test_nobody(void **state)
{
	static const struct web_config nobody = {.user_count = 0};
	cleanup_http_users struct http_users *users = NULL;
	struct http_credentials credentials;

	(void)state;
	assert_int_equal(http_users_create(&nobody, &users), 0);
	assert_int_equal(http_users_ask(users, NULL, &credentials), HTTP_VERDICT_GRANTED);
	/* The outcome of a check that began when there were users. */
	learn(users, "alice", "secret", true);
}

/* As expensive as the most expensive real one, and never right. */
static void test_decoy(void **state)
{
	bool decoy = false;
	const char *hash = http_users_hash(*state, "mallory", &decoy);

	assert_true(decoy);
	assert_int_equal(strlen(hash), WEB_HASH_SIZE - 1);
	assert_memory_equal(hash, "$2y$05$", 7);
	assert_false(http_check_password("secret", hash));
	assert_string_equal(http_users_hash(*state, "alice", &decoy), HASH_2B);
	assert_false(decoy);
}

static void test_passwords(void **state)
{
	(void)state;
	assert_true(http_check_password("secret", HASH_2B));
	assert_true(http_check_password("secret", HASH_2Y));
	assert_true(http_check_password("secret", HASH_2A));
	assert_true(http_check_password("secret", HASH_5));
	assert_false(http_check_password("Secret", HASH_2B));
	assert_false(http_check_password("", HASH_2B));
	assert_false(http_check_password("secret", "$2b$04$"));
	assert_false(http_check_password("secret", "*0"));
}

static struct http_check check_of(uint64_t ticket, const char *password)
{
	struct http_check check = {.ticket = ticket, .hash = HASH_2B};

	(void)snprintf(check.password, sizeof(check.password), "%s", password);
	return check;
}

static void test_checker(void **state)
{
	cleanup_fd int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	cleanup_http_checker struct http_checker *checker = NULL;
	struct http_check check = check_of(1, "secret");
	uint64_t count;

	(void)state;
	assert_int_equal(http_checker_create(fd, &checker), 0);
	assert_false(http_checker_work(checker));
	assert_int_equal(http_checker_submit(checker, &check), 0);
	check = check_of(2, "wrong");
	assert_int_equal(http_checker_submit(checker, &check), 0);
	check = check_of(3, "secret");
	check.decoy = true;
	assert_int_equal(http_checker_submit(checker, &check), 0);
	check = check_of(4, "secret");
	assert_int_equal(http_checker_submit(checker, &check), 0);
	assert_false(http_checker_take(checker, &check));
	http_checker_cancel(checker, 4);
	for (int i = 0; i < 3; i++)
		assert_true(http_checker_work(checker));
	assert_false(http_checker_work(checker));
	assert_int_equal(read(fd, &count, sizeof(count)), sizeof(count));
	for (uint64_t ticket = 1; ticket <= 3; ticket++) {
		assert_true(http_checker_take(checker, &check));
		assert_int_equal(check.ticket, ticket);
		assert_int_equal(check.right, ticket == 1);
		assert_string_equal(check.password, "");
	}
	assert_false(http_checker_take(checker, &check));
}

static void test_checker_is_full(void **state)
{
	cleanup_fd int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	cleanup_http_checker struct http_checker *checker = NULL;
	struct http_check check;

	(void)state;
	assert_int_equal(http_checker_create(fd, &checker), 0);
	for (uint64_t i = 1; i <= HTTP_CHECK_MAX; i++) {
		check = check_of(i, "secret");
		assert_int_equal(http_checker_submit(checker, &check), 0);
	}
	assert_int_equal(http_checker_submit(checker, &check), -EBUSY);
	http_checker_cancel(checker, 7);
	assert_int_equal(http_checker_submit(checker, &check), 0);
}

static void test_checker_thread(void **state)
{
	cleanup_fd int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	cleanup_http_checker struct http_checker *checker = NULL;
	struct http_check check = check_of(1, "wrong");
	struct pollfd ready = {.fd = fd, .events = POLLIN};
	uint64_t count;

	(void)state;
	assert_int_equal(http_checker_create(fd, &checker), 0);
	assert_int_equal(http_checker_start(checker), 0);
	for (uint64_t i = 1; i <= 3; i++) {
		check = check_of(i, i == 2 ? "secret" : "wrong");
		assert_int_equal(http_checker_submit(checker, &check), 0);
		assert_int_equal(poll(&ready, 1, 60000), 1);
		assert_int_equal(read(fd, &count, sizeof(count)), sizeof(count));
		assert_true(http_checker_take(checker, &check));
		assert_int_equal(check.ticket, i);
		assert_int_equal(check.right, i == 2);
	}
}

#define KNOWING(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_credentials),
	    cmocka_unit_test(test_longest_password),
	    KNOWING(test_learning),
	    cmocka_unit_test(test_nobody),
	    KNOWING(test_decoy),
	    cmocka_unit_test(test_passwords),
	    cmocka_unit_test(test_checker),
	    cmocka_unit_test(test_checker_is_full),
	    cmocka_unit_test(test_checker_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
