"""Which licences let a picture be passed on with a data set, and what they ask for in return."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from lacbench.records import Record


@dataclass(frozen=True)
class Terms:
    """A licence under which pictures may be passed on."""

    name: str
    """SPDX identifier."""
    url: str
    """Where its text stands."""
    notice: bool = False
    """Whether the text that came with the work must go along: it names who holds the rights."""


_FREE = ("CC0-1.0", "CC-PDM-1.0", "CC-PDDC", "Unlicense", "0BSD", "MIT-0")
_WITH_NOTICE = ("MIT", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "Zlib", "OFL-1.1")
_CC = re.compile(r"CC-(BY|BY-SA)-(1\.0|2\.0|2\.5|3\.0|4\.0)(?:-([A-Z]{2,3}))?", re.IGNORECASE)
_ALSO = {"CC0": "CC0-1.0", "PUBLIC-DOMAIN": "CC-PDDC", "PDM-1.0": "CC-PDM-1.0"}
OPEN: Mapping[str, Terms] = {
    name.upper(): Terms(name, f"https://spdx.org/licenses/{name}.html", name in _WITH_NOTICE)
    for name in (*_FREE, *_WITH_NOTICE)
}
"""Open licences by their name in capitals, beside all versions of CC-BY and CC-BY-SA, ported ones included.

Missing on purpose: whatever forbids commerce or changes (NC, ND), and the GPL, which asks for the files that
a picture was made from; no data set has those.
"""


def terms(name: str) -> Terms | None:
    """The terms of a licence as records name it, in any case and with spaces; None for one that is not open.

    A name that leaves its version open (`CC-BY`) says not which terms hold, and is not taken for open.
    """
    plain = "-".join(name.split()).upper()
    if found := _CC.fullmatch(plain):
        kind, version, port = found.groups()
        place = f"{kind}/{version}/{port}/" if port else f"{kind}/{version}/"
        return Terms(plain, f"https://creativecommons.org/licenses/{place.lower()}")
    return OPEN.get(_ALSO.get(plain, plain).upper())


def allowed(record: Record) -> Terms | None:
    """The terms under which a record's picture may be passed on; None where it may not, as far as it says."""
    told = terms(record.candidate.license)
    return None if told and told.notice and not record.candidate.license_file else told


def attribution(record: Record, given: Terms) -> str:
    """One line for people: the work, its maker, where it comes from, its licence, and what was changed."""
    told = record.candidate
    maker = f" by {told.artist}" if told.artist else ""
    places = "; ".join(dict.fromkeys(filter(None, (told.origin, told.page, told.url))))
    text = f"; its text came with it: {told.license_file}" if told.license_file else ""
    changed = "; rendered from its SVG" if told.key.lower().endswith(".svg") else ""
    line = f"{record.path}: {told.key}{maker} ({places}), {given.name} ({given.url}{text}){changed}"
    return " ".join(line.split())
