"""What the dashboards ask and a machine without devices cannot answer, each with its reason."""

NO_DEVICE = {
    "trainer / GPU utilisation / A": "DCGM's exporter needs an NVIDIA GPU, and the tests run without one",
    "trainer / TPU duty cycle / A": "GKE alone exports it, for nodes with a TPU",
}
"""By query: file, panel, reference."""

FOREIGN = ("DCGM_FI_DEV_GPU_UTIL", "kubernetes_io:container_accelerator_duty_cycle")
"""Series that are not this project's, and so are not in docs/metrics.md."""
