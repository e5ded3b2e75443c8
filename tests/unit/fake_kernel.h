/*
 * fake_kernel.h: a worker of wattport-fs (worker_internal.h) in the test's own process, with the
 * kernel's end of its connection, wattportd's end of its socket and the clock in the test's hand.
 *
 * For unit tests and fuzz targets: whatever fails in here aborts. One thread.
 */
#ifndef WATTPORT_TESTS_FAKE_KERNEL_H
#define WATTPORT_TESTS_FAKE_KERNEL_H

#include "common/clock.h"
#include "common/ledger.h"
#include "common/ledger_map.h"
#include "fusefs/worker_internal.h"

#include <linux/fuse.h>

#define FAKE_ANSWER_SIZE 65536
#define FAKE_VM		 "11111111-2222-3333-4444-555555555555"
#define FAKE_OTHER	 "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"
#define FAKE_QEMU	 100 /* the thread and process of FAKE_VM */
#define FAKE_HIDDEN	 101 /* a thread that /proc does not show */

/* What workers find: a runtime directory with a ledger of two machines, a wattportd, a /proc. */
struct fake_host {
	char path[64];
	int runtime_fd;
	int proc_fd;
	int listener_fd; /* of wattportd; -1: it is away */
	int client_fd;	 /* the worker's connection to it, or -1 */
	struct ledger *ledger;
	struct ledger_map *map;
};

void fake_host_create(struct fake_host *host);
void fake_host_destroy(struct fake_host *host);

/* Publishes the ledger with all accounts updated at that time. */
void fake_host_publish(struct fake_host *host, struct mono_time now);

/* wattportd answers what it was asked so far: "refreshed", or "unknown". False: it was not asked.
 */
bool fake_host_answer(struct fake_host *host, bool known);

/* Whoever asks the file system. */
struct fake_caller {
	uint32_t user;
	uint32_t thread;
};

struct fake_kernel {
	struct fake_host *host;
	int fds[2]; /* the kernel's end, the worker's */
	struct fs_memory *memory;
	int memory_fd; /* its descriptor, which goes with the kernel, too */
	struct worker_options options;
	struct manual_clock clock;
	struct worker *worker;
	struct fake_caller caller;
	bool again;	 /* requests bear the mark of those that are sent again */
	uint64_t unique; /* of the last request */
	int status;	 /* what worker_receive() said to it */
	size_t answer_size;
	_Alignas(8) char answer[FAKE_ANSWER_SIZE]; /* the last one, with its head */
};

/* New memory and a connection that is not answered yet. The host outlives it. */
void fake_kernel_open(struct fake_kernel *kernel, struct fake_host *host);

/* The same with memory that somebody else has made; both go with the kernel. */
void fake_kernel_open_with(struct fake_kernel *kernel, struct fake_host *host,
			   struct fs_memory *memory, int memory_fd);
void fake_kernel_close(struct fake_kernel *kernel);

/* A worker that takes up what the memory holds. */
void fake_kernel_start(struct fake_kernel *kernel);
/* The worker is gone as if killed: it answers nothing more. */
void fake_kernel_stop(struct fake_kernel *kernel);

/* Sends a request and has the worker read it. Returns its number. */
uint64_t fake_kernel_ask(struct fake_kernel *kernel, uint32_t opcode, uint64_t node,
			 const void *body, size_t size);

/* Bytes as they are, without any head of ours; what worker_receive() says. */
int fake_kernel_send(struct fake_kernel *kernel, const void *bytes, size_t size);

/* Takes the next answer into `answer`; its head, or NULL: there is none. */
const struct fuse_out_header *fake_kernel_hear(struct fake_kernel *kernel);

/* Lets time pass, and the worker see what came of it. */
void fake_kernel_wait(struct fake_kernel *kernel, uint64_t ns);

#endif
