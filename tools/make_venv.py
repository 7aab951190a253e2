"""Create a virtual environment with pip: ``python3 -m tools.make_venv .venv``.

Debian's python3 has no ``ensurepip`` unless python3-venv is installed. Then pip's own wheel comes
from the distribution's package, which takes neither root rights nor a change to the machine.
"""

import importlib.util
import subprocess
import sys
import venv
from pathlib import Path

from tools.debian import unpacked


def main() -> None:
    """Create the environment named on the command line, unless one that works is there."""
    if sys.version_info < (3, 11):  # noqa: UP036
        sys.exit(f"Python 3.11 or newer is needed; {sys.executable} is {sys.version}")
    target = Path(sys.argv[1])
    python = target / "bin/python"
    if _works(python):
        return
    with_pip = importlib.util.find_spec("ensurepip") is not None
    venv.create(target, clear=True, symlinks=True, with_pip=with_pip)
    if not with_pip:
        root = unpacked("python3-pip-whl", "python3-pip-whl")
        (wheel,) = root.glob("usr/share/python-wheels/pip-*.whl")
        install = [str(python), f"{wheel}/pip", "install", "--quiet", "--no-index", str(wheel)]
        subprocess.run(install, check=True)


def _works(python: Path) -> bool:
    try:
        return not subprocess.run([python, "-m", "pip", "-V"], capture_output=True).returncode
    except OSError:
        return False


if __name__ == "__main__":
    main()
