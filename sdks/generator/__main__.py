"""Renews generated files: `python -m sdks.generator [--lang LANGUAGE] [--check] [--vectors]`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sdks.generator import calls, frozen, model, readmes, render, samples, vectors


def main(arguments: list[str] | None = None) -> int:
    """Write all generated files, or with --check name those that differ; 1 where any does or a name is lost."""
    parser = argparse.ArgumentParser(prog="python -m sdks.generator", description=__doc__)
    parser.add_argument("--lang", choices=render.LANGUAGES, action="append", help="only this language")
    parser.add_argument("--check", action="store_true", help="write nothing; name what differs")
    parser.add_argument("--vectors", action="store_true", help="only the vectors")
    options = parser.parse_args(arguments)
    api = model.load()
    chosen = [] if options.vectors else options.lang or render.languages()
    wrong = frozen.lost(api, frozen.read())
    for name in wrong:
        _say(f"lost: {name}")
    if options.check:
        differing = vector_drift(api) + [
            path for language in chosen for path in (*render.drift(api, language), *readmes.drift(language))
        ]
        differing += [f"../docs/site/{name}" for name in samples.drift()]
        differing += [f"../msvs/docs/reference/{name}" for name in calls.drift()]
        for path in differing:
            _say(f"differs: sdks/{path}")
        return 1 if wrong or differing else 0
    for name, text in vectors.files(api.document).items():
        (render.SDKS / "vectors" / name).write_text(text)
    for language in chosen:
        for path in (*render.write(api, language), *readmes.write(language)):
            _say(f"written: sdks/{path}")
    if not options.vectors:
        for name in samples.write():
            _say(f"written: docs/site/{name}")
        for name in calls.write():
            _say(f"written: msvs/docs/reference/{name}")
        frozen.add(api)
    return 1 if wrong else 0


def vector_drift(api: model.Api) -> list[str]:
    """Name the vectors that differ."""
    folder = render.SDKS / "vectors"
    texts = vectors.files(api.document)
    return [f"vectors/{name}" for name, text in texts.items() if not _is(folder / name, text)]


def _is(path: Path, text: str) -> bool:
    return path.exists() and path.read_text() == text


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    sys.exit(main())
