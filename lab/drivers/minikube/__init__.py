"""The minikube driver: its CLI, what it prints, and the life of its clusters."""
