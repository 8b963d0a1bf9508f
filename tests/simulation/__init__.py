"""A deterministic model of Winsock, of the completion port, and of the part of Trio that reads it.

The package's own engine runs on it unchanged, on every system.  It stands in for ``ws2_32`` and
``kernel32``, for Trio's ``register_with_iocp`` and ``wait_overlapped``, and for the standard
library's sockets; Trio's scheduler, its cancellation above all, is the real one.

Nothing happens by itself.  The peer does what the test says (``sock.peer.send``), the kernel gets
on with it at once or when told to (``simulation.settle``), and a packet reaches the task that
waits for it when the test delivers it (``simulation.deliver``).  Where Windows may do one thing or
another, `Behaviour` says which: by the test's word, or by a seed.

The model is as unkind as Windows may be: it writes into a buffer at the last moment, gives freed
memory and closed handle values out again at once, and ends the run on a packet that nobody waits
for.  And it watches what nobody can watch there: what it was given must stay alive, in place and
untouched until it has done with it.  `Simulation.check` raises whatever it had to complain about.
"""

from .behaviour import Behaviour as Behaviour
from .behaviour import CancelAnswer as CancelAnswer
from .calls import Call as Call
from .crash import CrashingClock as CrashingClock
from .patches import simulated_winsock as simulated_winsock
from .simulation import Simulation as Simulation
from .sockets import SimulatedSocket as SimulatedSocket
from .stream import State as State
