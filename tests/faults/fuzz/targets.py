"""The targets of the fuzzer, and the controls: the same without a protection."""

from tests.faults.fuzz import planted, rows, sealed, sections, snapshots, tags, topics
from tests.faults.fuzz.target import Target

__all__ = ["CONTROLS", "TARGETS"]

# One line makes a target: what reads the input, what it begins with, what it may import.
TARGETS = (
    Target("rows", rows.read, rows.seeds),
    Target("snapshots", snapshots.read, snapshots.seeds),
    Target("sections", sections.read, sections.seeds),
    Target("tags", tags.read, tags.seeds),
    Target("sealed", sealed.read, sealed.seeds),
    Target("personal", sealed.personal_read, sealed.personal_seeds),
    Target("packed", sealed.unpacked, sealed.packed_seeds),
    Target("topics", topics.read, topics.seeds, imports=(topics.SHOP,)),
)

# What each must be found by: a sign in what the fuzzer writes.
CONTROLS = {
    Target("untyped-error", planted.untyped_error, tags.seeds): "KeyError: '$",
    Target("memory", planted.memory, tags.seeds): "libFuzzer: out-of-memory",
    Target("import", planted.any_import, topics.seeds, imports=(topics.SHOP,)): "was imported",
}
