"""Real local servers that answer as the three image-board engines do, from a list of made posts."""

import base64
import html
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import quoteattr

FREE = ("rating", "status", "id", "md5", "width", "height", "filetype", "score", "date")


@dataclass(frozen=True)
class Post:
    """One made post."""

    id: int
    tags: tuple[str, ...] = ("1girl", "solo")
    rating: str = "g"
    hidden: bool = False

    @property
    def md5(self) -> str:
        return f"{self.id:032x}"


@dataclass
class Board:
    """A site of one engine: its posts, its rules, and what it was asked."""

    engine: str
    posts: list[Post]
    url: str = ""
    asked: list[dict[str, str]] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)
    term_limit: int = 2
    login: tuple[str, str] | None = None
    answer: Callable[[dict[str, str]], tuple[int, bytes] | None] = lambda query: None
    """Answers instead of the board, where it gives one."""
    meanwhile: Callable[["Board"], None] = lambda board: None
    """Happens after every answer."""
    ignores_cursor: bool = False

    def found(self, terms: list[str], below: int | None) -> list[Post]:
        def matches(post: Post) -> bool:
            return all(
                _has(post, t[1:]) != t.startswith("-") if t[0] == "-" else _has(post, t) for t in terms
            )

        newest = sorted(self.posts, key=lambda p: -p.id)
        return [p for p in newest if matches(p) and (below is None or p.id < below or self.ignores_cursor)]


def _has(post: Post, term: str) -> bool:
    name, _, value = term.partition(":")
    return post.rating[0] == value[0] if name == "rating" else term in post.tags


def danbooru(board: Board, path: str, query: dict[str, str]) -> tuple[int, bytes]:
    terms = query.get("tags", "").split()
    if path != "/posts.json":
        return 404, b"{}"
    counted = [t for t in terms if t.lstrip("-").partition(":")[0] not in FREE]
    if len(counted) > board.term_limit:
        said = f"You cannot search for more than {board.term_limit} tags at a time."
        return 422, _error("PostQuery::TagLimitError", said)
    page = query.get("page", "1")
    below = int(page[1:]) if page.startswith("b") else None
    if page.isdecimal() and int(page) > 1:
        return 410, _error("PaginationExtension::PaginationError", "pages are not to be used here")
    posts = board.found(terms, below)[: min(int(query.get("limit", "20")), 200)]
    wanted = query["only"].split(",") if "only" in query else None
    rows = [_danbooru_post(p, board.url) for p in posts]
    return 200, json.dumps([{k: v for k, v in r.items() if not wanted or k in wanted} for r in rows]).encode()


def _danbooru_post(post: Post, url: str) -> dict[str, Any]:
    told = {
        "id": post.id,
        "rating": post.rating,
        "score": post.id % 7,
        "image_width": 600,
        "image_height": 800,
        "tag_string": " ".join(post.tags),
        "tag_string_artist": "somebody",
        "source": f"https://example.org/art/{post.id}",
        "is_deleted": False,
        "is_banned": post.hidden,
        "created_at": "2023-06-15T19:49:23.789-04:00",
    }
    file = {} if post.hidden else {"md5": post.md5, "file_url": f"{url}/original/{post.md5}.png"}
    return told | file


def _error(kind: str, message: str) -> bytes:
    return json.dumps({"success": False, "error": kind, "message": message, "backtrace": []}).encode()


def gelbooru(board: Board, path: str, query: dict[str, str]) -> tuple[int, bytes]:
    assert path == "/index.php" and (query["page"], query["s"], query["q"]) == ("dapi", "post", "index")
    if board.login and (query.get("api_key"), query.get("user_id")) != board.login:
        return 200, b"<error>Missing authentication. Go to the account page for more.</error>"
    terms, below = _without_id(query.get("tags", ""))
    limit, start = min(int(query.get("limit", "100")), 100), int(query.get("pid", "0"))
    rows = [_gelbooru_post(p, board.url) for p in board.found(terms, below)][start * limit :][:limit]
    if query.get("json") != "1" or board.engine == "gelbooru-xml":
        posts = "".join(f"<post {' '.join(f'{k}={quoteattr(str(v))}' for k, v in r.items())}/>" for r in rows)
        return 200, f'<?xml version="1.0" encoding="UTF-8"?><posts count="3">{posts}</posts>'.encode()
    told: dict[str, Any] = {"@attributes": {"limit": limit, "offset": 0, "count": len(rows)}}
    if rows:  # absent for none, and no list for a single one
        told["post"] = rows if len(rows) > 1 else rows[0]
    return 200, json.dumps(told).encode()


def _gelbooru_post(post: Post, url: str) -> dict[str, Any]:
    told = {
        "id": post.id,
        "created_at": "Sat Jul 20 06:05:33 -0500 2013",
        "score": "",
        "width": 600,
        "height": "800",
        "md5": post.md5,
        "rating": {"g": "general", "s": "sensitive"}.get(post.rating, post.rating),
        "source": "https://example.org/?a=1&amp;b=2",
        "parent_id": 0,
        "tags": " ".join(html.escape(tag) for tag in post.tags) + " ",
    }
    return told if post.hidden else told | {"file_url": f"{url}/images/{post.md5}.png"}


def moebooru(board: Board, path: str, query: dict[str, str]) -> tuple[int, bytes]:
    assert path == "/post.json"
    if board.login and (query.get("login"), query.get("password_hash")) != board.login:
        return 401, b'{"success":false,"reason":"access denied"}'
    if len(query.get("tags", "").split()) > 6:
        return 500, b'{"success":false,"reason":"You can only search up to six tags at once."}'
    terms, below = _without_id(query.get("tags", ""))
    limit = min(int(query.get("limit", "40")), 1000)
    rows = [_moebooru_post(p, board.url) for p in board.found(terms, below)[:limit]]
    if query.get("api_version") != "2":
        return 200, json.dumps(rows).encode()
    types = {"somebody": "artist", "1girl": "general"}
    return 200, json.dumps({"posts": rows, "tags": types}).encode()


def _moebooru_post(post: Post, url: str) -> dict[str, Any]:
    told = {
        "id": post.id,
        "tags": " ".join((*post.tags, "somebody")),
        "created_at": 1686855123,
        "source": "",
        "score": 3,
        "md5": post.md5,
        "rating": post.rating,
        "status": "deleted" if post.hidden else "active",
        "width": 600,
        "height": 800,
        "parent_id": None,
    }
    return told if post.hidden else told | {"file_url": f"{url}/image/{post.md5}/a%20b.png"}


def _without_id(tags: str) -> tuple[list[str], int | None]:
    """The terms but for `id:<N`, and N."""
    terms = tags.split()
    below = [int(t[4:]) for t in terms if t.startswith("id:<")]
    return [t for t in terms if not t.startswith("id:")], below[0] if below else None


ENGINES = {"danbooru": danbooru, "gelbooru": gelbooru, "gelbooru-xml": gelbooru, "moebooru": moebooru}


@contextmanager
def serving(board: Board) -> Iterator[Board]:
    """The board on a port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {k: v[-1] for k, v in parse_qs(parts.query, keep_blank_values=True).items()}
            board.asked.append(query)
            scheme, _, basic = self.headers.get("Authorization", "").partition(" ")
            board.logins += [base64.b64decode(basic).decode()] if scheme == "Basic" else []
            told = board.answer(query)
            status, body = told or ENGINES[board.engine](board, parts.path, query)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            board.meanwhile(board)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    board.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield board
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
