/*
 * `wattport prepare`: the tree of a machine that is about to start, for libvirt's hook.
 *
 * libvirt waits for its hooks and starts nothing meanwhile: this ends within PREPARE_WAIT_NS,
 * whoever hangs. It asks libvirt nothing, which would wait for the hook in turn.
 */
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/log.h"
#include "fusefs/plain_request.h"
#include "host/command.h"
#include "host/domain_xml.h"
#include "host/xml_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define PREPARE_WAIT_NS (2 * CLOCK_NS_PER_SECOND)

static uint64_t prepare_left_ns(struct mono_time end)
{
	return clock_elapsed_ns(clock_now_mono(clock_real()), end);
}

/* All of stdin; -EFBIG past the largest XML, -ETIMEDOUT when it does not end. */
static int prepare_read(char *text, struct mono_time end, size_t *ret_length, struct diag *diag)
{
	size_t length = 0;

	for (;;) {
		struct pollfd polled = {.fd = STDIN_FILENO, .events = POLLIN};
		ssize_t got;

		if (poll(&polled, 1, (int)(prepare_left_ns(end) / CLOCK_NS_PER_MS)) == 0)
			return diag_error(diag, -ETIMEDOUT, "no end of the domain's XML on stdin");
		got = read(STDIN_FILENO, text + length, XML_TREE_SIZE_MAX + 1 - length);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return diag_error(diag, -errno, "cannot read stdin: %s", strerror(errno));
		if (got == 0)
			break;
		length += (size_t)got;
		if (length > XML_TREE_SIZE_MAX)
			return diag_error(diag, -EFBIG, "the XML is larger than %u bytes",
					  XML_TREE_SIZE_MAX);
	}
	*ret_length = length;
	return 0;
}

static int prepare_work(const struct command_options *options, struct diag *diag)
{
	struct mono_time end = {clock_now_mono(clock_real()).ns + PREPARE_WAIT_NS};
	cleanup_free char *text = malloc(XML_TREE_SIZE_MAX + 1);
	cleanup_fd int runtime_fd = -1;
	struct vm_roster_vm vm = {.socket_count = 0};
	size_t length = 0;
	int status;

	if (text == NULL)
		return diag_error(diag, -ENOMEM, "out of memory");
	status = prepare_read(text, end, &length, diag);
	if (status == 0)
		status = domain_xml_parse(text, length, &vm, diag);
	if (status < 0)
		return status;
	free(vm.vcpus);
	runtime_fd = open(options->runtime_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (runtime_fd < 0)
		return diag_error(diag, -errno,
				  "cannot open %s: %s; does wattport-fs run? systemctl start "
				  "wattport-fs",
				  options->runtime_dir, strerror(errno));
	return plain_request_ask(runtime_fd, &vm.uuid, vm.socket_count, prepare_left_ns(end), diag);
}

int command_prepare(int argc, char **argv)
{
	struct config_overrides overrides;
	struct diag diag = DIAG_INIT;
	struct command_line line;
	struct settings settings;

	if (config_extract(&argc, argv, &overrides, &diag) < 0) {
		log_error("%s", diag.text);
		return COMMAND_EXIT_USAGE;
	}
	command_parse(argc, argv,
		      "Makes the tree of a virtual machine that is about to start, whose XML is on "
		      "stdin: for libvirt's hook. With tree.mode = fuse there is nothing to make.",
		      NULL, &line);
	if (settings_load(line.options.config, &overrides, &settings, &diag) < 0) {
		log_error("%s", diag.text);
		return COMMAND_EXIT_USAGE;
	}
	/* There a directory answers as soon as anybody looks for it. */
	if (settings.tree_mode != SETTINGS_TREE_TMPFS)
		return EXIT_SUCCESS;
	if (prepare_work(&line.options, &diag) < 0) {
		log_error("%s", diag.text);
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}
