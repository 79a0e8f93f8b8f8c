"""Audit policies: loaded, compared, proven and linted; the public face is `audit_policy` and `policy_proof`."""
