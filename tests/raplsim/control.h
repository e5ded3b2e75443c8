/* DIR/raplsim.sock: how `raplsim ctl` reaches the running simulator. A request is one packet, its
 * words each ended by a zero byte; the answer is the exit status as one byte in a packet of its
 * own, then text in packets until the end. run.c polls the descriptors. One thread. */
#pragma once

#include <poll.h>

#include "tests/raplsim/simulator.h"

#define CONTROL_CLIENTS_MAX  16
#define CONTROL_REQUEST_MAX  8192
#define CONTROL_POLL_FDS_MAX (CONTROL_CLIENTS_MAX + 1)

struct control;

/* Listens in the directory. 0 or -errno; -EADDRINUSE if a simulator answers there already. */
int control_create(int dir_fd, struct control **ret_control);
/* Removes the socket as well. */
void control_destroy(struct control *control);

/* Fills in what to poll; returns how many. */
size_t control_poll_fds(const struct control *control, struct pollfd fds[CONTROL_POLL_FDS_MAX]);
/* Deals with what the poll of just these fds found. */
void control_serve(struct control *control, struct simulator *simulator, const struct pollfd *fds,
		   size_t count);

/* The client's side: sends the words and copies the answer to stdout, or to stderr if the command
 * failed. Returns the exit status, or -errno if no simulator answers in dir. */
int control_request(const char *dir, size_t count, char *const *words);
