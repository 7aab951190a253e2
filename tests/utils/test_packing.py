"""Texts are compressed where that helps, and too large ones are refused in little memory."""

import tracemalloc
import zlib

import pytest
from backports import zstd

from eventsourcing.exceptions import DecodeError, ProgrammingError
from eventsourcing.utils.packing import Compression, check_compression, pack, unpack

LONG = '{"a":"' + "x€" * 1000 + '"}'
COMPRESSIONS: list[Compression] = ["zlib", "zstd"]
BOMB = 128 * 2**20
LIMIT = 2**20


@pytest.mark.parametrize("compression", [None, *COMPRESSIONS])
@pytest.mark.parametrize(
    "text", ["", "{}", LONG, "\0\x7f€😀"], ids=["empty", "short", "long", "mixed"]
)
def test_a_text_comes_back(text: str, compression: Compression | None) -> None:
    assert unpack(pack(text, compression)) == text


@pytest.mark.parametrize(("compression", "mark"), [(None, 0), ("zlib", 1), ("zstd", 2)])
def test_the_first_byte_says_how(compression: Compression | None, mark: int) -> None:
    assert pack(LONG, compression)[0] == mark


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_what_would_grow_is_left_as_it_is(compression: Compression) -> None:
    assert pack("{}", compression) == b"\0{}"


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_what_could_not_be_unpacked_is_not_compressed(compression: Compression) -> None:
    packed = pack(LONG, compression, largest=100)

    assert unpack(packed, largest=100) == LONG


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_the_bound_is_inclusive(compression: Compression) -> None:
    size = len(LONG.encode())

    assert unpack(pack(LONG, compression), largest=size) == LONG
    with pytest.raises(DecodeError, match=f"more than {size - 1} bytes"):
        unpack(pack(LONG, compression), largest=size - 1)


def bombs() -> dict[str, bytes]:
    """Returns frames that say nothing of their size, that say what it is, and that lie about it."""
    zeros = bytes(2**20)
    stream = zstd.ZstdCompressor()
    parts = [stream.compress(zeros) for _ in range(BOMB // len(zeros))]
    streamed = b"".join(parts) + stream.flush()
    deflate = zlib.compressobj()
    deflated = b"".join(deflate.compress(zeros) for _ in range(BOMB // len(zeros)))
    window = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 27})
    whole = zstd.compress(bytes(BOMB))
    return {
        "zlib": b"\1" + deflated + deflate.flush(),
        "streamed": b"\2" + streamed,
        "sized": b"\2" + whole,
        "window": b"\2" + window.compress(bytes(BOMB), window.FLUSH_FRAME),
    }


@pytest.fixture(scope="module")
def made_bombs() -> dict[str, bytes]:
    return bombs()


@pytest.mark.parametrize("name", ["zlib", "streamed", "sized", "window"])
def test_a_bomb_is_refused_in_bounded_memory(made_bombs: dict[str, bytes], name: str) -> None:
    bomb = made_bombs[name]
    tracemalloc.start()
    try:
        with pytest.raises(DecodeError):
            unpack(bomb, LIMIT)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert len(bomb) < LIMIT
    assert peak < 2.5 * LIMIT


def test_control_without_a_bound_a_bomb_takes_its_memory(made_bombs: dict[str, bytes]) -> None:
    tracemalloc.start()
    try:
        zlib.decompress(made_bombs["zlib"][1:])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak > BOMB


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_what_is_cut_or_lengthened_is_refused(compression: Compression) -> None:
    packed = pack(LONG, compression)

    for wrong in (*(packed[:n] for n in range(1, len(packed))), packed + b"x", packed + packed[1:]):
        with pytest.raises(DecodeError):
            unpack(wrong)


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_a_flipped_bit_gives_a_typed_error_or_the_text(compression: Compression) -> None:
    packed = pack(LONG, compression)

    for bit in range(8, 8 * len(packed)):
        flipped = bytearray(packed)
        flipped[bit // 8] ^= 1 << bit % 8
        try:
            found = unpack(bytes(flipped))
        except DecodeError:
            continue
        assert found == LONG


@pytest.mark.parametrize("data", [b"", b"\3", b"\0\xff", b"\1", b"\2", b"{}"])
def test_what_was_not_packed_is_refused(data: bytes) -> None:
    with pytest.raises(DecodeError):
        unpack(data)


def test_an_unknown_compression_is_refused() -> None:
    check_compression("zlib")
    with pytest.raises(ProgrammingError, match="'lzma'"):
        check_compression("lzma")
