"""The key that no test may print, and a look for it wherever a test leaves anything.

Use it wherever a test needs a venue's key or secret. `sweep` and `in_processes` say where it is:
nowhere is the only good answer.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from pathlib import Path

CANARY = "canary-5f2b9c"
CREDENTIALS = "credentials"
"""Files and folders named so hold the key by right."""
LARGEST_BYTES = 256 * 1024 * 1024
OF_PROCESS = ("cmdline", "environ")


def disguises(secret: str = CANARY) -> tuple[bytes, ...]:
    """Return the secret as it may stand in a file: plain, wide, in hex and in base64."""
    plain = secret.encode()
    # Base64 depends on what stands before: three ways, less the characters that neighbours share.
    coded = (
        base64.b64encode(b"\0" * lead + plain)[lead * 4 // 3 + (lead > 0) : -4]
        for lead in (0, 1, 2)
    )
    return (plain, secret.encode("utf-16-le"), plain.hex().encode(), *coded)


def sweep(paths: Iterable[Path], secret: str = CANARY) -> list[str]:
    """Return where the secret is in these files, and in all files below these folders.

    Files that are there to hold it (`CREDENTIALS` in their path below) are passed over, and links.
    """
    wanted = disguises(secret)
    return [str(file) for path in paths for file in _files(path) if _holds(file, wanted)]


def _files(path: Path) -> Iterator[Path]:
    if path.is_symlink():
        return
    if path.is_dir():
        for below in sorted(path.iterdir()):
            if CREDENTIALS not in below.name:
                yield from _files(below)
    elif path.is_file() and path.stat().st_size <= LARGEST_BYTES:
        yield path


def _holds(file: Path, wanted: tuple[bytes, ...]) -> bool:
    content = file.read_bytes()
    return any(text in content for text in wanted)


def in_processes(pids: Iterable[int], secret: str = CANARY) -> list[str]:
    """Return where the secret is in the arguments and the environment of these processes."""
    found = []
    for pid in pids:
        for name in OF_PROCESS:
            try:
                content = Path(f"/proc/{pid}/{name}").read_bytes()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if secret.encode() in content:
                found.append(f"process {pid} {name}")
    return found
