/* The directory that a --sysroot names: DIR/proc leads to the real /proc, DIR/sys is where the tree
 * is mounted. Prepared before the mount and taken down after it by run.c. One thread. */
#pragma once

/* Makes dir if need be. Returns a descriptor of it that the caller closes, or -errno. */
int sysroot_open(const char *dir);

/* Makes what dir needs, and takes away the dead mount of a simulator that was killed. 0 or -errno.
 * Not to be called while a simulator lives in dir: control_create() finds that out. */
int sysroot_prepare(int dir_fd);

/* Removes what sysroot_prepare() made, if it is empty. */
void sysroot_clean(int dir_fd);
