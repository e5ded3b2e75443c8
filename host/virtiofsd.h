/*
 * virtiofsd.h: whether this host has a virtiofsd that libvirt would find.
 *
 * For `attach`, which prefers virtiofs where it works, and for `doctor`. libvirt looks through the
 * descriptions that QEMU's docs/interop/vhost-user.json defines, in /etc and /usr/share. No state.
 */
#ifndef WATTPORT_HOST_VIRTIOFSD_H
#define WATTPORT_HOST_VIRTIOFSD_H

#include <limits.h>
#include <stddef.h>

/* The path of its program; -ENOENT when there is none. */
int virtiofsd_find(char ret_path[static PATH_MAX]);

/* The program that a description names if it is a virtiofsd's: 0, -ENOENT or -EINVAL. */
int virtiofsd_parse(const char *json, size_t size, char ret_path[static PATH_MAX]);

#endif
