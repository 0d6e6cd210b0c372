"""A rater without a browser: speaks to the raters' page over its websocket, as the panel does."""

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin, Subprotocol

TIMEOUT = 60
"""Seconds that the server may take for an answer."""


class SocketRater:
    """One rater's tab; `data` is what the panel was told last."""

    def __init__(self, socket: ClientConnection, token: str) -> None:
        self.socket, self.token = socket, token
        self.panel = ""
        self.data: dict[str, Any] = {}

    def run(self, event: dict[str, Any]) -> None:
        """Have the page run, with an event of the panel or without, until the panel was told."""
        message = BackMsg()
        message.rerun_script.query_string = f"t={self.token}"
        if event:
            state = message.rerun_script.widget_states.widgets.add()
            state.id = f"$$STREAMLIT_INTERNAL_KEY_{self.panel}__events"
            state.json_trigger_value = json.dumps([{"event": "event", "value": event}])
        self.socket.send(message.SerializeToString())
        while True:
            forward = ForwardMsg.FromString(bytes(self.socket.recv(TIMEOUT, decode=False)))
            element = forward.delta.new_element
            if element.WhichOneof("type") == "bidi_component":
                self.panel, self.data = element.bidi_component.id, json.loads(element.bidi_component.json)
            if forward.WhichOneof("type") == "script_finished" and self.data.get("ack") == event.get(
                "event", ""
            ):
                return

    def answer(self, score: int) -> dict[str, Any]:
        """An event that rates the current picture, for `run`."""
        return {
            "kind": "rate",
            "event": secrets.token_hex(16),
            "trial": self.data["trial"]["key"],
            "score": score,
            "milliseconds": self.data["minimum"] + 500,
        }


@contextmanager
def connected(port: int, token: str) -> Iterator[SocketRater]:
    """A rater who has opened their link."""
    origin, protocols = Origin(f"http://127.0.0.1:{port}"), [Subprotocol("streamlit")]
    address = f"ws://127.0.0.1:{port}/_stcore/stream"
    with connect(
        address, origin=origin, subprotocols=protocols, max_size=None, open_timeout=TIMEOUT
    ) as socket:
        rater = SocketRater(socket, token)
        rater.run({})
        yield rater
