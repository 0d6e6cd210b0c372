"""Rules that name works: what they may look like, and what they match."""

from dataclasses import replace
from pathlib import Path

import pytest

from lacbench.errors import InputError
from lacbench.exclusions import FILE, load_exclusions, parse_exclusions, read_exclusions, save_exclusions
from lacbench.records import Candidate

WORK = Candidate(
    "boards", "123", "illustrations", "a board", "unknown",
    url="https://cdn.example.org/ab/cd.png", page="https://danbooru.donmai.us/posts/123",
    artist="Jos\u00e9_Stra\u00dfe ann_lee", md5="0" * 32,
)  # fmt: skip


def names(rule: str, work: Candidate = WORK) -> bool:
    return bool(parse_exclusions(rule, "rules").names(work, "f" * 64, "1" * 32))


@pytest.mark.parametrize(
    "rule",
    [
        "id: 123", "id: boards/123", "artist: ANN LEE", "artist: Ann_Lee", "artist: jos\u00c9 strasse",
        "0" * 32, "md5: " + "1" * 32, "F" * 64, "sha256: " + "f" * 64,
        "url: https://cdn.example.org/ab/cd.png",
        "HTTPS://CDN.example.org/ab/cd.png", "https://danbooru.donmai.us/posts/123?q=ann_lee+1girl",
        "url: https://Danbooru.donmai.us/posts/123#comment-5", "  artist:   ann   lee  # who asked us",
    ],
)  # fmt: skip
def test_rules_that_name_the_work(rule: str) -> None:
    assert names(rule)


@pytest.mark.parametrize(
    "rule",
    [
        "id: 12", "id: Boards/123", "id: board/123", "artist: ann", "artist: lee",
        "artist: ann_lee jos\u00e9", "https://cdn.example.org/ab/CD.png", "https://cdn.example.org/ab/cd.png?v=2",
        "https://danbooru.donmai.us/posts/1234?q=123", "url: nothing", "2" * 32, "e" * 64,
    ],
)  # fmt: skip
def test_rules_that_do_not(rule: str) -> None:
    assert not names(rule)


def test_pages_that_their_query_names_are_told_apart() -> None:
    page = "https://gelbooru.com/index.php?page=post&s=view&id=5"
    work = replace(WORK, page=page)
    assert names(page, work) and not names(page.replace("=5", "=6"), work)


def test_addresses_are_compared_as_they_are_asked() -> None:
    work = replace(WORK, url="https://example.org/a b/\u00e9.png")
    for url in ("https://example.org/a b/\u00e9.png", "https://example.org/a%20b/%C3%A9.png"):
        assert names(f"url: {url}", work)


def test_what_names_nothing_matches_nothing() -> None:
    empty = Candidate("a", "x", "illustrations", "", "")
    rules = parse_exclusions("id: 123\nartist: a\nurl: https://a.bc/\n" + "0" * 32, "rules")
    assert rules.all_names(empty) == []


def test_md5s_are_told_first() -> None:
    rules = parse_exclusions(f"id: 123\n{'f' * 64}\n{'1' * 32}\nartist: ann_lee", "rules")
    assert rules.names(WORK, "f" * 64, "1" * 32) == f"md5: {'1' * 32}"


def test_rules_are_remembered_as_they_are_compared(tmp_path: Path) -> None:
    text = "https://danbooru.donmai.us/posts/123?q=x\nartist: Ann Lee\nid: A b\n"
    rules = parse_exclusions(text, "rules")
    save_exclusions(tmp_path, rules)
    assert load_exclusions(tmp_path) == rules
    told = (tmp_path / FILE).read_text()
    assert told == "id: A b\nartist: ann_lee\nurl: https://danbooru.donmai.us/posts/123\n"


def test_a_byte_order_mark_is_no_part_of_a_rule(tmp_path: Path) -> None:
    file = tmp_path / FILE
    file.write_bytes(b"\xef\xbb\xbfid: 1\r\nid: 2\r\n")
    assert read_exclusions(file).id == {"1", "2"} == load_exclusions(tmp_path).id


@pytest.mark.parametrize("data", ["artist: é".encode("latin-1"), "id: 1".encode("utf-16")])
def test_other_bytes_are_a_sentence(tmp_path: Path, data: bytes) -> None:
    (tmp_path / FILE).write_bytes(data)
    for read in (lambda: read_exclusions(tmp_path / FILE), lambda: load_exclusions(tmp_path)):
        with pytest.raises(InputError, match=r"excluded.txt cannot be read as a list of works: .*UTF-8"):
            read()


@pytest.mark.parametrize("line", ["nothing", "md5: 12", "id:", "name: x", "sha256: " + "g" * 64])
def test_lines_that_name_no_work_are_told_by_number(line: str) -> None:
    with pytest.raises(InputError, match=r"rules, line 2: .* names no work; expected `kind: value`"):
        parse_exclusions(f"# wishes\n{line}\n", "rules")
