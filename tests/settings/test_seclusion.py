"""A process that holds keys leaves no core and shows its memory to nobody."""

import subprocess
import sys

HIDDEN = """
import ctypes, os, resource
from perptui.settings.seclusion import keep_to_oneself
keep_to_oneself()
mask = os.umask(0)
print(resource.getrlimit(resource.RLIMIT_CORE), oct(mask), ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))
"""


def test_no_core_no_dump_and_files_of_the_owner_alone() -> None:
    said = subprocess.run(
        [sys.executable, "-c", HIDDEN], capture_output=True, text=True, check=True
    ).stdout
    # prctl(PR_GET_DUMPABLE) is 0: /proc/PID/environ and mem are root's (prctl(2)).
    assert said.split(")") == ["(0, 0", " 0o77 0\n"]
