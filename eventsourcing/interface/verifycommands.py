"""The commands ``verify`` and ``checkpoint`` of ``python -m eventsourcing``."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any, TextIO

from eventsourcing.application.checkpoints import Checkpoint, Proof
from eventsourcing.application.eventshapes import imported
from eventsourcing.application.verifying import Report, make_checkpoint, prove, verify
from eventsourcing.exceptions import EventSourcingError, ProgrammingError
from eventsourcing.interface.storeoptions import (
    add_modules,
    add_protection,
    add_table,
    protected_application,
)
from eventsourcing.utils.signing import PublicKey, SigningKey

__all__ = ["add_commands"]

FINE, DAMAGED, FAILED = 0, 1, 2


def add_commands(commands: Any) -> None:
    """Adds the commands to the parsers of the command line."""
    about = (
        "Read all events and say what is wrong with them. Exits with 0 if nothing is, with 1 if"
        " something is, and with 2 if that could not be found out."
    )
    command = commands.add_parser("verify", help=about, description=about)
    add_modules(command, "*")
    add_table(command)
    add_protection(command)
    command.add_argument(
        "--checkpoint", nargs="+", type=Path, default=[], help="files of checkpoints to compare"
    )
    command.add_argument("--public-key", help="by which the checkpoints are signed")
    command.add_argument(
        "--chained", action="store_true", help="check the chains of hashes that streams have"
    )
    command.add_argument("--json", action="store_true", help="report in JSON, errors too")
    command.set_defaults(run=_verify)
    about = (
        "Make signed checkpoints of a store, to be kept outside of the database, and proofs of"
        " single events."
    )
    family = commands.add_parser("checkpoint", help=about, description=about)
    actions = family.add_subparsers(required=True, metavar="ACTION")
    about = "Print a new signing key, which is a secret, and below it its public key."
    command = actions.add_parser("new-key", help=about, description=about)
    command.set_defaults(run=_new_key)
    about = "Print a signed checkpoint of all events that there are now."
    command = actions.add_parser("sign", help=about, description=about)
    add_table(command)
    add_protection(command)
    command.add_argument("--key-file", type=Path, required=True, help="with the signing key")
    command.set_defaults(run=_sign)
    about = (
        "Print the proof that an event is among those of a checkpoint. It shows all of the event."
    )
    command = actions.add_parser("prove", help=about, description=about)
    add_table(command)
    add_protection(command)
    _add_checkpoint(command)
    command.add_argument("--position", type=int, required=True, help="of the event in the feed")
    command.set_defaults(run=_prove)
    about = (
        "Check a proof, without the store: that its event is among those of a checkpoint, and that"
        " the checkpoint is signed. Prints the event's position in the feed and its fields, and"
        " exits with 1 if it is not so."
    )
    command = actions.add_parser("check", help=about, description=about)
    _add_checkpoint(command)
    command.add_argument("--proof", type=Path, required=True, help="the file of the proof")
    command.add_argument("--public-key", required=True, help="by which the checkpoint is signed")
    command.set_defaults(run=_check)


def _add_checkpoint(command: argparse.ArgumentParser) -> None:
    command.add_argument("--checkpoint", type=Path, required=True, help="the file of it")


def _verify(given: argparse.Namespace, output: TextIO) -> int:
    try:
        key = None if given.public_key is None else PublicKey.from_text(given.public_key)
        checkpoints = [Checkpoint.from_text(_text_of(path)) for path in given.checkpoint]
        names = imported(given.modules)
        with protected_application(given, names, given.chained) as app:
            report = verify(app, checkpoints, key=key, on_progress=_show_progress)
    except EventSourcingError as error:
        what = type(error).__name__
        made = {"error": {"type": what, "message": str(error)}}
        output.write(f"{json.dumps(made) if given.json else f'{what}: {error}'}\n")
        return FAILED
    output.write(_as_json(report) if given.json else _as_text(report))
    return DAMAGED if report.found else FINE


def _new_key(given: argparse.Namespace, output: TextIO) -> int:
    key = SigningKey.new()
    output.write(f"{key.text}\n{key.public.text}\n")
    return FINE


def _sign(given: argparse.Namespace, output: TextIO) -> int:
    key = SigningKey.from_text(_text_of(given.key_file).partition("\n")[0])
    with protected_application(given) as app:
        output.write(f"{make_checkpoint(app, key).text}\n")
    return FINE


def _prove(given: argparse.Namespace, output: TextIO) -> int:
    checkpoint = Checkpoint.from_text(_text_of(given.checkpoint))
    with protected_application(given) as app:
        output.write(f"{prove(app, checkpoint, given.position).text}\n")
    return FINE


def _check(given: argparse.Namespace, output: TextIO) -> int:
    checkpoint = Checkpoint.from_text(_text_of(given.checkpoint))
    checkpoint.check(PublicKey.from_text(given.public_key))
    proof = Proof.from_text(_text_of(given.proof))
    proof.check(checkpoint)
    output.write(f"{json.dumps(proof.values)}\n")
    return FINE


def _text_of(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, ValueError) as error:
        raise ProgrammingError(f"the file {path} cannot be read: {error}") from error


def _show_progress(report: Report) -> None:
    sys.stderr.write(f"{report.phase}: {report.events} events, {report.found} findings\n")
    sys.stderr.flush()


def _as_text(report: Report) -> str:
    lines = [f"{finding.kind}: {finding.message}" for finding in report.findings]
    if report.found > len(report.findings):
        lines.append(f"... and {report.found - len(report.findings)} more")
    lines.append(
        f"{report.events} events up to position {report.position}: {report.found} findings"
    )
    return "\n".join(lines) + "\n"


def _as_json(report: Report) -> str:
    findings = [
        {
            "kind": finding.kind,
            "message": finding.message,
            "originator_id": None if finding.originator_id is None else str(finding.originator_id),
            "originator_version": finding.originator_version,
            "position": finding.position,
        }
        for finding in report.findings
    ]
    made = {
        "events": report.events,
        "position": report.position,
        "root": report.root.hex(),
        "found": report.found,
        "findings": findings,
    }
    return json.dumps(made) + "\n"
