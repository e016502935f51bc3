"""`kubectl det` as people call it: the real kubectl finds the plugin on the PATH."""

import fcntl
import os
import pty
import struct
import subprocess
import termios

from cluster.programs import find
from cluster.running import DETCTL


class Plugin:
    """Runs ``kubectl det`` against a control plane."""

    def __init__(self, cluster, folder, namespace=None):
        self.cluster, self.folder, self.namespace = cluster, folder, namespace
        self.kubectl = find("kubectl")["kubectl"]

    def _environment(self, user, **environment):
        given = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
        path = f"{DETCTL.parent}:{given['PATH']}"
        kubeconfig = str(self.cluster.kubeconfig_of(user))
        return {**given, "PATH": path, "KUBECONFIG": kubeconfig, "KUBERC": "off", **environment}

    def _arguments(self, arguments):
        place = ["-n", self.namespace] if self.namespace and "-A" not in arguments else []
        return [self.kubectl, "det", *map(str, arguments), *place]

    def __call__(self, *arguments, user="admin", **environment):
        """Exit code, standard output and standard error."""
        done = subprocess.run(
            self._arguments(arguments),
            env=self._environment(user, **environment),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        assert "Traceback" not in done.stderr + done.stdout
        assert "a fault of this program" not in done.stderr
        return done.returncode, done.stdout, done.stderr

    def good(self, *arguments, **how):
        """Standard output of what must succeed."""
        code, out, err = self(*arguments, **how)
        assert code == 0, err
        return out

    def on_a_terminal(self, *arguments, columns, **environment):
        """What a terminal of so many columns is sent."""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        given = self._environment("admin", TERM="xterm-256color", **environment)
        given.pop("COLUMNS", None)
        with subprocess.Popen(
            self._arguments(arguments), env=given, stdin=theirs, stdout=theirs, stderr=theirs, cwd=self.folder
        ) as process:
            os.close(theirs)
            parts = []
            try:
                while part := os.read(ours, 65536):
                    parts.append(part)
            except OSError:  # the other end is closed
                pass
            process.wait(timeout=60)
        os.close(ours)
        return b"".join(parts).decode().replace("\r\n", "\n")
