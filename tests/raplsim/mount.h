/* The FUSE side: serves the simulator's tree at DIR/sys. The last step of the flow. Its descriptor
 * is polled by run.c; an answer that a fault holds back waits in a list and not in a sleep, so one
 * slow file does not slow the others. One thread. */
#pragma once

#include "tests/raplsim/simulator.h"

struct mount;

/* Mounts at the path. 0 or -errno; libfuse has then printed why. simulator outlives the mount. */
int mount_create(struct simulator *simulator, const char *path, struct mount **ret_mount);
/* Unmounts; what is still open there answers ENOTCONN from then on. */
void mount_destroy(struct mount *mount);

int mount_fd(const struct mount *mount);

/* Answers the requests that wait at the descriptor. 0, or -ENODEV when somebody else unmounted. */
int mount_serve(struct mount *mount);

/* Sends the held answers that are due. Returns the milliseconds until the next one, -1 for none. */
int mount_send_due(struct mount *mount);
