#include <stdio.h>
#include <stdlib.h>

#include "tests/raplsim/cleanup.h"
#include "tests/raplsim/cpu_list.h"
#include "tests/raplsim/tree_internal.h"

/* The kernel's list of those CPUs that are in cpu's package, or in all packages for NULL. */
static void add_list(struct tree *tree, size_t parent, const char *name,
		     const struct host_cpu *package_of)
{
	const struct host *host = tree->host;
	cleanup_free unsigned int *ids = calloc(host->cpu_count, sizeof(*ids));
	char text[TREE_TEXT_SIZE];
	size_t count = 0;
	int length;

	if (!ids) {
		tree->failed = true;
		return;
	}
	for (size_t i = 0; i < host->cpu_count; i++) {
		if (!package_of || host->cpus[i].package == package_of->package)
			ids[count++] = host->cpus[i].id;
	}
	length = cpu_list_format(ids, count, text, sizeof(text) - 1);
	if (length < 0) {
		tree->failed = true;
		return;
	}
	text[length] = '\n';
	text[length + 1] = '\0';
	tree_add_text(tree, parent, name, 0444, text);
}

static void lay_cpu(struct tree *tree, size_t cpus, const struct host_cpu *cpu)
{
	char name[TREE_NAME_SIZE];
	size_t dir;

	(void)snprintf(name, sizeof(name), "cpu%u", cpu->id);
	dir = tree_add(tree, cpus, TREE_DIR, name);
	dir = tree_add(tree, dir, TREE_DIR, "topology");
	tree_add_number(tree, dir, "core_id", cpu->core);
	tree_add_number(tree, dir, "die_id", cpu->die);
	tree_add_number(tree, dir, "physical_package_id", cpu->package);
	/* Every CPU is a core of its own: a second thread would cost less power than the first, and
	 * the model promises the same for each. */
	tree_add_number(tree, dir, "thread_siblings_list", cpu->id);
	tree_add_number(tree, dir, "core_cpus_list", cpu->id);
	add_list(tree, dir, "package_cpus_list", cpu);
	add_list(tree, dir, "core_siblings_list", cpu);
}

void tree_lay_cpus(struct tree *tree, size_t devices, const char *possible, const char *present)
{
	size_t cpus = tree_add(tree, devices, TREE_DIR, "system");

	cpus = tree_add(tree, cpus, TREE_DIR, "cpu");
	add_list(tree, cpus, "online", NULL);
	if (possible)
		tree_add_text(tree, cpus, "possible", 0444, possible);
	else
		add_list(tree, cpus, "possible", NULL);
	if (present)
		tree_add_text(tree, cpus, "present", 0444, present);
	else
		add_list(tree, cpus, "present", NULL);
	for (size_t i = 0; i < tree->host->cpu_count && !tree->failed; i++)
		lay_cpu(tree, cpus, &tree->host->cpus[i]);
}
