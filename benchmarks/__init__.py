"""Measures this package beside Trio, asyncio, winloop and C: ``python -m benchmarks``.

A full run takes hours; ``--quick`` takes minutes, and ``--only`` measures a part.
"""
