/*
 * tree_links.h: the symbolic links of a tree that comes without them.
 *
 * virtio-9p with libvirt's accessmode='mapped' lists symbolic links but cannot read them: there
 * QEMU keeps a link's target in a plain file, and opens what on the host is a link with O_NOFOLLOW
 * (hw/9pfs/9p-local.c, local_readlink), so that the guest gets ELOOP. The agent makes the links
 * itself, from the directories that the share does list, and lays them over it. Changes nothing but
 * the directory it is given. One thread.
 */
#ifndef WATTPORT_GUEST_TREE_LINKS_H
#define WATTPORT_GUEST_TREE_LINKS_H

#include "common/diag.h"

#define TREE_LINKS_DEPTH_MAX 8	  /* of directories below devices/virtual/powercap */
#define TREE_LINKS_MAX	     1024 /* links made: for twice the zones that a tree may have */

/*
 * Makes in `into_fd`, an empty directory, the links that the tree at `tree_fd` should have:
 *     class/powercap/ZONE                          to the device of that name
 *     devices/virtual/powercap/.../subsystem       to the class
 *     devices/virtual/powercap/.../device          to the parent, as sysfs makes it
 * each where the tree lists one, and the directories that lead there with the tree's modes. -E2BIG
 * past the limits, -errno with *diag otherwise.
 */
int tree_links_make(int tree_fd, int into_fd, struct diag *diag);

#endif
