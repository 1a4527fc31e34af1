"""`python -m msvs` is the `msvs` command."""

from msvs.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
