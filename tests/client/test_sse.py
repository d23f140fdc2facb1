"""Events are the same however the network cuts their bytes."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from larimar_client.sse import EventReader

# What a general line splitter would break at stands raw in JSON that is not ASCII.
TEXTS = st.lists(st.text(st.sampled_from("a\u2028\u2029\x85\r\n é山"), max_size=8), max_size=5)


@given(TEXTS, st.sampled_from(["\n", "\r\n"]), st.data())
def test_any_cutting_gives_the_same_items(texts: list[str], end: str, data: st.DataObject) -> None:
    events = [("token", text) for text in texts] + [("done", "end")]
    lines = [
        f": a comment{end}event: {name}{end}data: {json.dumps(text, ensure_ascii=False)}{end}{end}"
        for name, text in events
    ]
    stream = "".join(lines).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    reader = EventReader[str]("done", {"token": str, "done": str})
    found: list[str] = []
    for start, stop in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        found += reader.feed(stream[start:stop])
    reader.finish()
    assert found == [*texts, "end"]
