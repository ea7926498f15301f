"""Runs a program that parses untrusted bytes without access to files, network and processes.

Run as a script: `sandbox.py PROGRAM ARGUMENT...`; imports nothing of the bridge. PROGRAM is a script
with its own limits, `PROCESSOR_SECONDS`, `FILE_BYTES` and `NICENESS`, and `main(lock, *arguments)`,
which opens its files, calls `lock` and only then reads untrusted input. After `lock` the process can
only use what it has open. Without PROGRAM it locks itself, tests the sandbox, and prints the result
as JSON.

There are two independent layers: a Landlock ruleset without rules (linux/landlock.h), so that no path
can be opened, and a seccomp filter that allows what decoding needs and fails with EPERM otherwise: no
`open`, `socket`, `execve`, `kill`, `ptrace` or new process.
"""

import ctypes
import errno
import json
import os
import platform
import resource
import runpy
import socket
import struct
import sys
from contextlib import suppress

MEMORY_BYTES = 1 << 30
OPEN_FILES = 16

PR_SET_NO_NEW_PRIVS = 38
LANDLOCK_CREATE_RULESET, LANDLOCK_RESTRICT_SELF = 444, 446
LANDLOCK_VERSION = 1
"""Flag of landlock_create_ruleset that queries the ABI version."""
FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}
"""Number of file access rights by ABI version; 16 from version 5 on."""
SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC = 1, 1
CLONE_THREAD = 0x00010000
AT_EMPTY_PATH = 0x1000

LOAD, JUMP_EQUAL, JUMP_SET, RETURN = 0x20, 0x15, 0x45, 0x06
"""Classic BPF instructions (linux/bpf_common.h)."""
NUMBER, ARCHITECTURE, FIRST_ARGUMENT, FOURTH_ARGUMENT = 0, 4, 16, 40
"""Offsets in struct seccomp_data (linux/seccomp.h); the lower half of arguments."""
ALLOW, FAIL, KILL = 0x7FFF0000, 0x00050000, 0x80000000

# fmt: off
SYSCALLS = {
    # AUDIT_ARCH, seccomp, clone, clone3, newfstatat, then the allowed ones
    "x86_64": (0xC000003E, 317, 56, 435, 262, {
        "read": 0, "write": 1, "close": 3, "fstat": 5, "lseek": 8, "mmap": 9, "mprotect": 10, "munmap": 11,
        "brk": 12, "rt_sigaction": 13, "rt_sigprocmask": 14, "rt_sigreturn": 15, "pread64": 17,
        "pwrite64": 18, "readv": 19, "writev": 20, "sched_yield": 24, "mremap": 25, "madvise": 28,
        "dup": 32, "nanosleep": 35, "getpid": 39, "exit": 60, "fcntl": 72, "fsync": 74,
        "fdatasync": 75, "gettimeofday": 96, "sigaltstack": 131, "gettid": 186, "futex": 202,
        "sched_getaffinity": 204, "restart_syscall": 219, "clock_gettime": 228,
        "clock_nanosleep": 230, "exit_group": 231, "set_robust_list": 273, "getrandom": 318,
        "rseq": 334,
    }),
    "aarch64": (0xC00000B7, 277, 220, 435, 79, {
        "read": 63, "write": 64, "close": 57, "fstat": 80, "lseek": 62, "mmap": 222,
        "mprotect": 226, "munmap": 215, "brk": 214, "rt_sigaction": 134, "rt_sigprocmask": 135, "rt_sigreturn": 139,
        "pread64": 67, "pwrite64": 68, "readv": 65, "writev": 66, "sched_yield": 124, "mremap": 216,
        "madvise": 233, "dup": 23, "nanosleep": 101, "getpid": 172, "exit": 93, "fcntl": 25,
        "fsync": 82, "fdatasync": 83, "gettimeofday": 169, "sigaltstack": 132, "gettid": 178,
        "futex": 98, "sched_getaffinity": 123, "restart_syscall": 128, "clock_gettime": 113,
        "clock_nanosleep": 115, "exit_group": 94, "set_robust_list": 99, "getrandom": 278,
        "rseq": 293,
    }),
}
# fmt: on


def lock() -> dict[str, int]:
    """Enter the sandbox; return the active layers: `landlock` (ABI version) and `seccomp` (1), else 0.

    Open files stay open; later threads inherit the sandbox.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return {"landlock": 0, "seccomp": 0}
    return {"landlock": landlock(libc), "seccomp": seccomp(libc)}


def landlock(libc: ctypes.CDLL) -> int:
    """Forbid paths, TCP, abstract sockets and signals to other processes; return the ABI version."""
    abi = int(libc.syscall(LANDLOCK_CREATE_RULESET, None, 0, LANDLOCK_VERSION))
    if abi < 1:
        return 0
    files = (1 << FILE_RIGHTS.get(abi, 16)) - 1
    attributes = struct.pack("QQQ", files, 0b11 if abi >= 4 else 0, 0b11 if abi >= 6 else 0)
    # A kernel accepts a longer structure than its own if the unknown part is zero.
    rules = int(libc.syscall(LANDLOCK_CREATE_RULESET, attributes, len(attributes), 0))
    if rules < 0:
        return 0
    active = libc.syscall(LANDLOCK_RESTRICT_SELF, rules, 0) == 0
    os.close(rules)
    return abi if active else 0


def seccomp(libc: ctypes.CDLL) -> int:
    """Allow only the syscalls that decoding needs; return 1 if active."""
    if platform.machine() not in SYSCALLS:
        return 0
    own = SYSCALLS[platform.machine()][1]
    code = _filter(platform.machine())
    held = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("HP", len(code) // 8, ctypes.addressof(held))  # struct sock_fprog
    flags = SECCOMP_FILTER_FLAG_TSYNC
    return int(libc.syscall(own, SECCOMP_SET_MODE_FILTER, flags, program) == 0)


def _filter(machine: str) -> bytes:
    """Return the BPF program.

    `clone` may only create threads; `clone3` fails with ENOSYS, so that the C library falls back to
    `clone`. Some C libraries use `newfstatat` on open files.
    """
    architecture, _, clone, clone3, newfstatat, allowed = SYSCALLS[machine]
    code = [
        _step(LOAD, ARCHITECTURE),
        _step(JUMP_EQUAL, architecture, 1, 0),
        _step(RETURN, KILL),
        _step(LOAD, NUMBER),
    ]
    for number in allowed.values():
        code += [_step(JUMP_EQUAL, number, 0, 1), _step(RETURN, ALLOW)]
    code += [
        _step(JUMP_EQUAL, clone3, 0, 1),
        _step(RETURN, FAIL | errno.ENOSYS),
        _step(JUMP_EQUAL, clone, 0, 3),
        _step(LOAD, FIRST_ARGUMENT),
        _step(JUMP_SET, CLONE_THREAD, 0, 5),
        _step(RETURN, ALLOW),
        _step(JUMP_EQUAL, newfstatat, 0, 3),
        _step(LOAD, FOURTH_ARGUMENT),
        _step(JUMP_SET, AT_EMPTY_PATH, 0, 1),
        _step(RETURN, ALLOW),
        _step(RETURN, FAIL | errno.EPERM),
    ]
    return b"".join(code)


def _step(code: int, value: int, met: int = 0, unmet: int = 0) -> bytes:
    return struct.pack("HBBI", code, met, unmet, value)


def probe(layers: dict[str, int]) -> dict[str, int | bool]:
    """Return the layers of a locked process, and whether files and sockets are really blocked."""
    with suppress(OSError):
        os.close(os.open(__file__, os.O_RDONLY))
        return {**layers, "files": False, "network": False}
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM):
        return {**layers, "files": True, "network": False}
    return {**layers, "files": True, "network": True}


def main() -> None:
    """Run the given program within its limits, or test the sandbox."""
    if len(sys.argv) == 1:
        print(json.dumps(probe(lock())), flush=True)  # noqa: T201
        os._exit(0)
    program = runpy.run_path(sys.argv[1])
    for limit, maximum in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_CPU, program["PROCESSOR_SECONDS"]),
        (resource.RLIMIT_FSIZE, program["FILE_BYTES"]),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (maximum, maximum))
    os.nice(program["NICENESS"])
    program["main"](lock, *sys.argv[2:])


if __name__ == "__main__":
    main()
