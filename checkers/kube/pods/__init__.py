"""Pods as the kubelet decodes, defaults and validates them; the public face is `static_pod`."""
