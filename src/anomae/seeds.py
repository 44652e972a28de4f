"""Random numbers from named seeds: nothing in anomae draws from a global generator."""

import hashlib

import numpy as np
import numpy.typing as npt


def derive_seed(seed: int, *names: str | int) -> int:
    """A 63-bit seed that depends on `seed` and `names` alone: equal on every machine, unrelated for unlike names."""
    text = "\x1f".join([str(seed), *(str(name) for name in names)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


def generator(seed: int, *names: str | int) -> np.random.Generator:
    """A numpy generator of its own for (`seed`, `names`)."""
    return np.random.Generator(np.random.Philox(derive_seed(seed, *names)))


def content_seed(seed: int, array: npt.NDArray[np.float32]) -> int:
    """A seed that depends on `seed` and on what stands in `array` (any shape, float32) alone.

    So what is drawn for an image never depends on its place in a batch.  -0.0 and 0.0 count as equal.
    """
    content = np.ascontiguousarray(array, dtype=np.float32) + np.float32(0)
    digest = hashlib.blake2b(content.tobytes(), digest_size=16, key=str(seed).encode()[:64]).digest()
    return int.from_bytes(digest[:8], "little") >> 1
