"""RQ workers: the queues and their jobs."""
