"""Run, judge, call and unit-test untrusted code in isolation."""
