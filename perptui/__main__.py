"""`python -m perptui` and the console script."""

import os
import resource
import sys


def main() -> int:
    """Run the command that the command line names.

    Returns
    -------
    int
        The exit code: 0 done, 1 the command's own "no", 2 bad input.
    """
    # Before anything is read: no file readable by others, no core dump with a key in it.
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    from perptui.cli.app import run

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
