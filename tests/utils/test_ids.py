"""Random ids: no two are the same, in whichever thread or process."""

import os
import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from eventsourcing.utils.ids import random_hex


def drawn(count: int) -> list[str]:
    return [random_hex() for _ in range(count)]


def test_they_are_32_hexadecimal_digits() -> None:
    assert all(re.fullmatch("[0-9a-f]{32}", text) for text in drawn(1000))


def test_threads_draw_different_ones() -> None:
    with ThreadPoolExecutor(4) as pool:
        found: Iterable[list[str]] = pool.map(drawn, [1000] * 8)
        texts = [text for each in found for text in each]
    assert len(set(texts)) == 8000


def test_a_forked_child_draws_its_own() -> None:
    random_hex()  # others were drawn with it
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.write(writing, "".join(drawn(100)).encode())
        os._exit(0)
    os.close(writing)
    with open(reading) as pipe:
        of_child = re.findall(".{32}", pipe.read())
    os.waitpid(child, 0)
    assert len(of_child) == 100
    assert set(of_child).isdisjoint(drawn(100))
