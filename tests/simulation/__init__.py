"""A deterministic model of Winsock, of the completion port, and of the part of Trio that reads it.

The package's own engine runs on it unchanged, on every system.  It replaces ``ws2_32`` and
``kernel32``, Trio's ``register_with_iocp`` and ``wait_overlapped``, and the sockets of the standard
library; Trio's scheduler and its cancellation are the real ones.

Nothing happens by itself.  The peer does what the test says (``sock.peer.send``), the kernel
processes that at once or when told to (``simulation.settle``), and a packet reaches the task that
waits for it when the test delivers it (``simulation.deliver``).  Where Windows may do one thing or
another, `Behaviour` says which: as the test chooses, or drawn with a seed.

The model does the worst that Windows may do: it writes into a buffer at the last moment, reuses
freed memory and closed handle values at once, and ends the run on a packet that no task waits for.
It also checks what cannot be checked there: the memory that it is given must stay alive, in place
and unchanged until it no longer needs it.  `Simulation.check` raises all such complaints.
"""

from .behaviour import Behaviour as Behaviour
from .behaviour import CancelAnswer as CancelAnswer
from .calls import Call as Call
from .calls import CrashingClock as CrashingClock
from .endpoints import State as State
from .simulation import Simulation as Simulation
from .simulation import simulated_winsock as simulated_winsock
