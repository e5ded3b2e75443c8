/*
 * machine: what looks like a QEMU to wattportd: soak_machine NAME UUID VCPUS [DUTY-PERMILLE].
 *
 * Threads that are named as QEMU names its own and use a little CPU time. The program is started
 * under QEMU's name and with its options. SIGUSR1: a worker thread begins, or ends if there is one.
 * It ends with who has started it.
 */
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define PERIOD_NS 20000000
#define VCPU_MAX  16

struct thread {
	char name[16];
	long busy_ns;	    /* of each period */
	volatile bool ends; /* set once, by the main thread */
};

static long duty_ns = PERIOD_NS / 100;

static void spend(long busy_ns)
{
	struct timespec begun, now;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begun);
	do
		(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	while ((now.tv_sec - begun.tv_sec) * 1000000000 + now.tv_nsec - begun.tv_nsec < busy_ns);
}

static void *run(void *argument)
{
	const struct thread *thread = argument;
	const struct timespec rest = {.tv_nsec = PERIOD_NS};

	(void)pthread_setname_np(pthread_self(), thread->name);
	while (!thread->ends) {
		spend(thread->busy_ns);
		(void)nanosleep(&rest, NULL);
	}
	return NULL;
}

static pthread_t start(struct thread *thread)
{
	pthread_t started;

	if (pthread_create(&started, NULL, run, thread) != 0)
		exit(1);
	return started;
}

int main(int argc, char *argv[])
{
	static struct thread vcpus[VCPU_MAX], worker;
	const char *count = getenv("SOAK_VCPUS");
	int vcpu_count = count == NULL ? 1 : (int)strtol(count, NULL, 10);
	bool working = false;
	pthread_t worker_thread;
	sigset_t signals;
	int signal;

	(void)argc;
	(void)argv;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGUSR1);
	(void)pthread_sigmask(SIG_BLOCK, &signals, NULL);
	for (int i = 0; i < vcpu_count && i < VCPU_MAX; i++) {
		(void)snprintf(vcpus[i].name, sizeof(vcpus[i].name), "CPU %d/KVM", i);
		vcpus[i].busy_ns = duty_ns;
		(void)start(&vcpus[i]);
	}
	for (;;) {
		if (sigwait(&signals, &signal) != 0)
			return 1;
		worker.ends = working;
		if (working) {
			(void)pthread_join(worker_thread, NULL);
		} else {
			(void)snprintf(worker.name, sizeof(worker.name), "worker");
			worker.busy_ns = duty_ns / 4;
			worker_thread = start(&worker);
		}
		working = !working;
	}
}
