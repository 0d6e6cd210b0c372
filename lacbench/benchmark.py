"""The whole benchmark in a program or a notebook: line arts in, pictures out, a score card, a leaderboard."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np

from lacbench.errors import InputError
from lacbench.hints import Hint, Hints, choose_hints, load_hints
from lacbench.images import Array, encode_png, read, resize_shortest
from lacbench.leaderboard import Leaderboard, make_leaderboard
from lacbench.lineart import clean
from lacbench.manifest import load_dataset
from lacbench.metrics.claims import same_aspect
from lacbench.metrics.decoding import read_on_white
from lacbench.notebook import Gallery, benchmark_html, item_html
from lacbench.outputs import Outputs
from lacbench.pairs import SIZE
from lacbench.progress import Progress
from lacbench.records import Dataset, Member
from lacbench.scorecard import ScoreCard, load_card, save_card, score
from lacbench.submission import open_submission
from lacbench.tracks import find_track

Size = int | Literal["original"]
"""Shortest side of the line arts that a model is given, in pixels; `original` for each one's own."""
OUTPUTS = Path("outputs/ours")
"""Where `submit` writes unless told otherwise."""
COUNT, SEED = 12, 1
"""The hints that a data set's line arts are given unless told otherwise, as by `lacbench hints`."""


@dataclass(frozen=True, eq=False)
class Item:
    """One line art, as every model is given it. Its pictures are read when they are first asked for."""

    id: str
    """SHA-256 of the line art's file, by which its output goes."""
    file: Path = field(repr=False)
    """The line art's own file."""
    hints: tuple[Hint, ...] = field(repr=False)
    """The colour hints that go with it; none on the track `auto`."""
    size: Size
    """Shortest side of `line_art`; see `Size`."""
    truth_file: Path | None = field(repr=False)
    """The file of the true coloured version, where there is one, and of the line art's aspect."""

    @cached_property
    def line_art(self) -> Array:
        """uint8 (H, W): 0 ink, 255 paper, whatever the paper's tint was."""
        line_art = clean(read(self.file))
        return line_art if self.size == "original" else resize_shortest(line_art, self.size)

    @cached_property
    def truth(self) -> Array | None:
        """The true coloured version at the size of `line_art`, uint8 (H, W, 3) RGB, or None; for the eye
        and for losses: metrics bring both to a size of their own."""
        if self.truth_file is None:
            return None
        height, width = self.line_art.shape
        truth = read(self.truth_file)
        method = cv2.INTER_AREA if min(truth.shape[:2]) > min(height, width) else cv2.INTER_CUBIC
        return np.asarray(cv2.resize(truth, (width, height), interpolation=method), dtype=np.uint8)

    def _repr_png_(self) -> bytes:
        return encode_png(self.line_art)

    def _repr_html_(self) -> str:
        return item_html(self.id, self.line_art, self.hints, truth=self.truth)


class Benchmark:
    """A data set's line arts, to be coloured on one track of the benchmark, and what the outputs are worth.

    Iterating gives every line art, by rising id: any of them may lack hints or a true version, and each one
    needs an output.
    """

    def __init__(
        self,
        data: str | Path | Dataset,
        track: str = "auto",
        *,
        hints: str | Path | Hints | None = None,
        size: Size = SIZE,
        outputs: str | Path = OUTPUTS,
    ) -> None:
        """Open a data set that `lacbench build-dataset` made.

        Args:
            data: its folder.
            track: `auto` (line art alone), `hints`, or `paired` (ranked against true colours, with hints or
                without); see `lacbench.tracks`.
            hints: the hints, or the file of them; by default those of `lacbench hints` for the track
                `hints`, and none for others.
            size: shortest side, in pixels, of the line arts that items hold; outputs may have any.
            outputs: folder that `submit` writes to.

        Raises:
            InputError: no data set, no such track, hints on the track `auto`, or none of them for one of the
                line arts.
        """
        self.track = find_track(track)
        """What is given, and what ranks."""
        self.dataset = data if isinstance(data, Dataset) else load_dataset(Path(data))
        """The data set."""
        self.size, self._outputs = size, Path(outputs)
        self._given = load_hints(Path(hints)) if isinstance(hints, str | Path) else hints
        if self._given is not None:
            self._check_hints(self._given)

    @cached_property
    def hints(self) -> Hints | None:
        """The hints by line art's id; None where none are given. Drawing them reads every line art once."""
        if self._given is not None or not self.track.hints:
            return self._given
        return choose_hints(self.dataset, COUNT, SEED)

    def __len__(self) -> int:
        """How many line arts there are."""
        return len(self.dataset.linearts)

    def __iter__(self) -> Iterator[Item]:
        return map(self._item, self.dataset.linearts)

    def __getitem__(self, key: str) -> Item:
        """The line art of that id. Raises KeyError for another."""
        return self._item(self._members[key])

    def submit(self, key: str, picture: object) -> None:
        """Write the output of the line art with this id into the folder `outputs`, emptied at the first call.

        The picture is an array (H, W, 3), a Torch tensor (3, H, W), RGB, uint8 or floats in 0–1, or Pillow's.
        Raises InputError and OutputError as `Outputs` does.
        """
        self._submitted[key] = picture

    def submission(self, folder: str | Path, *, resume: bool = False, **about: Any) -> Outputs:
        """Start a submission: `with bench.submission("outputs/ours") as outputs: outputs[id] = picture`.

        Args:
            folder: where it lies. Outputs that an earlier call wrote are removed unless it is resumed.
            resume: whether they are kept; `id in outputs` tells whether one is there.
            about: what submission.toml is to tell: model, authors, link … (`lacbench.submission.About`).

        Raises InputError and OutputError as `Outputs` does.
        """
        return Outputs(Path(folder), self.dataset, hints=self.hints, resume=resume, about=about or None)

    def score(
        self,
        outputs: str | Path | None = None,
        *,
        metrics: Sequence[str] | None = None,
        name: str = "",
        save: str | Path | None = None,
        device: str = "cpu",
        progress: Progress | None = None,
    ) -> ScoreCard:
        """Score a submission as `lacbench score` does: by every metric that applies, or by those named.

        Args:
            outputs: folder or archive; by default that of `submit`.
            metrics: names of metrics or of their figures; see docs/score.md.
            name: the method's name; by default what the submission tells, or its folder's.
            save: where to write the card too.
            device: torch's name for the place where networks run, or `auto`.
            progress: who listens.

        Raises what `lacbench.scorecard.score` and `save_card` raise.
        """
        card = score(
            self._outputs if outputs is None else Path(outputs),
            self.dataset,
            metrics=metrics,
            name=name,
            hints=self.hints,
            device=device,
            progress=progress,
        )
        if save is not None:
            save_card(Path(save), card)
        return card

    def leaderboard(self, cards: Iterable[ScoreCard | str | Path]) -> Leaderboard:
        """Score cards, or files of them, ranked on this track.

        Raises InputError for cards of another data set, and what `make_leaderboard` raises.
        """
        read = [card if isinstance(card, ScoreCard) else load_card(Path(card)) for card in cards]
        for card in read:
            if card.dataset != self.dataset.digest:
                raise InputError(
                    f"the score card of {card.name} is of another data set: expected digest "
                    f"{self.dataset.digest[:12]}, got {card.dataset[:12]}; score its outputs on this one"
                )
        return make_leaderboard(read, self.track)

    def show(self, outputs: str | Path | None = None, *, count: int = 6) -> Gallery:
        """The first line arts with their outputs and, where there are any, true versions, for a notebook.

        Line arts that have no output yet are shown without. Raises what `open_submission` raises.
        """
        opened = open_submission(self._outputs if outputs is None else Path(outputs), self.dataset)
        rows = []
        for item in map(self._item, self.dataset.linearts[:count]):
            output = read_on_white(opened.outputs[item.id]) if item.id in opened.outputs else None
            rows.append(item_html(item.id, item.line_art, item.hints, output=output, truth=item.truth))
        return Gallery(tuple(rows))

    def __repr__(self) -> str:
        return f"Benchmark({str(self.dataset.folder)!r}, track={self.track.name!r}, {len(self)} line arts)"

    def _repr_html_(self) -> str:
        return benchmark_html(self.dataset, self.track)

    @cached_property
    def _members(self) -> dict[str, Member]:
        return {member.record.sha256: member for member in self.dataset.linearts}

    @cached_property
    def _submitted(self) -> Outputs:
        return self.submission(self._outputs)

    def _item(self, member: Member) -> Item:
        key, truth = member.record.sha256, self.dataset.truth(member)
        if truth is not None:
            sizes = [(m.record.statistics.height, m.record.statistics.width) for m in (truth, member)]
            truth = truth if same_aspect(sizes[0], sizes[1]) else None
        return Item(
            id=key,
            file=self.dataset.file(member),
            hints=tuple((self.hints or {}).get(key, ())),
            size=self.size,
            truth_file=self.dataset.file(truth) if truth else None,
        )

    def _check_hints(self, hints: Hints) -> None:
        if self.track.hints is False:
            raise InputError(
                f"the track {self.track.name} gives no hints; expected none; choose another track, or leave "
                "them out"
            )
        if not any(hints.get(member.record.sha256) for member in self.dataset.linearts):
            raise InputError(
                f"none of the hints is for one of the {len(self)} line arts; expected the line arts' ids as "
                "keys; choose the hints that were made for them"
            )
