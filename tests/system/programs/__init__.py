"""Programs that the tests of real sockets run in processes of their own.

They end in ways that would end the test run, too.
"""
