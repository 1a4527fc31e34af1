"""Workbooks as spreadsheets save them, made of rows: texts, numbers, dates, formulas with or without their values."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from xml.sax.saxutils import escape, quoteattr

EPOCH = datetime(1899, 12, 30, tzinfo=UTC)
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
# Style 1 is a date, style 2 a date with its time, style 3 a number in E-notation.
STYLES = f"""<styleSheet xmlns="{MAIN}"><fonts count="1"><font/></fonts><fills count="1"><fill/></fills>
<borders count="1"><border/></borders><cellStyleXfs count="1"><xf/></cellStyleXfs><cellXfs count="4"><xf numFmtId="0"/>
<xf numFmtId="14" applyNumberFormat="1"/><xf numFmtId="22" applyNumberFormat="1"/>
<xf numFmtId="11" applyNumberFormat="1"/></cellXfs></styleSheet>"""


@dataclass(frozen=True)
class Formula:
    """A formula, and the value that was last shown of it."""

    text: str
    value: str | float | None = None


@dataclass(frozen=True)
class Rounded:
    """A number that is shown in E-notation."""

    value: float


@dataclass(frozen=True)
class Shared:
    """A reference to a shared string of the workbook, by its index."""

    at: int


@dataclass(frozen=True)
class Placed:
    """A text in the cell with this reference, such as `XFD1048576`."""

    place: str
    text: str


Cell = str | int | float | bool | date | datetime | Formula | Rounded | Shared | Placed | None


def make_workbook(sheets: Mapping[str, Sequence[Sequence[Cell]]], *, shared: Sequence[str] = ()) -> bytes:
    """Return the bytes of an XLSX file; `shared` is its table of shared strings."""
    names = list(sheets)
    places = range(1, len(names) + 1)
    book = "".join(
        f'<sheet name={quoteattr(name)} sheetId="{at}" r:id="rId{at}"/>' for at, name in zip(places, names, strict=True)
    )
    links = "".join(
        f'<Relationship Id="rId{at}" Type="{RELATIONS}/worksheet" Target="worksheets/sheet{at}.xml"/>' for at in places
    )
    styles = f'<Relationship Id="rId0" Type="{RELATIONS}/styles" Target="styles.xml"/>'
    if shared:
        styles += f'<Relationship Id="rIdS" Type="{RELATIONS}/sharedStrings" Target="sharedStrings.xml"/>'
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    types = "".join(
        f'<Override PartName="/xl/worksheets/sheet{at}.xml" ContentType="{kind}.worksheet+xml"/>' for at in places
    )
    files = {
        "[Content_Types].xml": f'<Types xmlns="{PACKAGE}/content-types"><Default Extension="rels"'
        ' ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{kind}.sheet.main+xml"/>'
        f'<Override PartName="/xl/styles.xml" ContentType="{kind}.styles+xml"/>{types}</Types>',
        "_rels/.rels": f'<Relationships xmlns="{PACKAGE}/relationships"><Relationship Id="rId1"'
        f' Type="{RELATIONS}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{RELATIONS}"><sheets>{book}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{PACKAGE}/relationships">{styles}{links}</Relationships>',
        "xl/styles.xml": STYLES,
        "xl/sharedStrings.xml": f'<sst xmlns="{MAIN}">{"".join(f"<si><t>{escape(text)}</t></si>" for text in shared)}'
        "</sst>",
        **{
            f"xl/worksheets/sheet{at}.xml": f'<worksheet xmlns="{MAIN}"><sheetData>{_rows(sheets[name])}</sheetData>'
            "</worksheet>"
            for at, name in zip(places, names, strict=True)
        },
    }
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, text in files.items():
            archive.writestr(path, f'<?xml version="1.0" encoding="UTF-8"?>\n{text}')
    return data.getvalue()


def _rows(rows: Sequence[Sequence[Cell]]) -> str:
    return "".join(
        f'<row r="{number}">{"".join(_cell(f"{chr(64 + at)}{number}", cell) for at, cell in enumerate(row, 1))}</row>'
        for number, row in enumerate(rows, 1)
    )


def _cell(place: str, value: Cell) -> str:
    match value:
        case None:
            return ""
        case bool():
            return f'<c r="{place}" t="b"><v>{int(value)}</v></c>'
        case str():
            return f'<c r="{place}" t="inlineStr"><is><t xml:space="preserve">{escape(value)}</t></is></c>'
        case datetime():
            return f'<c r="{place}" s="2"><v>{(value - EPOCH).total_seconds() / 86400!r}</v></c>'
        case date():
            return f'<c r="{place}" s="1"><v>{(value - EPOCH.date()).days}</v></c>'
        case Shared(number):
            return f'<c r="{place}" t="s"><v>{number}</v></c>'
        case Placed(elsewhere, text):
            return _cell(elsewhere, text)
        case Rounded(number):
            return f'<c r="{place}" s="3"><v>{number!r}</v></c>'
        case Formula(text, shown):
            kind = ' t="str"' if isinstance(shown, str) else ""
            value = "" if shown is None else f"<v>{escape(str(shown))}</v>"
            return f'<c r="{place}"{kind}><f>{escape(text)}</f>{value}</c>'
    return f'<c r="{place}"><v>{value!r}</v></c>'
