"""Score a checkpoint against published numbers: sample, grade, score, verdict, report."""
