"""Programs: the control API (and later the cloud and inference services)."""
