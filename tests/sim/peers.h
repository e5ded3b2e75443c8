/*
 * peers.h: how others divide a host's energy, computed on the same samples.
 *
 * Beside ours, for comparison. Energy is that of packages and DRAM together; an interval is divided
 * in whole, at each sample:
 *
 *   PEER_CAPACITY  energy * vCPUs / those of all machines: the whole is shared by capacity
 *   PEER_RENT      energy * vCPUs / L, L the host's CPUs, or all vCPUs where these are more: what
 *                  is not rented stays with the host
 *   PEER_ACTIVE    energy * CPU time / busy time of all CPUs, static power included
 *   PEER_TICKS     the same in jiffies of 10 ms and once a second, after the manner of tools that
 *                  read /proc/PID/stat, such as Scaphandre
 *   PEER_RATIO     idle power (the least that a second has shown) evenly to the machines there are,
 *                  the rest by CPU time, after the manner of Kepler's ratio
 *
 * A machine's CPU time is that of its vCPU and overhead threads. One thread.
 */
#ifndef WATTPORT_TESTS_SIM_PEERS_H
#define WATTPORT_TESTS_SIM_PEERS_H

#include "common/sample.h"
#include "common/trace.h"

enum peer {
	PEER_CAPACITY,
	PEER_RENT,
	PEER_ACTIVE,
	PEER_TICKS,
	PEER_RATIO,
	PEER_COUNT,
};
extern const char *const peer_names[PEER_COUNT];

struct peers;

/* The head must outlive it. */
int peers_create(const struct trace_head *head, struct peers **ret_peers);
void peers_destroy(struct peers *peers);

void peers_step(struct peers *peers, const struct sample *sample);

/* What a machine has been given so far, in joules; 0 for one that was never seen. */
struct peer_share {
	double total_j[PEER_COUNT];
	double dynamic_j[PEER_COUNT]; /* of it; 0 where a model knows no such thing */
};
struct peer_share peers_share(const struct peers *peers, const struct uuid *uuid);

static inline void cleanup_peers_value(struct peers *const *peers)
{
	peers_destroy(*peers);
}
#define cleanup_peers __attribute__((cleanup(cleanup_peers_value)))

#endif
