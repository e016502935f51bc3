"""The operator's own rights, as the chart gives them: its service account with a token, and nothing more.

The operator of these tests is a process of this machine and no pod, so the chart's Deployment is left out.
"""

import re
import secrets
from contextlib import contextmanager

from chart.helm import Helm

NAME = "det-data-efficient-training"
PARTS = ("serviceaccount", "rbac")


class Installed:
    """Stands for a cluster where an operator is started: it is reached as the service account.

    Attributes:
        kubeconfig: of the service account.
        options: that the chart's Deployment would give.
    """

    def __init__(self, cluster, namespace):
        self.kubeconfig = cluster.kubeconfig_of_service_account(namespace, NAME)
        self.options = ("--lease-namespace", namespace, "--lease-name", NAME)


@contextmanager
def installed(cluster, folder, **values):
    """The chart's service account and RBAC, under ``values``, taken away at the end."""
    namespace = f"ops-{secrets.token_hex(3)}"
    cluster.kubectl("create", "namespace", namespace)
    shown = [f"--show-only=templates/{part}.yaml" for part in PARTS]
    objects = Helm(cluster, folder=folder).rendered(f"--namespace={namespace}", *shown, values=values)
    cluster.apply(*objects)
    try:
        yield Installed(cluster, namespace)
    finally:
        cluster.kubectl("delete", "--filename=-", "--wait=false", given=objects)
        cluster.kubectl("delete", "namespace", namespace, "--wait=false")


def refused_rights(operator):
    """What the API server has refused the operator for want of a right."""
    return re.findall(r'User \\*"system:serviceaccount[^\n]* cannot [^\n]*', operator.log.read_text())
