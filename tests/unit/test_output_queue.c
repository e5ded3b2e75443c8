/* output_queue.h: nothing is lost within the bound, and beyond it the oldest, which is counted. */
#include "guest/output_queue.h"
#include "tests/unit/check.h"

static struct output_batch batch_of(const char *text)
{
	struct output_batch batch = {.text = strdup(text), .size = strlen(text), .rows = 1};

	CHECK_POINTER(batch.text);
	return batch;
}

static void check_take(struct output_queue *queue, size_t size_max, const char *expected)
{
	struct output_batch batch;

	assert_true(output_queue_take(queue, size_max, &batch));
	assert_int_equal(batch.size, strlen(expected));
	assert_memory_equal(batch.text, expected, batch.size);
	free(batch.text);
}

static void test_in_order(void **state)
{
	struct output_queue queue;
	struct output_batch none;

	(void)state;
	output_queue_init(&queue, 64);
	assert_false(output_queue_take(&queue, 64, &none));
	assert_int_equal(output_queue_push(&queue, batch_of("a\n")), 0);
	assert_int_equal(output_queue_push(&queue, batch_of("bb\n")), 0);
	assert_int_equal(output_queue_push(&queue, batch_of("ccc\n")), 0);
	assert_int_equal(queue.rows, 3);
	assert_int_equal(queue.size, 9);
	/* Two fit together, the third does not. */
	check_take(&queue, 8, "a\nbb\n");
	assert_int_equal(queue.rows, 1);
	assert_int_equal(output_queue_push(&queue, batch_of("d\n")), 0);
	check_take(&queue, 64, "ccc\nd\n");
	assert_false(output_queue_take(&queue, 64, &none));
	assert_int_equal(queue.size, 0);
	output_queue_finish(&queue);
}

/* One that is larger than a sending goes alone. */
static void test_larger_than_a_sending(void **state)
{
	struct output_queue queue;

	(void)state;
	output_queue_init(&queue, 64);
	assert_int_equal(output_queue_push(&queue, batch_of("long\n")), 0);
	assert_int_equal(output_queue_push(&queue, batch_of("x\n")), 0);
	check_take(&queue, 3, "long\n");
	check_take(&queue, 3, "x\n");
	output_queue_finish(&queue);
}

static void test_drops_the_oldest(void **state)
{
	struct output_queue queue;

	(void)state;
	output_queue_init(&queue, 6);
	assert_int_equal(output_queue_push(&queue, batch_of("a\n")), 0);
	assert_int_equal(output_queue_push(&queue, batch_of("b\n")), 0);
	assert_int_equal(output_queue_push(&queue, batch_of("c\n")), 0);
	assert_int_equal(output_queue_push(&queue, batch_of("d\n")), 1);
	assert_int_equal(output_queue_push(&queue, batch_of("eeee\n")), 3);
	assert_int_equal(queue.rows, 1);
	/* Exactly as much as the bound fits; a byte more never does, and harms nothing else. */
	assert_int_equal(output_queue_push(&queue, batch_of("123456\n")), 1);
	check_take(&queue, 64, "eeee\n");
	assert_int_equal(output_queue_push(&queue, batch_of("12345\n")), 0);
	check_take(&queue, 64, "12345\n");
	output_queue_finish(&queue);
}

static void test_finish_frees(void **state)
{
	struct output_queue queue;

	(void)state;
	output_queue_init(&queue, 64);
	for (int i = 0; i < 5; i++)
		assert_int_equal(output_queue_push(&queue, batch_of("row\n")), 0);
	output_queue_finish(&queue);
	assert_null(queue.oldest);
	assert_int_equal(queue.size, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_in_order),
	    cmocka_unit_test(test_larger_than_a_sending),
	    cmocka_unit_test(test_drops_the_oldest),
	    cmocka_unit_test(test_finish_frees),
	};

	return cmocka_run_group_tests_name("output_queue", tests, NULL, NULL);
}
