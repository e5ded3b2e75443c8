#include "tests/unit/fake_kernel.h"
#include "common/log.h"
#include "common/meter_client.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static const struct access_users fake_users = {.count = 0};

/* --- the host --- */

static void fake_write(const struct fake_host *host, const char *path, const void *data,
		       size_t size)
{
	int fd = openat(host->runtime_fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert(fd >= 0);
	assert(write(fd, data, size) == (ssize_t)size);
	(void)close(fd);
}

static void fake_listen(struct fake_host *host)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", host->path,
		       METER_SOCKET_NAME);
	host->listener_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert(host->listener_fd >= 0);
	assert(bind(host->listener_fd, (const struct sockaddr *)&address, sizeof(address)) == 0);
	assert(listen(host->listener_fd, 8) == 0);
}

/* Two sockets with memory for the one, one for the other. */
static void fake_admit(struct fake_host *host, const char *text, uint32_t socket_count)
{
	struct uuid uuid;
	struct ledger_vm *vm;

	assert(uuid_parse(text, &uuid) == 0);
	vm = ledger_vm(host->ledger, (size_t)ledger_admit(host->ledger, &uuid));
	assert(vm != NULL);
	vm->socket_count = socket_count;
	vm->state = LEDGER_VM_RUNNING;
	vm->generation = 1;
	for (uint32_t i = 0; i < socket_count; i++)
		vm->guest[i].floor_uj[ZONE_PACKAGE] = vm->guest[i].floor_uj[ZONE_DRAM] = 1000000;
}

static void fake_ledger(struct fake_host *host)
{
	static const char *const ids[] = {"package-0", "dram"};
	struct zone zones[2] = {{.kind = ZONE_PACKAGE}, {.kind = ZONE_DRAM}};
	uint32_t index[2];
	struct diag diag = DIAG_INIT;

	for (size_t i = 0; i < 2; i++) {
		(void)snprintf(zones[i].id, sizeof(zones[i].id), "%s", ids[i]);
		zones[i].die = ZONE_ANY_DIE;
		zones[i].range_uj = 262143328850;
	}
	assert(ledger_create(&host->ledger) == 0);
	assert(ledger_set_zones(host->ledger, zones, 2, index) == 0);
	assert(ledger_map_open(host->runtime_fd, &host->map, &diag) == 0);
	fake_admit(host, FAKE_VM, 2);
	fake_admit(host, FAKE_OTHER, 1);
	fake_host_publish(host, (struct mono_time){CLOCK_NS_PER_SECOND});
}

void fake_host_create(struct fake_host *host)
{
	static const char cmdline[] = "qemu-system-x86_64\0-uuid\0" FAKE_VM;
	static const char status[] = "Name:\tqemu\nTgid:\t100\nUid:\t0\t0\t0\t0\n";

	/* What is told while requests are made up is of no interest. */
	log_init("test", LOG_LEVEL_ERROR);
	*host = (struct fake_host){.client_fd = -1};
	(void)snprintf(host->path, sizeof(host->path), "%s/wattport-test-XXXXXX",
		       access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	assert(mkdtemp(host->path) != NULL);
	host->runtime_fd = open(host->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert(host->runtime_fd >= 0);
	assert(mkdirat(host->runtime_fd, "proc", 0755) == 0);
	assert(mkdirat(host->runtime_fd, "proc/100", 0755) == 0);
	fake_write(host, "proc/100/comm", "qemu-system-x86\n", 16);
	fake_write(host, "proc/100/cmdline", cmdline, sizeof(cmdline));
	fake_write(host, "proc/100/status", status, sizeof(status) - 1);
	host->proc_fd = openat(host->runtime_fd, "proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert(host->proc_fd >= 0);
	fake_ledger(host);
	fake_listen(host);
}

static int fake_remove(const char *path, const struct stat *stat, int type, struct FTW *walk)
{
	(void)stat, (void)type, (void)walk;
	return remove(path);
}

static void fake_close(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

void fake_host_destroy(struct fake_host *host)
{
	ledger_map_close(host->map);
	ledger_destroy(host->ledger);
	fake_close(&host->client_fd);
	fake_close(&host->listener_fd);
	fake_close(&host->proc_fd);
	fake_close(&host->runtime_fd);
	(void)nftw(host->path, fake_remove, 16, FTW_DEPTH | FTW_PHYS);
}

void fake_host_publish(struct fake_host *host, struct mono_time now)
{
	for (size_t slot = 0; slot < ledger_slot_count(host->ledger); slot++) {
		struct ledger_vm *vm = ledger_vm(host->ledger, slot);

		if (vm != NULL)
			vm->updated_ns = now.ns;
	}
	ledger_host(host->ledger)->updated_ns = now.ns;
	assert(ledger_map_publish(host->map, host->ledger) == 0);
}

bool fake_host_answer(struct fake_host *host, bool known)
{
	char request[METER_REQUEST_SIZE_MAX], reply[METER_REQUEST_SIZE_MAX + 16];
	bool asked = false;
	ssize_t length;
	int fd = accept4(host->listener_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0) {
		fake_close(&host->client_fd);
		host->client_fd = fd;
	}
	while (host->client_fd >= 0 &&
	       (length = recv(host->client_fd, request, sizeof(request) - 1, MSG_DONTWAIT)) > 0) {
		request[length] = '\0';
		assert(strncmp(request, "refresh ", 8) == 0);
		(void)snprintf(reply, sizeof(reply), "%s %s", known ? "refreshed" : "unknown",
			       request + 8);
		(void)send(host->client_fd, reply, strlen(reply), MSG_NOSIGNAL);
		asked = true;
	}
	return asked;
}

/* --- the kernel's end --- */

/* What Linux 6.1 says first; the capabilities do not matter. */
static void fake_opening(struct fs_memory *memory)
{
	const struct fuse_init_in body = {.major = FUSE_KERNEL_VERSION, .minor = 36};
	const struct fuse_in_header head = {
	    .len = sizeof(head) + sizeof(body), .opcode = FUSE_INIT, .unique = 2};

	memcpy(memory->init.bytes, &head, sizeof(head));
	memcpy(memory->init.bytes + sizeof(head), &body, sizeof(body));
}

void fake_kernel_open_with(struct fake_kernel *kernel, struct fake_host *host,
			   struct fs_memory *memory, int memory_fd)
{
	memset(kernel, 0, offsetof(struct fake_kernel, answer));
	kernel->host = host;
	kernel->memory = memory;
	kernel->memory_fd = memory_fd;
	assert(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, kernel->fds) ==
	       0);
	manual_clock_init(&kernel->clock, (struct mono_time){10 * CLOCK_NS_PER_SECOND},
			  (struct wall_time){0});
	kernel->unique = 2;
	kernel->options = (struct worker_options){
	    .memory = memory,
	    .runtime_fd = host->runtime_fd,
	    .proc_fd = host->proc_fd,
	    .users = &fake_users,
	    .ready_fd = -1,
	    .pid_fd = -1,
	    .period_ns = CLOCK_NS_PER_SECOND,
	    .without_resend = true,
	};
}

void fake_kernel_open(struct fake_kernel *kernel, struct fake_host *host)
{
	struct diag diag = DIAG_INIT;
	struct fs_memory *memory;
	int fd;

	assert(fs_memory_create(&memory, &fd, &diag) == 0);
	fake_opening(memory);
	fake_kernel_open_with(kernel, host, memory, fd);
}

void fake_kernel_close(struct fake_kernel *kernel)
{
	fake_kernel_stop(kernel);
	fs_memory_destroy(kernel->memory);
	fake_close(&kernel->fds[0]);
	fake_close(&kernel->fds[1]);
	fake_close(&kernel->memory_fd);
}

void fake_kernel_start(struct fake_kernel *kernel)
{
	struct diag diag = DIAG_INIT;

	kernel->options.fuse_fd = fcntl(kernel->fds[1], F_DUPFD_CLOEXEC, 0);
	assert(kernel->options.fuse_fd >= 0);
	assert(worker_create(&kernel->options, &kernel->clock.clock, &kernel->worker, &diag) == 0);
	handle_table_recover(&kernel->memory->handles, &kernel->memory->trees);
	worker_greet(kernel->worker);
	worker_take_over(kernel->worker);
}

void fake_kernel_stop(struct fake_kernel *kernel)
{
	struct worker *worker = kernel->worker;

	/* libfuse does not free by itself what is not answered. */
	for (uint32_t i = 0; worker != NULL && i < worker->parked_limit; i++)
		if (worker->parked[i].request != NULL)
			fuse_reply_none(worker->parked[i].request);
	worker_destroy(worker);
	kernel->worker = NULL;
	fake_close(&kernel->host->client_fd);
}

int fake_kernel_send(struct fake_kernel *kernel, const void *bytes, size_t size)
{
	assert(sendto(kernel->fds[0], bytes, size, 0, NULL, 0) == (ssize_t)size);
	return worker_receive(kernel->worker);
}

uint64_t fake_kernel_ask(struct fake_kernel *kernel, uint32_t opcode, uint64_t node,
			 const void *body, size_t size)
{
	_Alignas(8) char message[FS_MESSAGE_SIZE];
	const uint64_t mark = kernel->again ? UINT64_C(1) << 63 : 0;
	const struct fuse_in_header head = {
	    .len = (uint32_t)(sizeof(head) + size),
	    .opcode = opcode,
	    .unique = (kernel->unique += kernel->again ? 0 : 2) | mark,
	    .nodeid = node,
	    .uid = kernel->caller.user,
	    .pid = kernel->caller.thread,
	};

	assert(head.len <= sizeof(message));
	memcpy(message, &head, sizeof(head));
	if (size > 0)
		memcpy(message + sizeof(head), body, size);
	kernel->status = fake_kernel_send(kernel, message, head.len);
	return kernel->unique;
}

const struct fuse_out_header *fake_kernel_hear(struct fake_kernel *kernel)
{
	const struct fuse_out_header *head = (const void *)kernel->answer;
	ssize_t length =
	    recvfrom(kernel->fds[0], kernel->answer, sizeof(kernel->answer), 0, NULL, NULL);

	if (length < 0)
		return NULL;
	/* What fuse_dev_do_write() of fs/fuse/dev.c refuses. */
	assert((size_t)length >= sizeof(*head) && (size_t)length == head->len);
	assert(head->error <= 0 && head->error > -512);
	assert(head->error == 0 || head->len == sizeof(*head));
	kernel->answer_size = (size_t)length - sizeof(*head);
	return head;
}

void fake_kernel_wait(struct fake_kernel *kernel, uint64_t ns)
{
	manual_clock_advance(&kernel->clock, ns);
	refresh_process(kernel->worker->refresh, kernel->clock.mono);
}
