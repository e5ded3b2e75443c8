#include "common/sample.h"
#include "common/utf8.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SAMPLE_VM_CAPACITY_MIN 16

int sample_init(struct sample *sample, size_t cpu_count)
{
	*sample = (struct sample){.cpu_count = cpu_count};
	/* Never of size 0: then NULL would be no failure. */
	sample->cpu_busy_ns = calloc(cpu_count > 0 ? cpu_count : 1, sizeof(*sample->cpu_busy_ns));
	sample->cpu_rest_ns = malloc((cpu_count + 1) * sizeof(*sample->cpu_rest_ns));
	for (size_t i = 0; sample->cpu_rest_ns != NULL && i < cpu_count; i++)
		sample->cpu_rest_ns[i] = SAMPLE_NO_TIME;
	return sample->cpu_busy_ns != NULL && sample->cpu_rest_ns != NULL ? 0 : -ENOMEM;
}

void sample_finish(struct sample *sample)
{
	for (size_t i = 0; i < sample->vm_capacity; i++)
		free(sample->vms[i].vcpus);
	free(sample->vms);
	free(sample->cpu_busy_ns);
	free(sample->cpu_rest_ns);
	*sample = (struct sample){.cpu_busy_ns = NULL};
}

void sample_clear(struct sample *sample)
{
	sample->vm_count = 0;
	sample->time = (struct mono_time){.ns = 0};
	sample->late_ns = 0;
	sample->suspended_ns = 0;
	sample->anew = false;
}

/* Room for one more VM. Entries past vm_count keep their vcpus[] for the next tick. */
static int sample_grow(struct sample *sample)
{
	size_t capacity = sample->vm_capacity * 2;
	struct sample_vm *vms;

	if (sample->vm_count < sample->vm_capacity)
		return 0;
	if (capacity < SAMPLE_VM_CAPACITY_MIN)
		capacity = SAMPLE_VM_CAPACITY_MIN;
	vms = realloc(sample->vms, capacity * sizeof(*vms));
	if (vms == NULL)
		return -ENOMEM;
	memset(&vms[sample->vm_capacity], 0, (capacity - sample->vm_capacity) * sizeof(*vms));
	sample->vms = vms;
	sample->vm_capacity = capacity;
	return 0;
}

/* Room for that many vCPUs in `vcpus`, which may move; NULL: out of memory, nothing has changed. */
static struct sample_vcpu *sample_vcpus_reserve(struct sample_vcpu *vcpus, size_t capacity,
						size_t vcpu_count)
{
	if (vcpu_count <= capacity && vcpus != NULL)
		return vcpus;
	return realloc(vcpus, (vcpu_count > 0 ? vcpu_count : 1) * sizeof(*vcpus));
}

int sample_add_vm(struct sample *sample, size_t vcpu_count, struct sample_vm **ret_vm)
{
	struct sample_vcpu *vcpus;
	struct sample_vm *vm;
	size_t capacity;
	int status;

	if (sample->vm_count == SAMPLE_VM_MAX || vcpu_count > SAMPLE_VCPU_MAX)
		return -ENOSPC;
	status = sample_grow(sample);
	if (status < 0)
		return status;
	vm = &sample->vms[sample->vm_count];
	vcpus = sample_vcpus_reserve(vm->vcpus, vm->vcpu_capacity, vcpu_count);
	if (vcpus == NULL)
		return -ENOMEM;
	capacity = vcpu_count > vm->vcpu_capacity ? vcpu_count : vm->vcpu_capacity;
	memset(vcpus, 0, vcpu_count * sizeof(*vcpus));
	*vm = (struct sample_vm){
	    .running = true,
	    .precision = SAMPLE_NANOSECONDS,
	    .socket_count = 1,
	    .vcpu_count = vcpu_count,
	    .vcpus = vcpus,
	    .vcpu_capacity = capacity,
	};
	sample->vm_count++;
	*ret_vm = vm;
	return 0;
}

int sample_copy(struct sample *sample, const struct sample *from)
{
	struct sample copy = *from;

	assert(sample->cpu_count == from->cpu_count);
	copy.cpu_busy_ns = sample->cpu_busy_ns;
	copy.cpu_rest_ns = sample->cpu_rest_ns;
	copy.vm_count = 0;
	copy.vms = sample->vms;
	copy.vm_capacity = sample->vm_capacity;
	memcpy(copy.cpu_busy_ns, from->cpu_busy_ns, from->cpu_count * sizeof(*copy.cpu_busy_ns));
	memcpy(copy.cpu_rest_ns, from->cpu_rest_ns, from->cpu_count * sizeof(*copy.cpu_rest_ns));
	*sample = copy;
	for (size_t i = 0; i < from->vm_count; i++) {
		const struct sample_vm *one = &from->vms[i];
		struct sample_vcpu *vcpus;
		struct sample_vm *vm;
		size_t capacity;
		int status = sample_add_vm(sample, one->vcpu_count, &vm);

		if (status < 0)
			return status;
		vcpus = vm->vcpus;
		capacity = vm->vcpu_capacity;
		*vm = *one;
		vm->vcpus = vcpus;
		vm->vcpu_capacity = capacity;
		memcpy(vcpus, one->vcpus, one->vcpu_count * sizeof(*vcpus));
	}
	return 0;
}

void sample_set_name(struct sample_vm *vm, const char *name)
{
	utf8_copy(vm->name, sizeof(vm->name), name);
}

uint32_t sample_socket_of(size_t index, size_t vcpu_count, uint32_t socket_count)
{
	assert(index < vcpu_count);
	assert(socket_count > 0);
	return (uint32_t)(index * socket_count / vcpu_count);
}
