#include "common/powercap_tree.h"
#include "common/cleanup.h"
#include "common/file.h"
#include "common/parse.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define POWERCAP_CLASS	   "class/powercap"
#define POWERCAP_DEVICES   "devices/virtual/powercap"
#define POWERCAP_ENTRY_MAX 256 /* zones of both control types with core and uncore */

/* Of packages and dies: more than any machine has, and every id fits in ZONE_ID_SIZE. */
#define POWERCAP_NUMBER_MAX 999999

/* A zone's directory, before it is known what zone it is. */
struct powercap_entry {
	struct powercap_place place;
	char path[POWERCAP_PATH_SIZE];
	struct powercap_label label;
	bool labelled;
};

struct powercap_entries {
	size_t count;
	struct powercap_entry entries[POWERCAP_ENTRY_MAX];
};

/* The number that ends at `end`, by the given parser. */
static int powercap_parse_part(const char *text, const char *end,
			       int (*parse)(const char *, uint32_t *), uint32_t *ret_value)
{
	char part[16];
	size_t length = (size_t)(end - text);

	if (length >= sizeof(part))
		return -ERANGE;
	memcpy(part, text, length);
	part[length] = '\0';
	return parse(part, ret_value);
}

int powercap_parse_place(const char *file_name, struct powercap_place *ret_place)
{
	static const char msr[] = "intel-rapl:", mmio[] = "intel-rapl-mmio:";
	struct powercap_place place = {.mmio = false};
	const char *cursor = file_name;

	if (strncmp(cursor, msr, sizeof(msr) - 1) == 0) {
		cursor += sizeof(msr) - 1;
	} else if (strncmp(cursor, mmio, sizeof(mmio) - 1) == 0) {
		cursor += sizeof(mmio) - 1;
		place.mmio = true;
	} else {
		return -EINVAL;
	}
	for (;;) {
		const char *end = strchrnul(cursor, ':');
		int status;

		if (place.depth == 2)
			return -EINVAL;
		status =
		    powercap_parse_part(cursor, end, parse_hex_u32, &place.index[place.depth++]);
		if (status < 0)
			return status;
		if (*end == '\0')
			break;
		cursor = end + 1;
	}
	*ret_place = place;
	return 0;
}

static int powercap_parse_package(const char *numbers, struct powercap_label *ret_label)
{
	static const char die_mark[] = "-die-";
	const char *end = strchrnul(numbers, '-');
	int status = powercap_parse_part(numbers, end, parse_u32, &ret_label->package);

	if (status == 0 && ret_label->package > POWERCAP_NUMBER_MAX)
		return -ERANGE;
	if (status < 0 || *end == '\0')
		return status;
	if (strncmp(end, die_mark, sizeof(die_mark) - 1) != 0)
		return -EINVAL;
	status = parse_u32(end + sizeof(die_mark) - 1, &ret_label->die);
	if (status == 0 && ret_label->die > POWERCAP_NUMBER_MAX)
		return -ERANGE;
	return status;
}

int powercap_parse_label(const char *name, struct powercap_label *ret_label)
{
	static const char package[] = "package-", psys[] = "psys-";
	struct powercap_label label = {.kind = ZONE_PACKAGE, .die = ZONE_ANY_DIE};
	uint32_t ignored;
	int status;

	if (strncmp(name, package, sizeof(package) - 1) == 0) {
		label.has_package = true;
		status = powercap_parse_package(name + sizeof(package) - 1, &label);
	} else if (strncmp(name, psys, sizeof(psys) - 1) == 0) {
		/* rapl_init_domains(): the platform domain of any but the first package. */
		label.kind = ZONE_PSYS;
		status = parse_u32(name + sizeof(psys) - 1, &ignored);
	} else if (strcmp(name, "package") == 0) {
		status = -EINVAL;
	} else {
		status = zone_kind_parse(name, &label.kind);
	}
	if (status == 0)
		*ret_label = label;
	return status;
}

int powercap_parse_energy(const char *text, uint64_t *ret_raw_uj)
{
	uint64_t raw_uj;
	int status = *text == '\0' ? -ENODATA : parse_u64_line(text, &raw_uj);

	if (status < 0)
		return status;
	if (raw_uj > POWERCAP_RAW_UJ_MAX)
		return -ERANGE;
	*ret_raw_uj = raw_uj;
	return 0;
}

static void powercap_close_directory(DIR *const *directory)
{
	if (*directory != NULL)
		(void)closedir(*directory);
}

/* Adds the zones of one depth (0: of any) that the directory lists. */
static int powercap_list(int sys_fd, const char *path, uint32_t depth,
			 struct powercap_entries *entries, struct diag *notes)
{
	__attribute__((cleanup(powercap_close_directory))) DIR *directory = NULL;
	cleanup_fd int fd = openat(sys_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const struct dirent *file;

	if (fd < 0)
		return -errno;
	directory = fdopendir(fd);
	if (directory == NULL)
		return -errno;
	(void)TAKE_FD(fd);
	/* The stream is this function's own. NOLINTNEXTLINE(concurrency-mt-unsafe) */
	while ((file = readdir(directory)) != NULL) {
		struct powercap_entry entry = {.labelled = false};
		int length;

		if (powercap_parse_place(file->d_name, &entry.place) < 0 ||
		    (depth != 0 && entry.place.depth != depth))
			continue;
		length = snprintf(entry.path, sizeof(entry.path), "%s/%s", path, file->d_name);
		if (entries->count == POWERCAP_ENTRY_MAX || (size_t)length >= sizeof(entry.path)) {
			diag_append(notes, "%s is one zone too many, left out", file->d_name);
			continue;
		}
		entries->entries[entries->count++] = entry;
	}
	return 0;
}

/* The nested form, for trees without the class. */
static int powercap_list_devices(int sys_fd, struct powercap_entries *entries, struct diag *notes)
{
	static const char *const controls[] = {"intel-rapl", "intel-rapl-mmio"};
	int found = -ENOENT;

	for (size_t i = 0; i < sizeof(controls) / sizeof(controls[0]); i++) {
		char path[POWERCAP_PATH_SIZE];
		size_t first = entries->count, end;
		int status;

		(void)snprintf(path, sizeof(path), "%s/%s", POWERCAP_DEVICES, controls[i]);
		status = powercap_list(sys_fd, path, 1, entries, notes);
		if (status == 0)
			found = 0;
		else if (status != -ENOENT)
			return status;
		end = entries->count;
		for (size_t k = first; k < end; k++) {
			/* A zone that goes while we look is no failure of the others. */
			memcpy(path, entries->entries[k].path, sizeof(path));
			(void)powercap_list(sys_fd, path, 2, entries, notes);
		}
	}
	return found;
}

static int powercap_entry_compare(const void *left, const void *right)
{
	const struct powercap_place *a = &((const struct powercap_entry *)left)->place;
	const struct powercap_place *b = &((const struct powercap_entry *)right)->place;

	if (a->mmio != b->mmio)
		return a->mmio ? 1 : -1;
	if (a->index[0] != b->index[0])
		return a->index[0] < b->index[0] ? -1 : 1;
	if (a->depth != b->depth)
		return a->depth < b->depth ? -1 : 1;
	if (a->index[1] != b->index[1])
		return a->index[1] < b->index[1] ? -1 : 1;
	return 0;
}

/* Reads the names and gives the parts of a package its number. Parents come before their parts. */
static void powercap_label_entries(int sys_fd, struct powercap_entries *entries, struct diag *notes)
{
	const struct powercap_entry *parent = NULL;

	for (size_t i = 0; i < entries->count; i++) {
		struct powercap_entry *entry = &entries->entries[i];
		char path[POWERCAP_PATH_SIZE + 16], name[POWERCAP_LINE_SIZE];
		int status;

		if (entry->place.depth == 1)
			parent = entry;
		(void)snprintf(path, sizeof(path), "%s/name", entry->path);
		status = file_read_line_at(sys_fd, path, name, sizeof(name));
		if (status < 0) {
			diag_append(notes, "%s cannot be read: %s", path, strerror(-status));
			continue;
		}
		if (powercap_parse_label(name, &entry->label) < 0) {
			diag_append(notes, "%s names an unknown zone, left out", path);
			continue;
		}
		if (entry->label.has_package || entry->label.kind == ZONE_PSYS) {
			entry->labelled = true;
			continue;
		}
		if (entry->place.depth != 2 || parent == NULL ||
		    parent->place.mmio != entry->place.mmio ||
		    parent->place.index[0] != entry->place.index[0] || !parent->labelled ||
		    !parent->label.has_package) {
			diag_append(notes, "%s is of no known package, left out", path);
			continue;
		}
		entry->label.package = parent->label.package;
		entry->label.die = parent->label.die;
		entry->labelled = true;
	}
}

static void powercap_make_zone(int sys_fd, const struct powercap_entry *entry, struct zone *zone)
{
	char path[POWERCAP_PATH_SIZE + 32], text[POWERCAP_LINE_SIZE];
	const char *kind = zone_kind_name(entry->label.kind);
	uint64_t range_uj;

	*zone = (struct zone){
	    .kind = entry->label.kind,
	    .package = entry->label.package,
	    .die = entry->label.die,
	    .range_uj = POWERCAP_RAW_UJ_MAX,
	};
	if (zone->kind == ZONE_PSYS)
		(void)snprintf(zone->id, sizeof(zone->id), "%s", kind);
	else if (zone->die == ZONE_ANY_DIE)
		(void)snprintf(zone->id, sizeof(zone->id), "%s-%" PRIu32, kind, zone->package);
	else
		(void)snprintf(zone->id, sizeof(zone->id), "%s-%" PRIu32 "-die-%" PRIu32, kind,
			       zone->package, zone->die);
	(void)snprintf(path, sizeof(path), "%s/max_energy_range_uj", entry->path);
	/*
	 * Some old machines say 0 here (powercap issue 3). Without its range a wrap cannot be told
	 * from a step back, so it books nothing: better than a guess.
	 */
	if (file_read_line_at(sys_fd, path, text, sizeof(text)) == 0 &&
	    powercap_parse_energy(text, &range_uj) == 0 && range_uj > 0)
		zone->range_uj = range_uj;
}

/* Whether `a` is listed before `b`: by package and die, psys last. */
static bool powercap_zone_before(const struct zone *a, const struct zone *b)
{
	if ((a->kind == ZONE_PSYS) != (b->kind == ZONE_PSYS))
		return b->kind == ZONE_PSYS;
	if (a->package != b->package)
		return a->package < b->package;
	if (a->die != b->die)
		return a->die < b->die;
	return a->kind < b->kind;
}

static void powercap_tree_insert(struct powercap_tree *tree, const struct zone *zone,
				 const struct powercap_entry *entry)
{
	size_t place = tree->zone_count++;

	for (; place > 0 && powercap_zone_before(zone, &tree->zones[place - 1]); place--) {
		tree->zones[place] = tree->zones[place - 1];
		memcpy(tree->paths[place], tree->paths[place - 1], sizeof(tree->paths[place]));
		tree->mmio[place] = tree->mmio[place - 1];
	}
	tree->zones[place] = *zone;
	memcpy(tree->paths[place], entry->path, sizeof(tree->paths[place]));
	tree->mmio[place] = entry->place.mmio;
}

static bool powercap_is_part(const struct powercap_entry *entry)
{
	return entry->label.kind == ZONE_CORE || entry->label.kind == ZONE_UNCORE;
}

/* Adds the zones that are parts of a package, or all others. */
static void powercap_add_zones(int sys_fd, const struct powercap_entries *entries, bool parts,
			       struct powercap_tree *tree, struct diag *notes)
{
	for (size_t i = 0; i < entries->count; i++) {
		const struct powercap_entry *entry = &entries->entries[i];
		struct zone zone;

		if (!entry->labelled || powercap_is_part(entry) != parts)
			continue;
		powercap_make_zone(sys_fd, entry, &zone);
		if (zone_find(tree->zones, tree->zone_count, zone.id) >= 0) {
			if (!entry->place.mmio)
				diag_append(notes, "%s is %s once more, left out", entry->path,
					    zone.id);
			continue;
		}
		if (tree->zone_count == ZONE_MAX) {
			diag_append(notes, "%s is one zone too many, left out", entry->path);
			continue;
		}
		powercap_tree_insert(tree, &zone, entry);
	}
}

int powercap_tree_scan(int sys_fd, bool parts, struct powercap_tree *ret_tree, struct diag *notes)
{
	cleanup_free struct powercap_entries *entries = calloc(1, sizeof(*entries));
	int status;

	if (entries == NULL)
		return -ENOMEM;
	status = powercap_list(sys_fd, POWERCAP_CLASS, 0, entries, notes);
	if (status < 0 && status != -ENOENT)
		return status;
	if (entries->count == 0)
		status = powercap_list_devices(sys_fd, entries, notes);
	if (status < 0)
		return status;
	qsort(entries->entries, entries->count, sizeof(entries->entries[0]),
	      powercap_entry_compare);
	powercap_label_entries(sys_fd, entries, notes);
	ret_tree->zone_count = 0;
	powercap_add_zones(sys_fd, entries, false, ret_tree, notes);
	/* Only then the parts: where there is no room for all zones, no package may go for a core.
	 */
	if (parts)
		powercap_add_zones(sys_fd, entries, true, ret_tree, notes);
	return 0;
}
