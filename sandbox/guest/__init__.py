"""What runs inside a job's process. Nothing here is trusted: a program may replace any of it, so it decides no verdict."""
