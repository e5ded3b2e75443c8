#include "tests/integration/private_libvirt.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/parse.h"
#include "tests/unit/check.h"

#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <libvirt/virterror.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define LIBVIRTD    "/usr/sbin/libvirtd"
#define PATIENCE_NS (UINT64_C(60) * CLOCK_NS_PER_SECOND)

bool private_libvirt_installed(void)
{
	return access(LIBVIRTD, X_OK) == 0;
}

static void private_libvirt_write(const struct private_libvirt *libvirt, const char *name,
				  const char *text)
{
	char path[128];
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/%s", libvirt->path, name);
	file = fopen(path, "we");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static void private_libvirt_directory(const struct private_libvirt *libvirt, const char *name)
{
	const struct passwd *nobody = getpwnam("nobody");
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/%s", libvirt->path, name);
	assert_int_equal(mkdir(path, 0700), 0);
	if (geteuid() == 0) {
		assert_non_null(nobody);
		assert_int_equal(chown(path, nobody->pw_uid, nobody->pw_gid), 0);
	}
}

void private_libvirt_create(struct private_libvirt *libvirt)
{
	*libvirt = (struct private_libvirt){.pid = 0};
	(void)snprintf(libvirt->path, sizeof(libvirt->path), "/tmp/wattport-libvirt-XXXXXX");
	assert_non_null(mkdtemp(libvirt->path));
	assert_int_equal(chmod(libvirt->path, 0755), 0);
	private_libvirt_directory(libvirt, "run");
	private_libvirt_directory(libvirt, "home");
	private_libvirt_write(libvirt, "libvirtd.conf",
			      "auth_unix_rw = \"none\"\nauth_unix_ro = \"none\"\n");
}

/* In the child: never returns. */
static void private_libvirt_exec(const struct private_libvirt *libvirt)
{
	const struct passwd *nobody = getpwnam("nobody");
	char home[128], run[128], config[128];
	char *arguments[] = {(char[]){LIBVIRTD}, (char[]){"-f"}, config, NULL};
	char *environment[] = {home, run, (char[]){"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}, NULL};
	int null_fd = open("/dev/null", O_RDWR);

	(void)snprintf(home, sizeof(home), "HOME=%s/home", libvirt->path);
	(void)snprintf(run, sizeof(run), "XDG_RUNTIME_DIR=%s/run", libvirt->path);
	(void)snprintf(config, sizeof(config), "%s/libvirtd.conf", libvirt->path);
	(void)dup2(null_fd, STDOUT_FILENO);
	(void)dup2(null_fd, STDERR_FILENO);
	if (geteuid() == 0 && (nobody == NULL || setgroups(0, NULL) < 0 ||
			       setresgid(nobody->pw_gid, nobody->pw_gid, nobody->pw_gid) < 0 ||
			       setresuid(nobody->pw_uid, nobody->pw_uid, nobody->pw_uid) < 0))
		_exit(126);
	(void)execve(LIBVIRTD, arguments, environment);
	_exit(127);
}

void private_libvirt_start(struct private_libvirt *libvirt)
{
	assert_int_equal(libvirt->pid, 0);
	libvirt->pid = fork();
	assert_true(libvirt->pid >= 0);
	if (libvirt->pid == 0)
		private_libvirt_exec(libvirt);
}

void private_libvirt_signal(const struct private_libvirt *libvirt, int signal_number)
{
	assert_true(libvirt->pid > 0);
	assert_int_equal(kill(libvirt->pid, signal_number), 0);
}

void private_libvirt_kill(struct private_libvirt *libvirt)
{
	if (libvirt->pid == 0)
		return;
	private_libvirt_signal(libvirt, SIGKILL);
	assert_int_equal(waitpid(libvirt->pid, NULL, 0), libvirt->pid);
	libvirt->pid = 0;
}

static int private_libvirt_remove_one(const char *path, const struct stat *status, int type,
				      struct FTW *walk)
{
	(void)status;
	(void)type;
	(void)walk;
	return remove(path);
}

/* libvirtd starts a virtlogd of its own, which would stay for two minutes. */
static void private_libvirt_end_virtlogd(const struct private_libvirt *libvirt)
{
	char path[128], text[32];
	size_t length;
	uint64_t pid;

	(void)snprintf(path, sizeof(path), "%s/run/libvirt/virtlogd.pid", libvirt->path);
	if (file_read_at(AT_FDCWD, path, text, sizeof(text), &length) < 0 ||
	    parse_u64_line(text, &pid) < 0)
		return;
	(void)kill((pid_t)pid, SIGTERM);
}

void private_libvirt_remove(struct private_libvirt *libvirt)
{
	private_libvirt_kill(libvirt);
	private_libvirt_end_virtlogd(libvirt);
	(void)nftw(libvirt->path, private_libvirt_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void private_libvirt_uri(const struct private_libvirt *libvirt, const char *driver,
			 const char *path, char *buffer, size_t size)
{
	(void)snprintf(buffer, size, "%s+unix://%s?socket=%s/run/libvirt/libvirt-sock", driver,
		       path, libvirt->path);
}

virConnectPtr private_libvirt_connect(const struct private_libvirt *libvirt)
{
	struct mono_time begun = clock_now_mono(clock_real());
	char uri[256];

	private_libvirt_uri(libvirt, "qemu", "/session", uri, sizeof(uri));
	for (;;) {
		virConnectPtr connection = virConnectOpen(uri);

		if (connection != NULL)
			return connection;
		if (clock_elapsed_ns(begun, clock_now_mono(clock_real())) > PATIENCE_NS)
			fail_msg("%s: %s", uri, virGetLastErrorMessage());
		(void)poll(NULL, 0, 50);
	}
}
