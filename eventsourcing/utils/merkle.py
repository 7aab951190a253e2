"""Merkle trees: one hash for a list of entries, and short proofs that an entry is in the list.

After RFC 6962, section 2.1 (and RFC 9162, section 2.1): SHA-256, a zero byte before an entry and a
one byte before two hashes, and the left half of a tree is the largest power of two that is smaller
than the whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import sha256

__all__ = ["MerkleProver", "MerkleTree", "leaf_hash", "root_of_proof"]


def leaf_hash(entry: bytes) -> bytes:
    """Returns the hash of an entry, 32 bytes."""
    return sha256(b"\0" + entry).digest()


def _node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\1" + left + right).digest()


class MerkleTree:
    """Hashes a list that grows. Keeps no more than a hash for each bit of its size.

    Attributes:
        size: how many entries there are.
    """

    def __init__(self) -> None:
        self.size = 0
        self._roots: list[bytes] = []  # of full trees, the largest first: a bit of the size each

    def append(self, leaf: bytes) -> None:
        """Adds an entry, by its :func:`leaf_hash`."""
        size = self.size
        while size & 1:
            leaf = _node_hash(self._roots.pop(), leaf)
            size >>= 1
        self._roots.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        """Returns the hash of all entries, 32 bytes."""
        if not self._roots:
            return sha256().digest()
        *others, root = self._roots
        for left in reversed(others):
            root = _node_hash(left, root)
        return root


class MerkleProver:
    """Collects the proof that an entry is in a list, while the whole list passes by once.

    Args:
        index: of the entry, 0-based.
        size: of the list.

    Raises:
        ValueError: there is no such entry.
    """

    def __init__(self, index: int, size: int) -> None:
        if not 0 <= index < size:
            raise ValueError(f"there is no entry {index} among {size}")
        self._size = size
        self._at = 0
        self._siblings = [(span, MerkleTree()) for span in _siblings(index, size)]

    def append(self, leaf: bytes) -> None:
        """Takes the next entry, by its :func:`leaf_hash`."""
        for span, tree in self._siblings:
            if self._at in span:
                tree.append(leaf)
        self._at += 1

    def proof(self) -> list[bytes]:
        """Returns the hashes that lead from the entry to the root, the nearest first.

        Raises:
            ValueError: the list was shorter, or longer.
        """
        if self._at != self._size:
            raise ValueError(f"the list has {self._at} entries, not {self._size}")
        return [tree.root() for _, tree in self._siblings]


def root_of_proof(leaf: bytes, index: int, size: int, proof: Iterable[bytes]) -> bytes | None:
    """Returns the root of a list of which an entry is part; None if the proof has another length.

    Args:
        leaf: the :func:`leaf_hash` of the entry.
        index: of the entry, 0-based.
        size: of the list.
        proof: as :meth:`MerkleProver.proof` gave it.
    """
    hashes, root = list(proof), leaf
    spans = list(_siblings(index, size)) if 0 <= index < size else []
    if len(hashes) != len(spans) or index not in range(size):
        return None
    for span, other in zip(spans, hashes, strict=True):
        root = _node_hash(other, root) if span.stop <= index else _node_hash(root, other)
    return root


def _siblings(index: int, size: int) -> Iterator[range]:
    """Yields the entries below each sibling of the nodes from the entry up to the root."""
    found = []
    first, last = 0, size
    while last - first > 1:
        middle = first + (1 << (last - first - 1).bit_length() - 1)
        if index < middle:
            found.append(range(middle, last))
            last = middle
        else:
            found.append(range(first, middle))
            first = middle
    return reversed(found)
