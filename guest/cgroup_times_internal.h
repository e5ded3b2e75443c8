/*
 * cgroup_times_internal.h: what cgroup_times.c (the tree and its times) and cgroup_places.c (who
 * has a place in it) share.
 */
#ifndef WATTPORT_GUEST_CGROUP_TIMES_INTERNAL_H
#define WATTPORT_GUEST_CGROUP_TIMES_INTERNAL_H

#include "guest/cgroup_path.h"
#include "guest/cgroup_times.h"

#define CGROUP_BUCKETS 8192

__extension__ typedef unsigned __int128 wide;

struct cgroup_node {
	wide heirs; /* the weights of those that went, in the division of its growth */
	char path[CGROUP_PATH_SIZE];
	size_t name;		    /* where in it the name begins */
	struct cgroup_node *parent; /* NULL: the root */
	struct cgroup_node *first_child;
	struct cgroup_node *next_sibling;
	size_t index;
	uint64_t serial;
	uint64_t inode;
	uint64_t links;
	/* Sums; they wrap like counters, and only differences count. */
	uint64_t usage_ns;
	uint64_t gone_ns; /* what its children had used that went */
	uint64_t told_ns; /* of its own */
	uint64_t children_ns;
	uint64_t growth_ns;
	uint64_t previous_growth_ns;
	uint64_t unseen_ns;
	uint32_t owner;
	uint32_t name_hash;
	unsigned int depth;
	uint32_t idle_steps;		/* for so many it has used nothing */
	size_t weight;			/* places that it has with all below it */
	size_t skipped;			/* names in it that were looked at, and got no place */
	struct cgroup_node *next_known; /* in its bucket */
	int fd;				/* of what tells its usage, or -1 */
	bool gone;
	bool given_up; /* it is there, but others have its place now: told like one that went */
	bool list;     /* its children are to be looked for */
	bool listed;   /* that was done once, and there was room for all */
	bool known;    /* its usage could be read once */
	bool born;     /* first seen in this step, and its life began after the step before */
};

struct cgroup_times {
	const struct cgroup_mounts *mounts;
	size_t count;
	struct cgroup_node *nodes[CGROUP_TOLD_MAX]; /* parents before their children */
	struct cgroup_node *known[CGROUP_BUCKETS];  /* by parent and name */
	size_t places_max;			    /* less than CGROUP_TIMES_MAX in tests */
	size_t places;				    /* of those that have not gone */
	struct cgroup_node *spare; /* who would have to go first; NULL: not known */
	size_t given_up;	   /* in this step */
	size_t tried;		   /* names that were looked at for having worked */
	uint64_t steps;
	size_t descriptors;
	uint64_t serial; /* the last that was given */
	bool stepped;
};

/* cgroup_places.c: counts who has which places, after it is known who has gone. */
void cgroup_places_count(struct cgroup_times *times);

/* Whether it may be that a child of it gets a place in this step. */
bool cgroup_places_worthwhile(struct cgroup_times *times, const struct cgroup_node *parent);

/* Makes a place for a child of it; `used`: it is known to have used time. Returns whether there is
 * one. */
bool cgroup_places_make(struct cgroup_times *times, const struct cgroup_node *parent, bool used);

/* Whether it would be of use to know that a child has used time; not more often than is cheap. */
bool cgroup_places_ask(struct cgroup_times *times, const struct cgroup_node *parent);

/* It has its place now, or has it no more. */
void cgroup_places_enter(struct cgroup_times *times, struct cgroup_node *node);
void cgroup_places_leave(struct cgroup_times *times, struct cgroup_node *node);

/* cgroup_list.c: takes in those of its children that have no place yet. 0 or -errno: some were left
 * out. */
int cgroup_list_children(struct cgroup_times *times, struct cgroup_node *node);

/* Lets its parent know it, and whoever looks for its name. */
void cgroup_list_link(struct cgroup_times *times, struct cgroup_node *node);

/* cgroup_times.c: its path, for openat(2). */
const char *cgroup_node_relative(const struct cgroup_node *node);

/* What the control group of that path, for openat(2), has used. 0 or -errno. */
int cgroup_times_read_usage(const struct cgroup_times *times, const char *path, uint64_t *ret_ns);

/* Tells its time up to now, for the last time; from here on it is its parent's. */
void cgroup_times_give_up(struct cgroup_times *times, struct cgroup_node *node);

#endif
