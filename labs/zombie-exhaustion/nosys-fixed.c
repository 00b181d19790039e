/* The same question as 7.38.2 asks it: the child is an ordinary one, and is waited for. */
#define _GNU_SOURCE
#include <linux/sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

__attribute__((constructor)) static void ask(void)
{
	int child = -1;
	struct clone_args args = {
		.flags = CLONE_PIDFD,
		.pidfd = (uintptr_t)&child,
		.exit_signal = SIGCHLD,
	};
	siginfo_t how;
	long pid = syscall(SYS_clone3, &args, sizeof(args));

	if (pid == 0)
		_exit(0);
	if (pid < 0)
		return;
	waitid(P_PIDFD, child, &how, WEXITED);
	close(child);
}
