"""RQ workers: the doorbells and the jobs that answer them."""
