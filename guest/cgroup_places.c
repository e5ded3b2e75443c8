/*
 * Who has a place among the control groups that are looked at, where there are more than places.
 *
 * The rule: at every level of the tree, those that lie in the same control group have as many
 * places below them as they want, or as many as any other of them (max-min). What we do: whoever
 * wants one when all are taken is held against who would have to go first:
 *
 *   1. From the root down, always to the richest child, to a control group with none below it. Of
 *      those that lie there side by side: one that has never used time, or else that has not used
 *      any for the longest, or else the newest.
 *   2. Where the ways to that one and to the newcomer part, the richest's side must have two more
 *      than the newcomer's: then its place is given to the newcomer, and both are nearer to each
 *      other. With one more they would only change places, and again at the next step.
 *   3. Or one more, where it has never used time and the newcomer has. To know the latter a file
 *      must be read, so it is asked for few names, and not in every step.
 *
 * Each change brings the places nearer to each other, so they come to rest; and there are only
 * so many changes in a step, so that nobody costs more by making many.
 */
#include "guest/cgroup_times_internal.h"

#include <assert.h>

/* So many names are asked for having used time, in one of so many steps. */
#define CGROUP_TRIED_MAX   64
#define CGROUP_TRIED_STEPS 16

void cgroup_places_count(struct cgroup_times *times)
{
	times->places = 0;
	times->spare = NULL;
	times->given_up = 0;
	times->tried = 0;
	for (size_t i = 0; i < times->count; i++) {
		times->nodes[i]->weight = times->nodes[i]->gone ? 0 : 1;
		times->places += times->nodes[i]->weight;
	}
	/* Parents come before their children. */
	for (size_t i = times->count; i > 1; i--)
		times->nodes[i - 1]->parent->weight += times->nodes[i - 1]->weight;
}

/* Adds to it and all above it, or takes from them. */
static void cgroup_places_weigh(struct cgroup_node *node, int step)
{
	for (; node != NULL; node = node->parent) {
		assert(step > 0 || node->weight > 0);
		node->weight += step > 0 ? 1 : (size_t)-1;
	}
}

void cgroup_places_enter(struct cgroup_times *times, struct cgroup_node *node)
{
	cgroup_places_weigh(node, 1);
	times->places++;
	times->spare = NULL;
}

void cgroup_places_leave(struct cgroup_times *times, struct cgroup_node *node)
{
	cgroup_places_weigh(node, -1);
	times->places--;
	times->spare = NULL;
}

/* Whether `node` has to go before `other`, of two that lie side by side. */
static bool cgroup_places_before(const struct cgroup_node *node, const struct cgroup_node *other)
{
	if (node->weight != other->weight)
		return node->weight > other->weight;
	/* Who came in this step was not told of yet. */
	if (node->known != other->known)
		return node->known;
	if ((node->usage_ns == 0) != (other->usage_ns == 0))
		return node->usage_ns == 0;
	if (node->idle_steps != other->idle_steps)
		return node->idle_steps > other->idle_steps;
	return node->serial > other->serial;
}

/* Who would have to go first; or NULL. */
static struct cgroup_node *cgroup_places_spare(struct cgroup_times *times)
{
	struct cgroup_node *node = times->nodes[0];

	if (times->spare != NULL)
		return times->spare;
	while (node->weight > 1) {
		struct cgroup_node *best = NULL;

		for (struct cgroup_node *child = node->first_child; child != NULL;
		     child = child->next_sibling)
			if (!child->gone && (best == NULL || cgroup_places_before(child, best)))
				best = child;
		assert(best != NULL);
		node = best;
	}
	times->spare = node->parent != NULL && node->known ? node : NULL;
	return times->spare;
}

/* How many more places the richest's side has where the ways part, or 0 where they do not. */
static size_t cgroup_places_difference(const struct cgroup_node *spare,
				       const struct cgroup_node *parent)
{
	const struct cgroup_node *rich = spare, *poor = parent, *rich_side = NULL;
	size_t poor_weight = 0;

	while (rich != poor) {
		bool up_rich = rich->depth >= poor->depth, up_poor = poor->depth >= rich->depth;

		if (up_rich) {
			rich_side = rich;
			rich = rich->parent;
		}
		if (up_poor) {
			poor_weight = poor->weight;
			poor = poor->parent;
		}
	}
	if (rich_side == NULL || rich_side->weight <= poor_weight)
		return 0;
	return rich_side->weight - poor_weight;
}

static bool cgroup_places_free(const struct cgroup_times *times)
{
	return times->places < times->places_max && times->count < CGROUP_TOLD_MAX;
}

/* How many more places those have who would have to make room; 0: none has to. */
static size_t cgroup_places_gain(struct cgroup_times *times, const struct cgroup_node *parent)
{
	const struct cgroup_node *spare;

	if (times->given_up == CGROUP_GIVEN_UP_MAX || times->count == CGROUP_TOLD_MAX)
		return 0;
	spare = cgroup_places_spare(times);
	return spare != NULL ? cgroup_places_difference(spare, parent) : 0;
}

bool cgroup_places_ask(struct cgroup_times *times, const struct cgroup_node *parent)
{
	return times->steps % CGROUP_TRIED_STEPS == 0 && times->tried < CGROUP_TRIED_MAX &&
	       cgroup_places_gain(times, parent) > 0 && cgroup_places_spare(times)->usage_ns == 0;
}

bool cgroup_places_worthwhile(struct cgroup_times *times, const struct cgroup_node *parent)
{
	return cgroup_places_free(times) || cgroup_places_gain(times, parent) > 1 ||
	       cgroup_places_ask(times, parent);
}

bool cgroup_places_make(struct cgroup_times *times, const struct cgroup_node *parent, bool used)
{
	size_t gain;

	if (cgroup_places_free(times))
		return true;
	gain = cgroup_places_gain(times, parent);
	if (gain == 0 || (gain == 1 && !(used && cgroup_places_spare(times)->usage_ns == 0)))
		return false;
	cgroup_times_give_up(times, cgroup_places_spare(times));
	times->given_up++;
	return true;
}
