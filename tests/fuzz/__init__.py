"""Hostile input: what nobody should write and somebody will, thrown at everything that reads what a learner made."""
