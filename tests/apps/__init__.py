"""Other people's programs and libraries, unmodified, on the package's sockets.

They need packages of their own, which ``nox -s apps`` installs.
"""
