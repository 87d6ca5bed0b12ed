/* A program that crashes in a known place and lets a real crashpad_handler write the minidump.
 *
 * Usage: program HANDLER DATABASE [URL]. Its SIGSEGV handler forks HANDLER, which traces this process as its
 * parent, and waits for it. With URL the handler also sends the report there, when uploads are enabled in DATABASE.
 * Compiled with -DCRASH=function and a file that has `int function(void)`, it crashes in that function instead.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the handler reads out of this process: the layout is Crashpad's. */
struct __attribute__((packed)) exception_information {
  uint64_t siginfo_address;
  uint64_t context_address;
  int32_t thread_id;
};

static struct exception_information exception;
static char *handler, *database, *url;
#ifndef BUILD
#define BUILD 0
#endif
#ifdef CRASH
int CRASH(void);
#endif
static volatile uintptr_t nowhere = 0x10;
volatile int build = BUILD;

static void on_crash(int number, siginfo_t *information, void *context) {
  static char trace[64], database_option[4096], url_option[4096];
  exception.siginfo_address = (uintptr_t)information;
  exception.context_address = (uintptr_t)context;
  exception.thread_id = (int32_t)syscall(SYS_gettid);
  snprintf(trace, sizeof trace, "--trace-parent-with-exception=0x%llx", (unsigned long long)(uintptr_t)&exception);
  snprintf(database_option, sizeof database_option, "--database=%s", database);
  snprintf(url_option, sizeof url_option, "--url=%s", url ? url : "");
  prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
  pid_t child = fork();
  if (child == 0) {
    char *arguments[] = {handler, trace, database_option, "--no-rate-limit", "--annotation=prod=Crasher",
                         "--annotation=ver=1.0", url ? url_option : NULL, NULL};
    execv(handler, arguments);
    _exit(127);
  }
  int status = 0;
  waitpid(child, &status, 0);
  _exit(WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 128 + number : 3);
}

__attribute__((noinline)) int poke_widget(uintptr_t where) {
  volatile int *target = (volatile int *)where;
  *target = 42;
  return *target + 1;
}

__attribute__((noinline)) int update_window(int depth) {
  int result = depth ? update_window(depth - 1) : poke_widget(nowhere);
  return result + depth;
}

int main(int count, char **arguments) {
  if (count < 3)
    return 2;
  handler = arguments[1];
  database = arguments[2];
  url = count > 3 ? arguments[3] : NULL;
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_sigaction = on_crash;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGSEGV, &action, NULL);
#ifdef CRASH
  return CRASH();
#else
  return update_window(2);
#endif
}
