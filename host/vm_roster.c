#include "host/vm_roster.h"
#include "common/cleanup.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define VM_ROSTER_CAPACITY_MIN 16

static void vm_roster_vm_destroy(struct vm_roster_vm *vm)
{
	if (vm == NULL)
		return;
	free(vm->vcpus);
	free(vm->record);
	free(vm);
}

static void cleanup_vm_roster_vm_value(struct vm_roster_vm *const *vm)
{
	vm_roster_vm_destroy(*vm);
}
#define cleanup_vm_roster_vm __attribute__((cleanup(cleanup_vm_roster_vm_value)))

int vm_roster_create(struct vm_roster **ret_roster)
{
	struct vm_roster *roster = calloc(1, sizeof(*roster));

	if (roster == NULL)
		return -ENOMEM;
	*ret_roster = roster;
	return 0;
}

void vm_roster_destroy(struct vm_roster *roster)
{
	if (roster == NULL)
		return;
	for (size_t i = 0; i < roster->count; i++)
		vm_roster_vm_destroy(roster->vms[i]);
	free(roster->vms);
	free(roster);
}

/* Where the uuid stands, or would have to stand. */
static bool vm_roster_search(const struct vm_roster *roster, const struct uuid *uuid,
			     size_t *ret_index)
{
	size_t low = 0, high = roster->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = uuid_compare(&roster->vms[middle]->uuid, uuid);

		if (order == 0) {
			*ret_index = middle;
			return true;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*ret_index = low;
	return false;
}

static int vm_roster_vm_copy(const struct vm_roster_vm *vm, struct vm_roster_vm **ret_copy)
{
	cleanup_vm_roster_vm struct vm_roster_vm *copy = malloc(sizeof(*copy));

	if (copy == NULL)
		return -ENOMEM;
	*copy = *vm;
	copy->vcpus = NULL;
	copy->record = NULL;
	if (vm->vcpu_count > 0) {
		copy->vcpus = calloc(vm->vcpu_count, sizeof(*copy->vcpus));
		if (copy->vcpus == NULL)
			return -ENOMEM;
		memcpy(copy->vcpus, vm->vcpus, vm->vcpu_count * sizeof(*copy->vcpus));
	}
	if (vm->record != NULL) {
		copy->record = malloc(sizeof(*copy->record));
		if (copy->record == NULL)
			return -ENOMEM;
		*copy->record = *vm->record;
	}
	*ret_copy = TAKE_PTR(copy);
	return 0;
}

static int vm_roster_grow(struct vm_roster *roster, size_t count)
{
	size_t capacity = roster->capacity;
	struct vm_roster_vm **vms;

	if (count <= capacity)
		return 0;
	if (capacity < VM_ROSTER_CAPACITY_MIN)
		capacity = VM_ROSTER_CAPACITY_MIN;
	while (capacity < count)
		capacity *= 2;
	vms = realloc(roster->vms, capacity * sizeof(struct vm_roster_vm *));
	if (vms == NULL)
		return -ENOMEM;
	roster->vms = vms;
	roster->capacity = capacity;
	return 0;
}

int vm_roster_put(struct vm_roster *roster, const struct vm_roster_vm *vm)
{
	cleanup_vm_roster_vm struct vm_roster_vm *copy = NULL;
	size_t index;
	bool found = vm_roster_search(roster, &vm->uuid, &index);
	int status;

	assert(vm->socket_count > 0);
	assert(vm->vcpus_per_socket > 0);
	if (vm->vcpu_count > VM_ROSTER_VCPU_MAX || (!found && roster->count == VM_ROSTER_VM_MAX))
		return -ENOSPC;
	status = vm_roster_vm_copy(vm, &copy);
	if (status < 0)
		return status;
	if (found) {
		vm_roster_vm_destroy(roster->vms[index]);
		roster->vms[index] = TAKE_PTR(copy);
		return 0;
	}
	status = vm_roster_grow(roster, roster->count + 1);
	if (status < 0)
		return status;
	memmove(&roster->vms[index + 1], &roster->vms[index],
		(roster->count - index) * sizeof(struct vm_roster_vm *));
	roster->vms[index] = TAKE_PTR(copy);
	roster->count++;
	return 0;
}

int vm_roster_remove(struct vm_roster *roster, const struct uuid *uuid)
{
	size_t index;

	if (!vm_roster_search(roster, uuid, &index))
		return -ENOENT;
	vm_roster_vm_destroy(roster->vms[index]);
	roster->count--;
	memmove(&roster->vms[index], &roster->vms[index + 1],
		(roster->count - index) * sizeof(struct vm_roster_vm *));
	return 0;
}

struct vm_roster_vm *vm_roster_find(const struct vm_roster *roster, const struct uuid *uuid)
{
	size_t index;

	return vm_roster_search(roster, uuid, &index) ? roster->vms[index] : NULL;
}

int vm_roster_copy(const struct vm_roster *roster, struct vm_roster **ret_copy)
{
	cleanup_vm_roster struct vm_roster *copy = NULL;
	int status = vm_roster_create(&copy);

	if (status < 0)
		return status;
	status = vm_roster_grow(copy, roster->count);
	if (status < 0)
		return status;
	for (; copy->count < roster->count; copy->count++) {
		status = vm_roster_vm_copy(roster->vms[copy->count], &copy->vms[copy->count]);
		if (status < 0)
			return status;
	}
	*ret_copy = TAKE_PTR(copy);
	return 0;
}

void vm_roster_set_name(struct vm_roster_vm *vm, const char *name)
{
	size_t length = strnlen(name, sizeof(vm->name) - 1);

	memcpy(vm->name, name, length);
	vm->name[length] = '\0';
}
