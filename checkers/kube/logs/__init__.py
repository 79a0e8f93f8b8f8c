"""Audit logs: read, counted, and held against a policy; `audit_log` judges one log for the checks."""
