"""Measures this package beside Trio, asyncio, winloop and C: ``python -m benchmarks``.

``--quick`` does less of everything and takes minutes, ``--only`` measures a part; a whole run
measures everything twice.  Nothing else may run meanwhile.
"""
