"""What drivers share whose node is a container of Docker: kind, and minikube with its docker driver.

`engine` reaches Docker, `record` keeps what we made, `first_state` lays a task and puts a node back, `node` is the door
to a node, `known` finds labs again, `driver` is the life of one. A driver adds what its CLI does to a cluster.
"""
