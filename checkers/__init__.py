"""The judge: pure functions from captured evidence to results. No I/O, no clock, nothing of the program."""
