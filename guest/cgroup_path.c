/*
 * The rule: each component of the path is held against what managers write, from the root on. Where
 * each form comes from stands beside its row; tests/unit/test_cgroup_path.c has whole paths.
 */
#include "guest/cgroup_path.h"
#include "common/utf8.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define CGROUP_ID_LENGTH 64 /* of OCI engines: SHA-256 in hexadecimal */

/* What was seen of the path so far. */
struct cgroup_walk {
	struct cgroup_identity *identity;
	const char *parent; /* the component before, or "" */
	const char *name;   /* this one, escapes undone */
	bool in_unit;	    /* a unit was seen */
	bool in_pod;	    /* Kubernetes' */
	bool in_slurm;	    /* slurmd's own directory was seen */
	bool in_job;
};

/* A scope of an engine's: PREFIX ID .scope, or a directory of that form without the suffix. */
static const struct cgroup_engine {
	const char *prefix;
	const char *engine;
} cgroup_engines[] = {
    {"docker-", "docker"},	       /* moby: daemon/oci_linux.go, systemd driver */
    {"libpod-", "podman"},	       /* podman: libpod/container_internal_linux.go */
    {"cri-containerd-", "containerd"}, /* containerd: internal/cri, systemd driver */
    {"crio-", "crio"},		       /* cri-o: internal/config/cgmgr */
    {"nerdctl-", "containerd"},	       /* nerdctl: pkg/cmd/container */
    {"buildkit-", "buildkit"},
};

static bool cgroup_has_suffix(const char *text, const char *suffix)
{
	size_t length = strlen(text), suffix_length = strlen(suffix);

	return length > suffix_length && strcmp(text + length - suffix_length, suffix) == 0;
}

/* Behind the prefix, or NULL. */
static const char *cgroup_behind(const char *text, const char *prefix)
{
	size_t length = strlen(prefix);

	return strncmp(text, prefix, length) == 0 ? text + length : NULL;
}

static bool cgroup_is_id(const char *text, size_t length)
{
	return length == CGROUP_ID_LENGTH && strspn(text, "0123456789abcdef") >= length;
}

/* All decimal, and at least one. */
static bool cgroup_is_number(const char *text, size_t length)
{
	return length > 0 && strspn(text, "0123456789") >= length;
}

/* The first `length` bytes, as far as they fit and are UTF-8. */
static void cgroup_copy(char *ret_text, size_t size, const char *text, size_t length)
{
	char part[CGROUP_PATH_SIZE];

	(void)snprintf(part, sizeof(part), "%.*s", (int)length, text);
	utf8_copy(ret_text, size, part);
}

static void cgroup_set_container(struct cgroup_walk *walk, const char *name, size_t length,
				 const char *engine)
{
	struct cgroup_identity *identity = walk->identity;

	cgroup_copy(identity->container, sizeof(identity->container), name, length);
	(void)snprintf(identity->engine, sizeof(identity->engine), "%s", engine);
}

static void cgroup_set_job(struct cgroup_walk *walk, const char *number, size_t length,
			   const char *scheduler)
{
	struct cgroup_identity *identity = walk->identity;

	cgroup_copy(identity->job, sizeof(identity->job), number, length);
	(void)snprintf(identity->scheduler, sizeof(identity->scheduler), "%s", scheduler);
	walk->in_job = true;
}

/* A unit within another, or within a container, is told with what it lies in. */
static void cgroup_add_unit(struct cgroup_walk *walk, const char *first, const char *second)
{
	struct cgroup_identity *identity = walk->identity;
	char joined[2 * CGROUP_PATH_SIZE + ACCOUNT_NAME_SIZE];

	(void)snprintf(joined, sizeof(joined), "%s%s%s%s%s", identity->unit,
		       identity->unit[0] != '\0' ? "/" : "", first, second[0] != '\0' ? "/" : "",
		       second);
	utf8_copy(identity->unit, sizeof(identity->unit), joined);
	walk->in_unit = true;
}

/* docker-ID.scope and its like; libpod-conmon-ID.scope has no id behind the prefix. */
static bool cgroup_take_engine(struct cgroup_walk *walk)
{
	for (size_t i = 0; i < sizeof(cgroup_engines) / sizeof(cgroup_engines[0]); i++) {
		const char *id = cgroup_behind(walk->name, cgroup_engines[i].prefix);
		size_t length;

		if (id == NULL)
			continue;
		length = strcspn(id, ".");
		if (!cgroup_is_id(id, length) ||
		    (id[length] != '\0' && strcmp(id + length, ".scope") != 0))
			continue;
		cgroup_set_container(walk, id, length, cgroup_engines[i].engine);
		cgroup_add_unit(walk, walk->name, "");
		return true;
	}
	return false;
}

/* machine-NAME.scope and systemd-nspawn@NAME.service; libvirt's are machine-qemu-N-NAME.scope. */
static bool cgroup_take_machine(struct cgroup_walk *walk)
{
	const char *name = cgroup_behind(walk->name, "machine-");
	const char *suffix = ".scope";
	const char *engine = "nspawn";

	if (name == NULL) {
		name = cgroup_behind(walk->name, "systemd-nspawn@");
		suffix = ".service";
	}
	if (name == NULL || !cgroup_has_suffix(name, suffix) ||
	    cgroup_behind(name, "qemu-") != NULL)
		return false;
	if (cgroup_behind(name, "lxc-") != NULL)
		engine = "libvirt-lxc";
	cgroup_set_container(walk, name, strlen(name) - strlen(suffix), engine);
	cgroup_add_unit(walk, walk->name, "");
	return true;
}

/* A directory that an engine makes without systemd: /docker/ID, /kubepods/podUID/ID, /ecs/TASK/ID,
 * /lxc/NAME, /lxc.payload.NAME, /lxc.payload/NAME. */
static bool cgroup_take_directory(struct cgroup_walk *walk)
{
	const char *payload = cgroup_behind(walk->name, "lxc.payload.");
	const char *engine = NULL;

	if (payload != NULL && payload[0] != '\0') {
		cgroup_set_container(walk, payload, strlen(payload), "lxc");
		cgroup_add_unit(walk, walk->name, "");
		return true;
	}
	if (!walk->in_unit &&
	    (strcmp(walk->parent, "lxc") == 0 || strcmp(walk->parent, "lxc.payload") == 0))
		engine = "lxc";
	else if (!cgroup_is_id(walk->name, strlen(walk->name)))
		return false;
	else if (strcmp(walk->parent, "docker") == 0)
		engine = "docker";
	else
		engine = walk->in_pod ? "cri" : "oci";
	cgroup_set_container(walk, walk->name, strlen(walk->name), engine);
	cgroup_add_unit(walk, walk->parent, walk->name);
	return true;
}

/* kubepods-burstable-podUID.slice, with '_' for '-', and /kubepods/burstable/podUID; the kubelet's
 * pkg/kubelet/cm/cgroup_manager_linux.go. Podman's are machine-libpod_pod_ID.slice. */
static bool cgroup_take_pod(struct cgroup_walk *walk)
{
	struct cgroup_identity *identity = walk->identity;
	const char *podman = cgroup_behind(walk->name, "machine-libpod_pod_");
	const char *uid = strstr(walk->name, "-pod");
	size_t length;

	if (podman != NULL && cgroup_has_suffix(podman, ".slice")) {
		cgroup_copy(identity->pod, sizeof(identity->pod), podman,
			    strlen(podman) - strlen(".slice"));
		return false; /* a slice, too */
	}
	if (uid != NULL && strstr(walk->name, "kubepods") != NULL &&
	    cgroup_has_suffix(walk->name, ".slice")) {
		uid += strlen("-pod");
		length = strlen(uid) - strlen(".slice");
	} else if (walk->in_pod && cgroup_behind(walk->name, "pod") != NULL && !walk->in_unit) {
		uid = walk->name + strlen("pod");
		length = strlen(uid);
	} else {
		return false;
	}
	if (length == 0 || strspn(uid, "0123456789abcdefghijklmnopqrstuvwxyz_-") < length)
		return false;
	cgroup_copy(identity->pod, sizeof(identity->pod), uid, length);
	for (char *c = identity->pod; *c != '\0'; c++)
		if (*c == '_')
			*c = '-';
	return false;
}

/* oar-u1000-j42.slice (OAR 3), /oar/USER_42 (OAR 2). */
static bool cgroup_take_oar(struct cgroup_walk *walk)
{
	const char *user = cgroup_behind(walk->name, "oar-u");
	const char *job = user != NULL ? strstr(user, "-j") : NULL;

	if (job != NULL && cgroup_is_number(job + 2, strspn(job + 2, "0123456789"))) {
		size_t length = strspn(job + 2, "0123456789");

		if (job[2 + length] != '.' && job[2 + length] != '\0')
			return false;
		cgroup_set_job(walk, job + 2, length, "oar");
		cgroup_add_unit(walk, walk->name, "");
		return true;
	}
	job = strrchr(walk->name, '_');
	if (strcmp(walk->parent, "oar") != 0 || job == NULL ||
	    !cgroup_is_number(job + 1, strlen(job + 1)))
		return false;
	cgroup_set_job(walk, job + 1, strlen(job + 1), "oar");
	cgroup_add_unit(walk, walk->parent, walk->name);
	return true;
}

/* slurm/uid_N/job_M/step_S (cgroup/v1) and slurmstepd.scope/job_M/step_S (cgroup/v2): SLURM's
 * src/plugins/cgroup. */
static bool cgroup_take_slurm(struct cgroup_walk *walk)
{
	const char *job = cgroup_behind(walk->name, "job_");

	if (strcmp(walk->name, "slurm") == 0 || cgroup_behind(walk->name, "slurm_") != NULL ||
	    strcmp(walk->name, "slurmstepd.scope") == 0 ||
	    cgroup_has_suffix(walk->name, "_slurmstepd.scope"))
		walk->in_slurm = true;
	if (!walk->in_slurm)
		return false;
	if (job != NULL && cgroup_is_number(job, strlen(job))) {
		cgroup_set_job(walk, job, strlen(job), "slurm");
		cgroup_add_unit(walk, walk->identity->unit[0] == '\0' ? "slurm" : walk->name,
				walk->identity->unit[0] == '\0' ? walk->name : "");
		return true;
	}
	if (walk->in_job && cgroup_behind(walk->name, "step_") != NULL) {
		cgroup_add_unit(walk, walk->name, "");
		return true;
	}
	return false;
}

static bool cgroup_take_systemd(struct cgroup_walk *walk)
{
	static const char *const suffixes[] = {".service", ".scope", ".socket", ".mount", ".swap"};
	struct cgroup_identity *identity = walk->identity;

	if (cgroup_has_suffix(walk->name, ".slice")) {
		if (!walk->in_unit && identity->slice_count < CGROUP_SLICE_MAX) {
			utf8_copy(identity->slices[identity->slice_count],
				  sizeof(identity->slices[0]), walk->name);
			identity->slice_count++;
		}
		return true;
	}
	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
		if (cgroup_has_suffix(walk->name, suffixes[i])) {
			cgroup_add_unit(walk, walk->name, "");
			return true;
		}
	}
	return false;
}

static int cgroup_hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* systemd's unit_name_escape() writes what it cannot have in a name as \xNN; what would not be
 * text stays as it is. */
static void cgroup_unescape(char *text)
{
	char *to = text;

	for (const char *from = text; *from != '\0';) {
		int high = from[0] == '\\' && from[1] == 'x' ? cgroup_hex_digit(from[2]) : -1;
		int low = high >= 0 ? cgroup_hex_digit(from[3]) : -1;
		int value = high * 16 + low;

		if (low >= 0 && value >= ' ' && value <= '~' && value != '/') {
			*to++ = (char)value;
			from += 4;
		} else {
			*to++ = *from++;
		}
	}
	*to = '\0';
}

static void cgroup_take(struct cgroup_walk *walk)
{
	if (strcmp(walk->name, "kubepods") == 0 || strcmp(walk->name, "kubepods.slice") == 0 ||
	    cgroup_has_suffix(walk->name, "-kubepods.slice"))
		walk->in_pod = true;
	(void)cgroup_take_pod(walk);
	if (cgroup_take_engine(walk) || cgroup_take_machine(walk) || cgroup_take_oar(walk) ||
	    cgroup_take_slurm(walk))
		return;
	if (!cgroup_take_systemd(walk))
		(void)cgroup_take_directory(walk);
}

void cgroup_path_identify(const char *path, struct cgroup_identity *ret_identity)
{
	char copy[CGROUP_PATH_SIZE];
	char *cursor = copy, *component;
	struct cgroup_walk walk = {.identity = ret_identity, .parent = ""};

	*ret_identity = (struct cgroup_identity){.slice_count = 0};
	(void)snprintf(copy, sizeof(copy), "%s", path);
	while ((component = strsep(&cursor, "/")) != NULL) {
		if (component[0] == '\0')
			continue;
		cgroup_unescape(component);
		walk.name = component;
		cgroup_take(&walk);
		walk.parent = component;
	}
	if (ret_identity->unit[0] != '\0')
		return;
	if (walk.parent[0] == '\0')
		utf8_copy(ret_identity->unit, sizeof(ret_identity->unit), CGROUP_ROOT_UNIT);
	else if (cgroup_has_suffix(walk.parent, ".slice"))
		/* What units used that came and went within a moment is seen in their slice. */
		utf8_copy(ret_identity->unit, sizeof(ret_identity->unit), walk.parent);
	else
		utf8_copy(ret_identity->unit, sizeof(ret_identity->unit), path);
}
