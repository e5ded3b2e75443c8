/* cgroup_path.h: paths as managers write them, each with where it was seen. */
#include "guest/cgroup_path.h"
#include "tests/unit/check.h"

#include <stdio.h>
#include <string.h>

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const struct path_case {
	const char *path;
	const char *unit;
	const char *slices; /* joined by a space */
	const char *container, *engine;
	const char *pod;
	const char *job, *scheduler;
} cases[] = {
    {.path = "/", .unit = CGROUP_ROOT_UNIT},
    {.path = "", .unit = CGROUP_ROOT_UNIT},
    /* systemd-cgls of Debian 12 */
    {.path = "/init.scope", .unit = "init.scope"},
    {.path = "/system.slice/nginx.service", .unit = "nginx.service", .slices = "system.slice"},
    {.path = "/system.slice/systemd-udevd.service/udev",
     .unit = "systemd-udevd.service",
     .slices = "system.slice"},
    {.path = "/system.slice/system-getty.slice/getty@tty1.service",
     .unit = "getty@tty1.service",
     .slices = "system.slice system-getty.slice"},
    {.path = "/system.slice/dev-disk-by\\x2duuid-1\\x2d2.swap",
     .unit = "dev-disk-by-uuid-1-2.swap",
     .slices = "system.slice"},
    {.path = "/user.slice/user-1000.slice/session-3.scope",
     .unit = "session-3.scope",
     .slices = "user.slice user-1000.slice"},
    {.path = "/user.slice/user-1000.slice/user@1000.service/app.slice/app-gnome\\x2dterm.service",
     .unit = "user@1000.service/app-gnome-term.service",
     .slices = "user.slice user-1000.slice"},
    {.path = "/system.slice", .unit = "system.slice", .slices = "system.slice"},
    /* No text comes out of an escape that is none. */
    {.path = "/system.slice/a\\x0ab\\x2f\\xzz.service",
     .unit = "a\\x0ab\\x2f\\xzz.service",
     .slices = "system.slice"},
    /* made by hand, or by whoever knows none of these */
    {.path = "/process_api/408a8a23", .unit = "/process_api/408a8a23"},
    /* docker run with each cgroup driver; rootless */
    {.path = "/system.slice/docker-" ID ".scope",
     .unit = "docker-" ID ".scope",
     .slices = "system.slice",
     .container = ID,
     .engine = "docker"},
    {.path = "/docker/" ID, .unit = "docker/" ID, .container = ID, .engine = "docker"},
    {.path = "/docker/" ID "/init", .unit = "docker/" ID, .container = ID, .engine = "docker"},
    {.path = "/user.slice/user-1000.slice/user@1000.service/user.slice/docker-" ID ".scope",
     .unit = "user@1000.service/docker-" ID ".scope",
     .slices = "user.slice user-1000.slice",
     .container = ID,
     .engine = "docker"},
    {.path = "/system.slice/docker.service", .unit = "docker.service", .slices = "system.slice"},
    {.path = "/system.slice/docker-short.scope",
     .unit = "docker-short.scope",
     .slices = "system.slice"},
    /* podman(1), as root and rootless, both managers; its monitor is no container */
    {.path = "/machine.slice/libpod-" ID ".scope/container",
     .unit = "libpod-" ID ".scope",
     .slices = "machine.slice",
     .container = ID,
     .engine = "podman"},
    {.path = "/libpod_parent/libpod-" ID,
     .unit = "libpod-" ID,
     .container = ID,
     .engine = "podman"},
    {.path = "/machine.slice/libpod-conmon-" ID ".scope",
     .unit = "libpod-conmon-" ID ".scope",
     .slices = "machine.slice"},
    {.path = "/machine.slice/machine-libpod_pod_" ID ".slice/libpod-" ID ".scope",
     .unit = "libpod-" ID ".scope",
     .slices = "machine.slice machine-libpod_pod_" ID ".slice",
     .container = ID,
     .engine = "podman",
     .pod = ID},
    /* Kubernetes: the kubelet with the systemd driver, with cgroupfs, in kind */
    {.path = "/kubepods.slice/kubepods-burstable.slice/"
	     "kubepods-burstable-pod1b2c_3d.slice/cri-containerd-" ID ".scope",
     .unit = "cri-containerd-" ID ".scope",
     .slices = "kubepods.slice kubepods-burstable.slice kubepods-burstable-pod1b2c_3d.slice",
     .container = ID,
     .engine = "containerd",
     .pod = "1b2c-3d"},
    {.path = "/kubepods.slice/kubepods-pod1b2c.slice/crio-" ID ".scope",
     .unit = "crio-" ID ".scope",
     .slices = "kubepods.slice kubepods-pod1b2c.slice",
     .container = ID,
     .engine = "crio",
     .pod = "1b2c"},
    {.path = "/kubepods/besteffort/pod1b2c-3d/" ID,
     .unit = "pod1b2c-3d/" ID,
     .container = ID,
     .engine = "cri",
     .pod = "1b2c-3d"},
    {.path = "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod1b2c.slice/"
	     "cri-containerd-" ID ".scope",
     .unit = "cri-containerd-" ID ".scope",
     .slices = "kubelet.slice kubelet-kubepods.slice kubelet-kubepods-pod1b2c.slice",
     .container = ID,
     .engine = "containerd",
     .pod = "1b2c"},
    /* LXC 2, 4 and 5, Proxmox; its monitor is no container */
    {.path = "/lxc/101/ns", .unit = "lxc/101", .container = "101", .engine = "lxc"},
    {.path = "/lxc.payload.web/system.slice/nginx.service",
     .unit = "lxc.payload.web/nginx.service",
     .container = "web",
     .engine = "lxc"},
    {.path = "/lxc.payload/web", .unit = "lxc.payload/web", .container = "web", .engine = "lxc"},
    {.path = "/lxc.monitor.web", .unit = "/lxc.monitor.web"},
    /* machinectl(1): systemd-nspawn, libvirt's virtual machines and containers */
    {.path = "/machine.slice/machine-my\\x2dbox.scope/payload/init.scope",
     .unit = "machine-my-box.scope/init.scope",
     .slices = "machine.slice",
     .container = "my-box",
     .engine = "nspawn"},
    {.path = "/machine.slice/systemd-nspawn@web.service/payload",
     .unit = "systemd-nspawn@web.service",
     .slices = "machine.slice",
     .container = "web",
     .engine = "nspawn"},
    {.path = "/machine.slice/machine-qemu\\x2d1\\x2dvm.scope/libvirt/emulator",
     .unit = "machine-qemu-1-vm.scope",
     .slices = "machine.slice"},
    /* SLURM 20 (cgroup/v1) and 22.05 (cgroup/v2, also with several slurmd on one node) */
    {.path = "/slurm/uid_1000/job_42/step_0/task_0",
     .unit = "slurm/job_42/step_0",
     .job = "42",
     .scheduler = "slurm"},
    {.path = "/system.slice/slurmstepd.scope/job_42/step_batch/user/task_0",
     .unit = "slurmstepd.scope/job_42/step_batch",
     .slices = "system.slice",
     .job = "42",
     .scheduler = "slurm"},
    {.path = "/system.slice/node1_slurmstepd.scope/system",
     .unit = "node1_slurmstepd.scope",
     .slices = "system.slice"},
    /* OAR 2.5's job_resource_manager and OAR 3's */
    {.path = "/oar/alice_b_4711", .unit = "oar/alice_b_4711", .job = "4711", .scheduler = "oar"},
    {.path = "/oar.slice/oar-u1000.slice/oar-u1000-j4711.slice/oar-u1000-j4711-n2.scope",
     .unit = "oar-u1000-j4711.slice/oar-u1000-j4711-n2.scope",
     .slices = "oar.slice oar-u1000.slice",
     .job = "4711",
     .scheduler = "oar"},
    /* Whoever may make control groups may call them what he likes. */
    {.path = "/job_42", .unit = "/job_42"},
    {.path = "/\xff\xfe", .unit = "/??"},
};

static void check_text(const char *path, const char *got, const char *wanted)
{
	if (strcmp(got, wanted == NULL ? "" : wanted) != 0)
		fail_msg("%s: '%s' instead of '%s'", path, got, wanted == NULL ? "" : wanted);
}

static void test_paths(void **state)
{
	(void)state;
	for (size_t i = 0; i < CHECK_COUNT(cases); i++) {
		const struct path_case *wanted = &cases[i];
		struct cgroup_identity got;
		char slices[CGROUP_SLICE_MAX * (ACCOUNT_NAME_SIZE + 1)] = "";

		cgroup_path_identify(wanted->path, &got);
		for (size_t slice = 0; slice < got.slice_count; slice++) {
			if (slice > 0)
				(void)strcat(slices, " ");
			(void)strcat(slices, got.slices[slice]);
		}
		check_text(wanted->path, got.unit, wanted->unit);
		check_text(wanted->path, slices, wanted->slices);
		check_text(wanted->path, got.container, wanted->container);
		check_text(wanted->path, got.engine, wanted->engine);
		check_text(wanted->path, got.pod, wanted->pod);
		check_text(wanted->path, got.job, wanted->job);
		check_text(wanted->path, got.scheduler, wanted->scheduler);
	}
}

/* More of everything than there is room for. */
static void test_bounds(void **state)
{
	struct cgroup_identity got;
	char path[2 * CGROUP_PATH_SIZE];
	size_t length = 0;

	(void)state;
	for (size_t i = 0; i <= CGROUP_SLICE_MAX; i++)
		length += (size_t)snprintf(path + length, sizeof(path) - length, "/%zu.slice", i);
	cgroup_path_identify(path, &got);
	assert_int_equal(got.slice_count, CGROUP_SLICE_MAX);
	memset(path, 'x', sizeof(path));
	path[0] = '/';
	(void)strcpy(path + sizeof(path) - sizeof(".service"), ".service");
	cgroup_path_identify(path, &got);
	assert_int_equal(strlen(got.unit), ACCOUNT_NAME_SIZE - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_paths),
	    cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
