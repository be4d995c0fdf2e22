"""What the task files here call: lm-eval looks for functions beside the file that names them."""

from harness.lm_tasks.task import all_responses, dataset, process_results, se_samp

__all__ = ["all_responses", "dataset", "process_results", "se_samp"]
