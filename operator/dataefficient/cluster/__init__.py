"""The cluster's driver: Jobs instead of processes, a ConfigMap instead of a work folder."""
