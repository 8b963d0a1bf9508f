"""A receive with too little stack fails alone: the run goes on, and no data is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.programs import Program

PROGRAM = str(Path(__file__).parent / "programs" / "depths.py")
STREAMS = ["recv", "recv adopted", "recv drained", "recv peek", "recv_into", "wsarecv"]
STREAMS += ["receive_some", "exactly", "exactly cancelled"]
DATAGRAMS = ["recvfrom", "recvfrom_into", "recvmsg", "recvmsg_into", "recvfrom_many"]


@pytest.mark.parametrize("how", ["inline", "waits"])
@pytest.mark.parametrize("call", STREAMS + DATAGRAMS)
def test_a_receive_at_any_stack_depth_succeeds_or_fails_alone(call: str, how: str) -> None:
    program = Program(PROGRAM, call, how)
    program.end()
    assert (program.status, program.stdout, program.stderr) == (0, "ok\n", "")
