"""Builds the documentation site: MkDocs hooks that write pages from the code, and a stamp that shows a stale build."""

from __future__ import annotations

import hashlib
import html
import json
import logging
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ROOT / "docs" / "site"
THEME = ROOT / "docs" / "theme"
BUILT = ROOT / "msvs" / "docs" / "site"
STAMP = ROOT / "msvs" / "docs" / "stamp.json"
REFERENCE = ROOT / "msvs" / "docs" / "reference" / "index.html"
LISTED = re.compile(r"(<!-- operations -->\n).*?( *<!-- /operations -->)", re.DOTALL)
FEED = "changelog.xml"
HOME = "https://api.massivesms.com/docs/"
ATOM = "http://www.w3.org/2005/Atom"

MARK = re.compile(r"^<!-- made: ([a-z ]+) -->$", re.MULTILINE)
INLINE_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)
SOURCE_MAP = re.compile(rb"\n?(?://# sourceMappingURL=\S+|/\*# sourceMappingURL=\S+ ?\*/)\s*$")
# What the theme lacks for people who use no mouse: names, and attributes more. Each tag stands once in a page.
ATTRIBUTES = (
    ('<div class="md-search" data-md-component="search" role="dialog"', ' aria-label="Search"'),
    ('<div class="md-sidebar md-sidebar--primary"', ' id="menu"'),
    ('<div class="md-search__scrollwrap" tabindex="0"', ' role="region" aria-label="Search results"'),
)
# Its labels for a hidden checkbox become buttons, which the keyboard reaches; page.js has them press the checkbox.
BUTTON = '<button type="button" class="md-header__button md-icon" data-opens="__{}" aria-label="{}">{}</button>'
LABEL = re.compile(r'<label class="md-header__button md-icon" for="__(drawer|search)">(.*?)</label>', re.DOTALL)
LABELS = {"drawer": "Menu", "search": "Search"}
# Parts of the theme that an English site without pictures and versions never loads.
UNUSED = ("assets/javascripts/lunr", "assets/images", "sitemap.xml.gz")

Tag = ElementTree.Element


# Pages made from the code


def _errors() -> str:
    from msvs.api.catalogue import ERRORS, TYPES

    groups: dict[int, list[str]] = {}
    for row in ERRORS.values():
        kinds = sorted({row.type(status) for status in row.statuses})
        meta = " · ".join([*(f"`{status}`" for status in row.statuses), *(f"`{kind}`" for kind in kinds)])
        text = f"### `{row.code}` {{#{row.code}}}\n\n{meta}\n{{ .msvs-meta }}\n\n{row.when}\n\n**Do:** {row.action}\n"
        groups.setdefault(row.statuses[-1], []).append(text)
    parts = []
    for status in TYPES:
        if status in groups:
            parts += [f"## {status} {_phrase(status)}", "", *groups[status]]
    return "\n".join(parts)


def _phrase(status: int) -> str:
    from http import HTTPStatus

    return {408: "Request Timeout", 413: "Content Too Large", 422: "Unprocessable"}.get(
        status, HTTPStatus(status).phrase
    )


def _failures() -> str:
    from msvs.api.catalogue import ERRORS, FAILURE_CODES

    parts = []
    for row in FAILURE_CODES.values():
        # A code that refuses requests too has its plain anchor above.
        plain = "" if row.code in ERRORS else f'<span id="{row.code}"></span>'
        parts.append(f"### `{row.code}` {{#failure-{row.code}}}\n\n{plain}{row.when}\n\n**Do:** {row.action}\n")
    return "\n".join(parts)


def _events() -> str:
    from msvs.api.webhooks.events import EventType
    from msvs.rest_compat.openapi import document

    webhooks = document()["webhooks"]
    parts = []
    for type in EventType:
        post = webhooks[type.value]["post"]
        example = post["requestBody"]["content"]["application/json"]["example"]
        shown = json.dumps(example, indent=2, ensure_ascii=False)
        parts.append(f"### `{type.value}` {{#{type.value}}}\n\n{post['summary']}\n\n```json\n{shown}\n```\n")
    return "\n".join(parts)


def _event_table() -> str:
    from msvs.api.webhooks.events import EventType
    from msvs.rest_compat.openapi import document

    webhooks = document()["webhooks"]
    rows = [f"| [`{type.value}`](#{type.value}) | {webhooks[type.value]['post']['summary']} |" for type in EventType]
    return "\n".join(["| event | sent when |", "|---|---|", *rows])


def _changelog() -> str:
    return (ROOT / "CHANGELOG.md").read_text().split("\n", 1)[1]


def _sandbox_numbers() -> str:
    section = (ROOT / "docs" / "sandbox.md").read_text().split("\n## Test numbers\n", 1)[1]
    return "\n".join(line for line in section.split("\n## ", 1)[0].splitlines() if line.startswith("|"))


def _operations() -> str:
    text = (ROOT / "docs" / "operations.md").read_text().split("\n", 1)[1]
    return text.replace(
        "[Settings](settings.md) lists every setting, [commands](commands.md) every command.",
        "[Settings](#settings) lists every setting.",
    ).replace("](billing.md)", "](credits.md)")


def _carriers() -> str:
    text = (ROOT / "docs" / "carriers.md").read_text().split("\n", 1)[1]
    # Files of the source tree are no pages of the site.
    return re.sub(r"\[([^]]+)\]\(\.\./(?:msvs|tests)/[^)]+\)", r"\1", text)


def _deploy() -> str:
    text = (ROOT / "docs" / "deploy.md").read_text().split("\n", 1)[1].strip()
    # On the site, the settings stand at the end of the page on operations; folders of the source tree are no pages.
    return re.sub(r"\[([^]]+)\]\(\.\./[^)]+\)", r"`\1`", text).replace("](settings.md)", "](operations.md#settings)")


def _high_availability() -> str:
    return (ROOT / "docs" / "high-availability.md").read_text().split("\n", 1)[1].strip()


def _connectors() -> str:
    return (ROOT / "docs" / "connectors.md").read_text().split("\n", 1)[1].strip()


def _settings() -> str:
    text = (ROOT / "docs" / "settings.md").read_text().split("\n", 1)[1]
    # On the site, the settings stand at the end of the page on operations.
    return text.strip().replace("](operations.md#", "](#").replace("](billing.md)", "](credits.md)")


def _glossary() -> str:
    return (ROOT / "docs" / "glossary.md").read_text().split("\n", 1)[1].strip()


def _number_ranges() -> str:
    from msvs.api.text.compliance import RANGES

    rows = [f"| `{row['prefix']}` | {row['kind']} | {row['name']} |" for row in RANGES]
    return "\n".join(["| starts with | kind | what it is |", "|---|---|---|", *rows])


def _regions_off() -> str:
    from msvs.api.text.compliance import REGIONS_OFF

    return ", ".join(f"{row['name']} (`{row['code']}`)" for row in REGIONS_OFF) + "."


def _words(meaning: str) -> str:
    from msvs.api.text.words import Keyword, words_of

    return " ".join(f"`{word}`" for word in words_of(Keyword(meaning)))


def _segment_fields() -> str:
    from msvs.api.contacts import segments

    def ops(names: Iterable[str]) -> str:
        return " ".join(f"`{name}`" for name in names)

    rows = [(f"`{field}`", ops(segments.TEXT_OPS)) for field in segments.TEXT_FIELDS]
    rows.append(("`opt_in_status`", ops(segments.EQUALITY_OPS)))
    rows += [(f"`{field}`", ops(segments.TIME_OPS)) for field in segments.TIME_FIELDS]
    rows.append(("`attributes.<key>`", ops(segments.ATTRIBUTE_OPS)))
    return "\n".join(["| field | operators |", "|---|---|", *(f"| {field} | {names} |" for field, names in rows)])


MADE: Mapping[str, Callable[[], str]] = {
    "changelog": _changelog,
    "errors": _errors,
    "event table": _event_table,
    "events": _events,
    "failures": _failures,
    "glossary": _glossary,
    "carriers": _carriers,
    "connectors": _connectors,
    "operations": _operations,
    "deploy": _deploy,
    "high availability": _high_availability,
    "sandbox numbers": _sandbox_numbers,
    "number ranges": _number_ranges,
    "regions off": _regions_off,
    "segment fields": _segment_fields,
    "settings": _settings,
    **{f"{meaning} words": partial(_words, meaning) for meaning in ("stop", "start", "help", "confirm")},
}


def expand(markdown: str) -> str:
    """A page with its `<!-- made: … -->` marks replaced by what the code says."""
    return MARK.sub(lambda mark: MADE[mark[1]](), markdown)


# MkDocs hooks


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Write in what is made from the code."""
    return expand(markdown)


def on_post_build(config: Any) -> None:
    """Drop what is never loaded, take .html off all addresses, and move inline scripts to files.

    The service answers pages without .html, and allows them no inline script.
    """
    site = Path(config["site_dir"])
    for name in UNUSED:
        path = site / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    for path in site.rglob("*.map"):
        path.unlink()
    for path in [*site.rglob("*.js"), *site.rglob("*.css")]:
        path.write_bytes(SOURCE_MAP.sub(b"\n", path.read_bytes()))
    pages = "|".join(sorted(re.escape(path.stem) for path in site.glob("*.html")))
    address = re.compile(rf'(?<=["/>])({pages})\.html(?=["#<])')
    for path in [*site.rglob("*.html"), *site.rglob("*.json"), *site.rglob("*.xml")]:
        path.write_text(address.sub(_plain, path.read_text()))
    scripts = site / "assets" / "javascripts"
    for path in site.rglob("*.html"):
        base = "/docs/" if path.name == "404.html" else ""

        def moved(found: re.Match[str], base: str = base) -> str:
            text = found[1]
            name = f"page.{hashlib.sha256(text.encode()).hexdigest()[:8]}.js"
            (scripts / name).write_text(text + "\n")
            return f'<script src="{base}assets/javascripts/{name}"></script>'

        path.write_text(INLINE_SCRIPT.sub(moved, _complete(path.read_text())))


def _complete(page: str) -> str:
    """A page of the theme with the attributes that it lacks. Raises ValueError where the theme has changed."""
    for tag, attributes in ATTRIBUTES:
        if page.count(tag) != 1:
            raise ValueError(f"the theme has {tag}… {page.count(tag)} times in a page: adapt ATTRIBUTES")
        page = page.replace(tag, tag + attributes)
    page, count = LABEL.subn(lambda found: BUTTON.format(found[1], LABELS[found[1]], found[2]), page)
    if count != len(LABELS):
        raise ValueError(f"the theme has {count} labels in its header: adapt LABEL")
    return page


def _plain(address: re.Match[str]) -> str:
    if address[1] != "index":
        return address[1]
    return "" if address.string[address.start() - 1] == "/" else "./"


# The feed


def feed(changelog: str, before: str | None, now: datetime) -> str:
    """The changelog as an Atom feed: an entry for each version.

    A version's entry is dated by its heading. What is not released yet keeps its date from the feed `before` as long
    as it reads the same, and else takes `now`.
    """
    known = {} if before is None else {entry[0]: entry for entry in _entries(before)}
    entries = []
    for title, text in _versions(changelog):
        slug = re.sub(r"[^a-z0-9.]+", "-", title.lower()).strip("-")
        dated = re.search(r"\d{4}-\d{2}-\d{2}", title)
        if dated:
            updated = f"{dated[0]}T00:00:00Z"
        else:
            old = known.get(f"{HOME}changelog#{slug}")
            updated = old[2] if old is not None and old[1] == text else now.strftime("%Y-%m-%dT%H:%M:%SZ")
        entries.append((f"{HOME}changelog#{slug}", title, text, updated))
    root = Tag("feed", {"xmlns": ATOM})
    _add(root, "title", "MassiveSMS changelog")
    _add(root, "id", f"{HOME}changelog")
    ElementTree.SubElement(root, "link", {"rel": "self", "href": HOME + FEED})
    ElementTree.SubElement(root, "link", {"rel": "alternate", "type": "text/html", "href": f"{HOME}changelog"})
    _add(root, "updated", max(entry[3] for entry in entries))
    _add(ElementTree.SubElement(root, "author"), "name", "MassiveSMS")
    for id, title, text, updated in entries:
        entry = ElementTree.SubElement(root, "entry")
        _add(entry, "title", title)
        _add(entry, "id", id)
        ElementTree.SubElement(entry, "link", {"rel": "alternate", "type": "text/html", "href": id})
        _add(entry, "updated", updated)
        _add(entry, "content", text)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _add(parent: Tag, name: str, text: str) -> None:
    ElementTree.SubElement(parent, name).text = text


def _entries(xml: str) -> Iterator[tuple[str, str, str]]:
    """The id, content and date of each entry of a feed."""
    space = f"{{{ATOM}}}"
    for entry in ElementTree.fromstring(xml).iter(f"{space}entry"):
        yield tuple(entry.findtext(space + name) or "" for name in ("id", "content", "updated"))  # type: ignore[misc]


def _versions(changelog: str) -> Iterator[tuple[str, str]]:
    for section in changelog.split("\n## ")[1:]:
        title, _, text = section.partition("\n")
        yield title.strip(), text.strip()


# The reference


def reference_page() -> str:
    """Return the page of the reference with every operation in its text, to read before Swagger UI has loaded."""
    from msvs.rest_compat.openapi import document

    openapi = document()
    lines = []
    for tag in openapi["tags"]:
        found = [
            (method, path, operation)
            for path, methods in openapi["paths"].items()
            for method, operation in methods.items()
            if operation["tags"] == [tag["name"]]
        ]
        if not found:
            continue
        lines += [f"<h2>{html.escape(tag['name'])}</h2>", "<ul>"]
        for method, path, operation in found:
            address = f"#/{quote(tag['name'])}/{operation['operationId']}"
            lines.append(
                f'  <li><a href="{address}"><code>{method.upper()} {html.escape(path)}</code></a>'
                f" {html.escape(operation['summary'])}</li>"
            )
        lines.append("</ul>")
    text = "".join(f"        {line}\n" for line in lines)
    return LISTED.sub(lambda around: f"{around[1]}{text}{around[2]}", REFERENCE.read_text())


# The stamp


def stamp_of_sources() -> str:
    """A hash of everything that the site is built from."""
    digest = hashlib.sha256()
    paths = [ROOT / "mkdocs.yml", Path(__file__), *_files(SOURCES), *_files(THEME)]
    for path in paths:
        content = path.read_bytes()
        if path.suffix == ".md":
            content = expand(content.decode()).encode()
        _feed(digest, path.relative_to(ROOT).as_posix(), content)
    return digest.hexdigest()


def stamp_of_site() -> str:
    """A hash of the built site."""
    digest = hashlib.sha256()
    for path in _files(BUILT):
        _feed(digest, path.relative_to(BUILT).as_posix(), path.read_bytes())
    return digest.hexdigest()


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)


def _feed(digest: Any, name: str, content: bytes) -> None:
    digest.update(f"{name}\0{len(content)}\0".encode() + content)


def main() -> None:
    """Build the site, its feed and its stamp."""
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    os.chdir(ROOT)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(message)s")
    old = BUILT / FEED
    before = old.read_text() if old.exists() else None
    build(load_config(str(ROOT / "mkdocs.yml")))
    REFERENCE.write_text(reference_page())
    (BUILT / FEED).write_text(feed((ROOT / "CHANGELOG.md").read_text(), before, datetime.now(UTC)))
    stamp = {"sources": stamp_of_sources(), "site": stamp_of_site()}
    STAMP.write_text(json.dumps(stamp, indent=2) + "\n")


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
