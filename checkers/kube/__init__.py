"""Kubernetes knowledge that the judge and the sandbox share, so that both mean the same by it."""
