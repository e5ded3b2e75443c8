/* access_users.h: names of users that every machine has. */
#include "tests/unit/check.h"

#include "fusefs/access_users.h"

static void test_names(void **state)
{
	struct access_users users;
	struct diag diag = DIAG_INIT;

	(void)state;
	assert_int_equal(access_users_resolve("nobody  root ", &users, &diag), 0);
	assert_int_equal(users.count, 2);
	assert_true(access_users_have(&users, 65534));
	assert_true(access_users_have(&users, 0));
	assert_false(access_users_have(&users, 1000));
	/* auto finds what there is, and that may be nobody; root always is one. */
	assert_int_equal(access_users_resolve("auto", &users, &diag), 0);
	assert_true(users.count <= 2);
	assert_true(access_users_have(&users, 0));
	assert_false(access_users_have(&users, 65534));
	assert_int_equal(access_users_resolve("", &users, &diag), 0);
	assert_int_equal(users.count, 0);
}

static void test_names_that_are_wrong(void **state)
{
	struct access_users users = {.count = 7};
	struct diag diag = DIAG_INIT;
	char names[1024] = "";

	(void)state;
	assert_int_equal(access_users_resolve("nobody no-such-user", &users, &diag), -ENOENT);
	check_contains(diag.text, "vms.users: there is no user no-such-user");
	memset(names, 'x', 200);
	assert_int_equal(access_users_resolve(names, &users, &diag), -ENOENT);
	for (size_t i = 0; i <= ACCESS_USER_MAX; i++)
		memcpy(names + i * strlen("nobody "), "nobody ", sizeof("nobody "));
	names[ACCESS_USER_MAX * strlen("nobody ")] = '\0';
	assert_int_equal(access_users_resolve(names, &users, &diag), 0);
	assert_int_equal(users.count, ACCESS_USER_MAX);
	users.count = 7;
	names[ACCESS_USER_MAX * strlen("nobody ")] = 'n';
	assert_int_equal(access_users_resolve(names, &users, &diag), -E2BIG);
	assert_int_equal(users.count, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_names_that_are_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
