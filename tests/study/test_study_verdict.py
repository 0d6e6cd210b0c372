"""The verdict: true to the figures, sentence by sentence."""

from dataclasses import replace

from lacbench.study.analysis import Analysis, Comparison, analyse
from lacbench.study.verdict import beats_all, claimed, shown_p, verdict

from simulated import scores, study

TAKEN = "Raters and line arts are taken for samples of others like them."


def with_ps(*ps: float | None, interval: tuple[float, float] | None = (-0.1, 0.3)) -> Analysis:
    """An analysis whose tests gave these p."""
    from lacbench.study.measures import holm

    cube = scores(0, [3.0] * (len(ps) + 1), raters=4, items=6)
    analysis = analyse(study(cube, ["ours", "b", "c", "d"]), "ours")
    comparisons: list[Comparison] = [
        replace(
            comparison,
            other="bcd"[k],
            p=p,
            p_holm=adjusted,
            difference=0.1,
            interval=None if p is None else interval,
        )
        for k, (comparison, p, adjusted) in enumerate(
            zip(analysis.comparisons, ps, holm(list(ps)), strict=True)
        )
    ]
    largest = None if None in ps else max(p for p in ps if p is not None)
    return replace(analysis, comparisons=tuple(comparisons), beats_all_p=largest)


def test_above_all() -> None:
    analysis = with_ps(0.04, 0.03, 0.045)
    assert (claimed(analysis), beats_all(analysis)) == (("b", "c", "d"), True)
    assert verdict(analysis) == (
        "ours is rated above each of the 3 other methods: the largest one-sided p is .0450, at the level "
        f".05. {TAKEN}"
    )


def test_above_some() -> None:
    analysis = with_ps(0.01, 0.2, 0.02)
    assert (claimed(analysis), beats_all(analysis)) == (("b", "d"), False)
    assert verdict(analysis) == (
        "ours is rated above b and d: largest one-sided p, adjusted by Holm, .0400, at the level .05. That "
        f"ours is rated above c is not shown, which does not mean that it is not so. {TAKEN}"
    )


def test_significant_before_holm_alone_is_not_claimed() -> None:
    analysis = with_ps(0.03, 0.2, 0.3)
    assert claimed(analysis) == ()
    assert verdict(analysis) == (
        "That ours is rated above b, c or d is not shown, which does not mean that it is not so."
    )


def test_above_the_only_other() -> None:
    assert verdict(with_ps(0.00002)) == (
        f"ours is rated above b: one-sided p < .0001, at the level .05. {TAKEN}"
    )


def test_the_level_follows_the_confidence() -> None:
    analysis = replace(with_ps(0.04), confidence=0.99)
    assert claimed(analysis) == ()
    assert claimed(replace(analysis, confidence=0.95)) == ("b",)


def test_below_is_told_and_not_called_open() -> None:
    analysis = with_ps(0.999, interval=(-0.6, -0.2))
    analysis = replace(analysis, comparisons=(replace(analysis.comparisons[0], difference=-0.4),))
    assert verdict(analysis) == "Rated above ours, on average: b (by 0.40, 95% interval 0.20 to 0.60)."


def test_what_does_not_vary_is_not_tested() -> None:
    assert verdict(with_ps(0.001, None)) == (
        "ours is rated above b: largest one-sided p, adjusted by Holm, .0020, at the level .05. "
        f"Against c there is no test: the differences do not vary. {TAKEN}"
    )


def test_screening_that_changes_the_claim_is_told() -> None:
    shown, open_ = with_ps(0.01), with_ps(0.2)
    analysis = replace(shown, with_screening=open_, excluded=("x", "y"), rule="bt500")
    assert verdict(analysis) == (
        f"ours is rated above b: one-sided p .0100, at the level .05. {TAKEN} This changes without x and "
        "y, whom the rule bt500 flags: That ours is rated above b is not shown, which does not mean that it "
        "is not so."
    )
    analysis = replace(analysis, with_screening=shown)
    assert verdict(analysis).endswith("It is the same without x and y, whom the rule bt500 flags.")


def test_nothing_is_said_of_no_method() -> None:
    assert verdict(analyse(study(scores(0, raters=3, items=4)))) == (
        "No method was named as ours, so nothing was tested."
    )


def test_of_real_figures() -> None:
    cube = scores(1, (3.6, 3.0, 2.5))
    told = verdict(analyse(study(cube), "a", screening="median-4mad"))
    assert told.startswith("a is rated above each of the 2 other methods: the largest one-sided p is ")
    assert "Rated above b, on average: a (by " in verdict(analyse(study(cube), "b"))


def test_ps_as_printed() -> None:
    assert [shown_p(p) for p in (None, 1, 0.5, 0.0001, 0.00009)] == [
        "–",
        "1.0000",
        ".5000",
        ".0001",
        "< .0001",
    ]


def test_a_p_of_the_level_itself_is_enough() -> None:
    """1 − 0.9 is .09999999999999998 in floating point."""
    assert claimed(replace(with_ps(0.1), confidence=0.9)) == ("b",)
    assert beats_all(replace(with_ps(0.1), confidence=0.9))


def test_the_level_is_told_in_full() -> None:
    assert "at the level .0125." in verdict(replace(with_ps(0.001), confidence=0.9875))
    assert "at the level .1." in verdict(replace(with_ps(0.001), confidence=0.9))


def test_rivals_that_change_places_without_flagged_raters_change_no_claim() -> None:
    analysis = with_ps(0.001, 0.2, 0.002)
    turned = replace(analysis, comparisons=analysis.comparisons[::-1])
    told = verdict(replace(analysis, with_screening=turned, excluded=("x",), rule="bt500"))
    assert told.endswith("It is the same without x, whom the rule bt500 flags.")


def test_screening_that_changes_who_is_above_ours_is_told() -> None:
    lower, open_ = with_ps(0.999, interval=(-0.6, -0.2)), with_ps(0.97)
    told = verdict(replace(lower, with_screening=open_, excluded=("x",), rule="bt500"))
    assert "This changes without x, whom the rule bt500 flags: That ours is rated above b is not" in told
