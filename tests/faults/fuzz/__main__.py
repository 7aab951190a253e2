"""Fuzzes one target in this process, until the time is over or something is found.

Exit status 0: nothing was found. libFuzzer ends the process otherwise, and writes the input.
"""

import argparse
import hashlib
import sys
from pathlib import Path

import atheris

# Whose branches the fuzzer sees: the library's, and those of what makes its values.
SEEN = ["eventsourcing", "fractions", "zoneinfo", "dateutil", "base64"]

with atheris.instrument_imports(include=SEEN, enable_loader_override=False):
    from tests.faults.fuzz.mutator import Mutator
    from tests.faults.fuzz.target import Target, probe
    from tests.faults.fuzz.targets import CONTROLS, TARGETS

LONGEST = 4096  # bytes of an input
SLOWEST = 10  # seconds for one input


def main() -> None:
    targets = {target.name: target for target in (*TARGETS, *CONTROLS)}
    parser = argparse.ArgumentParser(prog="python -m tests.faults.fuzz", description=__doc__)
    parser.add_argument("target", choices=targets)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--megabytes", type=int, default=512, help="of memory, at most")
    parser.add_argument("--directory", type=Path, default=Path("build/fuzz"))
    parser.add_argument("--replay", type=Path, help="a file with one input")
    given = parser.parse_args()
    target: Target = targets[given.target]
    if given.replay:
        probe(target, given.replay.read_bytes())
        return
    # By its name each time: it is another function once the fuzzer runs.
    mutator = Mutator(target.seeds(), lambda data, most: atheris.Mutate(data, most))
    found = given.directory / target.name
    atheris.Setup(
        [
            sys.argv[0],
            f"-max_total_time={given.seconds}",
            f"-seed={given.seed}",
            f"-rss_limit_mb={given.megabytes}",
            f"-timeout={SLOWEST}",
            f"-max_len={LONGEST}",
            f"-artifact_prefix={found}/",
            "-print_final_stats=1",
            str(write_seeds(target, found / "corpus")),
        ],
        lambda data: probe(target, data),
        custom_mutator=mutator,
    )
    atheris.Fuzz()


def write_seeds(target: Target, directory: Path) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    for seed in target.seeds():
        (directory / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)
    return directory


if __name__ == "__main__":
    main()
