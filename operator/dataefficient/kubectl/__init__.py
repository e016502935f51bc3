"""The kubectl plugin ``kubectl det``: looking at resources of a cluster, and asking something of them."""
