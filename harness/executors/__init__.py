"""Where independent work (grading, judging, sampling) runs: on this machine by default, or on a Ray cluster.

    executor  what all executors have in common, and the user's choice
    local     threads of this process over one worker object
    cluster   connection to Ray
    host      what a Ray worker process runs: one worker object and its threads
    fleet     the Ray workers: started on every node, refused, lost, replaced
    ray       the executor over a fleet: chunks, back-pressure, retries
    work      the worker objects: graders, answers, judging
    judging   a Ray cluster in the place of a sandbox
    sampling  a Ray cluster in the place of a sampling backend

Results come back to this process and are stored here, so a run folder or an output file looks the same whichever
executor filled it, and may be begun under one and finished under the other.
"""
