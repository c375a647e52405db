# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""What bit rot does to a file of pages."""

PAGE = 4096


def damage(dice, data):
    """One of: a bit, a page of zeros, a page of noise, two pages exchanged, the end cut off."""
    data = bytearray(data)
    pages = len(data) // PAGE
    a, b = (dice.randrange(pages) * PAGE for _ in range(2))
    kind = dice.randrange(5)
    if kind == 0:
        data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
    elif kind == 1:
        data[a : a + PAGE] = bytes(PAGE)
    elif kind == 2:
        data[a : a + PAGE] = dice.randbytes(PAGE)
    elif kind == 3:
        data[a : a + PAGE], data[b : b + PAGE] = data[b : b + PAGE], data[a : a + PAGE]
    else:
        del data[a + dice.randrange(PAGE) :]
    return bytes(data)
