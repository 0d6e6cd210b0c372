"""The organiser's page of a study: `lacbench mos watch STUDY`.

Who rates how, live; what the ratings show only when the study is closed, or when somebody asks to look, which
is recorded. It is another server than the raters', and it opens with a secret of its own.
"""

import hmac
import html
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import streamlit as st

from lacbench.dashboards import kept
from lacbench.errors import LacbenchError, StudyError
from lacbench.study.answers import Progress
from lacbench.study.drawing import Plot
from lacbench.study.folder import Study
from lacbench.study.report import Findings, embedded, find, page_of
from lacbench.study.sources import Source, of_study

SECRET = "LACBENCH_MOS_SECRET"
"""Environment variable that holds the secret."""
EVERY = 5
"""Seconds after which progress is read again."""
DONE = {"close": "closed", "reopen": "opened again", "peek": "looked at early"}
"""What the organiser did, in words."""


def show_page(folder: Path) -> None:
    """The whole page, for those who have the secret."""
    st.set_page_config("lacbench mos watch", layout="wide")
    if not admitted():
        return
    try:
        study = kept.opened(folder)
        st.title(plain(study.name))
        show_progress(study)
        show_results(study)
        show_events(study)
    except LacbenchError as error:
        st.error(plain(str(error)))


def plain(text: str) -> str:
    """Text that Streamlit shows as it is: a method may be called *new* or $x$, a study may name a picture."""
    return re.sub(r"([\\`*_\[\]()#!$~:<>|&])", r"\\\1", text)


def admitted() -> bool:
    """Whether this visitor has the secret: from the link, or typed in. Wrong ones are counted."""
    if st.session_state.get("admitted"):
        return True
    typed = st.session_state.get("typed", "")
    given = typed or st.query_params.get("key", "")
    if given and given != st.session_state.get("tried"):
        st.session_state.tried = given
        if is_secret(given, st.context.ip_address or ""):
            st.session_state.admitted = True
            return True
    st.title("The organiser’s page")
    if "tried" in st.session_state:
        st.error("This secret cannot be used: it is wrong, or too many wrong ones were tried in this minute.")
    st.text_input("Secret, as `lacbench mos watch` printed it", type="password", key="typed")
    return False


def is_secret(given: str, address: str) -> bool:
    """Whether it is the secret; who tried too many wrong ones is refused unheard, for a while."""
    secret, tries = os.environ.get(SECRET, ""), kept.attempts
    if not secret or not tries.allowed(address):
        return False
    if hmac.compare_digest(given.encode(), secret.encode()):
        return True
    tries.failed(address)
    return False


@st.fragment(run_every=EVERY)
def show_progress(study: Study) -> None:
    """How far each rater is; it says nothing of the methods, and is read again every few seconds."""
    raters = study.progress()
    done, total = sum(rater.done for rater in raters), sum(rater.total for rater in raters)
    figures = {
        "State": "closed" if study.closed else "open",
        "Raters invited": f"{sum(rater.invited for rater in raters)} of {len(raters)}",
        "Raters done": f"{sum(rater.done == rater.total for rater in raters)} of {len(raters)}",
        "Answers": f"{done:,} of {total:,}",
    }
    for column, (name, value) in zip(st.columns(len(figures)), figures.items(), strict=True):
        column.metric(name, value)
    st.header("Raters")
    progress = st.column_config.ProgressColumn(format="%d%%", min_value=0, max_value=100)
    choices = study.design.ratings.mode == "pairwise"
    st.dataframe(rows(raters, choices), column_config={"Done": progress}, hide_index=True)


def rows(raters: Sequence[Progress], choices: bool = False) -> list[dict[str, Any]]:
    """What the table says of each rater; columns that would be empty are left out."""
    table: list[dict[str, Any]] = [
        {
            "Rater": r.rater if r.invited else f"{r.rater} (not invited)",
            "Done": 100 * r.done // r.total if r.total else 100,
            "Answers": f"{r.done} of {r.total}",
            "Median seconds": "" if r.median_milliseconds is None else f"{r.median_milliseconds / 1000:.1f}",
            "Repeats alike": f"{r.repeats_equal} of {r.repeats}" if r.repeats else "",
            "Repeats differ by": ""
            if r.repeat_difference is None or choices
            else f"{r.repeat_difference:.2f}",
            "Gold right": f"{r.gold_right} of {r.gold}" if r.gold else "",
            "Last seen (UTC)": moment(r.last_seen or ""),
        }
        for r in raters
    ]
    told = {name for row in table for name, value in row.items() if value != ""}
    return [{name: value for name, value in row.items() if name in told} for row in table]


def moment(time: str) -> str:
    """A stored time as people read it, to the minute."""
    return time[:16].replace("T", " ")


def show_results(study: Study) -> None:
    """What the ratings show: of a closed study, or of an open one for who asks, which is recorded."""
    st.header("Results")
    if study.closed:
        st.session_state.pop("looked", None)
        show_findings(of_study(study))
        return
    st.write(
        "They are shown when the study is closed (`lacbench mos close`). Who sees them before may stop when "
        "they please, and then no p is worth anything."
    )
    with st.form("look"):
        who = st.text_input("Your name")
        if st.form_submit_button("Look all the same: it is recorded, and told by the export and the report"):
            if not who.strip():
                st.error("Give your name: it is recorded with the look.")
            else:
                st.session_state.looked = of_study(study, peek=who.strip())
    if looked := st.session_state.get("looked"):
        show_findings(looked)


def show_events(study: Study) -> None:
    """When the study was closed, opened again, or looked at early."""
    if events := study.events():
        st.header("What was done")
        for event in events:
            st.text(f"{moment(event['time'])} UTC  {DONE[event['kind']]}  {event['who']}")


def show_findings(source: Source) -> None:
    """Verdict and figures for the method that is chosen as ours, and the whole report to keep."""
    ours = st.selectbox(
        "Ours: the method that is claimed to be above others", source.table.methods, index=None
    )
    try:
        found = found_in(source, ours)
    except StudyError as error:
        st.error(plain(str(error)))
        return
    st.info(plain(found.verdict))
    for plot in found.plots:
        show_plot(plot)
    st.download_button("The whole report", page_of(found), "mos.html", "text/html")


def found_in(source: Source, ours: str | None) -> Findings:
    """The findings; kept as long as the answers and the choice are the same."""
    key = (source.table.digest, source.events, ours)
    if st.session_state.get("found", (None, None))[0] != key:
        st.session_state.found = key, find(source, ours)
    findings: Findings = st.session_state.found[1]
    return findings


def show_plot(plot: Plot) -> None:
    """A figure with its title, and with words for those who cannot see it; wider than a phone, it scrolls."""
    title, alt = html.escape(plot.title), html.escape(plot.alt)
    card = "max-width: 960px; overflow-x: auto; background: #fff; border-radius: 8px; padding: 8px"
    st.html(
        f'<h3>{title}</h3><div style="{card}" tabindex="0" role="region" aria-label="{title}">'
        f'<img src="{embedded(plot)}" alt="{alt}" style="width: 100%; min-width: 600px"></div>'
    )


if __name__ == "__main__":
    show_page(Path(sys.argv[1]))
