"""Owns the lite API server: one process that answers kubectl as kube-apiserver does, with no controllers behind it."""
