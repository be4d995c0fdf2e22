"""What runs inside a job's process. Untrusted: a program may replace any of it, so it decides no verdict."""
