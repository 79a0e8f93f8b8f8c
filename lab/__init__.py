"""CKS Lab: practise the exam on a node of your own."""

__version__ = "0.1.0"
