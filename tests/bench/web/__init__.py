"""Web servers and a web client that know nothing of this package, with it and without.

All serve one tiny ASGI application, or fetch one large file, as HTTP/1.1 by h11.
"""
