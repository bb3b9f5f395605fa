"""What is true: the Faust app, its block transport, agents, and the order of a flush."""
