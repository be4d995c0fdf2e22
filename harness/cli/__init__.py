"""The verbs of the ``ringlite`` command that belong to the harness."""
