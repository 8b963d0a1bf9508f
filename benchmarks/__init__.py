"""Measures this package beside Trio, asyncio, winloop and C: ``python -m benchmarks``.

A whole run measures everything twice and takes about 13 minutes on two processors; ``--quick`` does
less of everything, ``--only`` measures a part.  Nothing else may run meanwhile.
"""
