"""RQ workers: the queues and the jobs that answer them."""
