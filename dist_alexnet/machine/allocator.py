"""Memory of a rank on the CPU: what is freed is kept, because the next step wants the same again.

glibc takes a tensor of 32 MiB and more from the system and gives it back as soon as it is free; every step of the full network then has
some 100,000 pages cleared by the kernel. Kept, they cost nothing: half of the system time, and 5 to 20 % of a step (2026-11, two cores).
It also gives each thread a heap of its own, and returns one of those as soon as it is empty: in the threads of DALI the one of every
other batch. With one heap for all threads, decoding takes a tenth less CPU time, and a step of training as long as before (two cores; where
there are many, threads might have to wait for each other).
"""

import ctypes
import sys

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX, M_ARENA_MAX = -1, -2, -4, -8  # malloc.h
SETTINGS = {M_MMAP_MAX: 0, M_TRIM_THRESHOLD: 2**31 - 1, M_TOP_PAD: 2**26, M_ARENA_MAX: 1}


def keep_freed_memory() -> None:
    """For the rest of this process; does nothing where the C library is another one than glibc."""
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        for parameter, value in SETTINGS.items():
            mallopt(parameter, value)
