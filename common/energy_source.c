#include "common/energy_source.h"
#include "common/energy_source_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* In the order in which `auto` tries them: what measures comes before what computes. */
static const struct energy_source_ops *const energy_sources[] = {
    &energy_source_powercap,
    &energy_source_model,
    &energy_source_replay,
};

#define ENERGY_SOURCE_COUNT (sizeof(energy_sources) / sizeof(energy_sources[0]))

const struct energy_source_ops *energy_source_list(size_t index)
{
	return index < ENERGY_SOURCE_COUNT ? energy_sources[index] : NULL;
}

static int energy_source_open_one(const struct energy_source_ops *ops,
				  const struct energy_source_context *context,
				  struct energy_source **ret_source, struct diag *diag)
{
	struct energy_source *source = NULL;
	int status = ops->open(context, &source, diag);

	if (status < 0) {
		diag_prefix(diag, "%s", ops->name);
		return status;
	}
	assert(source->ops == ops);
	assert(source->zone_count > 0);
	assert(source->zone_count <= ZONE_MAX);
	*ret_source = source;
	return 0;
}

static int energy_source_open_auto(const struct energy_source_context *context,
				   struct energy_source **ret_source, struct diag *diag)
{
	struct diag reasons = DIAG_INIT;
	int status = -ENODEV;

	for (size_t i = 0; i < ENERGY_SOURCE_COUNT; i++) {
		struct diag reason = DIAG_INIT;

		if (!energy_sources[i]->automatic)
			continue;
		status = energy_source_open_one(energy_sources[i], context, ret_source, &reason);
		if (status == 0)
			break;
		diag_append(&reasons, "%s", reason.text);
	}
	if (diag != NULL)
		*diag = reasons;
	return status;
}

int energy_source_open(const char *name, const struct energy_source_context *context,
		       struct energy_source **ret_source, struct diag *diag)
{
	char names[DIAG_SIZE_MAX / 2] = "auto";
	size_t used = strlen(names);

	if (strcmp(name, "auto") == 0)
		return energy_source_open_auto(context, ret_source, diag);
	for (size_t i = 0; i < ENERGY_SOURCE_COUNT; i++) {
		if (strcmp(name, energy_sources[i]->name) == 0)
			return energy_source_open_one(energy_sources[i], context, ret_source, diag);
		used += (size_t)snprintf(names + used, sizeof(names) - used, ", %s",
					 energy_sources[i]->name);
		assert(used < sizeof(names));
	}
	return diag_error(diag, -EINVAL, "no energy source is named \"%s\"; there are %s", name,
			  names);
}

void energy_source_close(struct energy_source *source)
{
	if (source != NULL)
		source->ops->close(source);
}

int energy_source_read(struct energy_source *source, struct sample *sample)
{
	sample->zone_count = source->zone_count;
	return source->ops->read(source, sample);
}
