"""Source kinds `danbooru`, `gelbooru`, `moebooru`: local servers, recorded answers, and arbitrary ones."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from lacbench.collect.credentials import variable
from lacbench.errors import FetchError, InputError, LacbenchError, MissingError
from lacbench.progress import Silent
from lacbench.records import Candidate
from lacbench.sources import Visit, open_kind
from lacbench.sources.booru import Booru

from made import Listener, NoWeb, offered
from servers.booru import Board, Post, serving
from servers.web import PlainWeb, Scripted

ENGINES = ["danbooru", "gelbooru", "gelbooru-xml", "moebooru"]
SECRET = "v3ry+secret/key"
EMPTY = {"danbooru": b"[]", "gelbooru": b"[]", "moebooru": b"[]"}


def spec(engine: str, site: str = "http://127.0.0.1:9", **more: Any) -> Booru:
    kind = engine.removesuffix("-xml")
    table = {"name": "s", "kind": kind, "site": site, "set": "illustrations", **more}
    return open_kind(kind).model_validate(table)


def listed(source: Booru, cursor: str = "", web: Any = None, listener: Any = None) -> list[Candidate]:
    visit = Visit(Path("out"), listener or Silent(), web or PlainWeb())
    return [c for page in source.pages(cursor, visit) for c in page.candidates]


def posts(count: int) -> list[Post]:
    return [Post(3 * n) for n in range(1, count + 1)]


def account(monkeypatch: pytest.MonkeyPatch, url: str, **values: str) -> None:
    host = url.removeprefix("http://")
    for name, value in values.items():
        monkeypatch.setenv(variable(host, name), value)


# --- the list ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("count", [1, 99, 100, 101, 430])
def test_every_post_is_listed_once_newest_first(engine: str, count: int) -> None:
    with serving(Board(engine, posts(count))) as board:
        found = listed(spec(engine, board.url))
    assert [int(c.key) for c in found] == [3 * n for n in range(count, 0, -1)]


@pytest.mark.parametrize("engine", ENGINES)
def test_posts_added_while_listing_change_nothing(engine: str) -> None:
    def add(board: Board) -> None:
        board.posts += [Post(max(p.id for p in board.posts) + n) for n in range(1, 30)]

    with serving(Board(engine, posts(500), meanwhile=add)) as board:
        found = listed(spec(engine, board.url))
    assert [int(c.key) for c in found] == [3 * n for n in range(500, 0, -1)]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("limit", [None, 120])
def test_it_goes_on_after_any_page(engine: str, limit: int | None) -> None:
    with serving(Board(engine, posts(250))) as board:
        source = spec(engine, board.url, limit=limit, page_size=50)
        pages = list(source.pages("", Visit(Path("out"), Silent(), PlainWeb())))
        whole = [c for page in pages for c in page.candidates]
        assert len(whole) == (limit or 250)
        for n, page in enumerate(pages):
            before = [c for p in pages[: n + 1] for c in p.candidates]
            assert before + listed(source, page.cursor) == whole


@pytest.mark.parametrize("engine", ENGINES)
def test_a_site_that_ignores_the_cursor_is_left(engine: str) -> None:
    listener = Listener()
    with serving(Board(engine, posts(300), ignores_cursor=True)) as board:
        listed(spec(engine, board.url), listener=listener)
        assert len(board.asked) == 2
    assert "gives the same posts again" in listener.said[-1]


def test_another_order_than_by_id_is_refused() -> None:
    body = json.dumps([{"id": 5}, {"id": 9}]).encode()
    with pytest.raises(FetchError, match="does not list its posts newest first"):
        listed(spec("danbooru"), web=Scripted(body))


@pytest.mark.parametrize("engine", ENGINES)
def test_nothing_found_is_one_sentence(engine: str) -> None:
    with (
        serving(Board(engine, posts(3))) as board,
        pytest.raises(InputError, match="has no posts for nobody"),
    ):
        listed(spec(engine, board.url, tags=("nobody",)))


# --- what is asked, and what is filtered here -------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES)
def test_what_the_site_is_not_asked_for_is_filtered_here(engine: str) -> None:
    wanted = ("a", "b", "c", "d", "e", "f")
    made = [Post(1, wanted), Post(2, wanted[:-1]), Post(3, (*wanted, "bad")), Post(4, wanted, "e")]
    listener = Listener()
    safe = "safe" if engine == "moebooru" else "general"
    made = [replace(p, rating="s") if engine == "moebooru" and p.rating == "g" else p for p in made]
    with serving(Board(engine, made)) as board:
        source = spec(engine, board.url, tags=wanted, without=("bad",), ratings=(safe,))
        found = listed(source, listener=listener)
    assert [c.key for c in found if source.accepts(c).kept] == ["1"]
    said = [m for m in listener.said if "filtered here" in m]
    assert len(said) == (0 if "gelbooru" in engine else 1)
    if engine == "danbooru":
        assert board.asked[0]["tags"] == "rating:g a b"
        assert said == [f"source s: {source.host} takes 2 search terms; filtered here: c d e f -bad"]
        verdicts = {c.key: source.accepts(c) for c in found}
        assert (verdicts["2"].reason, verdicts["2"].detail) == ("tags", "lacks f")
        assert (verdicts["3"].reason, verdicts["3"].detail) == ("tags", "has bad")


def test_several_ratings_are_filtered_here() -> None:
    with serving(Board("danbooru", [Post(1, rating="g"), Post(2, rating="s"), Post(3, rating="e")])) as board:
        source = spec("danbooru", board.url, ratings=("general", "sensitive"))
        found = listed(source)
        assert board.asked[0]["tags"] == ""
    assert [(c.rating, source.accepts(c).reason) for c in found] == [
        ("explicit", "rating"),
        ("sensitive", ""),
        ("general", ""),
    ]


def test_an_account_asks_more_and_free_metatags_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    made = [Post(1, ("a", "b", "c", "d", "e", "f"))]
    with serving(Board("danbooru", made, term_limit=6)) as board:
        account(monkeypatch, board.url, login="me", api_key=SECRET)
        tags = ("width:>=512", *made[0].tags)
        source = spec("danbooru", board.url, account="gold", tags=tags, ratings=("general",))
        assert source.terms() == (["rating:g", *tags], [])
        board.answer = lambda query: (200, b"[]")
        with pytest.raises(InputError):
            listed(source)
        assert board.logins == [f"me:{SECRET}"]


def test_films_are_refused_unseen() -> None:
    source = spec("danbooru")
    made = source.candidate({"file_url": "https://example.org/a.mp4"}, 1)
    assert source.accepts(made).reason == "unreadable"


# --- posts ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES)
def test_a_post_becomes_a_candidate(engine: str) -> None:
    rating = "s" if engine == "moebooru" else "g"
    with serving(Board(engine, [Post(7, ("rubik's_cube", "1girl", "<o>"), rating)])) as board:
        found = listed(spec(engine, board.url))[0]
    assert found.key == "7" and found.md5 == f"{7:032x}" and (found.width, found.height) == (600, 800)
    artist = {"danbooru": "somebody", "moebooru": "somebody"}.get(engine, "")
    assert found.artist == artist
    assert set(found.tags) - {"somebody"} == {"rubik's_cube", "1girl", "<o>"} and list(found.tags) == sorted(
        found.tags
    )
    assert found.rating == ("safe" if engine == "moebooru" else "general")
    assert found.url.startswith(f"{board.url}/") and found.page.startswith(f"{board.url}/")
    assert found.page.endswith("7") and found.license == "unknown"
    origin = f"{board.url[7:]} post 7"
    sources = {"danbooru": " (source https://example.org/art/7)", "moebooru": ""}
    assert found.origin == origin + sources.get(engine, " (source https://example.org/?a=1&b=2)")


@pytest.mark.parametrize("engine", ENGINES)
def test_hidden_posts_are_offered_without_an_address(engine: str) -> None:
    """Made by hand: no recorded answer has a deleted or banned post."""
    with serving(Board(engine, [Post(1), Post(2, hidden=True)])) as board:
        assert [bool(c.url) for c in listed(spec(engine, board.url))] == [False, True]


@pytest.mark.parametrize("engine", ["danbooru", "gelbooru", "moebooru"])
def test_fields_of_any_kind_are_read_or_passed_over(engine: str) -> None:
    source = spec(engine)
    odd = {
        "id": 1,
        "score": None,
        "tags": None,
        "tag_string": 3,
        "rating": "x",
        "md5": "ABC",
        "file_url": "file:///etc/passwd",
        "width": "-3",
        "image_width": "800",
        "source": "a\x00b\u202e" + "c" * 500,
    }
    found = source.candidate(odd, 1)
    assert (found.score, found.rating, found.md5, found.url) == (None, "", "", "")
    assert found.width in (0, 800) and found.origin.isprintable() and len(found.origin) < 300
    upper = source.candidate({"md5": "A" * 32, "file_url": "//example.org/a b.png"}, 2)
    assert upper.md5 == "a" * 32 and upper.url == "http://example.org/a%20b.png"


def test_entries_that_are_no_posts_are_passed_over_and_said() -> None:
    listener = Listener()
    body = json.dumps([None, 3, [], {"id": "9"}, {"id": "x"}, {"id": -1}]).encode()
    assert [c.key for c in listed(spec("danbooru"), web=Scripted(body), listener=listener)] == ["9"]
    assert listener.said == ["source s: 5 entries without an id passed over"]


# --- what sites say instead -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (401, "LOGIN and LACBENCH_.*_API_KEY"),
        (410, "narrow the search"),
        (422, "fewer `tags`"),
        (451, "take it out"),
        (500, "rarer tags"),
    ],
)
def test_refusals_give_the_sites_reason_and_what_to_do(status: int, told: str) -> None:
    body = json.dumps({"success": False, "error": "X", "message": "because", "backtrace": ["a"]}).encode()
    with (
        serving(Board("danbooru", [], answer=lambda query: (status, body))) as board,
        pytest.raises(FetchError, match=f"refused with HTTP {status}: because; .*{told}"),
    ):
        listed(spec("danbooru", board.url))


def test_the_sites_own_limit_is_one_sentence() -> None:
    with (
        serving(Board("danbooru", [], term_limit=1)) as board,
        pytest.raises(FetchError, match="422: You cannot search for more than 1 tags at a time"),
    ):
        listed(spec("danbooru", board.url, tags=("a", "b")))


@pytest.mark.parametrize("engine", ["danbooru", "gelbooru", "moebooru"])
@pytest.mark.parametrize(
    "body",
    [
        b"<html>hello",
        b"\xff\xfe",
        b"{",
        b"3",
        b'"no"',
        b"{}",
        b"[" * 100_000,
        b'<!DOCTYPE x [<!ENTITY a "b">]><posts>&a;</posts>',
    ],
)
def test_answers_that_are_no_list_are_one_sentence(engine: str, body: bytes) -> None:
    with pytest.raises(FetchError, match=r"^127\.0\.0\.1:9 sent no list of posts but") as caught:
        listed(spec(engine), web=Scripted(body))
    assert len(str(caught.value)) < 300 and str(caught.value).isprintable()


@pytest.mark.parametrize(
    "body",
    [
        b"<error>Missing authentication</error>",
        b'<response success="false" reason="Missing authentication"/>',
        b'"Missing authentication"',
        b'{"success": false, "message": "Missing authentication"}',
    ],
)
def test_gelboorus_errors_with_status_200(body: bytes) -> None:
    with pytest.raises(
        FetchError, match="but 'Missing authentication'; check LACBENCH_127_0_0_1___9_API_KEY"
    ):
        listed(spec("gelbooru"), web=Scripted(body))


def test_safebooru_names_its_digest_hash_and_gives_no_score() -> None:
    post = {"id": 4, "hash": "A" * 32, "score": None, "rating": "s", "file_url": "//example.org/a.png"}
    found = listed(spec("gelbooru"), web=Scripted(json.dumps([post]).encode()))[0]
    assert (found.md5, found.score, found.rating) == ("a" * 32, None, "safe")
    assert found.url == "http://example.org/a.png"


def test_an_empty_answer_is_an_empty_list() -> None:
    found = listed(spec("gelbooru"), web=Scripted(b'{"post": {"id": 4}}', b""))
    assert [c.key for c in found] == ["4"]


# --- accounts ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["gelbooru", "moebooru"])
def test_accounts_come_from_the_environment_and_are_never_shown(
    engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {"gelbooru": ("api_key", "user_id"), "moebooru": ("login", "password_hash")}[engine]
    rating = "s" if engine == "moebooru" else "g"
    with serving(Board(engine, [Post(1, rating=rating)], login=(SECRET, "me"))) as board:
        with pytest.raises(FetchError, match=r"uthentication|access denied"):
            listed(spec(engine, board.url))
        account(monkeypatch, board.url, **dict(zip(names, (SECRET, "me"), strict=True)))
        source = spec(engine, board.url)
        assert len(listed(source)) == 1
        echo = json.dumps({"success": False, "message": f"{SECRET} v3ry%2Bsecret%2Fkey"}).encode()
        board.answer = lambda query: (401, echo)
        with pytest.raises(FetchError) as caught:
            listed(source)
    shown = (str(caught.value), repr(source), str(source.stamp()), " ".join(source.plan()))
    assert not [text for text in shown if "v3ry" in text]
    assert any("as the account of LACBENCH_127" in line for line in source.plan())


def test_an_account_set_in_part_names_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LACBENCH_DANBOORU_DONMAI_US_API_KEY", SECRET)
    source = spec("danbooru", "https://danbooru.donmai.us")
    with pytest.raises(InputError, match="LACBENCH_DANBOORU_DONMAI_US_LOGIN is missing") as caught:
        listed(source, web=NoWeb())
    assert "v3ry" not in str(caught.value)


def test_gelbooru_itself_is_not_asked_without_an_account() -> None:
    with pytest.raises(MissingError, match="LACBENCH_GELBOORU_COM_API_KEY and LACBENCH_GELBOORU_COM_USER_ID"):
        listed(spec("gelbooru", "https://gelbooru.com"), web=NoWeb())


def test_a_recipe_that_counts_on_an_account_needs_one() -> None:
    source = spec("danbooru", account="gold")
    with pytest.raises(
        MissingError, match=r"LACBENCH_127_0_0_1___9_LOGIN and LACBENCH_127_0_0_1___9_API_KEY"
    ):
        listed(source, web=NoWeb())
    assert "needs an account" in source.plan()[-1]


def test_an_account_is_not_sent_in_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOGIN", "API_KEY"):
        monkeypatch.setenv(f"LACBENCH_EXAMPLE_ORG_{name}", "x")
    with pytest.raises(InputError, match="in clear; write https"):
        listed(spec("danbooru", "http://example.org"), web=NoWeb())


# --- tables -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("engine", "change", "told"),
    [
        ("danbooru", {"site": "https://me:pw@example.org"}, "no path, user or query"),
        ("danbooru", {"site": "ftp://example.org"}, "no path"),
        ("danbooru", {"site": "https://example.org/../x"}, "no path"),
        ("danbooru", {"site": "https://example.org?x"}, "no path"),
        ("danbooru", {"site": "https://[::1"}, "no path"),
        ("danbooru", {"site": "example.org"}, "no path"),
        ("danbooru", {"set": None}, "illustrations"),
        ("danbooru", {"tags": ("-a",)}, "is no tag"),
        ("danbooru", {"tags": ("a b",)}, "is no tag"),
        ("danbooru", {"without": ("",)}, "is no tag"),
        ("danbooru", {"tags": ("order:score",)}, "change the order"),
        ("gelbooru", {"tags": ("sort:random",)}, "change the order"),
        ("moebooru", {"tags": ("id:<9",)}, "change the order"),
        ("danbooru", {"ratings": ("safe",)}, "known are general, sensitive"),
        ("danbooru", {"tags": ("a", "b", "user:x")}, "lies beyond the 2 search terms"),
        ("danbooru", {"page_size": 201}, "200"),
        ("moebooru", {"page_size": 101}, "100"),
        ("danbooru", {"api_key": "x"}, "Extra inputs"),
    ],
)
def test_tables_that_do_not_hold(engine: str, change: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        spec(engine, **change)


def test_plans_ask_nobody_and_name_everything() -> None:
    told = "; ".join(spec("danbooru", "https://danbooru.donmai.us", tags=("A", "b", "c")).plan())
    assert "https://danbooru.donmai.us/posts.json?tags=a+b&limit=200&only=id%2Cmd5" in told
    assert "filtered here: c" in told and "anonymous" in told and "LACBENCH_DANBOORU_DONMAI_US_LOGIN" in told
    assert "needs an account" in "; ".join(spec("gelbooru", "https://gelbooru.com").plan())


def test_stamps_change_with_the_table() -> None:
    assert spec("danbooru").stamp() == spec("danbooru").stamp() != spec("danbooru", tags=("a",)).stamp()


# --- recorded answers -------------------------------------------------------------------------------------

RECORDED = {
    "danbooru_posts.json": ("danbooru", 6402984, "sensitive", (583, 1024), 0),
    "gelbooru_posts.json": ("gelbooru", 1943185, "safe", (992, 1228), 14),
    "gelbooru_posts.xml": ("gelbooru", 1943185, "safe", (992, 1228), 14),
    "safebooru_posts.xml": ("gelbooru", 4401125, "safe", (500, 500), None),
    "konachan_posts.json": ("moebooru", 358401, "safe", (3840, 2160), 6),
}


@pytest.mark.parametrize("file", RECORDED)
def test_recorded_answers(file: str, facts: Path) -> None:
    engine, key, rating, size, score = RECORDED[file]
    body = (facts / file).read_bytes()
    found = listed(spec(engine), web=Scripted(body, EMPTY[engine]))
    assert len(found) == 5 and found[0].key == str(key) and all(c.url and len(c.md5) == 32 for c in found)
    assert (found[0].rating, (found[0].width, found[0].height), found[0].score) == (rating, size, score)
    assert all(
        list(c.tags) == sorted(set(c.tags)) and "" not in c.tags and "(source" in c.origin for c in found[:1]
    )
    if engine == "gelbooru" and file.startswith("gelbooru"):
        assert "rubik's_cube" in found[0].tags
        assert not [c for c in found if "&amp;" in c.origin]


def test_both_forms_of_one_answer_are_the_same_candidates(facts: Path) -> None:
    forms = [(facts / f"gelbooru_posts.{kind}").read_bytes() for kind in ("json", "xml")]
    first, second = (listed(spec("gelbooru"), web=Scripted(body, b"[]")) for body in forms)
    assert first == second


# --- arbitrary answers ------------------------------------------------------------------------------------

FIELDS = [
    "id",
    "md5",
    "hash",
    "rating",
    "score",
    "width",
    "height",
    "image_width",
    "image_height",
    "tag_string",
    "tag_string_artist",
    "tags",
    "source",
    "file_url",
    "is_deleted",
    "is_banned",
    "status",
    "posts",
    "post",
    "success",
    "message",
    "reason",
    "@attributes",
    "name",
    "artist",
]
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["g", "s", "https://example.org/a.png", "http://[", "\ud800", "//x/y", "9" * 40])
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=9),
    max_leaves=30,
)


@pytest.mark.parametrize("engine", ["danbooru", "gelbooru", "moebooru"])
@given(value=VALUES, text=st.binary(max_size=60))
@settings(max_examples=150)
def test_nothing_but_our_own_errors_comes_out(engine: str, value: Any, text: bytes) -> None:
    source = spec(engine, tags=("a",), ratings=("questionable",))
    bodies = [json.dumps(value).encode(), text, b"<posts>" + text + b"</posts>"]
    bodies.append(
        json.dumps([{"id": n, "x": value, **dict.fromkeys(FIELDS[1:], value)} for n in (2, 1)]).encode()
    )
    for body in bodies:
        try:
            for candidate in listed(source, web=Scripted(body)):
                source.accepts(candidate)
                for said in (candidate.origin, candidate.artist, candidate.url, *candidate.tags):
                    said.encode()
                assert candidate.origin.isprintable() and candidate.width >= 0
                assert candidate.score is None or abs(candidate.score) < 2**63
        except LacbenchError as error:
            str(error).encode()


@given(told=st.dictionaries(st.sampled_from(["id", "tags", "rating", "file_url", "source"]), st.text()))
@settings(max_examples=150)
def test_xml_of_arbitrary_texts_raises_nothing_else(told: dict[str, str]) -> None:
    fields = " ".join(f"{name}={quoteattr(value)}" for name, value in told.items() if name != "id")
    body = f'<posts><post id="3" {fields}/><post><id>2</id>{told.get("id", "")}</post></posts>'
    try:
        assert len(listed(spec("gelbooru"), web=Scripted(body.encode("utf-8", "replace")))) == 2
    except FetchError as error:
        assert "sent no list of posts" in str(error)


def test_offered_lists_from_the_start() -> None:
    with serving(Board("danbooru", posts(3))) as board:
        assert len(offered(spec("danbooru", board.url), Path("out"), PlainWeb())) == 3
