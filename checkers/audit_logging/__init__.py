"""The checks of the audit-log tasks, a module for each thing they look at; `checkers.registry` names them.

Where a check fails only because another one failed, it is a skip that names that other one: the learner sees the cause.
"""
