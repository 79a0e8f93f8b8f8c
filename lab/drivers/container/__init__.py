"""What drivers share whose node is a container of Docker: kind, and minikube with its docker driver.

`engine` reaches Docker, `record` keeps what we made, `first_state` lays a task and puts a node back, `node` is the door
to a node, `driver` the life of a lab. A driver adds how its CLI makes, wakes and removes a cluster.
"""
