"""The worker: a process of its own that leases jobs and does them."""
