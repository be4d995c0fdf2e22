"""The benchmarks as lm-evaluation-harness tasks: same rows, prompts, graders and statistics as ``ringlite score``.

The task files under ``benchmarks/lm_eval`` are generated from the cards (``generate``); what they call is in ``task``.
"""
