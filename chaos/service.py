"""The service as `msvs run` starts it, but for its processes: those sit behind the proxies, and there are more of them.

`python -m chaos.service '[["worker messages", "--skew", "-5"], …]'`
"""

from __future__ import annotations

import json
import sys

from msvs import cli, supervisor
from msvs.settings import from_environment
from msvs.supervisor import ChildSpec


def main() -> int:
    """Run until a signal ends it."""
    children = [
        ChildSpec(command, (sys.executable, "-m", "chaos.child", *options, "--", *command.split()))
        for command, *options in json.loads(sys.argv[1])
    ]
    return supervisor.run(from_environment(), prepare=cli.prepare, children=children)


if __name__ == "__main__":
    sys.exit(main())
