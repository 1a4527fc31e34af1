"""The service as `msvs run` starts it, but for its processes: those sit behind the proxies, and there are more of them.

`python -m chaos.service '[["worker messages", "--skew", "-5"], …]'`
"""

from __future__ import annotations

import ctypes
import json
import signal
import sys

from msvs.cli.processes import prepare
from msvs.local import supervisor
from msvs.local.supervisor import ChildSpec
from msvs.settings import from_environment

PR_SET_PDEATHSIG = 1


def main() -> int:
    """Run until a signal ends it."""
    # Nothing of it outlives the run that started it.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    children = [
        ChildSpec(command, (sys.executable, "-m", "chaos.child", *options, "--", *command.split()))
        for command, *options in json.loads(sys.argv[1])
    ]
    return supervisor.run(from_environment(), prepare=prepare, children=children)


if __name__ == "__main__":
    sys.exit(main())
