"""Hypothesis strategies for what can be sent and what cannot."""

from __future__ import annotations

import array

from hypothesis import strategies as st

HERE = ("192.0.2.1", 53)

#: Buffers of every kind that can be sent.
buffers = st.one_of(
    st.binary(max_size=100),
    st.binary(max_size=100).map(bytearray),
    st.binary(max_size=100).map(lambda data: memoryview(data)[1:]),
    st.lists(st.integers(0, 255), max_size=20).map(lambda numbers: array.array("I", numbers)),
    st.binary(min_size=4, max_size=4).map(lambda data: memoryview(data).cast("B", (2, 2))),
)
no_buffers = st.sampled_from([None, 5, 1.5, "text", [], object(), memoryview(b"strided")[::2]])
no_addresses = st.one_of(
    st.sampled_from(
        [
            *((), "127.0.0.1", b"127.0.0.1", 5, [*HERE], {}, ("192.0.2.1",), ("192.0.2.1", None)),
            *(("192.0.2.1", -1), ("192.0.2.1", 1 << 16), ("192.0.2.1", 53, 0, 0, 0)),
            *(("localhost", 53), ("", 53), (None, 53), (5, 53), ([], 53), ("::1", 53)),
            *(("192.0.2.1\0", 53), ("\ud800", 53), (b"192.0.2.1", 53)),
        ]
    ),
    st.tuples(st.text(max_size=20), st.integers()).filter(lambda each: each[0][:1].isalpha()),
)
