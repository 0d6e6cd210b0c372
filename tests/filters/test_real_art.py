"""The published figures: thresholds chosen on half of the real art, measured on the other half."""

from pathlib import Path

import pytest

from lacbench.recipe import FilterSpec

import filters as benchmark


@pytest.fixture(scope="module")
def halves(art: Path) -> tuple[list[benchmark.Sample], list[benchmark.Sample]]:
    return benchmark.halves(benchmark.samples(art), 0)


@pytest.mark.art
def test_the_defaults_are_what_the_rule_chooses(halves: tuple[list[benchmark.Sample], ...]) -> None:
    assert benchmark.choose(halves[0]) == FilterSpec()


@pytest.mark.art
def test_real_art_is_told_apart(halves: tuple[list[benchmark.Sample], ...]) -> None:
    """Precision and recall of line art against colour, and with all made pictures, at least 0.97."""
    lineart, sketches, borders = benchmark.QUESTIONS
    labelled = benchmark.only(lineart, ["line art"], ["illustration"])
    for question, least in ((labelled, 0.97), (lineart, 0.97), (sketches, 0.95), (borders, 0.95)):
        found = benchmark.precision_recall(*benchmark.counts(question, halves[1], FilterSpec()))
        assert min(found) >= least, question.name


@pytest.mark.art
def test_few_real_illustrations_are_lost(halves: tuple[list[benchmark.Sample], ...]) -> None:
    for question in benchmark.QUESTIONS[1:]:
        real = [sample for half in halves for sample in half if sample.kind == "illustration"]
        lost = [sample.origin for sample in real if question.finds(sample, FilterSpec())]
        assert len(lost) / len(real) <= 0.01, lost
