"""What keeps the memory of a process with keys to itself."""

from __future__ import annotations

import ctypes
import os
import resource

PR_SET_DUMPABLE = 4
UMASK = 0o077


def keep_to_oneself() -> None:
    """Forbid core dumps, and let no other process of the user read memory or environment.

    A core holds the keys, and so does ``/proc/PID/environ`` of a process that was given them there.
    Where the platform has no such call the limit alone stands.
    """
    os.umask(UMASK)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    library = ctypes.CDLL(None, use_errno=True)
    if hasattr(library, "prctl"):
        library.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
