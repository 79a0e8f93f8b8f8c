"""The node's kubelet: watches the manifests folder and makes the runtime run what lies there, as a real one does."""
