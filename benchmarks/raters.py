"""A rater without a browser: speaks to the raters' page over its websocket, as the panel does."""

import json
import secrets
from types import TracebackType
from typing import Any, Self

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import connect

TIMEOUT = 60
"""Seconds that the server may take for an answer."""


class SocketRater:
    """One rater's tab; `data` is what the panel was told last."""

    def __init__(self, port: int, token: str) -> None:
        self.socket = connect(
            f"ws://127.0.0.1:{port}/_stcore/stream",
            origin=f"http://127.0.0.1:{port}",  # type: ignore[arg-type]
            subprotocols=["streamlit"],  # type: ignore[list-item]
            max_size=None,
            open_timeout=TIMEOUT,
        )
        self.query = f"t={token}"
        self.panel = ""
        self.data: dict[str, Any] = {}
        self.run({})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    def run(self, event: dict[str, Any]) -> None:
        """Have the page run, with an event of the panel or without, until the panel was told."""
        message = BackMsg()
        message.rerun_script.query_string = self.query
        if event:
            state = message.rerun_script.widget_states.widgets.add()
            state.id = f"$$STREAMLIT_INTERNAL_KEY_{self.panel}__events"
            state.json_trigger_value = json.dumps([{"event": "event", "value": event}])
        self.socket.send(message.SerializeToString())
        while True:
            forward = ForwardMsg.FromString(self.socket.recv(TIMEOUT))  # type: ignore[arg-type]
            element = forward.delta.new_element
            if element.WhichOneof("type") == "bidi_component":
                self.panel, self.data = element.bidi_component.id, json.loads(element.bidi_component.json)
            if forward.WhichOneof("type") == "script_finished" and self.data.get("ack") == event.get(
                "event", ""
            ):
                return

    def rate(self, score: int, times: int = 1) -> str:
        """Rate the current picture, sending the event so many times; returns the event's id."""
        event = {
            "kind": "rate",
            "event": secrets.token_hex(16),
            "trial": self.data["trial"]["key"],
            "score": score,
            "milliseconds": self.data["minimum"] + 500,
        }
        for _ in range(times):
            self.run(event)
        return str(event["event"])
