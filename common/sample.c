#include "common/sample.h"

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
	return sample->cpu_busy_ns != NULL ? 0 : -ENOMEM;
}

void sample_finish(struct sample *sample)
{
	for (size_t i = 0; i < sample->vm_capacity; i++)
		free(sample->vms[i].vcpus);
	free(sample->vms);
	free(sample->cpu_busy_ns);
	*sample = (struct sample){.cpu_busy_ns = NULL};
}

void sample_clear(struct sample *sample)
{
	sample->vm_count = 0;
	sample->time = (struct mono_time){.ns = 0};
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

static int sample_vm_reserve(struct sample_vm *vm, size_t vcpu_count)
{
	struct sample_vcpu *vcpus;

	if (vcpu_count <= vm->vcpu_capacity)
		return 0;
	/* The old content is of an earlier tick: nothing to copy. */
	vcpus = calloc(vcpu_count, sizeof(*vcpus));
	if (vcpus == NULL)
		return -ENOMEM;
	free(vm->vcpus);
	vm->vcpus = vcpus;
	vm->vcpu_capacity = vcpu_count;
	return 0;
}

int sample_add_vm(struct sample *sample, size_t vcpu_count, struct sample_vm **ret_vm)
{
	struct sample_vm *vm;
	int status;

	if (sample->vm_count == SAMPLE_VM_MAX || vcpu_count > SAMPLE_VCPU_MAX)
		return -ENOSPC;
	status = sample_grow(sample);
	if (status < 0)
		return status;
	vm = &sample->vms[sample->vm_count];
	status = sample_vm_reserve(vm, vcpu_count);
	if (status < 0)
		return status;
	if (vcpu_count > 0)
		memset(vm->vcpus, 0, vcpu_count * sizeof(*vm->vcpus));
	*vm = (struct sample_vm){
	    .running = true,
	    .precision = SAMPLE_NANOSECONDS,
	    .socket_count = 1,
	    .vcpu_count = vcpu_count,
	    .vcpus = vm->vcpus,
	    .vcpu_capacity = vm->vcpu_capacity,
	};
	sample->vm_count++;
	*ret_vm = vm;
	return 0;
}

/*
 * The length of the well-formed UTF-8 character at `text` (Unicode 15, table 3-7: no overlong
 * forms, no surrogates, nothing past U+10FFFF), or 0. A NUL is no continuation byte, so it never
 * reads behind the end.
 */
static size_t sample_utf8_length(const unsigned char *text)
{
	static const struct {
		unsigned char first_min, first_max, second_min, second_max;
		size_t length;
	} forms[] = {
	    {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3},
	    {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
	    {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
	};

	if (text[0] < 0x80)
		return 1;
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		if (text[0] < forms[i].first_min || text[0] > forms[i].first_max)
			continue;
		if (text[1] < forms[i].second_min || text[1] > forms[i].second_max)
			return 0;
		for (size_t k = 2; k < forms[i].length; k++)
			if ((text[k] & 0xc0) != 0x80)
				return 0;
		return forms[i].length;
	}
	return 0;
}

void sample_set_name(struct sample_vm *vm, const char *name)
{
	const char *cursor = name;
	size_t used = 0;

	while (*cursor != '\0') {
		size_t length = sample_utf8_length((const unsigned char *)cursor);
		size_t taken = length > 0 ? length : 1;

		if (used + taken >= sizeof(vm->name))
			break;
		if (length > 0)
			memcpy(vm->name + used, cursor, length);
		else
			vm->name[used] = '?';
		used += taken;
		cursor += taken;
	}
	vm->name[used] = '\0';
}

uint32_t sample_socket_of(size_t index, size_t vcpu_count, uint32_t socket_count)
{
	assert(index < vcpu_count);
	assert(socket_count > 0);
	return (uint32_t)(index * socket_count / vcpu_count);
}
