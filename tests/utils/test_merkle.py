"""Merkle trees, by the vectors of Certificate Transparency and by their definition."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventsourcing.utils.merkle import MerkleProver, MerkleTree, leaf_hash, root_of_proof

ENTRIES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def by_definition(entries: list[bytes]) -> bytes:
    """Return the root as the RFC defines it."""
    if len(entries) < 2:
        return leaf_hash(entries[0]) if entries else sha256().digest()
    k = 1
    while 2 * k < len(entries):
        k *= 2
    return sha256(b"\1" + by_definition(entries[:k]) + by_definition(entries[k:])).digest()


def tree_of(entries: list[bytes]) -> MerkleTree:
    tree = MerkleTree()
    for entry in entries:
        tree.append(leaf_hash(entry))
    return tree


@pytest.mark.parametrize("size", range(9))
def test_roots_are_those_of_certificate_transparency(size: int) -> None:
    assert tree_of(ENTRIES[:size]).root().hex() == ROOTS[size]


@given(st.lists(st.binary(max_size=3), max_size=70))
def test_roots_are_those_of_the_definition(entries: list[bytes]) -> None:
    assert tree_of(entries).root() == by_definition(entries)


@given(st.integers(1, 70), st.data())
def test_a_proof_leads_to_the_root_from_its_entry_alone(size: int, data: st.DataObject) -> None:
    entries = [str(n).encode() for n in range(size)]
    index = data.draw(st.integers(0, size - 1))
    prover = MerkleProver(index, size)
    for entry in entries:
        prover.append(leaf_hash(entry))
    proof = prover.proof()
    root = tree_of(entries).root()
    assert root_of_proof(leaf_hash(entries[index]), index, size, proof) == root
    assert root_of_proof(leaf_hash(b"another"), index, size, proof) != root
    other = data.draw(st.integers(0, size - 1))
    if other != index:
        assert root_of_proof(leaf_hash(entries[other]), other, size, proof) != root
    assert root_of_proof(leaf_hash(entries[index]), index, size, [*proof, b""]) is None
    assert root_of_proof(leaf_hash(entries[index]), size, size, proof) is None


def test_there_is_no_proof_of_what_is_not_there() -> None:
    with pytest.raises(ValueError, match="no entry 3 among 3"):
        MerkleProver(3, 3)
    with pytest.raises(ValueError, match="has 0 entries, not 3"):
        MerkleProver(2, 3).proof()
