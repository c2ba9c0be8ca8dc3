"""Philox4x32-10, a counter-based random number generator: the words are a pure function of a counter and a key.

Nothing is kept between calls, so any rank can draw the numbers of any image, row or unit without having drawn the ones before it.
Everything random in a step (crops, mirrors, colour noise, dropout) comes from here; that is why the result of a run does not depend
on how many ranks share the work.

Source: Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", SC 2011, section 3.3.
"""

from typing import Any, TypeAlias

Words: TypeAlias = Any  # int, numpy array of int64 or uint64, torch tensor of int64: the arithmetic below is the same for all

ROUNDS = 10
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
KEY_STEPS = (0x9E3779B9, 0xBB67AE85)
MASK = 0xFFFFFFFF


def philox(counter: tuple[Words, Words, Words, Words], key: tuple[int, int]) -> tuple[Words, Words, Words, Words]:
    """Four random 32-bit words for each counter.

    A 64-bit product that overflows int64 comes out negative; its upper half is still right once the sign bits of the shift are masked.

    Args:
        counter: four words in [0, 2**32), each an int or an array of one kind (numpy or torch, one dtype), that broadcast together.
        key: two words in [0, 2**32), as Python ints.

    Returns:
        Four arrays of words in [0, 2**32), of the counter's kind and broadcast shape. The counter is left as it was.
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(ROUNDS):
        product0, product1 = c0 * MULTIPLIERS[0], c2 * MULTIPLIERS[1]
        c0, c2 = product1 >> 32 ^ c1, product0 >> 32 ^ c3
        # In place: these are our own arrays by now, and a torch tensor of a million words costs more to allocate than to compute.
        c0 ^= k0
        c2 ^= k1
        c0 &= MASK
        c2 &= MASK
        product0 &= MASK
        product1 &= MASK
        c1, c3 = product1, product0
        k0, k1 = k0 + KEY_STEPS[0] & MASK, k1 + KEY_STEPS[1] & MASK
    return c0, c1, c2, c3
