/* For User-Mode Linux on processors whose register state is larger than the kernel of the lab knows (AMX).
 *
 * That kernel keeps 2696 bytes of a process's vector registers: everything up to AVX-512. The machine's kernel refuses to
 * set a state that is not whole. This library, preloaded, fills up what is missing with what the process has; tiles are
 * not among it, because a process has to ask for them and none in the lab does.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/uio.h>

#define WHOLE 65536
#define HEADER 512          /* where XSTATE_BV stands: which parts the state holds */
#define KNOWN 0x3ffULL      /* parts 0 to 9: x87, SSE, AVX, MPX, AVX-512, PKRU */

long ptrace(enum __ptrace_request request, ...)
{
    static long (*real)(enum __ptrace_request, pid_t, void *, void *);
    static _Thread_local unsigned char whole[WHOLE];
    va_list given;
    va_start(given, request);
    pid_t pid = va_arg(given, pid_t);
    void *kind = va_arg(given, void *);
    struct iovec *part = va_arg(given, struct iovec *);
    va_end(given);

    if (!real)
        real = (long (*)(enum __ptrace_request, pid_t, void *, void *))dlsym(RTLD_NEXT, "ptrace");
    if (request == PTRACE_SETREGSET && (uintptr_t)kind == NT_X86_XSTATE) {
        struct iovec all = {whole, sizeof whole};
        long ended = real(PTRACE_GETREGSET, pid, kind, &all);
        if (ended < 0)
            return ended;
        if (part->iov_len < all.iov_len) {
            uint64_t parts;
            memcpy(whole, part->iov_base, part->iov_len);
            memcpy(&parts, whole + HEADER, sizeof parts);
            parts &= KNOWN;
            memcpy(whole + HEADER, &parts, sizeof parts);
            return real(request, pid, kind, &all);
        }
    }
    return real(request, pid, kind, part);
}
