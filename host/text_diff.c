#include "host/text_diff.h"
#include "common/cleanup.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/*
 * Rule: the fewest lines taken out and put in (Myers, "An O(ND) Difference Algorithm", 1986).
 * 1. diagonal k = x - y, x lines of the old text and y of the new one behind us; furthest[k] is the
 *    largest x on it that d changes reach. d grows until the ends are reached.
 * 2. The furthest points of every d are kept: from the end back they tell which lines changed.
 * 3. Changed lines are printed with the equal ones around them.
 * The two texts here differ in a few dozen lines, so the square of d is small.
 */
struct text_lines {
	const char **lines; /* each up to its newline or the end */
	size_t *sizes;	    /* with the newline */
	bool *changed;
	int count;
};

struct text_diff {
	struct text_lines before, after;
};

static void text_lines_finish(const struct text_lines *text)
{
	free(text->lines);
	free(text->sizes);
	free(text->changed);
}

static void text_diff_finish(const struct text_diff *diff)
{
	text_lines_finish(&diff->before);
	text_lines_finish(&diff->after);
}
#define cleanup_diff __attribute__((cleanup(text_diff_finish)))

static int text_lines_init(struct text_lines *text, const char *source)
{
	size_t count = 1;

	for (const char *cursor = source; *cursor != '\0'; cursor++)
		count += *cursor == '\n';
	text->lines = calloc(count, sizeof(*text->lines));
	text->sizes = calloc(count, sizeof(*text->sizes));
	text->changed = calloc(count, sizeof(*text->changed));
	if (text->lines == NULL || text->sizes == NULL || text->changed == NULL)
		return -ENOMEM;
	for (; *source != '\0'; source += text->sizes[text->count++]) {
		size_t size = strcspn(source, "\n");

		text->lines[text->count] = source;
		text->sizes[text->count] = size + (source[size] == '\n');
	}
	return 0;
}

static bool text_diff_same(const struct text_diff *diff, int before, int after)
{
	return diff->before.sizes[before] == diff->after.sizes[after] &&
	       memcmp(diff->before.lines[before], diff->after.lines[after],
		      diff->before.sizes[before]) == 0;
}

/* Whether d changes come to diagonal k by a line put in (from k + 1), else by one taken out. */
static bool text_diff_is_put_in(const int *furthest, int k, int d)
{
	return k == -d || (k != d && furthest[k - 1] < furthest[k + 1]);
}

/* One more change: fills `next` from `furthest`; true when both ends are reached. */
static bool text_diff_step(const struct text_diff *diff, const int *furthest, int *next, int d)
{
	for (int k = -d; k <= d; k += 2) {
		int x = 0;
		int y;

		if (d > 0)
			x = text_diff_is_put_in(furthest, k, d) ? furthest[k + 1]
								: furthest[k - 1] + 1;
		y = x - k;
		while (x < diff->before.count && y < diff->after.count &&
		       text_diff_same(diff, x, y)) {
			x++;
			y++;
		}
		next[k] = x;
		if (x >= diff->before.count && y >= diff->after.count)
			return true;
	}
	return false;
}

/* Marks the lines from the end back, through the points that each number of changes reached. */
static void text_diff_mark(const struct text_diff *diff, int *const *points, int d)
{
	int x = diff->before.count;
	int y = diff->after.count;

	for (; d > 0; d--) {
		int k = x - y;
		bool put_in = text_diff_is_put_in(points[d - 1], k, d);
		int from = put_in ? k + 1 : k - 1;

		x = points[d - 1][from];
		y = x - from;
		if (put_in)
			diff->after.changed[y] = true;
		else
			diff->before.changed[x] = true;
	}
}

static void text_diff_mark_all(const struct text_lines *text)
{
	for (int i = 0; i < text->count; i++)
		text->changed[i] = true;
}

static int text_diff_compare(const struct text_diff *diff)
{
	/* Row d has the diagonals -d-1 to d+1, so that a step may look at both neighbours. */
	int *rows[TEXT_DIFF_CHANGES_MAX + 1] = {NULL};
	int *points[TEXT_DIFF_CHANGES_MAX + 1] = {NULL};
	int d = 0, status = 0;
	bool reached = false;

	for (; !reached && d <= TEXT_DIFF_CHANGES_MAX; d++) {
		rows[d] = calloc(2 * (size_t)d + 3, sizeof(*rows[d]));
		if (rows[d] == NULL) {
			status = -ENOMEM;
			break;
		}
		points[d] = rows[d] + d + 1;
		reached = text_diff_step(diff, d > 0 ? points[d - 1] : NULL, points[d], d);
	}
	if (reached) {
		text_diff_mark(diff, points, d - 1);
	} else {
		text_diff_mark_all(&diff->before);
		text_diff_mark_all(&diff->after);
	}
	for (int i = 0; i <= TEXT_DIFF_CHANGES_MAX; i++)
		free(rows[i]);
	return status;
}

static void text_diff_line(FILE *stream, char sign, const struct text_lines *text, int line)
{
	(void)fputc(sign, stream);
	(void)fwrite(text->lines[line], 1, text->sizes[line], stream);
	if (text->lines[line][text->sizes[line] - 1] != '\n')
		(void)fputs("\n\\ No newline at end of file\n", stream);
}

/* A place in both texts: lines of each that are behind it. */
struct text_place {
	int before, after;
};

static bool text_diff_is_change(const struct text_diff *diff, struct text_place place)
{
	return (place.before < diff->before.count && diff->before.changed[place.before]) ||
	       (place.after < diff->after.count && diff->after.changed[place.after]);
}

static bool text_diff_is_end(const struct text_diff *diff, struct text_place place)
{
	return place.before >= diff->before.count && place.after >= diff->after.count;
}

/* One line on: those taken out come first. Prints it unless `stream` is NULL. */
static struct text_place text_diff_next(const struct text_diff *diff, struct text_place place,
					FILE *stream)
{
	if (place.before < diff->before.count && diff->before.changed[place.before]) {
		if (stream != NULL)
			text_diff_line(stream, '-', &diff->before, place.before);
		place.before++;
	} else if (place.after < diff->after.count && diff->after.changed[place.after]) {
		if (stream != NULL)
			text_diff_line(stream, '+', &diff->after, place.after);
		place.after++;
	} else {
		if (stream != NULL)
			text_diff_line(stream, ' ', &diff->before, place.before);
		place.before++;
		place.after++;
	}
	return place;
}

/* Where a hunk that begins at or before a change ends: behind its last change and some context. */
static struct text_place text_diff_hunk_end(const struct text_diff *diff, struct text_place place)
{
	struct text_place end = place;
	int equal = 0;

	for (; !text_diff_is_end(diff, place) && equal <= 2 * TEXT_DIFF_CONTEXT;
	     place = text_diff_next(diff, place, NULL)) {
		equal = text_diff_is_change(diff, place) ? 0 : equal + 1;
		if (equal <= TEXT_DIFF_CONTEXT)
			end = text_diff_next(diff, place, NULL);
	}
	return end;
}

/* diff(1) counts lines from 1, but names the line before an empty range. */
static void text_diff_range(FILE *stream, int begin, int count)
{
	(void)fprintf(stream, "%d,%d", count > 0 ? begin + 1 : begin, count);
}

static struct text_place text_diff_hunk(FILE *stream, const struct text_diff *diff,
					struct text_place change)
{
	int context = change.before < TEXT_DIFF_CONTEXT ? change.before : TEXT_DIFF_CONTEXT;
	struct text_place end = text_diff_hunk_end(diff, change), place;

	/* The lines before a change are equal ones, or the hunk before would not have ended. */
	context = change.after < context ? change.after : context;
	place =
	    (struct text_place){.before = change.before - context, .after = change.after - context};
	(void)fputs("@@ -", stream);
	text_diff_range(stream, place.before, end.before - place.before);
	(void)fputs(" +", stream);
	text_diff_range(stream, place.after, end.after - place.after);
	(void)fputs(" @@\n", stream);
	while (place.before < end.before || place.after < end.after)
		place = text_diff_next(diff, place, stream);
	return end;
}

int text_diff_print(FILE *stream, const char *before_name, const char *before,
		    const char *after_name, const char *after)
{
	cleanup_diff struct text_diff diff = {.before = {.count = 0}};
	struct text_place place = {.before = 0, .after = 0};
	int status = text_lines_init(&diff.before, before);

	if (status == 0)
		status = text_lines_init(&diff.after, after);
	if (status == 0)
		status = text_diff_compare(&diff);
	if (status < 0)
		return status;
	if (strcmp(before, after) == 0)
		return 0;
	(void)fprintf(stream, "--- %s\n+++ %s\n", before_name, after_name);
	while (!text_diff_is_end(&diff, place)) {
		if (text_diff_is_change(&diff, place))
			place = text_diff_hunk(stream, &diff, place);
		else
			place = text_diff_next(&diff, place, NULL);
	}
	return 0;
}
