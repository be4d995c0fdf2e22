"""Grades programs by running them in the sandbox; see ``grader`` for the interface and the forms of a gold."""

from harness.graders.code.grader import CodeGrader

__all__ = ["CodeGrader"]
