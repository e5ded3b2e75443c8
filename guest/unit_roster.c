#include "guest/unit_roster.h"
#include "common/cleanup.h"
#include "common/features.h"
#include "common/utf8.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/* A unit that did nothing for so many steps may have to make room. */
#define UNIT_IDLE_STEPS 60

/* Groups of the kinds that are sums over units. */
#define UNIT_KIND_COUNT (ACCOUNT_KIND_COUNT - ACCOUNT_SLICE)
static_assert(ACCOUNT_SLICE < ACCOUNT_CONTAINER && ACCOUNT_CONTAINER < ACCOUNT_POD &&
		  ACCOUNT_POD < ACCOUNT_JOB && ACCOUNT_JOB + 1 == ACCOUNT_KIND_COUNT,
	      "kinds that are sums come last");

/* The number by which a control group knows its unit: the index, and which unit that was. */
#define UNIT_SERIAL_MAX (UINT32_MAX / UNIT_MAX)

struct unit_roster {
	size_t cpu_count;
	bool stepped;
	uint32_t serial; /* the last that was given */
	uint64_t opened; /* units, ever */
	size_t wanted;	 /* control groups that found no place in this step */
	struct unit units[UNIT_MAX];
	struct unit_group groups[UNIT_KIND_COUNT][UNIT_GROUP_MAX];
};

/* No two that the engine knows have the same; it begins anew with who comes anew. */
static struct uuid unit_uuid(uint64_t number)
{
	struct uuid uuid = {.bytes = {0}};

	memcpy(uuid.bytes, &number, sizeof(number));
	return uuid;
}

static int unit_open(struct unit_roster *roster, size_t index, const char *name)
{
	struct unit *unit = &roster->units[index];
	/* Never of size 0: then NULL would be no failure. */
	uint64_t *times = calloc(2 * roster->cpu_count + 1, sizeof(*times));

	if (times == NULL)
		return -ENOMEM;
	roster->serial = roster->serial == UNIT_SERIAL_MAX - 1 ? 1 : roster->serial + 1;
	*unit =
	    (struct unit){.used = true, .serial = roster->serial, .born = true, .cpu_ns = times};
	unit->place_ns = times + roster->cpu_count;
	utf8_copy(unit->name, sizeof(unit->name), name);
	unit->uuid = unit_uuid(++roster->opened);
	return 0;
}

int unit_roster_create(size_t cpu_count, struct unit_roster **ret_roster)
{
	cleanup_unit_roster struct unit_roster *roster = calloc(1, sizeof(*roster));
	int status;

	if (roster == NULL)
		return -ENOMEM;
	roster->cpu_count = cpu_count;
	status = unit_open(roster, UNIT_MORE, "(rest)");
	if (status == 0)
		status = unit_open(roster, UNIT_ROOT, CGROUP_ROOT_UNIT);
	if (status < 0)
		return status;
	*ret_roster = TAKE_PTR(roster);
	return 0;
}

void unit_roster_destroy(struct unit_roster *roster)
{
	if (roster == NULL)
		return;
	for (size_t i = 0; i < UNIT_MAX; i++)
		free(roster->units[i].cpu_ns);
	free(roster);
}

static struct unit_group *unit_roster_find_group(struct unit_roster *roster, enum account_kind kind,
						 const char *name, const char *detail)
{
	struct unit_group *groups = roster->groups[kind - ACCOUNT_SLICE];
	struct unit_group *free_group = NULL;

	for (size_t i = 0; i < UNIT_GROUP_MAX; i++) {
		if (groups[i].units == 0)
			free_group = free_group == NULL ? &groups[i] : free_group;
		else if (strcmp(groups[i].name, name) == 0 && strcmp(groups[i].detail, detail) == 0)
			return &groups[i];
	}
	if (free_group == NULL)
		return NULL;
	*free_group = (struct unit_group){.kind = kind};
	utf8_copy(free_group->name, sizeof(free_group->name), name);
	utf8_copy(free_group->detail, sizeof(free_group->detail), detail);
	return free_group;
}

static void unit_join(struct unit_roster *roster, struct unit *unit, enum account_kind kind,
		      const char *name, const char *detail)
{
	struct unit_group *group;

	if (name[0] == '\0')
		return;
	assert(unit->parent_count < UNIT_PARENTS_MAX);
	group = unit_roster_find_group(roster, kind, name, detail);
	if (group != NULL)
		group->units++;
	unit->parent_kinds[unit->parent_count] = kind;
	unit->parents[unit->parent_count++] = group;
}

/* A free place, or that of who has done nothing for the longest time; or UNIT_MORE. */
static size_t unit_roster_place(const struct unit_roster *roster)
{
	for (size_t i = UNIT_ROOT + 1; i < UNIT_MAX; i++)
		if (!roster->units[i].used)
			return i;
	return UNIT_MORE;
}

static size_t unit_roster_find(const struct unit_roster *roster, const char *name)
{
	for (size_t i = UNIT_ROOT; i < UNIT_MAX; i++)
		if (roster->units[i].used && strcmp(roster->units[i].name, name) == 0)
			return i;
	return UNIT_MORE;
}

/* The number of the unit of that path. */
static size_t unit_roster_resolve(struct unit_roster *roster, const char *path)
{
	struct cgroup_identity identity;
	struct unit *unit;
	size_t index;

	cgroup_path_identify(path, &identity);
	index = unit_roster_find(roster, identity.unit);
	if (index != UNIT_MORE)
		return index;
	index = unit_roster_place(roster);
	if (index == UNIT_MORE || unit_open(roster, index, identity.unit) < 0)
		return UNIT_MORE;
	unit = &roster->units[index];
	for (size_t i = 0; i < identity.slice_count; i++)
		unit_join(roster, unit, ACCOUNT_SLICE, identity.slices[i], "");
	if (identity.slice_count > 0)
		utf8_copy(unit->detail, sizeof(unit->detail),
			  identity.slices[identity.slice_count - 1]);
	unit_join(roster, unit, ACCOUNT_CONTAINER, identity.container, identity.engine);
	unit_join(roster, unit, ACCOUNT_POD, identity.pod, "");
	unit_join(roster, unit, ACCOUNT_JOB, identity.job, identity.scheduler);
	return index;
}

/*
 * Who has lost its unit gets it back when it does something again. For newcomers there is none
 * while all places are taken.
 */
static struct unit *unit_roster_owner(struct unit_roster *roster, const struct cgroup_time *cgroup)
{
	uint32_t owner = *cgroup->owner;
	struct unit *unit = &roster->units[owner % UNIT_MAX];
	size_t index;

	if (owner != 0 && unit->used && unit->serial == owner / UNIT_MAX)
		return unit;
	unit = &roster->units[UNIT_MORE];
	if (owner != 0 && cgroup->growth_ns == 0)
		return unit;
	if (roster->wanted > 0) {
		roster->wanted++;
		return unit;
	}
	index = unit_roster_resolve(roster, cgroup->path);
	if (index == UNIT_MORE) {
		roster->wanted++;
		return unit;
	}
	*cgroup->owner = roster->units[index].serial * UNIT_MAX + (uint32_t)index;
	return &roster->units[index];
}

/* A unit's uppermost control group holds the memory of all of it. */
static void unit_roster_weigh_memory(struct unit *unit, struct cgroup_times *times, size_t index)
{
	struct cgroup_time cgroup = cgroup_times_get(times, index);
	struct cgroup_time parent = cgroup_times_get(times, cgroup_times_parent(times, index));

	if (!cgroup.gone && index > 0 && *parent.owner != *cgroup.owner)
		unit->memory_bytes =
		    features_sum(unit->memory_bytes, cgroup_times_memory(times, index));
}

static void unit_roster_clear(struct unit_roster *roster, bool with_memory)
{
	roster->wanted = 0;
	for (size_t i = 0; i < UNIT_MAX; i++) {
		struct unit *unit = &roster->units[i];

		unit->growth_ns = 0;
		unit->cgroups = 0;
		unit->born = false;
		if (with_memory)
			unit->memory_bytes = 0;
	}
}

void unit_roster_step(struct unit_roster *roster, struct cgroup_times *times, bool with_memory)
{
	unit_roster_clear(roster, with_memory);
	for (size_t i = 0; i < cgroup_times_count(times); i++) {
		struct cgroup_time cgroup = cgroup_times_get(times, i);
		struct unit *unit = unit_roster_owner(roster, &cgroup);

		unit->cgroups += cgroup.gone ? 0 : 1;
		unit->growth_ns = features_sum(unit->growth_ns, cgroup.growth_ns);
		if (with_memory)
			unit_roster_weigh_memory(unit, times, i);
	}
	for (size_t i = 0; i < UNIT_MAX; i++) {
		struct unit *unit = &roster->units[i];

		unit->idle_steps = unit->growth_ns > 0 ? 0 : unit->idle_steps + 1;
		if (!roster->stepped)
			unit->born = false;
	}
	roster->stepped = true;
}

size_t unit_roster_of(const struct unit_roster *roster, uint32_t owner)
{
	const struct unit *unit = &roster->units[owner % UNIT_MAX];

	return owner != 0 && unit->used && unit->serial == owner / UNIT_MAX ? owner % UNIT_MAX
									    : UNIT_MORE;
}

static void unit_leave_groups(struct unit *unit,
			      void (*leave_group)(void *context, struct unit_group *group),
			      void *context)
{
	for (size_t i = 0; i < unit->parent_count; i++) {
		struct unit_group *group = unit->parents[i];

		if (group == NULL)
			continue;
		if (group->units == 1)
			leave_group(context, group);
		group->units--;
	}
}

void unit_roster_leave(struct unit_roster *roster,
		       void (*leave)(void *context, size_t index, struct unit *unit),
		       void (*leave_group)(void *context, struct unit_group *group), void *context)
{
	for (size_t i = UNIT_ROOT + 1; i < UNIT_MAX; i++) {
		struct unit *unit = &roster->units[i];

		if (!unit->used)
			continue;
		if (unit->cgroups > 0 &&
		    (roster->wanted == 0 || unit->idle_steps < UNIT_IDLE_STEPS))
			continue;
		if (unit->cgroups > 0)
			roster->wanted--;
		leave(context, i, unit);
		unit_leave_groups(unit, leave_group, context);
		free(unit->cpu_ns);
		*unit = (struct unit){.used = false};
	}
}

struct unit *unit_roster_unit(struct unit_roster *roster, size_t index)
{
	assert(index < UNIT_MAX);
	return roster->units[index].used ? &roster->units[index] : NULL;
}

struct unit_group *unit_roster_groups(struct unit_roster *roster, enum account_kind kind)
{
	assert(kind >= ACCOUNT_SLICE && kind < ACCOUNT_KIND_COUNT);
	return roster->groups[kind - ACCOUNT_SLICE];
}
